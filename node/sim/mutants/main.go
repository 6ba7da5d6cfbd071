//go:build unix

// Command mutants tests the tests: it plants one bug after the other and fails unless the harness finds each.
//
// A mutant is a patch beside this file. Its first lines say what it does, which promise that breaks, and what
// must find it: checks of the simulation, or a test where no simulation can tell. It never touches the tree:
// the patched files lie in a folder of their own, and the go command builds with them in place of the tree's.
//
// The one rule: a mutant that nobody finds is a hole in the checks, and is mended there, not here.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

const (
	foundWithin = 10 * time.Minute // or the checks are too weak to be of use
	fewSeeds    = 2                // of a simulation, before the first look at what it found; twice as many each time
	manySeeds   = 8                // between two looks, at most
	firstSeed   = 1
)

func main() {
	list := flag.Bool("list", false, "name the mutants and what finds each, one a line")
	only := flag.String("only", "", "mutants to run, comma-separated; empty: all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *list, *only); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, list bool, only string) error {
	all, err := load(filepath.Join("node", "sim", "mutants"))
	if err != nil {
		return err
	}
	if list {
		for _, m := range all {
			fmt.Printf("%-34s %s\n", m.name, m.finder())
		}
		return nil
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "mutant\tfound by\tseeds\tseconds")
	var missed []string
	for _, m := range all {
		if only != "" && !slices.Contains(strings.Split(only, ","), m.name) {
			continue
		}
		begin := time.Now()
		by, seeds, err := m.hunt(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		took := time.Since(begin)
		switch {
		case err != nil:
			fmt.Fprintf(os.Stderr, "%s: %v\n", m.name, err)
			by, missed = "BROKEN", append(missed, m.name)
		case by == "":
			by, missed = "NOBODY", append(missed, m.name)
		}
		fmt.Printf("%-34s %-34s %3d seeds %4.0f s\n", m.name, by, seeds, took.Seconds())
		fmt.Fprintf(table, "%s\t%s\t%s\t%.0f\n", m.name, by, dash(seeds), took.Seconds())
	}
	fmt.Println()
	table.Flush()
	if len(missed) > 0 {
		return fmt.Errorf("not found within %v: %s", foundWithin, strings.Join(missed, ", "))
	}
	return nil
}

func dash(seeds int) string {
	if seeds == 0 {
		return "-"
	}
	return strconv.Itoa(seeds)
}

// mutant is one planted bug.
type mutant struct {
	name   string
	patch  string   // absolute
	checks []string // of the simulation
	faults string   // kinds it needs; empty: whatever a seed draws
	seed   uint64
	pkg    string // or a test of this package
	test   string
}

func (m mutant) finder() string {
	if m.pkg != "" {
		return "go test " + m.pkg + " -run " + m.test
	}
	with := ""
	if m.faults != "" {
		with = " (faults: " + m.faults + ")"
	}
	return "simulation: " + strings.Join(m.checks, ", ") + with
}

// load reads the heads of all patches.
func load(dir string) ([]mutant, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no mutants in %s; run this from the top of the tree", dir)
	}
	var all []mutant
	for _, f := range files {
		m := mutant{name: strings.TrimSuffix(filepath.Base(f), ".patch"), seed: firstSeed}
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
	breaks := false
	for _, line := range strings.Split(head, "\n") {
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "Breaks":
			breaks = true
		case "Checks":
			m.checks = strings.Split(value, ", ")
		case "Faults":
			m.faults = value
		case "Seed":
			m.seed, err = strconv.ParseUint(value, 10, 64)
		case "Test":
			m.pkg, m.test, _ = strings.Cut(value, " ")
		}
	}
	if !breaks || (len(m.checks) == 0) == (m.pkg == "") {
		return errors.New("its head must say Breaks, and either Checks or Test")
	}
	return err
}

// hunt plants the bug and lets the harness look for it. by is what found it, empty where nothing did in time.
func (m mutant) hunt(ctx context.Context) (by string, seeds int, err error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return "", 0, err
	}
	defer os.RemoveAll(dir)
	overlay, err := m.plant(ctx, dir)
	if err != nil {
		return "", 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, foundWithin)
	defer cancel()
	if m.pkg != "" {
		by, err = m.tested(ctx, overlay)
		return by, 0, err
	}
	return m.simulated(ctx, overlay)
}

var patched = regexp.MustCompile(`(?m)^\+\+\+ b/(.+)$`)

// plant copies the files that the patch changes into dir and patches them there. It returns the go command's
// overlay, which puts them in the place of the tree's.
func (m mutant) plant(ctx context.Context, dir string) (overlay string, err error) {
	text, err := os.ReadFile(m.patch)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for _, found := range patched.FindAllStringSubmatch(string(text), -1) {
		here, err := filepath.Abs(found[1])
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

// command is the go command with all that it starts: ended, it leaves no simulation behind.
func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// tested runs the test that must fail.
func (m mutant) tested(ctx context.Context, overlay string) (by string, err error) {
	said, err := command(ctx, "test", "-overlay", overlay, "-count=1", "-run", m.test, m.pkg).CombinedOutput()
	if err == nil || ctx.Err() != nil {
		return "", nil
	}
	if !strings.Contains(string(said), "--- FAIL: ") {
		return "", fmt.Errorf("no test failed, and yet: %s", said)
	}
	return m.finder()[len("go test "):], nil
}

var failed = regexp.MustCompile(`(?m)^FAIL seed=(\d+) check=(\w+)`)

// simulated runs counties until one of the checks that must find the mutant does. Others may fail too: one
// bug breaks many promises.
func (m mutant) simulated(ctx context.Context, overlay string) (by string, seeds int, err error) {
	for next, n := m.seed, fewSeeds; ctx.Err() == nil; next, n = next+uint64(n), min(2*n, manySeeds) {
		args := []string{"test", "-v", "-overlay", overlay, "-count=1", "-timeout", "0", "-run", "TestCounty$", "./node/sim",
			"-seeds", strconv.Itoa(n), "-seed", strconv.FormatUint(next, 10)}
		if m.faults != "" {
			args = append(args, "-faults", m.faults)
		}
		said, _ := command(ctx, args...).CombinedOutput()
		least := uint64(0)
		for _, f := range failed.FindAllStringSubmatch(string(said), -1) {
			seed, err := strconv.ParseUint(f[1], 10, 64)
			if err != nil || !slices.Contains(m.checks, f[2]) {
				continue
			}
			if by == "" || seed < least {
				by, least = f[2], seed
			}
		}
		if by != "" {
			return by, int(least - m.seed + 1), nil
		}
		if !strings.Contains(string(said), "TestCounty") && ctx.Err() == nil {
			return "", 0, fmt.Errorf("the simulation did not run: %s", said)
		}
		seeds += n
	}
	return "", seeds, nil
}
