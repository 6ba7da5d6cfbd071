//go:build linux

// Command chaos runs a county of real station processes, each on a host of its own in a network namespace,
// does to it what weather, power cuts and full disks do, and checks that the county kept its promises. It
// never touches the machine's own network, mounts or processes: all of it lives in namespaces that the
// kernel takes down with this process, however it dies. The one rule: a run counts only if its faults bit
// and its traffic was real; else it is void, not green.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

const about = `Real processes under faults. Needs root (network namespaces), and nft, ip, tc and strace; installs nothing.

    bin/chaos run --minutes 5              # what make chaos does
    bin/chaos failover -n 20               # how long the record stands still when its leader is killed`

// Exit statuses. A machine on which chaos cannot run is not a failure: it is told, and skipped.
const (
	exitBroken = 1 // a promise was broken, or the harness itself failed
	exitVoid   = 3 // nothing was broken, but the run proves nothing; 2 is what the runtime itself ends with
)

// errVoid marks a run that proves nothing.
var errVoid = errors.New("void")

type commands struct {
	Run      runCmd      `cmd:"" default:"withargs" help:"A county under faults, and the table of what became of it."`
	Failover failoverCmd `cmd:"" help:"Kill the leader again and again and measure the gap."`
}

func main() {
	k := kong.Parse(&commands{}, kong.Name("chaos"), kong.Description(about), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if !inside() {
		os.Exit(enter())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := settle()
	if err == nil {
		k.BindTo(ctx, (*context.Context)(nil))
		err = k.Run()
	}
	switch {
	case err == nil:
	case errors.Is(err, errVoid):
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(exitVoid)
	default:
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(exitBroken)
	}
}
