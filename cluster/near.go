package cluster

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/gossip"
	"hivemesh/cluster/pending"
)

const (
	// keptStreams is how many streams a station keeps open. Up to so many others each has one to each, and all hear
	// an alarm in one hop.
	keptStreams = 32
	// keptOffices is how many of them go to offices of the county, and to the nearest posts and township offices:
	// there are the dispatchers.
	keptOffices = 2
	// relayedNear is to how many neighbours an alarm of others is handed on, beside those across the county.
	relayedNear = 3
	// mostCalled bounds the stations in an alarm's ring that are sent it straight, the nearest to the incident first:
	// a handshake each costs a village box a second in all. Those beyond hear it from these.
	mostCalled = 128
	// beyondRing is how far outside a ring a station may be where people inside it are connected, in metres.
	beyondRing = 1000
	// nearAgain and nearLate bound how often it is found out anew who is near: after changes, and without.
	nearAgain = time.Second
	nearLate  = 10 * time.Second
)

// nearby is the other stations as flash and sync see them.
type nearby struct {
	mu      sync.Mutex
	changed bool
	at      time.Time
	peers   []pending.Peer // those to keep a stream to first
	places  []place        // by distance from here
}

// place is a station and where it is; nil: it does not say.
type place struct {
	pending.Peer
	point *alerts.Point
}

func (n *nearby) change() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changed = true
}

// near is who is near, found out anew where that may have changed. In a small county a change counts at once.
func (c *County) near() ([]pending.Peer, []place) {
	n := &c.nearby
	n.mu.Lock()
	age, few := time.Since(n.at), len(n.places) <= keptStreams
	if !n.at.IsZero() && age < nearLate && !(n.changed && (few || age >= nearAgain)) {
		defer n.mu.Unlock()
		return n.peers, n.places
	}
	n.changed, n.at = false, time.Now()
	n.mu.Unlock() // an alarm does not wait for what follows
	peers, places := arrange(c.cfg.Identity.Station, c.Members(), c.counting())
	n.mu.Lock()
	defer n.mu.Unlock()
	n.peers, n.places = peers, places
	return peers, places
}

// places are the others by distance, as last found out.
func (c *County) places() []place {
	c.nearby.mu.Lock()
	defer c.nearby.mu.Unlock()
	return c.nearby.places
}

// counting are the voters of this station's own cell: what is made here is to reach its leader at once, whoever of
// them that will be.
func (c *County) counting() []alerts.StationID {
	if r := c.cell(c.Own()); r != nil {
		return r.Status().Voters
	}
	return nil
}

// peers are all other stations, those to keep streams to first; one that gossip calls dead may hear.
func (c *County) peers() []pending.Peer { peers, _ := c.near(); return peers }

// keeps reports whether a stream to a station is to be kept.
func (c *County) keeps(s alerts.StationID) bool {
	first := c.peers()
	return slices.ContainsFunc(first[:min(len(first), keptStreams)], func(p pending.Peer) bool { return p.Station == s })
}

// met are the stations in reach now; nil where there are so few that all are compared with soon.
func (c *County) met() []pending.Peer {
	if len(c.peers()) <= keptStreams {
		return nil
	}
	return c.links.Met()
}

// reach names the stations that an alarm is sent to straight though no stream to them is kept: those where people in
// its ring may be, the nearest to the incident first. Where everybody has a stream there are none.
func (c *County) reach(e alerts.Event) []pending.Peer {
	places := c.places()
	if len(places) <= keptStreams {
		return nil
	}
	at, ring := alarmed(e)
	if at == nil {
		if i := c.look(e.Cell, e.Incident); i != nil {
			at, ring = i.Raised.Place.Point, widest(i)+i.Raised.Place.Radius
		}
	}
	if at == nil {
		return nil
	}
	return within(places, *at, ring+beyondRing)
}

// alarmed is where an alarm is raised and how far it goes, in metres; nil where e is of an alarm raised before.
func alarmed(e alerts.Event) (*alerts.Point, float64) {
	if b, ok := e.Body.(*alerts.Raised); ok {
		return b.Place.Point, b.Ring + b.Place.Radius
	}
	return nil, 0
}

// widest is the widest ring that an incident is announced in, in metres.
func widest(i *alerts.Incident) (ring float64) {
	for _, w := range i.Waves {
		ring = max(ring, w.Ring)
	}
	return ring
}

