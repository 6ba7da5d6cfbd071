package main

import (
	"fmt"
	"net"
	"path/filepath"
	"time"

	"hivemesh/node"
)

type tokenCmd struct {
	whoFlags
	Dir  string        `required:"" help:"Directory of the station where hive init was run." placeholder:"DIR"`
	Addr []string      `help:"Mesh addresses at which newcomers reach that station. Without it, the mesh address of its config." placeholder:"HOST:PORT,…"`
	Life time.Duration `default:"24h" help:"How long the token can be used."`
}

func (tokenCmd) Help() string {
	return "The token names the station it is for and pins the county's authority. Whoever has it can join as that\nstation until it expires: hand it over like a key. The station with the authority must be running then."
}

func (c tokenCmd) Run(to console) error {
	cfg, err := node.LoadConfig(filepath.Join(c.Dir, node.ConfigFile))
	if err != nil {
		return err
	}
	data, err := node.LoadCounty(filepath.Join(c.Dir, "county.yaml"))
	if err != nil {
		return err
	}
	who, err := c.who(data)
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
	_, err = fmt.Fprintln(to.out, token)
	return err
}
