package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"hivemesh/alerts"
	"hivemesh/node"
)

type expelCmd struct {
	Station string `arg:"" help:"Id of the station to turn away for ever."`
	Dir     string `required:"" help:"Directory of the station where the county's authority lies." placeholder:"DIR"`
}

func (expelCmd) Help() string {
	return `For a station that was stolen or is no longer trusted. Every station that hears of it closes its
connections with it, no longer takes its word, and passes over what it signs from then on; what others held
of it before stands. If it votes, another takes its place. The gossip key, which it has, is changed at once.

It cannot be undone: should the station come back, give it a new id with hive token. Stations that are not
reached now hear of it from the others when they meet.`
}

func (c expelCmd) Run(ctx context.Context, to console) error {
	told, err := node.Expel(ctx, c.Dir, alerts.StationID(c.Station))
	if err != nil {
		return err
	}
	fmt.Fprintf(to.out, "%s is expelled, and the gossip key is changed\n", c.Station)
	report(to.out, told)
	return nil
}

// report says who heard of something at once.
func report(w io.Writer, told node.Told) {
	var names []string
	for _, s := range told.Stations {
		names = append(names, string(s))
	}
	fmt.Fprintf(w, "told:       %s\n", or(strings.Join(names, ", "), "nobody: no station answered"))
	if len(told.Missed) > 0 {
		fmt.Fprintf(w, "no answer:  %s (who is there hears of it from the others)\n", strings.Join(told.Missed, ", "))
	}
}
