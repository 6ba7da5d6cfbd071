package pending_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/memnet"
	"hivemesh/cluster/pending"
	"hivemesh/cluster/trust"
)

// mesh is some stations of one county that keep streams to each other.
type mesh struct {
	t   testing.TB
	net *memnet.Network
	a   *trust.Authority
	on  map[alerts.StationID]*station
}

type station struct {
	id    *trust.Identity
	ring  *trust.Ring
	port  *trust.Port
	set   *pending.Set
	links *pending.Links
	sync  *pending.Sync
	peers []pending.Peer
	lanes []pending.Lane // what it holds of open alarms, where a test is about those
	about pending.LaneHolder

	mu       sync.Mutex
	kept     map[alerts.Hash]map[alerts.StationID]bool
	casts    []string
	recorded map[alerts.Hash]bool
	index    uint64
	behind   uint64
	chain    alerts.Hash
}

func newMesh(t *testing.T, names ...alerts.StationID) *mesh {
	t.Helper()
	m := newStations(t, names...)
	m.meet()
	return m
}

// newStations are those of a mesh that have not met yet.
func newStations(t *testing.T, names ...alerts.StationID) *mesh {
	t.Helper()
	m := &mesh{t: t, net: memnet.New(1), a: authority(t), on: map[alerts.StationID]*station{}}
	for _, s := range names {
		host := m.net.Host(string(s))
		m.on[s] = m.open(host, host.Addr(9080), s)
	}
	return m
}

func (m *mesh) open(nw trust.Network, addr string, name alerts.StationID) *station {
	m.t.Helper()
	s := &station{id: identity(m.t, m.a, name), kept: map[alerts.Hash]map[alerts.StationID]bool{}, recorded: map[alerts.Hash]bool{}}
	var err error
	if s.ring, err = trust.NewRing(m.a.Root, ""); err != nil {
		m.t.Fatal(err)
	}
	if s.port, err = trust.OpenPort(nw, addr, s.id, s.ring, zap.NewNop()); err != nil {
		m.t.Fatal(err)
	}
	if s.set, err = pending.OpenSet(nil, filepath.Join(m.t.TempDir(), "pending.db"), s.ring.Check, zap.NewNop()); err != nil {
		m.t.Fatal(err)
	}
	return s
}

// meet makes everybody everybody's peer.
func (m *mesh) meet() {
	for name, s := range m.on {
		for other, o := range m.on {
			if other != name {
				s.peers = append(s.peers, pending.Peer{Station: other, Addr: o.port.Addr()})
			}
		}
	}
	for _, s := range m.on {
		s.start()
	}
}

func (s *station) start() { s.startWith(func(*pending.LinksConfig) {}) }

func (s *station) startWith(change func(*pending.LinksConfig)) {
	peers := func() []pending.Peer { return s.peers }
	links := pending.LinksConfig{
		Port: s.port, Ring: s.ring, Set: s.set, Peers: peers, Recorded: s.isRecorded, OnKept: s.onKept,
		OnCast: func(topic string, from alerts.StationID, body []byte) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.casts = append(s.casts, fmt.Sprint(topic, " ", from, " ", string(body)))
		},
		Log: zap.NewNop(),
	}
	change(&links)
	s.links = pending.OpenLinks(links)
	var met func() []pending.Peer
	if links.Keep > 0 {
		met = s.links.Met
	}
	s.sync = pending.OpenSync(pending.SyncConfig{
		Port: s.port, Ring: s.ring, Set: s.set, Peers: peers, Met: met, OnEvent: s.links.Relay, Recorded: s.isRecorded, OnKept: s.onKept,
		Heads: s.heads,
		Behind: func(_ alerts.CellID, _ alerts.StationID, index uint64) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.behind = index
		},
		Lanes: func() []pending.Lane { return s.lanes }, Holder: s.about,
		Log: zap.NewNop(),
	})
}

func (s *station) heads() []pending.Head {
	out := []pending.Head{{Cell: cell, Epoch: 1, Index: s.index, Chain: s.chain}}
	for _, l := range s.lanes {
		if l.Follows {
			out = append(out, pending.Head{Cell: l.Cell, Epoch: 1})
		}
	}
	return out
}

