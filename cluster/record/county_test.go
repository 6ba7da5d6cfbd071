package record

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/memnet"
	"hivemesh/cluster/trust"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(nthEnv); dir != "" {
		nthScript(dir, os.Getenv(nthEnv+"_EVENTS"))
		return
	}
	if child() {
		return
	}
	goleak.VerifyTestMain(m)
}

const cellID = alerts.CellID("yongqing")

func rules() *alerts.Rules {
	any := alerts.Move{By: []alerts.Role{alerts.Officer}}
	return &alerts.Rules{
		Categories: map[string]alerts.Category{"missing": {
			Name: alerts.Text{Zh: "走失", En: "missing"}, Grade: alerts.Grade1, Wanted: 3, Rings: []float64{1000},
			Wakes: []alerts.Role{alerts.Volunteer}, Card: alerts.Card{What: "老人走失"},
		}},
		Moves: map[alerts.Kind]alerts.Move{alerts.KindRaised: any, alerts.KindNote: any, alerts.KindClue: any},
	}
}

// county is a cell's stations in one process: real raft, disks and TLS over a network that can be cut.
type county struct {
	t        testing.TB
	net      *memnet.Network
	dir      string
	root     *trust.Authority
	ids      map[alerts.StationID]*trust.Identity
	founders []alerts.StationID
	up       map[alerts.StationID]*box
	bad      map[alerts.StationID]*disk.Trouble
	made     []alerts.Event
	away     map[alerts.StationID]bool // whom what is raised does not reach
	links    Profile
	blind    map[alerts.StationID]alerts.StationID // whose address a station does not know

	sight sync.Mutex               // guards side
	side  map[alerts.StationID]int // stations see each other by gossip on the same side; all begin on 0
}

// box is one station: its record, and a pending set of the simplest kind.
type box struct {
	id   alerts.StationID
	ring *trust.Ring
	port *trust.Port
	cell *Cell

	mu      sync.Mutex
	pending map[alerts.Hash]alerts.Event
	heard   []alerts.Entry
	resets  int
}

func newCounty(t testing.TB, founders []alerts.StationID, others ...alerts.StationID) *county {
	t.Helper()
	return foundCounty(t, LAN, founders, others...)
}

// foundCounty is newCounty on links of a kind: on mixed ones raft's heartbeats are rarer, so that hours of
// virtual time are cheap.
func foundCounty(t testing.TB, links Profile, founders []alerts.StationID, others ...alerts.StationID) *county {
	t.Helper()
	a, err := trust.NewAuthority("yongqing", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &county{
		t: t, net: memnet.New(1), root: a, dir: t.TempDir(), founders: founders, ids: map[alerts.StationID]*trust.Identity{},
		up: map[alerts.StationID]*box{}, bad: map[alerts.StationID]*disk.Trouble{}, away: map[alerts.StationID]bool{},
		links: links, blind: map[alerts.StationID]alerts.StationID{}, side: map[alerts.StationID]int{},
	}
	for _, s := range slices.Concat(founders, others) {
		id, err := a.NewStation(trust.Who{Cell: cellID, Kind: alerts.Village, Station: s, Name: string(s)})
		if err != nil {
			t.Fatal(err)
		}
		c.ids[s] = id
		c.bad[s] = &disk.Trouble{}
		c.net.Host(string(s))
	}
	for s := range c.ids {
		c.start(s)
	}
	return c
}

// addr is where s is, as asker knows.
func (c *county) addr(asker, s alerts.StationID) (string, bool) {
	_, known := c.ids[s]
	return c.net.Host(string(s)).Addr(7000), known && c.blind[asker] != s
}

func (c *county) start(s alerts.StationID) *box {
	c.t.Helper()
	b := &box{id: s, pending: map[alerts.Hash]alerts.Event{}}
	var err error
	if b.ring, err = trust.NewRing(c.ids[s].Root, ""); err != nil {
		c.t.Fatal(err)
	}
	for _, id := range c.ids {
		if _, err := b.ring.Add(id.Cert.Raw); err != nil {
			c.t.Fatal(err)
		}
	}
	if b.port, err = trust.OpenPort(c.net.Host(string(s)), ":7000", c.ids[s], b.ring, zap.NewNop()); err != nil {
		c.t.Fatal(err)
	}
	b.cell, err = Open(NewHost(b.port, zap.NewNop()), Config{
		Cell: cellID, Dir: filepath.Join(c.dir, string(s)), Self: s, Identity: c.ids[s], Ring: b.ring, Port: b.port,
		Founders: c.founders, Addr: func(x alerts.StationID) (string, bool) { return c.addr(s, x) }, Alive: func() []alerts.StationID { return c.seenBy(s) }, Rules: rules(),
		Standing: func(alerts.Event) alerts.Standing {
			return alerts.Standing{Roles: []alerts.Role{alerts.Officer}, Kind: alerts.PolicePost}
		},
		Disk: disk.Bad(c.bad[s].Faults()), Pending: b.list, Returned: b.returned, Links: c.links, Log: zap.NewNop(),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	b.cell.Watch(b.recorded)
	b.cell.OnReset(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.heard, b.resets = nil, b.resets+1
	})
	c.up[s] = b
	return b
}

// seenBy are the stations on the same side, whether they run or not: gossip takes a while to notice.
func (c *county) seenBy(s alerts.StationID) (out []alerts.StationID) {
	c.sight.Lock()
	defer c.sight.Unlock()
	for _, x := range slices.Sorted(maps.Keys(c.ids)) {
		if c.side[x] == c.side[s] {
			out = append(out, x)
		}
	}
	return out
}

// sees moves stations to a side of gossip's sight.
func (c *county) sees(side int, who ...alerts.StationID) {
	c.sight.Lock()
	defer c.sight.Unlock()
	for _, s := range who {
		c.side[s] = side
	}
}

func (b *box) list() []alerts.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Values(b.pending))
}

