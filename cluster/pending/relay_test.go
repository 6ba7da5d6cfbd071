package pending_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/pending"
)

// sparse is a mesh in which each station keeps few streams: station i to the next so many, in a circle. It knows all.
func sparse(t *testing.T, stations, keep int, change func(i int, c *pending.LinksConfig)) *mesh {
	t.Helper()
	m := newMesh(t)
	names := make([]alerts.StationID, stations)
	for i := range names {
		names[i] = alerts.StationID(fmt.Sprintf("s%d", i))
		host := m.net.Host(string(names[i]))
		m.on[names[i]] = m.open(host, host.Addr(9080), names[i])
	}
	for i, name := range names {
		s := m.on[name]
		for k := 1; k < stations; k++ {
			other := names[(i+k)%stations]
			s.peers = append(s.peers, pending.Peer{Station: other, Addr: m.on[other].port.Addr(), Relay: true})
		}
		s.startWith(func(c *pending.LinksConfig) {
			c.Keep = keep
			if change != nil {
				change(i, c)
			}
		})
	}
	return m
}

// alarm puts what ends an alarm at a station, and flashes it: it is of the alarm lane.
func (m *mesh) alarm(t *testing.T, s alerts.StationID, incident int) alerts.Event {
	t.Helper()
	e := signed(t, m.on[s].id, alerts.Event{Kind: alerts.KindStoodDown, Body: &alerts.StoodDown{Reason: "x"}}, incident)
	m.on[s].set.Put(e)
	m.on[s].links.Flash(e)
	return e
}

// lacking are the stations that do not have e, in order.
func (m *mesh) lacking(e alerts.Event) (out []alerts.StationID) {
	for name, s := range m.on {
		if !s.set.Has(e.ID) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func TestAnAlarmIsHandedOnWhereNotAllHaveStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := sparse(t, 12, 2, nil)
		defer m.close()
		settle(2 * time.Second)
		start := time.Now()
		e := m.alarm(t, "s0", 1)
		note := m.on["s0"].raise(t, 2)
		synctest.Wait()
		if d := time.Since(start); d > 0 {
			t.Errorf("it took a timer of %v", d)
		}
		if l := m.lacking(e); l != nil {
			t.Errorf("%v have not heard the alarm", l)
		}
		if l := m.lacking(note); len(l) != 9 {
			t.Errorf("%d have not got the note, which is not handed on, want 9", len(l))
		}
		if n := m.on["s0"].near(e); n != 2 {
			t.Errorf("kept near by %d, want the two that s0 sent it to", n)
		}
		for name, s := range m.on {
			// one copy from each of the two that keep a stream to it, and each hands it on once
			if n := s.links.Stats(); n.Out != 2 || n.Received > 3 || n.Relayed > 2 {
				t.Errorf("%s counts %+v", name, n)
			}
		}
	})
}

func TestAnAlarmGoesStraightToWhoIsInItsRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m *mesh
		ring := []alerts.StationID{"s1", "s7"} // s1 has a stream from s0 anyway
		m = sparse(t, 12, 2, func(i int, c *pending.LinksConfig) {
			peers := c.Peers
			c.Peers = func() []pending.Peer {
				out := slices.Clone(peers())
				for k := range out {
					out[k].Relay = false
				}
				return out
			}
			c.Reach = func(alerts.Event) (out []pending.Peer) {
				for _, s := range ring {
					out = append(out, pending.Peer{Station: s, Addr: m.on[s].port.Addr()})
				}
				return out
			}
		})
		defer m.close()
		settle(2 * time.Second)
		e := m.alarm(t, "s0", 1)
		synctest.Wait()
		if l := m.lacking(e); len(l) != 8 || slices.Contains(l, "s7") {
			t.Errorf("%v have not heard: want all but s0, s1, s2 and s7", l)
		}
		if n := m.on["s0"].near(e); n != 3 {
			t.Errorf("kept near by %d, want 3: s7 says so too", n)
		}
		settle(5 * time.Minute)
		if s := m.on["s0"].links.Stats(); s.Out != 3 {
			t.Errorf("%d streams: the alarm's end goes the same way, want 3", s.Out)
		}
		settle(6 * time.Minute)
		if s := m.on["s0"].links.Stats(); s.Out != 2 {
			t.Errorf("%d streams long after the alarm, want 2", s.Out)
		}
	})
}

// Whatever one station can be reached by, an alarm finds it there.
func TestWhoLosesItsStreamsFindsOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := sparse(t, 20, 3, nil)
		defer m.close()
		settle(2 * time.Second)
		for i := range 20 { // s0 reaches s11 and nobody else
			if i != 0 && i != 11 {
				m.net.Cut("s0", fmt.Sprintf("s%d", i))
			}
		}
		settle(3 * time.Minute)
		for _, from := range []alerts.StationID{"s0", "s5"} {
			e := m.alarm(t, from, 1)
			settle(10 * time.Second)
			if l := m.lacking(e); l != nil {
				t.Errorf("%v have not heard %s", l, from)
			}
		}
		m.net.Heal()
		settle(time.Minute)
		if s := m.on["s0"].links.Stats(); s.Out != 3 {
			t.Errorf("%d streams after it is whole again, want 3", s.Out)
		}
	})
}
