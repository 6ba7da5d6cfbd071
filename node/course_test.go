package node

import (
	"bytes"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
	"hivemesh/configs"
)

// A dispute that nobody closes in time comes under supervision once, whoever leads; handled, checked, called after
// and judged, it is put away.
func TestACourseIsTended(t *testing.T) {
	rules := configs.Rules
	for old, short := range map[string]string{"clocks: {close: 168h}": "clocks: {close: 5m}", "archive: 720h": "archive: 10m"} {
		if !bytes.Contains(rules, []byte(old)) {
			t.Fatalf("the shipped rules have no %q", old)
		}
		rules = bytes.ReplaceAll(rules, []byte(old), []byte(short))
	}
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		m.foundOn(LinksLAN, Tables{County: configs.County, Rules: rules})
		defer m.end()
		for _, s := range allStations {
			m.start(s)
		}
		m.eventually(30*time.Second, "every station follows a leader", m.settled)
		id, _, _ := m.raise(xinzhuang, scene("dispute", xinzhuang, "eaves"))
		m.known(post, id)
		act := func(person string, deed map[string]any) {
			t.Helper()
			if status, out := m.do(post, person, id, deed); status != http.StatusAccepted {
				t.Fatalf("%v: %d %v", deed, status, out)
			}
		}
		count := func(kind alerts.Kind) (n int) {
			i, _ := m.nodes[works].view.incident(alerts.IncidentID(id))
			for _, l := range i.Log {
				if l.Event.Kind == kind && l.Verdict.Accepted() && !l.Provisional {
					n++
				}
			}
			return n
		}
		act("disp-li", map[string]any{"kind": "registered"})
		time.Sleep(4 * time.Minute)
		if n := count(alerts.KindSupervised); n != 0 {
			t.Errorf("under supervision before its time, %d times", n)
		}
		m.eventually(4*time.Minute, "under supervision", func() bool { return count(alerts.KindSupervised) == 1 })
		act("disp-li", map[string]any{"kind": "assigned", "person": "med-song"})
		act("med-song", map[string]any{"kind": "stepped", "step": "hear"})
		act("disp-li", map[string]any{"kind": "resolved", "code": "withdrawn"})
		if status, out := m.do(post, "disp-li", id, map[string]any{"kind": "verified", "passed": true}); status != http.StatusConflict {
			t.Errorf("who resolved it checks it: %d %v", status, out)
		}
		act("officer-wang", map[string]any{"kind": "verified", "passed": true})
		act("township-qi", map[string]any{"kind": "followed_up", "reached": true})
		act("township-qi", map[string]any{"kind": "rated", "party": "reporter", "satisfaction": "satisfied"})
		act("township-qi", map[string]any{"kind": "judged"})
		m.eventually(15*time.Minute, "put away everywhere", func() bool { return count(alerts.KindArchived) == 1 })
		if n := count(alerts.KindSupervised); n != 1 {
			t.Errorf("under supervision %d times", n)
		}
	})
}

// A box that thinks it is ten years later, the leader among them, finds nothing overdue, and no matter of its time
// is dated wrongly.
func TestAWrongClockTendsNothing(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		time.Sleep(2 * time.Minute) // everybody has heard everybody's clock
		m.net.Jump(m.leader(), 10*365*24*time.Hour)
		id, _, _ := m.raise(xinzhuang, scene("dispute", xinzhuang, "eaves"))
		m.known(post, id)
		m.do(post, "disp-li", id, map[string]any{"kind": "registered"})
		time.Sleep(5 * time.Minute)
		i, _ := m.nodes[works].view.incident(alerts.IncidentID(id))
		for _, l := range i.Log {
			if l.Event.Kind == alerts.KindSupervised || time.Until(l.At).Abs() > time.Hour {
				t.Errorf("%s by %s at %v", l.Event.Kind, l.Event.Station, l.At)
			}
		}
	})
}
