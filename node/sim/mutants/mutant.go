//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// folder is where the patches lie in the tree.
var folder = filepath.Join("node", "sim", "mutants")

// mutant is one planted bug.
type mutant struct {
	name   string
	patch  string   // absolute
	breaks string   // the promise
	checks []string // of the simulation
	faults string   // kinds it needs; empty: whatever a seed draws
	seed   uint64   // the first; one that meets the bug soon
	pkg    string   // or tests of this package
	tests  []string
	says   string // the words in which one of them must fail
}

func (m mutant) finder() string {
	if m.pkg != "" {
		return "go test " + m.pkg + " -run " + strings.Join(m.tests, "|")
	}
	with := ""
	if m.faults != "" {
		with = " (faults: " + m.faults + ")"
	}
	return "simulation: " + strings.Join(m.checks, ", ") + with
}

// load reads the heads of all patches of the tree at root.
func load(root string) ([]mutant, error) {
	files, err := filepath.Glob(filepath.Join(root, folder, "*.patch"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no mutants in %s; run this from the top of the tree", filepath.Join(root, folder))
	}
	var all []mutant
	for _, f := range files {
		m := mutant{name: strings.TrimSuffix(filepath.Base(f), ".patch"), seed: 1}
		if m.patch, err = filepath.Abs(f); err != nil {
			return nil, err
		}
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		if err := m.head(string(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		all = append(all, m)
	}
	return all, nil
}

// head reads the lines before the patch itself.
func (m *mutant) head(text string) (err error) {
	head, _, ok := strings.Cut(text, "\ndiff --git ")
	if !ok {
		return errors.New("there is no patch in it")
	}
	for _, line := range strings.Split(head, "\n") {
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "Breaks":
			m.breaks = value
		case "Checks":
			m.checks = strings.Split(value, ", ")
		case "Faults":
			m.faults = value
		case "Seed":
			m.seed, err = strconv.ParseUint(value, 10, 64)
		case "Test":
			pkg, names, _ := strings.Cut(value, " ")
			m.pkg, m.tests = pkg, strings.Split(names, "|")
		case "Says":
			m.says = value
		}
	}
	switch {
	case m.breaks == "":
		return errors.New("its head must say what it Breaks")
	case (len(m.checks) == 0) == (m.pkg == ""):
		return errors.New("its head must name either Checks or a Test")
	case m.pkg != "" && m.says == "":
		return errors.New("its head must name what the Test Says when it fails")
	}
	return err
}

var patched = regexp.MustCompile(`(?m)^\+\+\+ b/(.+)$`)

// plant copies the files that the patch changes from the tree at root into dir and patches them there. It
// returns the go command's overlay, which puts them in the place of the tree's.
func (m mutant) plant(ctx context.Context, root, dir string) (overlay string, err error) {
	text, err := os.ReadFile(m.patch)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for _, found := range patched.FindAllStringSubmatch(string(text), -1) {
		here, err := filepath.Abs(filepath.Join(root, found[1]))
		if err != nil {
			return "", err
		}
		b, err := os.ReadFile(here)
		if err != nil {
			return "", err
		}
		there := filepath.Join(dir, found[1])
		if err := errors.Join(os.MkdirAll(filepath.Dir(there), 0o700), os.WriteFile(there, b, 0o600)); err != nil {
			return "", err
		}
		replace[here] = there
	}
	apply := exec.CommandContext(ctx, "git", "apply", "--unidiff-zero", m.patch)
	apply.Dir = dir
	apply.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	if said, err := apply.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the patch no longer applies: %s", said)
	}
	for here, there := range replace {
		before, _ := os.ReadFile(here)
		if after, err := os.ReadFile(there); err != nil || string(after) == string(before) {
			return "", fmt.Errorf("the patch changes nothing in %s: %v", here, err)
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, b, 0o600)
}
