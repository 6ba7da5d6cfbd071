package gossip

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

// peersForm is the file of known peers: a station that starts while everybody is out of reach still knows
// whom to look for. A lost or broken file costs nothing but the seeds' time.
type peersForm struct {
	Version int        `cbor:"0,keyasint"`
	Peers   []peerForm `cbor:"1,keyasint"`
}

type peerForm struct {
	Station alerts.StationID `cbor:"1,keyasint"`
	Addr    string           `cbor:"2,keyasint"`
	Hints   []byte           `cbor:"3,keyasint"`
}

const peersVersion = 1

// KnownPeers are the mesh addresses in a file of known peers, without those of stations that are gone for good;
// none where there is no file.
func KnownPeers(path string, gone func(alerts.StationID) bool) (addrs []string, err error) {
	m := newMembers("", gone)
	if err := m.load(path); err != nil {
		return nil, err
	}
	for _, x := range m.list() {
		addrs = append(addrs, x.Mesh)
	}
	return addrs, nil
}

// load fills m with the peers of the file, none of them alive.
func (m *members) load(path string) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || path == "" {
		return nil
	}
	if err != nil {
		return err
	}
	var f peersForm
	if err := wire.Tolerant.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("%s: %w: %w", path, wire.ErrMalformed, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range f.Peers {
		hints, err := decodeHints(p.Hints)
		if err != nil || p.Station == m.self || m.gone(p.Station) {
			continue
		}
		hints.Looking, hints.Trust, hints.KeyGen = false, 0, 0
		m.all[p.Station] = Member{Station: p.Station, Hints: hints, addr: p.Addr}
	}
	return nil
}

// save writes the file if what it would hold has changed.
func (m *members) save(path string) error {
	m.mu.Lock()
	if !m.dirty || path == "" {
		m.mu.Unlock()
		return nil
	}
	m.dirty = false
	f := peersForm{Version: peersVersion}
	for id, x := range m.all {
		if hints, err := x.Hints.encode(); err == nil && id != m.self {
			f.Peers = append(f.Peers, peerForm{id, x.addr, hints})
		}
	}
	m.mu.Unlock()
	b, err := wire.Canonical.Marshal(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
