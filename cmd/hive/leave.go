package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hivemesh/node"
)

type leaveCmd struct {
	Config string        `default:"station.yaml" help:"The config of the station that leaves, running or stopped." placeholder:"FILE"`
	Wait   time.Duration `default:"60s" help:"How long to try."`
}

func (leaveCmd) Help() string {
	return `Run this at the station's place. A station that runs hands over the lead, gives up its votes one after the
other, waits until other stations have all that only it holds, tells everybody not to wait for it, and its
process ends. One that is stopped is started once more for that. Until the last moment it takes alerts; where
it cannot leave it says why, how many events are with no other station, and goes on as before.

The id is used up: to come back, join in another directory with a new token. A station whose disk is gone cannot
do this; say hive token --replaces there where the authority is.`
}

func (c leaveCmd) Run(ctx context.Context, to console) error {
	cfg, err := node.LoadConfig(c.Config)
	if err != nil {
		return err
	}
	op, err := node.OpenOperator(cfg.Dir)
	if err == nil {
		err = c.running(ctx, op, cfg.Dir)
	}
	if errors.Is(err, node.ErrNotRunning) { // or one that died and left its door open
		err = c.stopped(ctx, to, cfg)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(to.out, "the station in %s has left the county for good; nobody waits for it, and its directory may go\n", cfg.Dir)
	return nil
}

const (
	// endTime is how long a station that has left gets to end.
	endTime = 20 * time.Second
	endLook = 50 * time.Millisecond
)

// running has the station that runs leave, and waits for its end.
func (c leaveCmd) running(ctx context.Context, op node.Operator, dir string) error {
	if _, err := op.Leave(ctx, node.Leaving{Wait: c.Wait}); err != nil {
		return err
	}
	for end := time.Now().Add(endTime); ; {
		lock, err := lockDir(dir, "hive leave")
		if err == nil {
			return lock.release()
		}
		if time.Now().After(end) {
			return fmt.Errorf("the station has left the county for good, but does not end: %w", err)
		}
		if err := sleepUntil(ctx, time.Now().Add(endLook)); err != nil {
			return err
		}
	}
}

// stopped starts the station once more, for its leave.
func (c leaveCmd) stopped(ctx context.Context, to console, cfg node.Config) (err error) {
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
	return s.Leave(ctx)
}
