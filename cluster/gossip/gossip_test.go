package gossip_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/gossip"
	"hivemesh/cluster/memnet"
	"hivemesh/cluster/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quiet is longer than anything memberlist has under way after Close.
const quiet = 30 * time.Second

var names = []alerts.StationID{"hancun-post", "xinzhuang", "zhangyong", "caojiawu-post", "enterprise"}

// mesh is the demo county's gossip in memory.
type mesh struct {
	t    *testing.T
	net  *memnet.Network
	a    *trust.Authority
	dir  string
	port map[alerts.StationID]*trust.Port
	on   map[alerts.StationID]*gossip.Gossip
	ids  map[alerts.StationID]*trust.Identity
	keys map[alerts.StationID]*trust.Keys // as each keeps them on its disk
}

// keysOf are a station's gossip keys, the same after a restart.
func (m *mesh) keysOf(s alerts.StationID) *trust.Keys {
	if m.keys[s] == nil {
		k, err := trust.OpenKeys(m.ids[s], "")
		if err != nil {
			m.t.Fatal(err)
		}
		m.keys[s] = k
	}
	return m.keys[s]
}

func newMesh(t *testing.T) *mesh {
	t.Helper()
	a, err := trust.NewAuthority("yongqing", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &mesh{
		t: t, net: memnet.New(1), a: a, dir: t.TempDir(), port: make(map[alerts.StationID]*trust.Port),
		on: make(map[alerts.StationID]*gossip.Gossip), ids: make(map[alerts.StationID]*trust.Identity),
		keys: make(map[alerts.StationID]*trust.Keys),
	}
}

// start brings a station up; seeds are where it looks first.
func (m *mesh) start(s alerts.StationID, change func(*gossip.Config), seeds ...alerts.StationID) *gossip.Gossip {
	m.t.Helper()
	id := m.ids[s]
	if id == nil {
		var err error
		if id, err = m.a.NewStation(trust.Who{Cell: "yongqing", Kind: alerts.Village, Station: s}); err != nil {
			m.t.Fatal(err)
		}
		m.ids[s] = id
	}
	ring, err := trust.NewRing(m.a.Root, "")
	if err != nil {
		m.t.Fatal(err)
	}
	host := m.net.Host(string(s))
	p, err := trust.OpenPort(host, host.Addr(9080), id, ring, zap.NewNop())
	if err != nil {
		m.t.Fatal(err)
	}
	c := gossip.Config{
		Port: p, Self: s, Hints: gossip.Hints{Name: string(s) + "站", Cell: "yongqing", Kind: alerts.Village},
		Keys: m.keysOf(s), PeersFile: filepath.Join(m.dir, string(s)), Log: zap.NewNop(),
	}
	for _, seed := range seeds {
		c.Seeds = append(c.Seeds, m.net.Host(string(seed)).Addr(9080))
	}
	if change != nil {
		change(&c)
	}
	g, err := gossip.Open(c)
	if err != nil {
		m.t.Fatal(err)
	}
	m.port[s], m.on[s] = p, g
	return g
}

func (m *mesh) stop(s alerts.StationID) {
	m.t.Helper()
	if err := m.on[s].Close(); err != nil {
		m.t.Errorf("close gossip of %s: %v", s, err)
	}
	if err := m.port[s].Close(); err != nil {
		m.t.Errorf("close port of %s: %v", s, err)
	}
	delete(m.on, s)
}

func (m *mesh) stopAll() {
	for s := range m.on {
		m.stop(s)
	}
	time.Sleep(quiet)
}

// five starts the county: all look for the post.
func (m *mesh) five(change func(*gossip.Config)) {
	m.t.Helper()
	for _, s := range names {
		m.start(s, change, "hancun-post")
	}
}

func alive(g *gossip.Gossip) (out []string) {
	for _, x := range g.Members() {
		if x.Alive {
			out = append(out, string(x.Station))
		}
	}
	return out
}

// see waits until every station sees as many alive as it should.
func (m *mesh) see(want int, within time.Duration) {
	m.t.Helper()
	start := time.Now()
	for {
		ok := true
		for _, g := range m.on {
			ok = ok && len(alive(g)) == want
		}
		if ok {
			m.t.Logf("everybody sees %d after %v", want, time.Since(start))
			return
		}
		if time.Since(start) > within {
			for s, g := range m.on {
				m.t.Logf("%s sees %v", s, alive(g))
			}
			m.t.Fatalf("not everybody sees %d alive after %v", want, within)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestFiveFindEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		defer m.stopAll()
		m.five(nil)
		m.see(5, time.Minute)
		list := m.on["zhangyong"].Members()
		if list[0].Station != "zhangyong" || list[1].Station != "caojiawu-post" || list[1].Name != "caojiawu-post站" {
			t.Errorf("members: %+v", list)
		}
		if x, ok := m.on["zhangyong"].Member("xinzhuang"); !ok || x.Mesh != m.port["xinzhuang"].Addr() {
			t.Errorf("xinzhuang is said to be at %q", x.Mesh)
		}
	})
}

func TestDeadMemberIsSeenAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		defer m.stopAll()
		m.five(nil)
		m.see(5, time.Minute)
		var deaths atomic.Int32
		m.on["zhangyong"].OnChange(func(x gossip.Member) {
			if x.Station == "xinzhuang" && !x.Alive {
				deaths.Add(1)
			}
		})
		m.net.Isolate("xinzhuang") // no goodbye
		time.Sleep(40 * time.Second)
		x, known := m.on["zhangyong"].Member("xinzhuang")
		if !known || x.Alive || time.Since(x.Since) > 40*time.Second || deaths.Load() != 1 {
			t.Errorf("zhangyong believes of xinzhuang %+v, told %d times", x, deaths.Load())
		}
		m.net.Heal()
		m.see(5, 30*time.Second)
	})
}