// within are the stations at most so many metres from a point, the nearest first, up to mostCalled.
func within(places []place, at alerts.Point, metres float64) []pending.Peer {
	type found struct {
		pending.Peer
		away float64
	}
	var in []found
	for _, p := range places {
		if p.point == nil {
			continue
		}
		if away := p.point.Distance(at); away <= metres {
			in = append(in, found{p.Peer, away})
		}
	}
	slices.SortFunc(in, func(a, b found) int { return cmp.Compare(a.away, b.away) })
	in = in[:min(len(in), mostCalled)]
	out := make([]pending.Peer, len(in))
	for i, f := range in {
		out[i] = f.Peer
	}
	return out
}

// arrange puts first whom self keeps streams to: the voters it counts on, the county's office and the nearest others,
// stations at doubling distances in an order that has nothing to do with places, so that any station is a few hands
// from any other, and the nearest. Who is believed to be alive goes before who is not.
func arrange(self alerts.StationID, members []gossip.Member, voters []alerts.StationID) (peers []pending.Peer, places []place) {
	others := apart(self, members)
	for _, m := range others {
		places = append(places, place{pending.Peer{Station: m.Station, Addr: m.Mesh}, m.Point})
	}
	few := len(others) <= keptStreams
	others = livingFirst(others)
	used := make(map[alerts.StationID]bool, len(others))
	add := func(m gossip.Member, relay bool) bool {
		if used[m.Station] {
			return false
		}
		used[m.Station] = true
		peers = append(peers, pending.Peer{Station: m.Station, Addr: m.Mesh, Relay: relay})
		return true
	}
	if !few {
		far := across(self, others)
		for _, m := range counted(others, voters) {
			add(m, slices.ContainsFunc(far, func(f gossip.Member) bool { return f.Station == m.Station }))
		}
		for _, m := range far {
			add(m, true)
		}
	}
	neighbours := 0
	for _, m := range others {
		if add(m, !few && neighbours < relayedNear) {
			neighbours++
		}
	}
	return peers, places
}

// livingFirst keeps the order among the living, and among the others.
func livingFirst(all []gossip.Member) []gossip.Member {
	out := make([]gossip.Member, 0, len(all))
	for _, alive := range []bool{true, false} {
		for _, m := range all {
			if m.Alive == alive {
				out = append(out, m)
			}
		}
	}
	return out
}

// counted are the voters, the county's offices and the nearest of the other offices.
func counted(others []gossip.Member, voters []alerts.StationID) (out []gossip.Member) {
	county, near := 0, 0
	for _, m := range others {
		switch {
		case slices.Contains(voters, m.Station):
		case m.Kind == alerts.CountyOffice && county < keptOffices:
			county++
		case m.Kind.Trusted() && m.Kind != alerts.CountyOffice && near < keptOffices:
			near++
		default:
			continue
		}
		out = append(out, m)
	}
	return out
}

// apart are the others whose address is known, by their distance from self, those last who do not say where they are.
func apart(self alerts.StationID, members []gossip.Member) []gossip.Member {
	var at *alerts.Point
	for _, m := range members {
		if m.Station == self {
			at = m.Point
		}
	}
	return by(members, func(m gossip.Member) (away float64, in bool) {
		away = math.Inf(1)
		if at != nil && m.Point != nil {
			away = at.Distance(*m.Point)
		}
		return away, m.Station != self && m.Mesh != ""
	})
}

// across are the living stations 1, 2, 4, 8 … places after self in the order of their ids' sums.
func across(self alerts.StationID, others []gossip.Member) (out []gossip.Member) {
	mine := sum(self)
	ring := by(others, func(m gossip.Member) (after uint64, in bool) { return sum(m.Station) - mine, m.Alive })
	for step := 1; step <= len(ring); step *= 2 {
		out = append(out, ring[step-1])
	}
	return out
}

// by are the members that are in, in the order of their keys; those of one key as they were.
func by[K cmp.Ordered](members []gossip.Member, key func(gossip.Member) (k K, in bool)) []gossip.Member {
	type keyed struct {
		key K
		at  int
	}
	var list []keyed
	for i, m := range members {
		if k, in := key(m); in {
			list = append(list, keyed{k, i})
		}
	}
	slices.SortFunc(list, func(a, b keyed) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.at, b.at)) })
	out := make([]gossip.Member, len(list))
	for i, k := range list {
		out[i] = members[k.at]
	}
	return out
}

// sum spreads ids evenly. Stations need not agree on it.
func sum(s alerts.StationID) uint64 {
	h := sha256.Sum256([]byte(s))
	return binary.BigEndian.Uint64(h[:])
}
