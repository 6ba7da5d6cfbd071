package node

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"hivemesh/alerts"
)

// accept has volunteers of the incident's surroundings answer, and a dispatcher grade it.
func (m *mesh) work(id, at string) {
	m.t.Helper()
	m.known(at, id)
	if status, out := m.do(at, "vol-"+at, id, map[string]any{"kind": "accepted"}); status != http.StatusAccepted {
		m.t.Fatalf("accept at %s: %d %v", at, status, out)
	}
}

// whole checks that the incident has these kinds of events, each once, in the record of its home cell.
func (m *mesh) whole(id string, cell alerts.CellID, kinds map[alerts.Kind]int) {
	m.t.Helper()
	for name, n := range m.nodes {
		n.county.Read(cell, func(s *alerts.State) {
			i, ok := s.Incident(incidentID(id))
			if !ok {
				m.t.Errorf("%s: %s does not have %s", name, cell, id)
				return
			}
			have := map[alerts.Kind]int{}
			for _, l := range i.Log {
				if l.Verdict.Accepted() {
					have[l.Event.Kind]++
				}
			}
			for k, want := range kinds {
				if have[k] != want {
					m.t.Errorf("%s: %s has %d %s of %s, want %d", name, cell, have[k], k, id, want)
				}
			}
		})
	}
}

func TestAMatterIsTransferredUnderACut(t *testing.T) {
	inThreeCells(t, func(m *mesh) {
		here, across := m.screen("vol-w2", "w2", nil), m.screen("vol-e2", "e2", nil)
		id, _, _ := m.raise("w2", scene("abduction", "w2", "goes-east"))
		here.hears(id, time.Second)
		across.hears(id, time.Second)
		m.work(id, "w2")
		m.homeIs(west, id)
		// Nobody of the new cell is in reach when it is decided.
		for _, e := range []string{"e-post", "e1", "e2"} {
			m.net.Isolate(e)
		}
		if status, out := m.do("w-post", "disp-w-post", id, map[string]any{"kind": "transferred", "to": east, "reason": "已过界"}); status != http.StatusAccepted {
			t.Fatalf("transfer: %d %v", status, out)
		}
		time.Sleep(2 * time.Second)
		m.do("w1", "vol-w1", id, map[string]any{"kind": "clue", "seen": true, "place": map[string]any{"grid": "w1"}, "words": "往东"}) // after it moved
		time.Sleep(20 * time.Second)
		if i, ok := m.nodes["w1"].Incident(incidentID(id)); !ok || !i.AlarmOpen() || i.Coming() != 1 {
			t.Errorf("while the new cell is out of reach it is shown as %+v", i)
		}
		m.net.Heal()
		m.homeIs(east, id)
		m.whole(id, east, map[alerts.Kind]int{alerts.KindRaised: 1, alerts.KindAccepted: 1, alerts.KindTransferred: 1, alerts.KindClue: 1})
		if status, out := m.do("w2", "vol-w2", id, map[string]any{"kind": "on_scene"}); status != http.StatusAccepted {
			t.Errorf("a deed at a station of the old cell: %d %v", status, out)
		}
		if status, out := m.do("e-post", "disp-e-post", id, map[string]any{"kind": "resolved", "code": "found_safe", "words": "checked"}); status != http.StatusAccepted {
			t.Errorf("the new cell ends it: %d %v", status, out)
		}
		m.homeIs(east, id)
		m.whole(id, east, map[alerts.Kind]int{alerts.KindOnScene: 1, alerts.KindResolved: 1})
		m.eventually(time.Minute, "stood down in the old cell", func() bool {
			here.mu.Lock()
			defer here.mu.Unlock()
			return here.ended[id] == 1
		})
		here.once(id)
		across.once(id)
	})
}