func (s *station) isRecorded(_ alerts.CellID, _ alerts.IncidentID, id alerts.Hash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recorded[id]
}

func (s *station) onKept(e alerts.Hash, by alerts.StationID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[e] == nil {
		s.kept[e] = map[alerts.StationID]bool{}
	}
	s.kept[e][by] = true
}

func (s *station) near(e alerts.Event) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kept[e.ID])
}

// raise puts an event of this station and flashes it.
func (s *station) raise(t *testing.T, incident int) alerts.Event {
	t.Helper()
	e := sign(t, s.id, incident, string(s.id.Station))
	s.set.Put(e)
	s.links.Flash(e)
	return e
}

func (m *mesh) close() {
	for _, s := range m.on {
		s.close(m.t)
	}
}

func (s *station) close(t testing.TB) {
	t.Helper()
	for _, c := range []interface{ Close() error }{s.sync, s.links, s.port, s.set} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// settle lets some time pass.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestFlashIsHeardAtOnceAndKeptNear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, "post", "xinzhuang", "zhangyong")
		defer m.close()
		settle(time.Second)
		start := time.Now()
		e := m.on["xinzhuang"].raise(t, 1)
		synctest.Wait()
		for _, s := range m.on {
			if !s.set.Has(e.ID) {
				t.Errorf("%s has not heard", s.id.Station)
			}
		}
		if n := m.on["xinzhuang"].near(e); n != 2 {
			t.Errorf("kept near by %d, want 2", n)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("it took a timer of %v", d)
		}
		if s := m.on["post"].links.Stats(); s.In != 2 || s.Out != 2 || s.Received != 1 || len(s.Bad) != 0 {
			t.Errorf("post counts %+v", s)
		}
	})
}

func TestSplitWhileAllFlashHealsBySync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, "hancun-post", "xinzhuang", "zhangyong", "caojiawu-post", "enterprise")
		defer m.close()
		settle(time.Second)
		m.net.Split([]string{"hancun-post", "xinzhuang"}, []string{"zhangyong", "caojiawu-post", "enterprise"})
		made := map[alerts.StationID][]alerts.Event{}
		for i := range 60 {
			for name, s := range m.on {
				made[name] = append(made[name], s.raise(t, i))
			}
			settle(5 * time.Second)
		}
		if a, b := m.on["xinzhuang"].set.Count(cell), m.on["zhangyong"].set.Count(cell); a != 120 || b != 180 {
			t.Errorf("in the split %d and %d are known, want 120 and 180", a, b)
		}
		if n := m.on["xinzhuang"].near(made["xinzhuang"][0]); n != 1 {
			t.Errorf("in the split kept near by %d, want 1", n)
		}
		m.net.Heal()
		settle(30 * time.Second)
		for name, s := range m.on {
			if s.set.Count(cell) != 300 || s.set.Sum(cell) != m.on["hancun-post"].set.Sum(cell) {
				t.Errorf("%s has %d of 300 after the split", name, s.set.Count(cell))
			}
		}
		e := m.on["xinzhuang"].raise(t, 99)
		settle(time.Second)
		if n := m.on["xinzhuang"].near(e); n != 4 {
			t.Errorf("streams are back to %d stations, want 4", n)
		}
	})
}

func TestPokedSyncBringsWhatFlashDidNotAndSaysKept(t *testing.T) {
	for name, makers := range map[string][]alerts.StationID{
		"both": {"post", "xinzhuang"}, "who is asked": {"post"}, "who asks": {"xinzhuang"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMesh(t, "post", "xinzhuang")
				defer m.close()
				settle(time.Second)
				for _, s := range makers {
					for i := range 300 { // more than two batches
						m.on[s].set.Put(sign(t, m.on[s].id, i, "x"))
					}
				}
				shared := sign(t, m.on["xinzhuang"].id, 999, "both had it, and the word that it is kept was lost")
				m.on["xinzhuang"].set.Put(shared)
				m.on["post"].set.Put(shared)
				synctest.Wait()
				start := time.Now()
				m.on["xinzhuang"].sync.Poke("post")
				synctest.Wait()
				if d := time.Since(start); d > 0 {
					t.Errorf("it took a timer of %v", d)
				}
				for _, s := range m.on {
					if n := s.set.Count(cell); n != 300*len(makers)+1 {
						t.Errorf("%s has %d of %d", s.id.Station, n, 300*len(makers)+1)
					}
					for _, e := range s.set.List(cell) {
						if e.Station == s.id.Station && s.near(e) != 1 {
							t.Fatalf("%s of %s is kept near by %d, want 1", e.ID.Short(), e.Station, s.near(e))
						}
					}
				}
			})
		})
	}
}

func TestRestartedPeerIsComparedWithAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, "post", "xinzhuang")
		defer m.close()
		settle(5 * time.Second) // both hold a connection for the next exchange
		post, village := m.on["post"], m.on["xinzhuang"]
		post.sync.Close()
		post.links.Close()
		post.start()
		e := sign(t, village.id, 1, "x")
		village.set.Put(e)
		village.sync.Poke("post")
		synctest.Wait()
		if !post.set.Has(e.ID) {
			t.Error("the connection from before the restart was tried, and then nothing")
		}
	})
}

func TestWhatIsRecordedIsNotTakenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, "post", "xinzhuang")
		defer m.close()
		settle(time.Second)
		post, village := m.on["post"], m.on["xinzhuang"]
		e := sign(t, village.id, 1, "x")
		post.recorded[e.ID], post.index = true, 7
		post.set.Watch(func(alerts.Event, bool) { t.Error("a recorded event was shown as pending") })
		village.set.Put(e)
		village.links.Flash(e)
		settle(10 * time.Second)
		if post.set.Has(e.ID) || village.near(e) != 1 {
			t.Error("a recorded event came back into the pending set, or is not said to be kept")
		}
		if village.behind != 7 || post.behind != 0 {
			t.Errorf("behind: village %d, post %d", village.behind, post.behind)
		}
		if s := post.sync.Stats(); s.Received != 0 {
			t.Errorf("sync brought %d recorded events", s.Received)
		}
	})
}

func TestAnotherRecordAtTheSameIndexIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, "post", "xinzhuang")
		defer m.close()
		m.on["post"].chain = alerts.Hash{1}
		m.on["xinzhuang"].sync.Poke("post")
		settle(time.Second)
		for name, s := range m.on {
			if n := s.sync.Stats().Bad["other_record"]; n != 1 {
				t.Errorf("%s counted %d, want 1", name, n)
			}
		}
	})
}

func TestUnknownMakerIsAskedFor(t *testing.T) {
	for _, way := range []string{"flash", "sync"} {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMesh(t, "post", "xinzhuang")
				defer m.close()
				settle(time.Second)
				burnt := identity(t, m.a, "burnt-down") // the post heard it, the village never did
				post, village := m.on["post"], m.on["xinzhuang"]
				if _, err := post.ring.Add(burnt.Cert.Raw); err != nil {
					t.Fatal(err)
				}
				e := sign(t, burnt, 1, "x")
				post.set.Put(e)
				if way == "flash" {
					post.links.Flash(e)
				} else {
					village.sync.Poke("post")
				}
				synctest.Wait()
				if !village.set.Has(e.ID) || !village.ring.Has("burnt-down") || post.near(e) != 1 {
					t.Error("the event of a station that is gone was not taken")
				}
			})
		})
	}
}

func TestSoftStateLatestWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, "post", "xinzhuang")
		defer m.close()
		settle(time.Second)
		post, village := m.on["post"], m.on["xinzhuang"]
		m.net.Isolate("post")
		settle(10 * time.Minute) // the stream dies of it
		village.links.Cast(alerts.LaneStatistic, "receipts/1", []byte("old"), "post")
		village.links.Cast(alerts.LaneStatistic, "receipts/1", []byte("new"), "post", "nobody")
		village.links.Cast(alerts.LanePosition, "positions/1", make([]byte, pending.MaxCast+1))
		m.net.Heal()
		settle(time.Minute)
		if len(post.casts) != 1 || post.casts[0] != "receipts/1 xinzhuang new" {
			t.Errorf("the post heard %q", post.casts)
		}
		if n := village.links.Stats().Bad["cast"]; n != 1 {
			t.Errorf("%d casts were dropped, want the one that is too long", n)
		}
	})
}
