//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	manySeeds = 8 // between two looks at what the simulation found, at most; before the first it is one
	// testWithin leaves a test that a mutant has made to hang time to say where, before the hunt is over.
	testWithin = foundWithin - time.Minute
)

// found is who found a mutant; nobody where by is empty.
type found struct {
	by    string
	seeds int // that it took; 0: a test found it
}

// hunt plants the bug into a copy of what it changes of the tree at root, and lets the harness look for it.
func (m mutant) hunt(ctx context.Context, root string) (f found, err error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(dir)
	overlay, err := m.plant(ctx, root, dir)
	if err != nil {
		return f, err
	}
	ctx, cancel := context.WithTimeout(ctx, foundWithin)
	defer cancel()
	pkg := m.pkg
	if pkg == "" {
		pkg = "./node/sim"
	}
	program := filepath.Join(dir, "harness.test")
	build := command(ctx, root, "go", "test", "-c", "-overlay", overlay, "-o", program, pkg)
	if said, err := build.CombinedOutput(); err != nil {
		return f, fmt.Errorf("the mutant does not compile: %w: %s", err, said)
	}
	if m.pkg != "" {
		return m.tested(ctx, filepath.Join(root, pkg), program)
	}
	return m.simulated(ctx, filepath.Join(root, pkg), program)
}

// command is a program with all that it starts: ended, it leaves no simulation behind.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// tested runs the tests of which one must fail, with the words that name the bug.
func (m mutant) tested(ctx context.Context, dir, program string) (f found, err error) {
	run := "^(" + strings.Join(m.tests, "|") + ")$"
	said, err := command(ctx, dir, program, "-test.run", run, "-test.timeout", testWithin.String()).CombinedOutput()
	switch {
	case err == nil || ctx.Err() != nil:
		return f, nil
	case strings.Contains(string(said), "panic: "):
		return f, fmt.Errorf("the test did not fail but died: %s", said)
	}
	name, ok := m.failedIn(string(said))
	if !ok {
		return f, fmt.Errorf("no test says %q, and yet: %s", m.says, said)
	}
	return found{by: name}, nil
}

// failedIn is the named test that failed in the mutant's words.
func (m mutant) failedIn(said string) (name string, ok bool) {
	for _, name := range m.tests {
		if strings.Contains(said, "--- FAIL: "+name+" ") && strings.Contains(said, m.says) {
			return name, true
		}
	}
	return "", false
}

var (
	failed = regexp.MustCompile(`(?m)^FAIL seed=(\d+) check=(\w+)`)
	ended  = regexp.MustCompile(`(?m)^(PASS|FAIL)$`)
)

// simulated runs counties until one of the checks that must find the mutant does. Others may fail too: one
// bug breaks many promises. So may a county's process die, which is no finding.
func (m mutant) simulated(ctx context.Context, dir, program string) (f found, err error) {
	seeds := 0
	for n := 1; ctx.Err() == nil; n = min(2*n, manySeeds) {
		first := m.seed + uint64(seeds)
		args := []string{"-test.run", "^TestCounty$", "-test.timeout", "0", "-procs", "1", "-only", strings.Join(m.checks, ","),
			"-seeds", strconv.Itoa(n), "-seed", strconv.FormatUint(first, 10)}
		if m.faults != "" {
			args = append(args, "-faults", m.faults)
		}
		said, _ := command(ctx, dir, program, args...).CombinedOutput()
		if by, seed := m.foundIn(string(said)); by != "" {
			return found{by, int(seed - m.seed + 1)}, nil
		}
		if !ended.Match(said) && ctx.Err() == nil {
			return f, fmt.Errorf("the simulation did not run: %s", said)
		}
		seeds += n
	}
	return found{seeds: seeds}, nil
}

// foundIn is the check that found the mutant in what a simulation said, and the least seed in which one did.
func (m mutant) foundIn(said string) (by string, least uint64) {
	for _, f := range failed.FindAllStringSubmatch(said, -1) {
		seed, err := strconv.ParseUint(f[1], 10, 64)
		if err == nil && slices.Contains(m.checks, f[2]) && (by == "" || seed < least) {
			by, least = f[2], seed
		}
	}
	return by, least
}
