package node

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
)

// authority is the demo county's; the first station has it.
func (m *mesh) authority() *trust.Authority {
	m.t.Helper()
	a, err := openAuthority(m.configs[allStations[0]].Dir)
	if err != nil {
		m.t.Fatal(err)
	}
	return a
}

// expel does what `hive expel` does, on the simulated network.
func (m *mesh) expel(s string) Told {
	m.t.Helper()
	a := m.authority()
	notice, err := a.Dismiss(alerts.StationID(s), trust.Expelled)
	if err != nil {
		m.t.Fatal(err)
	}
	key, _, err := a.RotateKey(true)
	if err != nil {
		m.t.Fatal(err)
	}
	return m.tell(notice, key)
}

// tell does it from the post's machine, on the simulated network.
func (m *mesh) tell(notice, key []byte) Told {
	m.t.Helper()
	told, err := tell(m.t.Context(), m.net.Host(post), m.configs[post], notice, key)
	if err != nil {
		m.t.Fatal(err)
	}
	return told
}

// aliveAt are the stations that one believes alive.
func (m *mesh) aliveAt(s string) (out []string) {
	for _, x := range m.nodes[s].Mesh().Members {
		if x.Alive {
			out = append(out, string(x.Station))
		}
	}
	slices.Sort(out)
	return out
}

// A voter is stolen and expelled: the others go on without it and do not hear it, it hears nothing, another
// station votes in its place, and one that was off all the while comes back by itself.
func TestAStolenVoterIsExpelled(t *testing.T) {
	inCounty(t, LinksMixed, func(m *mesh) {
		thief := caojiawu
		m.stop(works)
		time.Sleep(time.Minute)
		told := m.expel(thief)
		if !slices.Contains(told.Stations, alerts.StationID(post)) || !slices.Contains(told.Stations, alerts.StationID(zhangyong)) {
			t.Errorf("told %+v", told)
		}
		m.eventually(30*time.Second, "nobody knows the thief any more", func() bool {
			for _, s := range []string{post, xinzhuang, zhangyong} {
				if len(m.aliveAt(s)) != 3 || slices.Contains(m.aliveAt(s), thief) {
					return false
				}
			}
			return true
		})
		outside := m.screen("disp-li", post, nil)
		id, _, _ := m.raise(thief, scene("abduction", "nancaojiawu", "thiefs"))
		own, _, _ := m.raise(zhangyong, scene("abduction", "zhangyong", "ours"))
		outside.hears(own, time.Second)
		time.Sleep(2 * time.Minute)
		outside.silent(id)
		if _, known := m.nodes[thief].Incident(incidentID(own)); known {
			t.Error("the thief was told of an alert")
		}
		if got := m.aliveAt(thief); len(got) != 1 {
			t.Errorf("the thief still hears %v", got)
		}

		// It was off all the while: its key opens nothing any more. Until it has heard of the expulsion it takes the
		// thief's word like anybody's, so the two are kept apart for that moment.
		m.net.Cut(thief, works)
		m.start(works)
		m.eventually(time.Minute, "it is one of them again", func() bool {
			return len(m.aliveAt(works)) == 4 && !slices.Contains(m.aliveAt(works), thief) && m.nodes[works].Ready() == nil
		})
		m.net.Heal()
		m.known(works, own)
		time.Sleep(time.Minute)
		if _, known := m.nodes[works].Incident(incidentID(id)); known {
			t.Error("an event of the thief was taken")
		}
		m.eventually(15*time.Minute, "another votes in its place", func() bool {
			v := m.nodes[post].Mesh().Cells[0].Voters
			return len(v) == 3 && !slices.Contains(v, alerts.StationID(thief))
		})
		// It outlives restarts on both sides.
		m.stop(thief)
		m.stop(xinzhuang)
		m.start(xinzhuang)
		m.start(thief)
		time.Sleep(time.Minute)
		if got := m.aliveAt(xinzhuang); len(got) != 4 || slices.Contains(got, thief) {
			t.Errorf("after a restart xinzhuang sees %v", got)
		}
		if m.nodes[thief].Ready() == nil {
			t.Error("the thief says that all is well")
		}
	})
}

// A routine change of key: no station is lost from sight, and each keeps the new one.
func TestTheGossipKeyChangesUnderway(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		m.stop(zhangyong)
		time.Sleep(30 * time.Second)
		key, _, err := m.authority().RotateKey(false)
		if err != nil {
			t.Fatal(err)
		}
		m.tell(nil, key)
		time.Sleep(12 * time.Minute)
		m.start(zhangyong)
		m.eventually(time.Minute, "all five see each other", m.settled)
		for _, s := range allStations {
			if g, _, _ := m.nodes[s].keys.Latest(); g != 2 {
				t.Errorf("%s has gossip key %d", s, g)
			}
			id, err := trust.LoadIdentity(filepath.Join(m.configs[s].Dir, identityDir))
			if err != nil || string(id.GossipKey) != string(m.authority().GossipKey) {
				t.Errorf("%s keeps another gossip key: %v", s, err)
			}
			if s != zhangyong && m.nodes[s].keys.Before() != nil {
				t.Errorf("%s still takes the key before", s)
			}
		}
	})
}