// The transfer and what came late stand in the old record; whoever still sees the old cell only may go on.
func TestALatecomerToTheOldCellIsForwarded(t *testing.T) {
	inThreeCells(t, func(m *mesh) {
		id, _, _ := m.raise("w2", scene("abduction", "w2", "late"))
		m.homeIs(west, id)
		m.net.Isolate("w1")
		m.do("w-post", "disp-w-post", id, map[string]any{"kind": "transferred", "to": east})
		m.homeIsBut(east, "w1", id)
		if status, out := m.do("w1", "vol-w1", id, map[string]any{"kind": "accepted"}); status != http.StatusAccepted {
			t.Fatalf("a deed while cut off: %d %v", status, out)
		}
		m.net.Heal()
		m.homeIs(east, id)
		m.whole(id, east, map[alerts.Kind]int{alerts.KindAccepted: 1})
		forwarded := 0
		m.nodes["w1"].county.Read(west, func(s *alerts.State) {
			i, _ := s.Incident(incidentID(id))
			for _, l := range i.Log {
				if l.Verdict.Code == alerts.Forwarded {
					forwarded++
				}
			}
		})
		if forwarded != 1 {
			t.Errorf("the old cell forwarded %d events, want the one", forwarded)
		}
	})
}

// homeIsBut is homeIs for all but one station, which is cut off.
func (m *mesh) homeIsBut(want alerts.CellID, but string, ids ...string) {
	m.t.Helper()
	n := m.nodes[but]
	delete(m.nodes, but)
	m.homeIs(want, ids...)
	m.nodes[but] = n
}

func TestATownshipMovesWhileAlertsFlowAndTheLeaderDies(t *testing.T) {
	inThreeCells(t, func(m *mesh) {
		leader := m.leaderOf(west)
		at := map[string]string{"w-post": "w1", "w1": "w2", "w2": "w1"}[leader] // somebody of the township who lives on
		screen := m.screen("vol-"+at, at, nil)
		var ids []string
		for k := range 40 {
			id, _, _ := m.raise([]string{at, "e2", "n1"}[k%3], scene("abduction", at, fmt.Sprint("move-", k)))
			ids = append(ids, id)
			switch k {
			case 10:
				m.govern("n-post", "/v1/cells", map[string]any{"cell": east, "townships": []string{"西乡"}})
			case 12:
				m.net.Isolate(leader)
			}
			time.Sleep(200 * time.Millisecond)
		}
		for _, id := range ids {
			screen.hears(id, 10*time.Second)
		}
		time.Sleep(time.Minute)
		m.net.Heal()
		m.homeIs(east, ids...)
		for _, id := range ids {
			m.whole(id, east, map[alerts.Kind]int{alerts.KindRaised: 1})
			screen.once(id)
		}
	})
}

func (m *mesh) leaderOf(cell alerts.CellID) string {
	m.t.Helper()
	for name, n := range m.nodes {
		if n.leads(cell) {
			return name
		}
	}
	m.t.Fatal("no leader of ", cell)
	return ""
}

