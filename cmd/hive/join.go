package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hivemesh/alerts"
	"hivemesh/node"
)

type joinCmd struct {
	stationFlags
	Token   string `arg:"" help:"The token that hive token printed."`
	Station string `help:"Id to ask for, where the token leaves it open." placeholder:"ID"`
}

const joinWait = 30 * time.Second

func (c joinCmd) Run(ctx context.Context, to console) error {
	ctx, cancel := context.WithTimeout(ctx, joinWait)
	defer cancel()
	cfg, err := c.config()
	if err != nil {
		return err
	}
	config := filepath.Join(cfg.Dir, node.ConfigFile)
	if _, err := os.Stat(config); err == nil {
		return fmt.Errorf("%s holds a station already; join in another directory", cfg.Dir)
	}
	who, err := node.Join(ctx, c.Token, alerts.StationID(c.Station), cfg)
	if err != nil {
		return fmt.Errorf("not joined: %w (the station that made the token must be running and within reach)", err)
	}
	fmt.Fprintf(to.out, "joined county %s as %s (%s)\n\nrun it:     hive serve --config %s\n",
		who.County, who.Station, who.Name, config)
	return nil
}