// TestTwoWhoNeverMet: one comes while the other is out of reach, too shortly for anybody to be called dead.
// Whom memberlist tells is chance: ten counties.
func TestTwoWhoNeverMet(t *testing.T) {
	for range 10 {
		synctest.Test(t, func(t *testing.T) {
			m := newMesh(t)
			defer m.stopAll()
			wan := func(c *gossip.Config) { c.WAN = true }
			m.start("hancun-post", wan)
			m.start("xinzhuang", wan, "hancun-post")
			m.see(2, time.Minute)
			time.Sleep(65 * time.Second) // right after the minute's comparison of notes
			m.net.Isolate("xinzhuang")
			m.start("zhangyong", wan, "hancun-post")
			time.Sleep(6 * time.Second)
			m.net.Heal()
			m.see(3, 30*time.Second)
		})
	}
}

func TestRestartedStationRemembersItsPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		defer m.stopAll()
		m.five(nil)
		m.see(5, time.Minute)
		if err := m.on["xinzhuang"].Leave(5 * time.Second); err != nil {
			t.Error(err)
		}
		m.stop("xinzhuang")
		m.see(4, 5*time.Second) // said, not suspected
		m.stop("hancun-post")   // the seed
		m.net.Isolate("xinzhuang")
		g := m.start("xinzhuang", nil) // no seeds at all
		if got := len(g.Members()); got != 5 || len(alive(g)) != 1 {
			t.Errorf("after the restart it knows %d, alive %v", got, alive(g))
		}
		time.Sleep(time.Minute)
		m.net.Heal()
		m.see(4, 2*time.Minute)
	})
}

func TestPacketsAndHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		defer m.stopAll()
		m.five(nil)
		m.see(5, time.Minute)
		a, b := m.on["xinzhuang"], m.on["zhangyong"]
		got := make(chan string, 1)
		b.OnPacket(func(from alerts.StationID, p []byte) { got <- fmt.Sprintf("%s: %d", from, len(p)) })
		if err := a.Send("zhangyong", bytes.Repeat([]byte{1}, gossip.MaxPacket)); err != nil {
			t.Fatal(err)
		}
		if s := <-got; s != "xinzhuang: 1100" {
			t.Errorf("heard %q", s)
		}
		if err := a.Send("zhangyong", make([]byte, gossip.MaxPacket+1)); !errors.Is(err, gossip.ErrTooLong) {
			t.Errorf("too long: %v", err)
		}
		if err := a.Send("nobody", nil); !errors.Is(err, gossip.ErrUnknownStation) {
			t.Errorf("to nobody: %v", err)
		}
		a.SetLooking(true)
		time.Sleep(5 * time.Second)
		if x, _ := b.Member("xinzhuang"); !x.Looking {
			t.Error("zhangyong does not know that xinzhuang is looking")
		}
	})
}

func TestWrongGossipKeyIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		defer m.stopAll()
		m.start("hancun-post", nil)
		m.start("xinzhuang", nil, "hancun-post")
		m.see(2, 10*time.Second)
		// A certificate of the county, but not its key.
		thief := m.start("zhangyong", func(c *gossip.Config) {
			id := *m.ids["zhangyong"]
			id.GossipKey = bytes.Repeat([]byte{9}, 32)
			var err error
			if c.Keys, err = trust.OpenKeys(&id, ""); err != nil {
				t.Fatal(err)
			}
		}, "hancun-post")
		time.Sleep(2 * time.Minute)
		if got := alive(thief); len(got) != 1 {
			t.Errorf("with a wrong key it sees %v", got)
		}
		if _, known := m.on["hancun-post"].Member("zhangyong"); known {
			t.Error("the post took in who has a wrong key")
		}
	})
}

func TestForeignCountyDoesNotMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, other := newMesh(t), newMesh(t)
		other.net = m.net
		other.a.GossipKey = m.a.GossipKey // stolen: the certificate still keeps it out of every stream
		defer m.stopAll()
		defer other.stopAll()
		m.start("hancun-post", nil)
		other.start("thief", nil, "hancun-post")
		time.Sleep(2 * time.Minute)
		if got := alive(other.on["thief"]); len(got) != 1 {
			t.Errorf("the thief sees %v", got)
		}
		if _, known := m.on["hancun-post"].Member("thief"); known {
			t.Error("the post took in a station of another county")
		}
	})
}

func TestHintsThatAreTooLongSaySo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		m.start("xinzhuang", nil)
		p := m.port["xinzhuang"]
		_, err := gossip.Open(gossip.Config{
			Port: p, Self: "xinzhuang", Hints: gossip.Hints{Name: strings.Repeat("辛", 70)}, Keys: m.keysOf("xinzhuang"), Log: zap.NewNop(),
		})
		if err == nil || !strings.Contains(err.Error(), "at most 200 fit") {
			t.Errorf("long name: %v", err)
		}
		m.stopAll()
	})
}

func TestCloseIsPromptWhateverTheLinksDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		defer m.stopAll()
		m.five(nil)
		m.see(5, time.Minute)
		for wait := range 40 { // at different moments of probes, joins and exchanges
			m.net.Isolate("zhangyong")
			time.Sleep(time.Duration(wait) * 997 * time.Millisecond)
			start := time.Now()
			m.stop("zhangyong")
			if took := time.Since(start); took > 6*time.Second {
				t.Errorf("%d s into the cut: closed after %v", wait, took)
			}
			m.net.Heal()
			m.start("zhangyong", nil, "hancun-post")
			m.see(5, time.Minute)
		}
	})
}

// The power is back in a township, and every "I am here" that spreads by packets is lost: seen once in 300
// runs with five stations, one of which then stayed unknown to another for half a minute.
func TestManyStartInTheSameMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		defer m.stopAll()
		m.net.Loss("", 1) // streams still get through, late
		for i := range 12 {
			m.start(alerts.StationID(fmt.Sprintf("s%02d", i)), nil, "s00")
		}
		time.Sleep(1500 * time.Millisecond)
		m.net.Loss("", 0)
		m.see(12, 5*time.Second)
	})
}