func TestCellsSplitAndMerge(t *testing.T) {
	inBigCounty(t, func(m *mesh) {
		var ids, westIDs []string
		for k, at := range []string{"w1", "w2", "e1", "n1"} {
			id, _, _ := m.raise(at, scene("abduction", at, fmt.Sprint("before-", k)))
			ids = append(ids, id)
		}
		m.homeIs(home, ids...)
		m.work(ids[0], "w1")
		// A split: what is open in the township goes along.
		m.govern("n-post", "/v1/cells", map[string]any{"cell": west, "townships": []string{"西乡"}})
		westIDs = slices.Clip(ids[:2])
		m.homeIs(west, westIDs...)
		m.homeIs(home, ids[2:]...)
		m.whole(ids[0], west, map[alerts.Kind]int{alerts.KindRaised: 1, alerts.KindAccepted: 1})
		m.govern("n-post", "/v1/cells", map[string]any{"cell": east, "townships": []string{"东乡"}})
		m.homeIs(east, ids[2])
		// A merge: all of it goes to the other, the record is sealed, and latecomers arrive.
		m.net.Isolate("w1")
		late, _, _ := m.raise("w1", scene("abduction", "w1", "while-away"))
		m.govern("n-post", "/v1/cells/west/merge", map[string]any{"into": east})
		m.homeIsBut(east, "w1", westIDs...)
		m.eventually(time.Minute, "west is sealed", func() bool {
			sealed := false
			m.nodes["w2"].county.Read(west, func(s *alerts.State) { _, sealed = s.SealedInto() })
			return sealed
		})
		m.net.Heal()
		m.homeIs(east, append(westIDs, late, ids[2])...)
		m.whole(late, east, map[alerts.Kind]int{alerts.KindRaised: 1})
		m.whole(ids[0], east, map[alerts.Kind]int{alerts.KindRaised: 1, alerts.KindAccepted: 1})
		m.eventually(time.Minute, "everybody follows what is left", m.follow)
		// It goes on after restarts.
		for _, s := range []string{"w-post", "e-post", "w1"} {
			m.stop(s)
			m.start(s)
		}
		again, _, _ := m.raise("w2", scene("abduction", "w2", "after"))
		m.homeIs(east, again)
		m.homeIs(home, ids[3])
	})
}

// Before the record has it, a decision on the county is nobody's right to anything: a post that is cut off makes
// no cell of its own, with a record that nobody else would know of.
func TestADecisionOnTheCountyCountsOnceItIsRecorded(t *testing.T) {
	inBigCounty(t, func(m *mesh) {
		m.net.Isolate("n-post")
		token := m.signIn("n-post", map[string]any{"person": "chief"})
		change := map[string]any{"cell": west, "townships": []string{"西乡"}, "stations": []string{"n-post"}}
		status, out := m.call("n-post", "POST", "/v1/cells", token, change)
		if kept, _ := out["kept"].(map[string]any); status != http.StatusAccepted || kept["recorded"] == true {
			t.Fatalf("a decision that nobody can record now: %d %v", status, out)
		}
		for range 30 {
			if n := m.nodes["n-post"]; n.county.Own() != home || len(n.Cells()) != 1 {
				t.Fatalf("what is not recorded counts: n-post works for %s and follows %v", n.county.Own(), n.Cells())
			}
			time.Sleep(time.Second)
		}
		m.net.Heal()
		m.eventually(time.Minute, "what is recorded counts, everywhere", func() bool {
			return m.nodes["w1"].county.Own() == west && m.nodes["n-post"].county.Own() == west && m.follow()
		})
	})
}

// A voter that works for another cell is counted on until somebody of the cell has its place.
func TestAVoterThatMovesIsReplaced(t *testing.T) {
	inThreeCells(t, func(m *mesh) {
		m.govern("n-post", "/v1/stations/n1/cell", map[string]any{"cell": west})
		m.eventually(40*time.Minute, "n2 votes instead of n1", func() bool {
			s, _ := m.nodes["n-post"].county.Status(home)
			return slices.Contains(s.Voters, "n2") && !slices.Contains(s.Voters, "n1")
		})
		m.eventually(time.Minute, "n1 only reads the home cell", func() bool {
			s, _ := m.nodes["n1"].county.Status(home)
			return s.Role == "follower" && m.nodes["n1"].county.Own() == west && m.follow()
		})
		id, _, _ := m.raise("n1", scene("abduction", "n2", "after-the-move"))
		m.homeIs(home, id)
	})
}