func (b *box) returned(events []alerts.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range events {
		b.pending[e.ID] = e
	}
	return nil
}

func (b *box) recorded(ch alerts.Change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pending, ch.Entry.Event.ID)
	b.heard = append(b.heard, ch.Entry)
}

func (b *box) put(e alerts.Event) {
	recorded := false
	b.cell.Read(func(s *alerts.State) { recorded = s.Has(e.Incident, e.ID) })
	if recorded {
		return
	}
	b.mu.Lock()
	b.pending[e.ID] = e
	b.mu.Unlock()
	b.cell.Poke()
}

func (c *county) stop(s alerts.StationID) {
	c.t.Helper()
	b := c.up[s]
	delete(c.up, s)
	if err := b.cell.Close(); err != nil {
		c.t.Errorf("%s: %v", s, err)
	}
	b.port.Close()
}

func (c *county) stopAll() {
	for _, s := range slices.Sorted(maps.Keys(c.up)) {
		c.stop(s)
	}
}

// end stops everybody and sees every goroutine of the bubble end.
func (c *county) end() { c.stopAll(); synctest.Wait() }

// sign makes an event without handing it to anybody.
func (c *county) sign(by alerts.StationID, e alerts.Event) alerts.Event {
	c.t.Helper()
	e.Cell, e.Actor, e.At = cellID, "wang", time.Now()
	e, err := c.ids[by].Sign(e)
	if err != nil {
		c.t.Fatal(err)
	}
	return e
}

func (c *county) raise(by alerts.StationID) alerts.Event {
	c.t.Helper()
	e := c.unheard(by, len(c.made))
	c.made = append(c.made, e)
	c.flash(by, e)
	return e
}

// unheard is a raising event that nobody has been told of.
func (c *county) unheard(by alerts.StationID, n int) alerts.Event {
	c.t.Helper()
	return c.sign(by, alerts.Event{
		Incident: alerts.IncidentID(fmt.Sprintf("00000000-0000-5000-8000-%012d", n)), Kind: alerts.KindRaised,
		Body: &alerts.Raised{Category: "missing", Grade: alerts.Grade1, Source: alerts.FromKiosk, Ring: 1000, Wanted: 3,
			Place: alerts.Place{Words: "村口"}, Card: alerts.Card{What: "老人走失"}},
	})
}

// flash hands an event to everybody who is in reach of its maker.
func (c *county) flash(by alerts.StationID, e alerts.Event) {
	for s, b := range c.up {
		if s == by || !c.away[s] && !c.away[by] {
			b.put(e)
		}
	}
}

func (c *county) isolate(s alerts.StationID) { c.net.Isolate(string(s)); c.away[s] = true }

// heal ends all cuts; sync brings everybody what it lacks.
func (c *county) heal() {
	c.net.Heal()
	clear(c.away)
	for _, b := range c.up {
		for _, e := range c.made {
			b.put(e)
		}
	}
}

func (c *county) eventually(within time.Duration, what string, ok func() bool) {
	c.t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			for s, b := range c.up {
				c.t.Logf("%s: %+v, %d pending", s, b.cell.Status(), len(b.list()))
			}
			c.t.Fatalf("not within %s: %s", within, what)
		}
	}
}

func (c *county) leader(not ...alerts.StationID) alerts.StationID {
	c.t.Helper()
	var l alerts.StationID
	c.eventually(20*time.Second, "there is a leader", func() bool {
		for s, b := range c.up {
			if b.cell.Status().Role == Leader && !slices.Contains(not, s) {
				l = s
				return true
			}
		}
		return false
	})
	return l
}

// allRecorded: each event made stands once, everywhere, in one order.
func (c *county) allRecorded(among ...alerts.StationID) func() bool {
	return func() bool {
		for _, s := range among {
			if c.up[s].cell.Status().Index != uint64(len(c.made)) || len(c.up[s].list()) > 0 {
				return false
			}
		}
		return true
	}
}

// checkRecords looks at every copy, entry by entry.
func (c *county) checkRecords() {
	c.t.Helper()
	var want []Raw
	var hash alerts.Hash
	for s, b := range c.up {
		got, err := b.cell.Entries(1, 1<<20)
		if err != nil {
			c.t.Fatal(err)
		}
		var h alerts.Hash
		b.cell.Read(func(s *alerts.State) { h = s.Hash() })
		if want == nil {
			want, hash = got, h
		}
		if len(got) != len(c.made) || got[len(got)-1].Chain != want[len(want)-1].Chain || h != hash {
			c.t.Errorf("%s: %d entries (want %d), or not those of the others", s, len(got), len(c.made))
		}
		for i, e := range b.heard {
			if i > 0 && e.Index != b.heard[i-1].Index+1 {
				c.t.Errorf("%s: watchers heard entry %d after %d", s, e.Index, b.heard[i-1].Index)
			}
		}
		if err := b.cell.Status().Err; err != nil {
			c.t.Errorf("%s: %v", s, err)
		}
		for _, e := range c.made {
			b.cell.Read(func(st *alerts.State) {
				if !st.Has(e.Incident, e.ID) {
					c.t.Errorf("%s: %s is not in the record", s, e.Name())
				}
			})
		}
	}
}

func others(not alerts.StationID) (out []alerts.StationID) {
	for _, s := range three {
		if s != not {
			out = append(out, s)
		}
	}
	return out
}

func (c *county) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *county) write(path string, b []byte) { c.t.Helper(); c.must(os.WriteFile(path, b, 0o600)) }
