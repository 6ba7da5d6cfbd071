//go:build unix

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the top of the tree, from here.
var root = filepath.Join("..", "..", "..")

// TestEveryMutantCanBePlanted: whoever changes lines that a patch is about mends the patch in the same commit.
func TestEveryMutantCanBePlanted(t *testing.T) {
	all, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if _, err := m.plant(t.Context(), root, t.TempDir()); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

// TestEveryFinderIsThere: a mutant whose check or test bears another name by now would live for ever.
func TestEveryFinderIsThere(t *testing.T) {
	all, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	checks := read(t, filepath.Join("node", "sim"), "checks.go")
	for _, m := range all {
		for _, c := range m.checks {
			if !strings.Contains(checks, `{"`+c+`", `) {
				t.Errorf("%s: the simulation has no check %s", m.name, c)
			}
		}
		if m.pkg == "" {
			continue
		}
		tests := read(t, m.pkg, "*_test.go")
		for _, name := range m.tests {
			if !strings.Contains(tests, "\nfunc "+name+"(t *testing.T)") {
				t.Errorf("%s: %s has no test %s", m.name, m.pkg, name)
			}
		}
	}
}

// read is the text of all files of a folder of the tree that fit.
func read(t *testing.T, dir, fits string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, fits))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s in %s: %v", fits, dir, err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

// TestFoundIsWhatTheNamedOneSays: other checks, other words and dead processes find nothing.
func TestFoundIsWhatTheNamedOneSays(t *testing.T) {
	m := mutant{checks: []string{"NoLostAck", "Heals"}, tests: []string{"TestKept"}, says: "lost an event"}
	for said, want := range map[string]string{
		"FAIL seed=7 check=Heals: two leaders\n":                                          "Heals",
		"FAIL seed=9 check=Heals: two\nFAIL seed=8 check=NoLostAck: event 4 is missing\n": "NoLostAck",
		"FAIL seed=7 check=Survives: panic\nFAIL seed=7 check=ShownOnce: twice\n":         "",
		"VOID seed=7: cut did not bite\n":                                                 "",
	} {
		if by, _ := m.foundIn(said); by != want {
			t.Errorf("%q is found by %q, want %q", said, by, want)
		}
	}
	for said, want := range map[string]bool{
		"--- FAIL: TestKept (0.1s)\n    kept_test.go:1: lost an event\n":          true,
		"--- FAIL: TestKept (0.1s)\n    kept_test.go:9: no such file\n":           false,
		"--- FAIL: TestKeptToo (0.1s)\n    kept_test.go:1: lost an event of it\n": false,
	} {
		if _, ok := m.failedIn(said); ok != want {
			t.Errorf("%q counts: %v, want %v", said, ok, want)
		}
	}
	if _, seed := m.foundIn("FAIL seed=9 check=Heals: x\nFAIL seed=8 check=Heals: x\n"); seed != 8 {
		t.Errorf("found first in seed %d, want 8", seed)
	}
}

// TestHeadsSayWhatIsNeeded: a patch that names nobody, or not the words, is refused.
func TestHeadsSayWhatIsNeeded(t *testing.T) {
	const patch = "\ndiff --git a/x b/x\n"
	for head, ok := range map[string]bool{
		"Breaks: Never lose\nChecks: NoLostAck, Heals\nSeed: 4\nFaults: cut": true,
		"Breaks: Never lose\nTest: ./alerts TestA|TestB\nSays: it is lost":   true,
		"Breaks: Never lose\nTest: ./alerts TestA":                           false,
		"Breaks: Never lose":   false,
		"Checks: NoLostAck":    false,
		"Breaks: x\nSeed: one": false,
		"Breaks: x\nChecks: Heals\nTest: ./alerts TestA\nSays: it is lost": false,
	} {
		var m mutant
		if err := m.head(head + patch); (err == nil) != ok {
			t.Errorf("%q: %v", head, err)
		}
	}
	var m mutant
	if err := m.head("Breaks: x\nChecks: NoLostAck, Heals\nSeed: 4\nFaults: cut" + patch); err != nil ||
		!slices.Equal(m.checks, []string{"NoLostAck", "Heals"}) || m.seed != 4 || m.faults != "cut" {
		t.Errorf("%+v: %v", m, err)
	}
	if err := (&mutant{}).head("Breaks: x\nChecks: Heals"); err == nil {
		t.Error("a head without a patch is taken")
	}
}
