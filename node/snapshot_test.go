package node

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster"
	"hivemesh/cluster/trust"
)

// The whole county burns; what was saved is restored at a new station, beside the county's authority, and the
// county goes on.
func TestACountyIsRestoredFromASnapshot(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		var ids []string
		for range 4 {
			id, _, _ := m.raise(zhangyong, map[string]any{"category": "abduction", "place": map[string]any{"grid": "zhangyong"}})
			ids = append(ids, id)
		}
		m.eventually(20*time.Second, "recorded everywhere", m.agreed)
		m.net.Isolate(works)
		late, _, _ := m.raise(works, map[string]any{"category": "abduction", "place": map[string]any{"grid": "zhangyong"}})
		var saved bytes.Buffer
		if err := m.nodes[works].Snapshot(&saved); err != nil {
			t.Fatal(err)
		}
		m.net.Heal()
		for _, name := range allStations {
			m.stop(name)
		}
		var stopped bytes.Buffer
		if err := SnapshotStopped(m.configs[post].Dir, &stopped); err != nil {
			t.Fatal(err)
		}
		for what, b := range map[string][]byte{"running": saved.Bytes(), "stopped": stopped.Bytes()} {
			r, err := InspectSnapshot(bytes.NewReader(b))
			if err != nil || len(r.Cells) != 1 || !r.Cells[0].Checked || r.Cells[0].Incidents < 4 || r.Known < 1 {
				t.Errorf("%s: %+v, %v", what, r, err)
			}
			for _, secret := range m.secrets() {
				if bytes.Contains(b, secret) {
					t.Errorf("%s: a key is in the snapshot", what)
				}
			}
		}
		everyFlipIsFound(t, saved.Bytes())

		cfg := m.newStation("rebuilt")
		if _, err := RestoreSnapshot(bytes.NewReader(saved.Bytes()[:saved.Len()-1]), cfg.Dir); !errors.Is(err, cluster.ErrSnapshot) {
			t.Errorf("half a file: %v", err)
		}
		if left, _ := filepath.Glob(filepath.Join(cfg.Dir, "restoring-*")); len(left) > 0 {
			t.Errorf("a refused restore left %v", left)
		}
		if r, err := RestoreSnapshot(bytes.NewReader(saved.Bytes()), cfg.Dir); err != nil || r.Cells[0].Epoch != 2 || !r.Cells[0].Checked {
			t.Fatalf("%+v, %v", r, err)
		}
		if _, err := RestoreSnapshot(bytes.NewReader(saved.Bytes()), cfg.Dir); !errors.Is(err, ErrNotFresh) {
			t.Errorf("over a station that has records: %v", err)
		}
		m.start("rebuilt")
		m.eventually(30*time.Second, "what was pending is recorded, in a new epoch", func() bool {
			c := m.nodes["rebuilt"].Mesh().Cells[0]
			return c.Epoch == 2 && c.Pending == 0 && c.Role == "leader"
		})
		for _, id := range append(ids, late) {
			m.recordedOnce(id)
		}
		// a station of before turns up with its own copy: it follows
		m.start(xinzhuang)
		m.eventually(time.Minute, "a station of before goes on in the new epoch", func() bool {
			return m.nodes[xinzhuang].Mesh().Cells[0].Epoch == 2 && m.agreed()
		})
		m.stop("rebuilt")
	})
}

// everyFlipIsFound flips one bit in each of many bytes, and every bit of the seal.
func everyFlipIsFound(t *testing.T, b []byte) {
	t.Helper()
	const sealBytes = 160 // and a little of what is before
	step := 1 + len(b)/1500
	for bit := 0; bit < 8*len(b); bit++ {
		at := bit / 8
		if at < len(b)-sealBytes && (at%step != 0 || bit%8 != at%7) {
			continue
		}
		bad := bytes.Clone(b)
		bad[at] ^= 1 << (bit % 8)
		if _, err := InspectSnapshot(bytes.NewReader(bad)); err == nil {
			t.Fatalf("bit %d of byte %d of %d is flipped and nobody sees it", bit%8, at, len(b))
		}
	}
}

// secrets are what must never leave a station: private keys, and the key of gossip.
func (m *mesh) secrets() (out [][]byte) {
	m.t.Helper()
	for _, cfg := range m.configs {
		for _, dir := range []string{identityDir, authorityDir} {
			for _, pattern := range []string{"*.key", "*key*"} {
				files, _ := filepath.Glob(filepath.Join(cfg.Dir, dir, pattern))
				for _, f := range files {
					b, err := os.ReadFile(f)
					if err != nil {
						m.t.Fatal(err)
					}
					out = append(out, b)
				}
			}
		}
		id, err := trust.LoadIdentity(filepath.Join(cfg.Dir, identityDir))
		if err != nil {
			m.t.Fatal(err)
		}
		out = append(out, id.GossipKey)
	}
	if len(out) < len(m.configs) {
		m.t.Fatal("no keys were found: this shows nothing")
	}
	return out
}

// newStation makes a station that has not run, beside a copy of the county's authority.
func (m *mesh) newStation(name string) Config {
	m.t.Helper()
	old := m.configs[post]
	cfg := old
	cfg.Dir = filepath.Join(m.t.TempDir(), name)
	host := m.net.Host(name)
	cfg.HTTP, cfg.Mesh, cfg.Seeds = host.Addr(80), host.Addr(7000), []string{m.configs[xinzhuang].Mesh}
	if err := os.CopyFS(filepath.Join(cfg.Dir, authorityDir), os.DirFS(filepath.Join(old.Dir, authorityDir))); err != nil {
		m.t.Fatal(err)
	}
	h, err := tablesOf(old.Dir)
	if err != nil {
		m.t.Fatal(err)
	}
	id, err := trust.LoadIdentity(filepath.Join(old.Dir, identityDir))
	if err != nil {
		m.t.Fatal(err)
	}
	who := id.Who
	who.Station, who.Name = alerts.StationID(name), name
	if err := Init(Founding{Who: who, Config: cfg, Tables: Tables{County: h.County, Rules: h.Rules}}); err != nil {
		m.t.Fatal(err)
	}
	m.configs[name] = cfg
	return cfg
}
