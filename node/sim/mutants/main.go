//go:build unix

// Command mutants tests the tests: it plants one bug after the other and fails unless the harness finds each.
//
// A mutant is a patch beside this file. Its first lines say what it does, which promise that breaks, and what
// must find it: checks of the simulation, or tests where no simulation can tell, with the words in which they
// say so. It never touches the tree: the patched files lie in a folder of their own, and the go command builds
// with them in place of the tree's. Found is what the named check or test says, in those words: a mutant that
// does not compile, panics or runs out of time is not found by it.
//
// The one rule: a mutant that nobody finds is a hole in the checks, and is mended there, not here.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
)

const (
	foundWithin = 10 * time.Minute // or the checks are too weak to be of use
	sideBySide  = 2                // mutants at a time; each has a simulation of its own
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
	all, err := load(".")
	if err != nil {
		return err
	}
	if list {
		for _, m := range all {
			fmt.Printf("%-34s %s\n", m.name, m.finder())
		}
		return nil
	}
	if all, err = pick(all, only); err != nil {
		return err
	}
	begin := time.Now()
	hunts := huntAll(ctx, all)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return tell(hunts, time.Since(begin))
}

// pick keeps the mutants named in only.
func pick(all []mutant, only string) ([]mutant, error) {
	if only == "" {
		return all, nil
	}
	var picked []mutant
	for _, name := range strings.Split(only, ",") {
		k := slices.IndexFunc(all, func(m mutant) bool { return m.name == name })
		if k < 0 {
			return nil, fmt.Errorf("there is no mutant %q; LIST=1 names them", name)
		}
		picked = append(picked, all[k])
	}
	return picked, nil
}

// hunted is what came of one mutant.
type hunted struct {
	mutant
	found found
	err   error
	took  time.Duration
}

func huntAll(ctx context.Context, all []mutant) []hunted {
	out := make([]hunted, len(all))
	free := make(chan struct{}, sideBySide)
	var wg sync.WaitGroup
	for k, m := range all {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			begin := time.Now()
			f, err := m.hunt(ctx, ".")
			out[k] = hunted{m, f, err, time.Since(begin)}
			if ctx.Err() == nil {
				fmt.Printf("%-34s %-40s %s\n", m.name, out[k].by(), out[k].after())
			}
			if err != nil && ctx.Err() == nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n", m.name, err)
			}
		})
	}
	wg.Wait()
	return out
}

func (h hunted) by() string {
	switch {
	case h.err != nil:
		return "BROKEN"
	case h.found.by == "":
		return "NOBODY"
	}
	return h.found.by
}

func (h hunted) after() string {
	took := fmt.Sprintf("%.0f s", h.took.Seconds())
	if h.found.seeds > 0 {
		took += fmt.Sprintf(", %d seeds", h.found.seeds)
	}
	return took
}

// tell prints the table in which every run ends, and fails where a mutant lives.
func tell(hunts []hunted, took time.Duration) error {
	var lives []string
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nmutant\tbreaks\tfound by\tafter")
	for _, h := range hunts {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", h.name, h.breaks, h.by(), h.after())
		if h.err != nil || h.found.by == "" {
			lives = append(lives, h.name)
		}
	}
	table.Flush()
	fmt.Printf("%d mutants in %v, %d found\n", len(hunts), took.Round(time.Second), len(hunts)-len(lives))
	if len(lives) > 0 {
		return errors.New("not found within " + foundWithin.String() + ": " + strings.Join(lives, ", "))
	}
	return nil
}
