package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/configs"
	"hivemesh/node"
)

// whoFlags say which station is meant. What the county's file says of it need not be said again.
type whoFlags struct {
	Station string `help:"Id of the station, a slug such as xinzhuang." placeholder:"ID"`
	Name    string `help:"Its name as people say it; from the county's file when it is listed there."`
	Kind    string `help:"Its kind: village, enterprise, school, hospital, checkpoint, market, police_post, township_centre, county_centre or mobile; from the county's file when it is listed there."`
	Cell    string `help:"The cell whose record it keeps; from the county's file when it is listed there."`
}

// who fills in from the county's data what was not said.
func (f whoFlags) who(data *node.County) (trust.Who, error) {
	w := trust.Who{County: data.Name, Cell: alerts.CellID(f.Cell), Kind: alerts.StationKind(f.Kind), Station: alerts.StationID(f.Station), Name: f.Name}
	for _, s := range data.Stations {
		if s.ID != w.Station {
			continue
		}
		w.Cell = alerts.CellID(or(f.Cell, string(s.Cell)))
		w.Kind = alerts.StationKind(or(f.Kind, string(s.Kind)))
		w.Name = or(f.Name, s.Name)
	}
	if w.Cell == "" && len(data.Cells) == 1 {
		w.Cell = data.Cells[0]
	}
	var missing []string
	for _, m := range []struct{ flag, value string }{
		{"--station", string(w.Station)}, {"--name", w.Name}, {"--kind", string(w.Kind)}, {"--cell", string(w.Cell)},
	} {
		if m.value == "" {
			missing = append(missing, m.flag)
		}
	}
	if len(missing) > 0 {
		var listed []string
		for _, s := range data.Stations {
			listed = append(listed, string(s.ID))
		}
		return w, fmt.Errorf("say %s, or name as --station one that the county's file lists: %s", strings.Join(missing, ", "), strings.Join(listed, ", "))
	}
	return w, nil
}

// stationFlags are a new station's config.
type stationFlags struct {
	Dir  string `required:"" help:"Directory of the new station." placeholder:"DIR"`
	HTTP string `default:"127.0.0.1:8080" help:"Address of its pages and API."`
	Mesh string `default:"0.0.0.0:9080" help:"Address of its mesh port."`
}

func (f stationFlags) config() (node.Config, error) {
	dir, err := filepath.Abs(f.Dir)
	if err != nil {
		return node.Config{}, err
	}
	cfg := node.Config{Dir: dir, HTTP: f.HTTP, Mesh: f.Mesh, Links: node.LinksLAN, Log: "info"}
	cfg.County, cfg.Rules = filepath.Join(dir, "county.yaml"), filepath.Join(dir, "rules.yaml")
	return cfg, cfg.Check()
}

type initCmd struct {
	whoFlags
	stationFlags
	CountyFile string   `help:"The county's data: stations, grids, people. Without it, the shipped demo county." placeholder:"FILE"`
	RulesFile  string   `help:"Categories and moves. Without it, the shipped ones." placeholder:"FILE"`
	Voters     []string `help:"Ids of the stations that keep the cell's record by majority, this one among them. Without it this station alone; more need to join before anything is recorded." placeholder:"ID,…"`
	Links      string   `enum:"lan,mixed" default:"lan" help:"Links between voters: lan, or mixed where some are metered or slow."`
	Demo       bool     `help:"Sign-in without proof for the people of the county's file; --http must be loopback."`
}

func (initCmd) Help() string {
	return `Three stations on one machine, each in its own terminal:

  hive init --station hancun-post --dir d/post --http 127.0.0.1:8080 --mesh 127.0.0.1:9080 --demo
  hive serve --config d/post/station.yaml
  hive token --dir d/post --station xinzhuang        # prints a token
  hive join TOKEN --dir d/xinzhuang --http 127.0.0.1:8081 --mesh 127.0.0.1:9081
  hive serve --config d/xinzhuang/station.yaml

The authority that signs every station lies in --dir/authority: keep a copy of it somewhere safe.`
}

func (c initCmd) Run(to console) error {
	tables, data, err := tables(c.CountyFile, c.RulesFile)
	if err != nil {
		return err
	}
	who, err := c.who(data)
	if err != nil {
		return err
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	cfg.Demo, cfg.Links = c.Demo, c.Links
	if err := cfg.Check(); err != nil {
		return err
	}
	f := node.Founding{Who: who, Config: cfg, Tables: tables}
	mine := len(c.Voters) == 0
	for _, v := range c.Voters {
		f.Founders = append(f.Founders, alerts.StationID(v))
		mine = mine || v == string(who.Station)
	}
	if !mine {
		return fmt.Errorf("--voters must hold %s itself: the cell begins with it", who.Station)
	}
	if err := node.Init(f); err != nil {
		return err
	}
	fmt.Fprintf(to.out, "county %s, station %s (%s) in %s\n\nrun it:     hive serve --config %s\nnext one:   hive token --dir %s --station ID\n",
		who.County, who.Station, who.Name, cfg.Dir, filepath.Join(cfg.Dir, node.ConfigFile), cfg.Dir)
	return nil
}

// tables reads a county's files, or takes the shipped ones, and checks them as a station will.
func tables(county, rules string) (node.Tables, *node.County, error) {
	t := node.Tables{County: configs.County, Rules: configs.Rules}
	data, err := node.LoadCounty(county)
	if err != nil {
		return t, nil, err
	}
	if _, err := node.LoadRules(rules); err != nil {
		return t, nil, err
	}
	var errs []error
	for path, to := range map[string]*[]byte{county: &t.County, rules: &t.Rules} {
		if path == "" {
			continue
		}
		b, err := os.ReadFile(path)
		if errs = append(errs, err); err == nil {
			*to = b
		}
	}
	return t, data, errors.Join(errs...)
}
