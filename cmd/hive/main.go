// Command hive runs stations of a county's alert mesh, and the tools around them. Each file holds one
// subcommand; what they do is in package node, and they reach a running county only by its public API.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/hashicorp/go-metrics"
	promsink "github.com/hashicorp/go-metrics/prometheus"
	"github.com/prometheus/client_golang/prometheus"
)

const about = `Alerts for a county's villages, posts and enterprises: raised at any station, heard at the others.

    hive demo                 five stations on this machine: try this first
    hive init, hive serve     a county of your own and its first station
    hive token                there, and with what it prints, at the next station:
    hive join, hive serve

Every command explains itself: hive COMMAND --help.`

// commands are all there are.
type commands struct {
	Demo      demoCmd      `cmd:"" help:"Run the demo county: five stations on this machine."`
	Serve     serveCmd     `cmd:"" help:"Run one station."`
	Init      initCmd      `cmd:"" help:"Make a county: its authority and its first station."`
	Token     tokenCmd     `cmd:"" help:"Make a token that lets one more station join."`
	Join      joinCmd      `cmd:"" help:"Make this machine a station of a county, with a token from it."`
	Leave     leaveCmd     `cmd:"" help:"Take a station out of its county for good."`
	Expel     expelCmd     `cmd:"" help:"Turn a station away for ever: it was stolen, or is no longer trusted."`
	Keys      keysCmd      `cmd:"" help:"Change the county's gossip key."`
	Authority authorityCmd `cmd:"" help:"Export or restore what signs the county's stations."`
	Cells     cellsCmd     `cmd:"" help:"Show the county's cells; form, change and merge them."`
	Status    statusCmd    `cmd:"" help:"Show members, cells and records as one station sees them."`
	Recover   recoverCmd   `cmd:"" help:"Let a cell's record go on that has lost most of its voters for good."`
	Snapshot  snapshotCmd  `cmd:"" help:"Save, inspect or restore all that a station has of its county."`
	Replay    replayCmd    `cmd:"" help:"Play a scenario against a running county."`
	Bench     benchCmd     `cmd:"" help:"Measure three stations beside the raw limits of this machine."`
	BenchRaw  benchRawCmd  `cmd:"" hidden:""`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

// console is where a command writes; tests have their own.
type console struct{ out, err io.Writer }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends at once
	if err := run(ctx, os.Args[1:], console{os.Stdout, os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, "hive:", err)
		os.Exit(1)
	}
}

// run does what args say.
func run(ctx context.Context, args []string, to console) error {
	helped := false
	k, err := kong.New(&commands{}, kong.Name("hive"), kong.Description(about),
		kong.Writers(to.out, to.err), kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(to))
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	c, err := k.Parse(args)
	switch {
	case helped:
		return nil
	case err != nil:
		return fmt.Errorf("%w (hive --help and hive COMMAND --help say what there is)", err)
	}
	if err := c.Run(); err != nil && !(errors.Is(err, context.Canceled) && ctx.Err() != nil) {
		return err
	}
	return nil
}

// processFigures are what raft and memberlist report, for every station of this process together. Their
// library knows only one destination a process, so it is set here and nowhere else.
func processFigures() (prometheus.Collector, error) {
	sink, err := promsink.NewPrometheusSinkFrom(promsink.PrometheusOpts{Registerer: prometheus.NewRegistry(), Name: "hive"})
	if err != nil {
		return nil, err
	}
	cfg := metrics.DefaultConfig("")
	cfg.EnableHostname, cfg.EnableRuntimeMetrics = false, false
	_, err = metrics.NewGlobal(cfg, sink)
	return sink, err
}
