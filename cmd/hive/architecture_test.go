package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "hivemesh/"

// arrows says which of our packages each may import: cmd → node → {node/web, cluster, ui, configs} → alerts.
// A new package is given its place here.
var arrows = map[string][]string{
	"alerts":          {},
	"configs":         {},
	"ui":              {},
	"cluster/wire":    {"alerts"},
	"cluster/memnet":  {},
	"cluster/trust":   {"alerts", "cluster/wire", "cluster/disk"},
	"cluster/gossip":  {"alerts", "cluster/wire", "cluster/trust"},
	"cluster/disk":    {},
	"cluster/faultfs": {},
	"cluster/pending": {"alerts", "cluster/wire", "cluster/trust", "cluster/disk"},
	"cluster/record":  {"alerts", "cluster/wire", "cluster/trust", "cluster/disk"},
	"cluster": {"alerts", "cluster/wire", "cluster/trust", "cluster/disk", "cluster/gossip", "cluster/pending",
		"cluster/record"},
	"node/web": {"alerts"},
	"node": {"alerts", "cluster", "cluster/wire", "cluster/trust", "cluster/disk", "cluster/gossip", "cluster/pending", "cluster/record",
		"configs", "node/web", "ui"},
	"node/sim/history": {"alerts"},
	"node/sim/mutants": {},
	"node/sim":         {"alerts", "cluster/disk", "cluster/memnet", "cluster/trust", "configs", "node", "node/web", "node/sim/history"},
	"cmd/chaos":        {"alerts", "cluster/faultfs", "configs", "node", "node/web", "node/sim/history"},
	"cmd/hive":         {"alerts", "cluster/record", "cluster/trust", "configs", "node", "node/web"},
}

// impure are packages of the standard library that reach outside, or hold state for the whole process.
var impure = []string{"context", "database", "embed", "expvar", "io/fs", "log", "math/rand", "net", "os", "plugin",
	"runtime", "sync", "syscall", "testing", "unsafe"}

// pkg is what go list says of a package.
type pkg struct {
	ImportPath, Dir                    string
	Imports, TestImports, XTestImports []string
	GoFiles, IgnoredGoFiles            []string
}

func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module) }

func packages(t *testing.T) []pkg {
	t.Helper()
	b, err := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,TestImports,XTestImports,GoFiles,IgnoredGoFiles", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(b))); d.More(); {
		var p pkg
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// within says whether path is one of these packages or lies under one.
func within(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return path == r || strings.HasPrefix(path, r+"/") })
}

func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && !strings.HasPrefix(path, module)
}

func TestImportsRunOneWay(t *testing.T) {
	all := packages(t)
	if len(all) < len(arrows) {
		t.Errorf("%d packages found, %d have a place in the order of imports", len(all), len(arrows))
	}
	for _, p := range all {
		may, known := arrows[p.name()]
		if !known {
			t.Errorf("%s has no place in the order of imports: give it one in this test", p.name())
			continue
		}
		for _, path := range p.Imports {
			if ours, is := strings.CutPrefix(path, module); is && !slices.Contains(may, ours) {
				t.Errorf("%s must not import %s", p.name(), ours)
			}
		}
	}
}

// TestRulesArePure: the rules run the same in production, simulation and an auditor's replay only as long as
// nothing outside them has a say.
func TestRulesArePure(t *testing.T) {
	for _, p := range packages(t) {
		if p.name() != "alerts" {
			continue
		}
		for _, path := range p.Imports {
			if !isStandard(path) || within(path, impure) {
				t.Errorf("alerts is pure, and imports %s", path)
			}
		}
		for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
			if !isStandard(path) && path != module+"alerts" && !within(path, []string{"github.com/google/go-cmp", "github.com/goccy/go-yaml"}) {
				t.Errorf("a test of alerts imports %s", path)
			}
		}
		for _, f := range parse(t, p.Dir, p.GoFiles) {
			for _, name := range clocks(f) {
				t.Errorf("alerts asks the clock: time.%s", name)
			}
		}
		return
	}
	t.Fatal("package alerts was not found")
}

// clocks are the uses in f of time's functions that read the clock.
func clocks(f *ast.File) (names []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := s.X.(*ast.Ident)
		if ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep", "Local"}, s.Sel.Name) {
			names = append(names, s.Sel.Name)
		}
		return true
	})
	return names
}

// TestWebKnowsNoCluster holds for its tests too: what they need of a station stands in web.Station.
func TestWebKnowsNoCluster(t *testing.T) {
	for _, p := range packages(t) {
		if p.name() != "node/web" {
			continue
		}
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if within(path, []string{module + "cluster", "github.com/hashicorp/raft", "github.com/hashicorp/memberlist"}) {
				t.Errorf("node/web imports %s", path)
			}
		}
		return
	}
	t.Fatal("package node/web was not found")
}

func TestEachPackageHasOneComment(t *testing.T) {
	for _, p := range packages(t) {
		docs := 0
		for _, f := range parse(t, p.Dir, slices.Concat(p.GoFiles, p.IgnoredGoFiles)) {
			if f.Doc != nil {
				docs++
			}
		}
		if docs != 1 {
			t.Errorf("%s has %d package comments, want one", p.name(), docs)
		}
	}
}

func parse(t *testing.T, dir string, names []string) []*ast.File {
	t.Helper()
	files := make([]*ast.File, len(names))
	for k, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files[k] = f
	}
	return files
}
