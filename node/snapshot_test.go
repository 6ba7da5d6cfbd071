package node

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster"
	"hivemesh/cluster/trust"
	"hivemesh/node/web"
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

// A county of three cells burns. One command brings all three back at one new station, which records in each
// until stations of the cells are there again, and then votes in its own alone.
func TestACountyOfThreeCellsIsRestored(t *testing.T) {
	inThreeCells(t, func(m *mesh) {
		places := map[alerts.CellID]string{home: "n1", west: "w1", east: "e1"}
		raise := func(at, grid string) string {
			id, _, _ := m.raise(at, map[string]any{"category": "abduction", "place": map[string]any{"grid": grid}})
			return id
		}
		ids := map[alerts.CellID][]string{}
		for cell, s := range places {
			ids[cell] = append(ids[cell], raise(s, s))
		}
		m.eventually(20*time.Second, "all is recorded at the centre", func() bool {
			for _, c := range m.nodes["centre"].Mesh().Cells {
				if c.Index == 0 || c.Pending > 0 {
					return false
				}
			}
			return true
		})
		m.net.Isolate("centre")
		ids[east] = append(ids[east], raise("centre", "e1")) // stands in no record
		var saved, less bytes.Buffer
		if err := errors.Join(m.nodes["centre"].Snapshot(&saved), m.nodes["w1"].Snapshot(&less)); err != nil {
			t.Fatal(err)
		}
		m.net.Heal()
		for _, name := range bigCounty {
			m.stop(name)
		}
		if r, err := InspectSnapshot(&less); err != nil || !slices.Equal(r.Lacks, []alerts.CellID{east}) {
			t.Errorf("one of the west lacks %v, %v", r.Lacks, err)
		}
		if r, err := InspectSnapshot(bytes.NewReader(saved.Bytes())); err != nil || len(r.Cells) != 3 || len(r.Lacks) > 0 {
			t.Fatalf("of the centre: %+v, %v", r, err)
		}
		cfg := m.newStationLike("centre", "rebuilt", "w-post")
		if r, err := RestoreSnapshot(&saved, cfg.Dir); err != nil || len(r.Cells) != 3 {
			t.Fatalf("%+v, %v", r, err)
		}
		m.start("rebuilt")
		leads := func() bool {
			cells := m.nodes["rebuilt"].Mesh().Cells
			for _, c := range cells {
				if c.Epoch != 2 || c.Role != "leader" || c.Pending > 0 {
					return false
				}
			}
			return len(cells) == 3
		}
		m.eventually(30*time.Second, "it records in all three", leads)
		for cell, s := range places {
			ids[cell] = append(ids[cell], raise("rebuilt", s))
		}
		m.eventually(30*time.Second, "what is new is recorded", leads)
		for cell, list := range ids {
			for _, id := range list {
				m.recordedOnceIn(cell, id)
			}
		}
		m.stop("rebuilt")
		m.start("rebuilt")
		m.eventually(30*time.Second, "after a restart too", leads)

		// the west's stations of before turn up with their copies
		for _, s := range []string{"w-post", "w1", "w2"} {
			m.start(s)
		}
		of := func(s string) web.MeshCell {
			for _, c := range m.nodes[s].Mesh().Cells {
				if c.Cell == west {
					return c
				}
			}
			return web.MeshCell{}
		}
		m.eventually(40*time.Minute, "the west's own stations vote there, and the new one no longer", func() bool {
			c := of("rebuilt")
			for _, s := range []string{"w-post", "w1", "w2"} {
				if !slices.Contains(c.Voters, alerts.StationID(s)) || of(s).Epoch != 2 || of(s).Chain != c.Chain {
					return false
				}
			}
			return len(c.Voters) == 3
		})
		for _, id := range ids[west] {
			m.recordedOnceIn(west, id, "rebuilt", "w-post", "w1", "w2")
		}
	})
}

// recordedOnceIn: an incident stands once in the record of a cell, at some stations or all that follow it.
func (m *mesh) recordedOnceIn(cell alerts.CellID, id string, at ...string) {
	m.t.Helper()
	for name, n := range m.nodes {
		if len(at) > 0 && !slices.Contains(at, name) {
			continue
		}
		count := 0
		n.county.Read(cell, func(s *alerts.State) {
			for _, e := range s.Entries() {
				if string(e.Event.Incident) == id && e.Event.Kind == alerts.KindRaised && e.Verdict.Accepted() {
					count++
				}
			}
		})
		if count != 1 {
			m.t.Errorf("%s: incident %s stands %d times in the record of %s", name, id, count, cell)
		}
	}
}

// newStation makes a station that has not run, beside a copy of the county's authority.
func (m *mesh) newStation(name string) Config {
	m.t.Helper()
	return m.newStationLike(post, name, xinzhuang)
}

// newStationLike is newStation of the same kind and cell as another, which knows the address of a third.
func (m *mesh) newStationLike(like, name, seed string) Config {
	m.t.Helper()
	old := m.configs[like]
	cfg := old
	cfg.Dir = filepath.Join(m.t.TempDir(), name)
	host := m.net.Host(name)
	cfg.HTTP, cfg.Mesh, cfg.Seeds = host.Addr(80), host.Addr(7000), []string{m.configs[seed].Mesh}
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
