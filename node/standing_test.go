package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
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

		// It was off all the while, and its key opens nothing any more; the thief may be the first that it meets.
		m.start(works)
		m.eventually(time.Minute, "it is one of them again", func() bool {
			return len(m.aliveAt(works)) == 4 && !slices.Contains(m.aliveAt(works), thief) && m.nodes[works].Ready() == nil
		})
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

// The leader leaves for good: the lead and its vote go over, what it holds is with others, and nobody waits for it.
func TestALeaderLeavesForGood(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		if err := m.nodes[post].Leave(m.t.Context()); err == nil || !strings.Contains(err.Error(), "authority") {
			t.Errorf("the county's authority left: %v", err)
		}
		if m.leader() == post { // it hands over at its end
			m.stop(post)
			m.start(post)
			m.eventually(30*time.Second, "all are there", m.settled)
		}
		old := m.leader()
		id, _, _ := m.raise(old, scene("abduction", "xinzhuang", "last"))
		if err := m.nodes[old].Leave(m.t.Context()); err != nil {
			t.Fatal(err)
		}
		if m.nodes[old].leads(m.nodes[old].identity.Cell) {
			t.Error("it still leads")
		}
		select {
		case why := <-m.nodes[old].Done():
			if !errors.Is(why, ErrLeft) {
				t.Errorf("it ends with %v", why)
			}
		default:
			t.Error("it does not end")
		}
		token := m.signIn(old, map[string]any{"kiosk": true})
		if status, out := m.call(old, "POST", "/v1/alerts", token, scene("abduction", "xinzhuang", "too-late")); status != http.StatusServiceUnavailable || out["code"] != "leaving" {
			t.Errorf("an alert that nobody will hear of was answered with %d %v", status, out)
		}
		m.stop(old)
		m.eventually(time.Minute, "the others are a county of four", func() bool {
			for name := range m.nodes {
				if slices.Contains(m.aliveAt(name), old) || len(m.nodes[name].Mesh().Members) != 4 {
					return false
				}
			}
			return m.settled() && m.agreed()
		})
		m.recordedOnce(id)
		if v := m.nodes[zhangyong].Mesh().Cells[0].Voters; slices.Contains(v, alerts.StationID(old)) {
			t.Errorf("%v vote", v)
		}
		next, _, _ := m.raise(zhangyong, scene("abduction", "zhangyong", "next"))
		m.eventually(5*time.Second, "the record goes on", m.agreed)
		m.recordedOnce(next)
		host := m.net.Host(old)
		if n, err := OpenOn(Ground{Network: host, Listen: func(_, addr string) (net.Listener, error) { return host.Listen(addr) }}, m.configs[old], m.log(old)); err == nil || !strings.Contains(err.Error(), "left the county") {
			t.Errorf("it was started again: %v", err)
			n.Close()
		}
	})
}

// A village's station leaves for good. Whoever lives there lives there still, and hears what is near it, at whatever
// station.
func TestWhoseStationHasLeftStillLivesThere(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		if err := m.nodes[zhangyong].Leave(m.t.Context()); err != nil {
			t.Fatal(err)
		}
		m.stop(zhangyong)
		m.eventually(time.Minute, "nobody waits for it", func() bool { return len(m.nodes[works].Mesh().Members) == 4 })
		neighbour := m.screen("vol-xu", works, nil)
		id, _, _ := m.raise(works, scene("abduction", "zhangyong", "near-the-old-home"))
		neighbour.hears(id, time.Second)
	})
}

// Two stations of three are away: what the third holds is with nobody, so it may not leave.
func TestNobodyLeavesWithWhatOnlyItHolds(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		m.net.Isolate(zhangyong)
		m.raise(zhangyong, scene("abduction", "zhangyong", "alone"))
		ctx, cancel := context.WithTimeout(m.t.Context(), 30*time.Second)
		defer cancel()
		if err := m.nodes[zhangyong].Leave(ctx); err == nil || !regexp.MustCompile(`: [1-9]\d* events of cell yongqing are with no other station`).MatchString(err.Error()) {
			t.Errorf("it left: %v", err)
		}
		again, _, _ := m.raise(zhangyong, scene("abduction", "zhangyong", "still-there")) // it goes on as before
		m.net.Heal()
		m.eventually(time.Minute, "it is still one of them", m.settled)
		if err := m.nodes[zhangyong].Leave(m.t.Context()); err != nil {
			t.Error(err)
		}
		m.stop(zhangyong)
		m.eventually(time.Minute, "what it held is recorded", m.agreed)
		m.recordedOnce(again)
	})
}

