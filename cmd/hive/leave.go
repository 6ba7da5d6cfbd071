package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hivemesh/node"
)

type leaveCmd struct {
	Config string        `default:"station.yaml" help:"The config of the station that leaves. It must not be running." placeholder:"FILE"`
	Wait   time.Duration `default:"60s" help:"How long to try."`
}

func (leaveCmd) Help() string {
	return `Stop the station (Ctrl-C), then run this at its place. It starts the station once more, waits until the others
have what it holds and the record goes on without its vote, and tells everybody not to wait for it. The id is
used up: to come back, join in another directory with a new token. A station whose disk is gone cannot do
this; say hive token --replaces there where the authority is.`
}

func (c leaveCmd) Run(ctx context.Context, to console) (err error) {
	cfg, err := node.LoadConfig(c.Config)
	if err != nil {
		return err
	}
	log, err := logger(to.err, "error")
	if err != nil {
		return err
	}
	figures, err := processFigures()
	if err != nil {
		return err
	}
	s, err := start(cfg, log, figures)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	if err := s.Leave(ctx); err != nil {
		return err
	}
	fmt.Fprintf(to.out, "the station in %s has left the county for good; nobody waits for it, and its directory may go\n", cfg.Dir)
	return nil
}
