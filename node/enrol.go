package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

// What lies in a station's directory, beside the data of its cells.
const (
	ConfigFile   = "station.yaml"
	countyFile   = "county.yaml"
	rulesFile    = "rules.yaml"
	cellFile     = "cell.json"
	identityDir  = "identity"
	ringDir      = "ring"
	authorityDir = "authority" // only where `hive init` made it
)

// TokenLife is how long a join token lives unless said otherwise: a day to drive to the village.
const TokenLife = 24 * time.Hour

// cellForm is what a station knows of the county's beginning: its first cell, whose record every station
// follows, and who founded it.
type cellForm struct {
	Home     alerts.CellID      `json:"home,omitempty"` // empty: the station's own
	Founders []alerts.StationID `json:"founders"`
}

func (c cellForm) home(own alerts.CellID) alerts.CellID { return cmp.Or(c.Home, own) }

func loadCell(dir string) (cellForm, error) {
	var c cellForm
	b, err := os.ReadFile(filepath.Join(dir, cellFile))
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("%s: %w", cellFile, err)
	}
	return c, nil
}

// welcome is what a newcomer is handed besides its certificate.
type welcome struct {
	Founders []string `cbor:"1,keyasint"`
	County   []byte   `cbor:"2,keyasint"` // county.yaml
	Rules    []byte   `cbor:"3,keyasint"` // rules.yaml
	Links    string   `cbor:"4,keyasint"`
	Demo     bool     `cbor:"5,keyasint,omitempty"`
	Home     string   `cbor:"6,keyasint"` // the cell of the founders
}

// Founding is a county's beginning: its name, and the first station.
type Founding struct {
	trust.Who               // County and Station may be empty: they are made up from the cell and the kind
	Config    Config        // Dir, HTTP, Mesh and so on of the first station
	Home      alerts.CellID // the county's first cell; empty: the station's own
	Founders  []alerts.StationID
	Tables    Tables
}

// Tables are a county's data and rules as YAML, as they are handed to every station.
type Tables struct{ County, Rules []byte }

// Init makes the county's authority and its first station in f.Config.Dir, and writes station.yaml there.
// A directory that holds a station already wraps fs.ErrExist.
func Init(f Founding) error {
	dir := f.Config.Dir
	if _, err := os.Stat(filepath.Join(dir, ConfigFile)); err == nil {
		return fmt.Errorf("%s: %w: it holds a station already", dir, fs.ErrExist)
	}
	a, err := openOrMake(f.County, filepath.Join(dir, authorityDir))
	if err != nil {
		return err
	}
	return settle(a, f)
}

// settle makes one station on the authority's own machine; an identity that is there already stays.
func settle(a *trust.Authority, f Founding) error {
	dir := filepath.Join(f.Config.Dir, identityDir)
	_, err := trust.LoadIdentity(dir)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = a.Settle(f.Who, dir)
	}
	if err != nil {
		return err
	}
	founders := f.Founders
	if len(founders) == 0 {
		founders = []alerts.StationID{f.Station}
	}
	return writeStation(f.Config, cellForm{Home: cmp.Or(f.Home, f.Cell), Founders: founders}, f.Tables)
}

// writeStation writes a station's tables and, last, its config: with it the station is whole.
func writeStation(cfg Config, first cellForm, t Tables) error {
	cell, err := json.Marshal(first)
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{countyFile: t.County, rulesFile: t.Rules, cellFile: cell} {
		if err := disk.WriteFile(filepath.Join(cfg.Dir, name), b, 0o600); err != nil {
			return err
		}
	}
	return cfg.Save(filepath.Join(cfg.Dir, ConfigFile))
}

// NewToken makes a join token with the authority that lies in the station directory dir.
func NewToken(dir string, w trust.Who, addrs []string, life time.Duration) (string, error) {
	a, err := openAuthority(dir)
	if err != nil {
		return "", err
	}
	return a.Token(w, addrs, life)
}

// Join brings this machine into a county with a token and writes the station into cfg.Dir.
// cfg.Seeds, Links and Demo are taken from the county.
func Join(ctx context.Context, token string, wish alerts.StationID, cfg Config) (trust.Who, error) {
	return JoinOn(ctx, trust.OS(), token, wish, cfg)
}

// JoinOn is Join over a given network.
func JoinOn(ctx context.Context, nw trust.Network, token string, wish alerts.StationID, cfg Config) (trust.Who, error) {
	t, err := trust.ParseToken(token)
	if err != nil {
		return trust.Who{}, err
	}
	id, blob, err := trust.Join(ctx, nw, token, filepath.Join(cfg.Dir, identityDir), wish)
	if err != nil {
		return trust.Who{}, err
	}
	var w welcome
	if err := wire.Strict.Unmarshal(blob, &w); err != nil {
		return id.Who, fmt.Errorf("what the county handed out: %w", err)
	}
	cfg.Seeds, cfg.Links, cfg.Demo = t.Addrs, w.Links, w.Demo
	founders := make([]alerts.StationID, 0, len(w.Founders))
	for _, s := range w.Founders {
		founders = append(founders, alerts.StationID(s))
	}
	return id.Who, writeStation(cfg, cellForm{Home: alerts.CellID(w.Home), Founders: founders}, Tables{County: w.County, Rules: w.Rules})
}

// joinHandler lets newcomers in where the authority is; nil elsewhere.
func (n *Node) joinHandler() (func(net.Conn), error) {
	a, err := trust.OpenAuthority(filepath.Join(n.cfg.Dir, authorityDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	config, err := n.welcome()
	if err != nil {
		return nil, err
	}
	return func(c net.Conn) {
		who, der, err := a.Enrol(c, config)
		if err == nil {
			_, err = n.ring.Add(der)
		}
		if err != nil {
			n.log.Warn("not let in", zap.String("from", c.RemoteAddr().String()), zap.Error(err))
			return
		}
		n.log.Info("let in", zap.String("station", string(who.Station)))
	}, nil
}

// welcome packs what a newcomer gets.
func (n *Node) welcome() ([]byte, error) {
	cell, err := loadCell(n.cfg.Dir)
	if err != nil {
		return nil, err
	}
	w := welcome{Links: n.cfg.Links, Demo: n.cfg.Demo, Home: string(cell.home(n.identity.Cell))}
	for _, s := range cell.Founders {
		w.Founders = append(w.Founders, string(s))
	}
	if w.County, err = os.ReadFile(filepath.Join(n.cfg.Dir, countyFile)); err != nil {
		return nil, err
	}
	if w.Rules, err = os.ReadFile(filepath.Join(n.cfg.Dir, rulesFile)); err != nil {
		return nil, err
	}
	return wire.Canonical.Marshal(w)
}
