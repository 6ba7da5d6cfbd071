package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/configs"
)

const (
	// meshOffset is how far a demo station's mesh port lies above its HTTP port.
	meshOffset = 1000
	// demoVoters is how many of the demo's stations, the first ones, found its cell's record together.
	demoVoters = 3
)

// DemoCounty makes the shipped county in dir, one folder a station, and returns the stations' configs; what
// is there already is kept as it is but for the ports. Station i listens on 127.0.0.1:port+i, its mesh port
// is meshOffset above.
func DemoCounty(dir string, port int) ([]Config, error) {
	return MakeCounty(dir, port, Tables{County: configs.County, Rules: configs.Rules})
}

// MakeCounty makes every station of the tables on this machine, as DemoCounty does.
func MakeCounty(dir string, port int, tables Tables) ([]Config, error) {
	var data County
	if err := yaml.UnmarshalWithOptions(tables.County, &data, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("county data: %s", yaml.FormatError(err, false, true))
	}
	if err := data.check(); err != nil {
		return nil, fmt.Errorf("county data: %w", err)
	}
	var founders []alerts.StationID
	for _, s := range data.Stations[:min(demoVoters, len(data.Stations))] {
		founders = append(founders, s.ID)
	}
	var (
		authority *trust.Authority
		out       []Config
		err       error
	)
	for k, s := range data.Stations {
		cfg := demoConfig(filepath.Join(dir, string(s.ID)), port, k, len(data.Stations))
		if k == 0 {
			if authority, err = openOrMake(data.Name, filepath.Join(cfg.Dir, authorityDir)); err != nil {
				return nil, err
			}
		}
		f := Founding{
			Who:    trust.Who{County: data.Name, Cell: s.Cell, Kind: s.Kind, Station: s.ID, Name: s.Name},
			Config: cfg, Home: data.Stations[0].Cell, Founders: founders, Tables: tables,
		}
		if err := settle(authority, f); err != nil {
			return nil, fmt.Errorf("station %s: %w", s.ID, err)
		}
		out = append(out, cfg)
	}
	return out, nil
}

func demoConfig(dir string, port, k, stations int) Config {
	at := func(n int) string { return fmt.Sprintf("127.0.0.1:%d", n) }
	cfg := Config{Dir: dir, HTTP: at(port + k), Mesh: at(port + k + meshOffset), Demo: true, Links: LinksLAN, Log: "warn"}
	for i := range stations {
		if i != k {
			cfg.Seeds = append(cfg.Seeds, at(port+i+meshOffset))
		}
	}
	return cfg
}

func openOrMake(county, dir string) (*trust.Authority, error) {
	a, err := trust.OpenAuthority(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
			return nil, err
		}
		return trust.NewAuthority(county, dir)
	}
	return a, err
}