// A station's disk burns: its place is taken under a new id, which has everything again, and its people are at
// home there. The old id is waited for no more, and its vote goes to somebody else.
func TestAStationWhoseDiskIsGoneIsReplaced(t *testing.T) {
	inCounty(t, LinksMixed, func(m *mesh) {
		for k := range 30 {
			m.raise(zhangyong, scene("abduction", "zhangyong", fmt.Sprint("before-", k)))
		}
		m.eventually(30*time.Second, "recorded", m.agreed)
		m.stop(xinzhuang)
		a := m.authority()
		next, err := SuccessorID(m.configs[post].Dir, alerts.StationID(xinzhuang))
		if err != nil || next != "xinzhuang-2" {
			t.Fatal(next, err)
		}
		token, err := a.Token(trust.Who{Cell: m.nodes[post].identity.Cell, Kind: alerts.Village, Station: next, Name: "辛屯村站"}, []string{m.configs[post].Mesh}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		notice, err := a.Dismiss(alerts.StationID(xinzhuang), trust.Replaced)
		if err != nil {
			t.Fatal(err)
		}
		m.tell(notice, nil)

		host := m.net.Host(xinzhuang) // the same machine, another disk
		cfg := m.configs[xinzhuang]
		cfg.Dir = t.TempDir()
		if _, err := JoinOn(m.t.Context(), host, token, "", cfg); err != nil {
			t.Fatal(err)
		}
		m.configs[string(next)] = cfg
		begin := time.Now()
		m.startAt(string(next), xinzhuang)
		m.eventually(time.Minute, "it has everything again", func() bool {
			return m.settled() && m.agreed() && len(m.nodes[string(next)].Mesh().Members) == 5
		})
		t.Logf("whole again after %v", time.Since(begin))
		for _, name := range []string{post, zhangyong, string(next)} {
			for _, x := range m.nodes[name].Mesh().Members {
				if x.Station == alerts.StationID(xinzhuang) {
					t.Errorf("%s still waits for the old one", name)
				}
			}
			if p, ok := m.nodes[name].Person("vol-lin"); !ok || p.Home != next {
				t.Errorf("at %s a person of the village is at home at %s", name, p.Home)
			}
		}
		if self := m.nodes[string(next)].Self(); self.Township == "" || self.Place == nil {
			t.Errorf("the new station has no place: %+v", self)
		}
		m.eventually(15*time.Minute, "three vote, not the old one", func() bool {
			v := m.nodes[post].Mesh().Cells[0].Voters
			return len(v) == 3 && !slices.Contains(v, alerts.StationID(xinzhuang))
		})
		m.stop(string(next))
	})
}

// A station's name may end in a number of its own.
func TestTheSuccessorOfANumberedStation(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		a := m.authority()
		for _, s := range []alerts.StationID{"village-3", "village-3-2"} {
			if _, err := a.NewStation(trust.Who{County: a.County, Cell: m.nodes[post].identity.Cell, Kind: alerts.Village, Station: s}); err != nil {
				t.Fatal(err)
			}
			want := map[alerts.StationID]alerts.StationID{"village-3": "village-3-2", "village-3-2": "village-3-3"}[s]
			if next, err := SuccessorID(m.configs[post].Dir, s); err != nil || next != want {
				t.Errorf("in the place of %s comes %s, want %s: %v", s, next, want, err)
			}
		}
	})
}

// All stations but one come back at other addresses, each knowing only where the others were: they find each
// other by the one that stayed, and are who they were.
func TestMovedAddressesKeepTheirIdentity(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		m.raise(zhangyong, scene("abduction", "zhangyong", "before"))
		m.eventually(30*time.Second, "recorded", m.agreed)
		voters := m.nodes[post].Mesh().Cells[0].Voters
		for _, s := range allStations[1:] {
			m.stop(s)
		}
		for k, s := range allStations[1:] {
			cfg := m.configs[s]
			moved := m.net.Host("moved-" + s)
			cfg.Mesh, cfg.HTTP, cfg.Seeds = moved.Addr(7100+k), moved.Addr(80), []string{m.configs[works].Mesh} // stale as well
			m.configs[s] = cfg
			m.startAt(s, "moved-"+s)
		}
		m.eventually(2*time.Minute, "all five see each other", m.settled)
		id, _, _ := m.raise(zhangyong, scene("abduction", "zhangyong", "after"))
		m.eventually(30*time.Second, "recorded everywhere", m.agreed)
		m.recordedOnce(id)
		if now := m.nodes[post].Mesh().Cells[0].Voters; !slices.Equal(slices.Sorted(slices.Values(now)), slices.Sorted(slices.Values(voters))) {
			t.Errorf("%v voted, %v vote", voters, now)
		}
	})
}
