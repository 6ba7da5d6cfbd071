//go:build linux

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hivemesh/configs"
	"hivemesh/node"
	"hivemesh/node/sim/history"
)

const hosts = 5

func every(string) bool { return true }

func TestTheSameSeedIsTheSamePlan(t *testing.T) {
	a, b := plan(7, hosts, time.Hour, every), plan(7, hosts, time.Hour, every)
	if d := cmp.Diff(a, b, cmp.AllowUnexported(round{}, planned{})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(a, plan(8, hosts, time.Hour, every), cmp.AllowUnexported(round{}, planned{})); d == "" {
		t.Error("another seed made the same plan")
	}
}

func TestEveryKindComesBeforeAnyComesAgain(t *testing.T) {
	for seed := range uint64(50) {
		var kinds []string
		for _, r := range plan(seed, hosts, 10*time.Minute, every) {
			for _, p := range r.faults {
				kinds = append(kinds, p.kind)
			}
		}
		want := slices.Concat(alone(), mixed())
		slices.Sort(want)
		deal := slices.Clone(kinds[:min(len(want), len(kinds))])
		slices.Sort(deal)
		if d := cmp.Diff(want, deal); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
	}
}

func TestFaultsOfARoundFit(t *testing.T) {
	for seed := range uint64(50) {
		for n, r := range plan(seed, hosts, time.Hour, every) {
			at := map[int]bool{}
			for _, p := range r.faults {
				if some := able(p.kind); some != nil {
					if !slices.Contains(some, p.at) {
						t.Errorf("seed %d, round %d: %s cannot be at station %d", seed, n, p.kind, p.at)
					}
					continue
				}
				if at[p.at] {
					t.Errorf("seed %d, round %d: two faults at station %d", seed, n, p.at)
				}
				at[p.at] = true
				if p.after+p.lasts > r.lasts {
					t.Errorf("seed %d, round %d: %s outlasts its round", seed, n, p.kind)
				}
			}
			if slices.Contains(alone(), r.faults[0].kind) && len(r.faults) != 1 {
				t.Errorf("seed %d, round %d: %s is not alone", seed, n, r.faults[0].kind)
			}
		}
	}
}

func TestWhatStraceInjectedIsCounted(t *testing.T) {
	said := `[pid 12] fdatasync(7)                   = 0
[pid 12] fdatasync(7)                   = -1 EIO (Input/output error) (INJECTED)
[pid 14] fsync(9)                       = 0 (DELAYED)
[pid 14] fsync(9)                       = ?
[pid 14] +++ killed by SIGKILL +++
`
	var n atomic.Int64
	count(strings.NewReader(said), &n)
	if n.Load() != 3 {
		t.Errorf("counted %d, want 3", n.Load())
	}
}

// aRun is one in which everything went as it should.
func aRun() *weather {
	w := newWeatherOf(&lab{county: &county{}, rec: newRecorder(), seed: 1})
	w.closed = time.Minute
	w.wiretap = &wiretap{canary: 1, frames: 1000, secrets: map[string]int{}}
	w.bites = map[string]*tally{killOne: {made: 1, bit: 1, did: 1}}
	return w
}

func busy() traffic { return traffic{alerts: 300, answered: 300, sounds: 900, deeds: 100, refused: 5} }

func TestARunThatProvesNothingIsVoid(t *testing.T) {
	if why := aRun().void(busy()); len(why) > 0 {
		t.Fatalf("a good run is void: %v", why)
	}
	for name, spoil := range map[string]func(w *weather, t *traffic){
		"a fault never bit":     func(w *weather, _ *traffic) { w.bites[cutOff] = &tally{made: 2} },
		"no fault":              func(w *weather, _ *traffic) { clear(w.bites) },
		"hardly an alert":       func(_ *weather, t *traffic) { t.answered = 10 },
		"nobody heard anything": func(_ *weather, t *traffic) { t.sounds = 0 },
		"nobody competed":       func(_ *weather, t *traffic) { t.refused = 0 },
		"the wire was not read": func(w *weather, _ *traffic) { w.wiretap.canary = 0 },
	} {
		w, tr := aRun(), busy()
		spoil(w, &tr)
		if len(w.void(tr)) != 1 {
			t.Errorf("%s: %v", name, w.void(tr))
		}
	}
}

func TestABrokenPromiseIsNotJustVoid(t *testing.T) {
	w := aRun()
	if err := w.report(io.Discard); !errors.Is(err, errVoid) {
		t.Errorf("without traffic: %v, want void", err)
	}
	w.note(history.Violation{Check: "NoLostAck", What: "gone"})
	if err := w.report(io.Discard); err == nil || errors.Is(err, errVoid) {
		t.Errorf("with a lost alert: %v", err)
	}
}

func TestSecretsOnTheWireAreFound(t *testing.T) {
	w := aRun().wiretap
	w.heard([]byte("\x45\x00 encrypted"))
	if len(w.found()) > 0 {
		t.Error("found something in nothing")
	}
	w.heard([]byte("\x45\x00 ... " + noteMark + "kiosk-7"))
	if len(w.found()) != 1 {
		t.Error("a note in plain was not found")
	}
}

func TestALargerCountyIsWholeAndStrict(t *testing.T) {
	for n := leastStations; n <= mostStations; n++ {
		path := filepath.Join(t.TempDir(), "county.yaml")
		if err := os.WriteFile(path, enlarged(configs.County, n), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := node.LoadCounty(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Stations) != n || len(c.Grids) == 0 || len(c.People) == 0 {
			t.Errorf("%d stations, want %d; %d grids, %d people", len(c.Stations), n, len(c.Grids), len(c.People))
		}
	}
}
