package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/node"
)

type tokenCmd struct {
	whoFlags
	Dir      string        `required:"" help:"Directory of the station where hive init was run." placeholder:"DIR"`
	Addr     []string      `help:"Mesh addresses at which newcomers reach that station. Without it, the mesh address of its config." placeholder:"HOST:PORT,…"`
	Life     time.Duration `default:"24h" help:"How long the token can be used."`
	Replaces string        `help:"Id of a station whose disk is gone: the newcomer takes its place under an id of its own, and nobody waits for the old one any more." placeholder:"ID"`
}

func (tokenCmd) Help() string {
	return "The token names the station it is for and pins the county's authority. Whoever has it can join as that\nstation until it expires: hand it over like a key. The station with the authority must be running then."
}

// newcomer is whom the token is for. One that takes another's place is what that one was, and has the next free id after it.
func (c tokenCmd) newcomer(data *node.County) (trust.Who, error) {
	if c.Replaces == "" {
		return c.who(data)
	}
	wish := c.Station
	c.Station = c.Replaces
	who, err := c.who(data)
	if err != nil {
		return who, err
	}
	if who.Station = alerts.StationID(wish); wish == "" {
		who.Station, err = node.SuccessorID(c.Dir, alerts.StationID(c.Replaces))
	}
	if err == nil && who.Station == alerts.StationID(c.Replaces) {
		err = fmt.Errorf("--station %s: an id is for one key for life; leave --station out, or say another", wish)
	}
	return who, err
}

func (c tokenCmd) Run(ctx context.Context, to console) error {
	cfg, err := node.LoadConfig(filepath.Join(c.Dir, node.ConfigFile))
	if err != nil {
		return err
	}
	data, err := node.LoadCounty(filepath.Join(c.Dir, "county.yaml"))
	if err != nil {
		return err
	}
	who, err := c.newcomer(data)
	if err != nil {
		return err
	}
	addrs := c.Addr
	if len(addrs) == 0 {
		host, _, err := net.SplitHostPort(cfg.Mesh)
		if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() {
			return fmt.Errorf("the station listens on %s, which nobody can dial; say its address with --addr HOST:PORT", cfg.Mesh)
		}
		addrs = []string{cfg.Mesh}
	}
	token, err := node.NewToken(c.Dir, who, addrs, c.Life)
	if err != nil {
		return err
	}
	if c.Replaces != "" {
		told, err := node.Replace(ctx, c.Dir, alerts.StationID(c.Replaces))
		if err != nil {
			return err
		}
		fmt.Fprintf(to.err, "%s is no longer waited for; %s takes its place\n", c.Replaces, who.Station)
		report(to.err, told)
	}
	_, err = fmt.Fprintln(to.out, token)
	return err
}
