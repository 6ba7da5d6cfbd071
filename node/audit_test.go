package node

import (
	"net/http"
	"testing"
	"time"

	"hivemesh/alerts"
)

// notes counts what the home cell's record of a station says of the authority's decisions, and what of it counts.
func (m *mesh) notes(at string) (all, accepted map[alerts.Kind]int) {
	all, accepted = map[alerts.Kind]int{}, map[alerts.Kind]int{}
	d := m.nodes[at].county.Directory()
	if d == nil {
		return all, accepted
	}
	for _, l := range d.Log {
		all[l.Event.Kind]++
		if l.Verdict.Accepted() {
			accepted[l.Event.Kind]++
		}
	}
	return all, accepted
}

// Who was expelled, and that the key was changed, stands on the home cell's record: each once, although several
// stations could note it and one of them starts anew, and every station shows the entry.
func TestAnExpulsionStandsOnTheRecord(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		for _, s := range allStations {
			if gone := m.nodes[s].Mesh(); len(gone.Gone) > 0 || gone.Key.Entry > 0 {
				t.Fatalf("%s knows of %+v before anything was said", s, gone.Gone)
			}
		}
		m.expel(works)
		m.tell(nil, m.rotate())
		left := []string{post, xinzhuang, zhangyong, caojiawu}
		m.eventually(2*time.Minute, "every station shows both on the record", func() bool {
			for _, s := range left {
				x := m.nodes[s].Mesh()
				if len(x.Gone) != 1 || x.Gone[0].Entry == 0 || x.Key.Generation != 3 || x.Key.Entry == 0 {
					return false
				}
			}
			return true
		})
		time.Sleep(3 * time.Minute) // everybody's turn has come
		m.stop(post)
		m.start(post)
		time.Sleep(3 * time.Minute)
		for _, s := range left {
			all, accepted := m.notes(s)
			if accepted[alerts.KindStationExpelled] != 1 || all[alerts.KindStationExpelled] != 1 {
				t.Errorf("%s: %d expulsions are noted, %d count, want one", s, all[alerts.KindStationExpelled], accepted[alerts.KindStationExpelled])
			}
			if n := accepted[alerts.KindKeyChanged]; n < 1 || n > 2 || n != all[alerts.KindKeyChanged] {
				t.Errorf("%s: %d changes of the key are noted, %d count, want each once", s, all[alerts.KindKeyChanged], n)
			}
			if g := m.nodes[s].Mesh().Gone[0]; string(g.Station) != works || g.Why != "expelled" || g.Name == "" {
				t.Errorf("%s says %+v", s, g)
			}
		}
	})
}

// rotate makes the next gossip key, as `hive keys rotate` does.
func (m *mesh) rotate() []byte {
	m.t.Helper()
	key, _, err := m.authority().RotateKey(false)
	if err != nil {
		m.t.Fatal(err)
	}
	return key
}

// A cell of two villages has nobody of its own who may hand a matter over: a neighbour's post does it.
func TestACellWithoutAPostHandsOver(t *testing.T) {
	inBigCounty(t, func(m *mesh) {
		m.govern("n-post", "/v1/cells", map[string]any{"cell": west, "townships": []string{"西乡"}, "founders": []string{"w1"}})
		m.govern("n-post", "/v1/stations/w-post/cell", map[string]any{"cell": home})
		m.stop("centre") // it follows all cells
		id, _, _ := m.raise("w2", scene("abduction", "w2", "of-villages"))
		m.homeIs(west, id)
		if _, known := m.nodes["e-post"].Incident(incidentID(id)); !known {
			t.Error("a post that hands over for others does not follow them")
		}
		if status, out := m.do("w-post", "disp-w-post", id, map[string]any{"kind": "transferred", "to": home}); status != http.StatusAccepted {
			t.Fatalf("transfer: %d %v", status, out)
		}
		m.homeIs(home, id)
		m.whole(id, home, map[alerts.Kind]int{alerts.KindRaised: 1, alerts.KindTransferred: 1})
		again, _, _ := m.raise("w1", scene("abduction", "w1", "before-the-end"))
		m.homeIs(west, again)
		m.govern("n-post", "/v1/cells/west/merge", map[string]any{"into": home})
		m.homeIs(home, id, again)
		m.eventually(time.Minute, "west is sealed", func() bool {
			sealed := false
			m.nodes["w2"].county.Read(west, func(s *alerts.State) { _, sealed = s.SealedInto() })
			return sealed
		})
	})
}
