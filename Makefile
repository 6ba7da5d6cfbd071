# make alone lists the targets.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
# What git knows or would add: gofmt walks into node_modules otherwise.
GO_FILES    = $(shell git ls-files -co --exclude-standard '*.go')

.DEFAULT_GOAL := help
.PHONY: help run build ui test browser check fuzz bench sim scale chaos mutants clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: build ## build everything and run the demo county on this machine
	bin/hive demo

build: ui ## build bin/hive with its screens
	go build -buildvcs=auto -o bin/hive ./cmd/hive

ui: ui/node_modules/.package-lock.json ## build the screens into ui/dist/app
	cd ui && npm run --silent build

# npm ci runs again only when the lock file changed.
ui/node_modules/.package-lock.json: ui/package-lock.json
	cd ui && npm ci --no-fund --no-audit
	@touch $@

test: build browser ## every test: Go, screens, and the county in a browser
	go test -timeout 20m ./...
	cd ui && npm run --silent test
	cd ui && npm run --silent e2e

# Debian's Chromium and a Chinese font: nothing is downloaded by the browser tests themselves.
browser:
	@if command -v chromium >/dev/null && fc-list 2>/dev/null | grep -qi cjk; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ]; then echo "the browser tests need Chromium and a Chinese font: apt-get install chromium fonts-noto-cjk" >&2; exit 1; fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fontconfig fonts-noto-cjk >/dev/null

check: ui ## what a contributor runs before a commit: format, vet, staticcheck, types, lint
	@bad="$$(gofmt -l $(GO_FILES))"; test -z "$$bad" || { echo "not gofmt-ed:"; echo "$$bad"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	cd ui && npm run --silent check
	cd ui && npm run --silent lint

# What fuzzing finds is kept by go test itself under the package's testdata/fuzz, and from then on is one of its
# tests. That the time was over before the first input was through is none.
TIME = 10s
fuzz: ## fuzz every decoder there is, each for TIME (10s), two at a time
	@found="$$(grep -rEo --include='*_test.go' --exclude-dir=node_modules '^func Fuzz[A-Za-z]*' *)" || { echo "no fuzz targets found" >&2; exit 1; }; \
	echo "$$found" | sort | sed 's/:func / /' | xargs -P 2 -L 1 sh -c ' \
		said="$$(go test -run "^$$" -fuzz "^$$1$$" -fuzztime $(TIME) -fuzzminimizetime 100x -parallel 1 "./$${0%/*}" 2>&1)" || \
			echo "$$said" | grep -q "^ *context deadline exceeded" || { echo "$$said"; exit 255; }; \
		echo "$${0%/*} $$1: $$(echo "$$said" | grep -o "execs: [0-9]*" | tail -1)"'

bench: build ## measure three stations beside the raw limits of this machine
	bin/hive bench

SEEDS ?= 300
SEED  ?= 1
sim: ## let SEEDS counties live through their faults in virtual time, from SEED on, and check each
	go test ./node/sim -run 'TestCounty$$' -count=1 -timeout 0 -seeds $(SEEDS) -seed $(SEED)

STATIONS ?= 200
LOSS     ?= 0
scale: ## a county of STATIONS stations in virtual time: what grows; LOSS=0.33 loses a third of the packets
	go test ./node/sim -run 'TestScale$$' -count=1 -timeout 0 -stations $(STATIONS) -loss $(LOSS)

MINUTES ?= 5
CHAOS_TOOLS = ip:iproute2 nft:nftables tc:iproute2 strace:strace

mutants: ## plant known bugs one by one and fail unless the harness finds each; LIST=1 names them, ONLY=a,b picks
	@go run ./node/sim/mutants $(if $(LIST),-list) $(if $(ONLY),-only $(ONLY))

chaos: build ## real processes under faults, in network namespaces (root): make chaos MINUTES=60
	@missing=""; for t in $(CHAOS_TOOLS); do command -v "$${t%%:*}" >/dev/null || missing="$$missing $${t##*:}"; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; fi
	go build -o bin/chaos ./cmd/chaos
	bin/chaos run --minutes $(MINUTES) $(CHAOS)

clean: ## remove what was built; a county's data stays
	rm -rf bin ui/dist/app ui/node_modules ui/e2e/shots