// Two stations that know different things of the county's cells take the same alert: one has not heard that the
// township went to another cell. It ends as one matter in one cell's record, and sounds once.
func TestOneAlertIntoTwoCellsBecomesOneMatter(t *testing.T) {
	inBigCounty(t, func(m *mesh) {
		m.net.Isolate("w1") // it still believes that west is of the home cell
		m.govern("n-post", "/v1/cells", map[string]any{"cell": west, "townships": []string{"西乡"}})
		m.eventually(time.Minute, "west works", func() bool { return m.nodes["w2"].leader(west) != "" })
		here, there := m.screen("vol-w1", "w1", nil), m.screen("vol-w2", "w2", []float64{116.52, 39.30})
		alert := scene("abduction", "w1", "twice")
		var ids []string
		for _, at := range []string{"w1", "w2"} {
			status, out := m.call(at, "POST", "/v1/alerts", m.signIn(at, map[string]any{"person": "disp-n1"}), alert)
			if status != http.StatusAccepted {
				t.Fatalf("raise at %s: %d %v", at, status, out)
			}
			ids = append(ids, out["incident"].(string))
		}
		id := ids[0]
		if ids[1] != id {
			t.Fatalf("the same alert is %s at one station and %s at the other", id, ids[1])
		}
		here.hears(id, time.Second)
		there.hears(id, time.Second)
		if at, _ := m.nodes["w1"].Incident(incidentID(id)); at.Cell != home {
			t.Fatalf("w1 raised it for %s: it knew of the change", at.Cell)
		}
		m.work(id, "w1") // for the old cell, too
		m.net.Heal()
		m.homeIs(west, id)
		m.whole(id, west, map[alerts.Kind]int{alerts.KindRaised: 1, alerts.KindAccepted: 1})
		if status, out := m.do("w-post", "disp-w-post", id, map[string]any{"kind": "resolved", "code": "found_safe", "words": "checked"}); status != http.StatusAccepted {
			t.Fatalf("resolve: %d %v", status, out)
		}
		m.homeIs(west, id)
		here.once(id)
		there.once(id)
	})
}

// A voter that slept through the end of its cell wakes with an old view of who votes. Nobody votes with it: the
// record stays as it was sealed, at the sleeper too, and what it signed for the old cell goes to the successor.
func TestAVoterThatSleptThroughTheSealIsRefused(t *testing.T) {
	inThreeCells(t, func(m *mesh) {
		id, _, _ := m.raise("w1", scene("abduction", "w1", "before-sleep"))
		m.homeIs(west, id)
		if s, _ := m.nodes["w1"].county.Status(west); !slices.Contains(s.Voters, "w1") {
			t.Fatalf("w1 does not vote in west: %v", s.Voters)
		}
		m.net.Isolate("w1")
		late, _, _ := m.raise("w1", scene("abduction", "w1", "just-before-sleep"))
		m.stop("w1")
		m.govern("n-post", "/v1/cells/west/merge", map[string]any{"into": east})
		sealedAt := func(at string) (index uint64) {
			sealed := false
			m.nodes[at].county.Read(west, func(s *alerts.State) { _, sealed = s.SealedInto() })
			if s, _ := m.nodes[at].county.Status(west); sealed {
				index = s.Index
			}
			return index
		}
		m.eventually(time.Minute, "west is sealed", func() bool { return sealedAt("w2") > 0 && sealedAt("w-post") > 0 })
		end := sealedAt("w2")
		// The sleeper and one other would be two of three; whoever knows better is out of reach.
		two := []string{"w1", "w2"}
		m.net.Heal()
		m.net.Split(two, slices.DeleteFunc(slices.Clone(bigCounty), func(s string) bool { return slices.Contains(two, s) }))
		m.start("w1")
		led := false
		for range 60 {
			time.Sleep(time.Second)
			led = led || m.nodes["w1"].leads(west) || m.nodes["w2"].leads(west)
		}
		if led {
			t.Error("an ended cell has a leader again")
		}
		m.net.Heal()
		m.homeIs(east, id, late)
		m.whole(late, east, map[alerts.Kind]int{alerts.KindRaised: 1})
		for _, s := range []string{"w1", "w2", "w-post"} {
			if at := sealedAt(s); at != end {
				t.Errorf("%s has %d entries of west, which was sealed at %d", s, at, end)
			}
		}
	})
}
