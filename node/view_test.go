package node

import (
	"fmt"
	"testing"
	"time"

	"hivemesh/alerts"
	"hivemesh/node/web"
)

// aRecord is a record that was folded already; nothing is pending.
type aRecord struct{ *alerts.State }

func (r aRecord) read(_ alerts.CellID, f func(*alerts.State)) bool          { f(r.State); return true }
func (aRecord) pending(alerts.CellID, alerts.IncidentID) (p []alerts.Event) { return nil }

// Two matters are recorded in one breath. Whoever was told of the first and leaves for another station must
// not say that he knows the record up to the second.
func TestTheCursorClaimsOnlyWhatWasShown(t *testing.T) {
	const cell = "yongqing"
	rules, err := LoadRules("")
	if err != nil {
		t.Fatal(err)
	}
	s := alerts.NewState(cell)
	v := newView(rules, aRecord{s}, func(alerts.Event) alerts.Standing { return alerts.Standing{} }, time.Now)
	var told []web.Change
	v.watch(func(c web.Change) { told = append(told, c) })
	for n, id := range []alerts.IncidentID{"a", "b", "c"} {
		at := web.Cursor{Epoch: 1, Index: uint64(n + 1)}
		s.Apply(alerts.Entry{Epoch: at.Epoch, Index: at.Index, Verdict: alerts.Verdict{Code: alerts.Accepted}, At: time.Now(), Event: alerts.Event{
			ID: alerts.Hash{byte(n + 1)}, Cell: cell, Incident: id, Kind: alerts.KindRaised, Body: &alerts.Raised{Category: "dispute"},
		}})
		v.record(cell, id, alerts.LaneDecision, at)
	}
	v.refresh()
	if len(told) != 3 {
		t.Fatalf("%d changes, want 3", len(told))
	}
	for n, c := range told {
		if unshown := uint64(n + 2); n < 2 && c.Cursor.Index >= unshown {
			t.Errorf("change %d, of %s, claims entry %d, which is not shown yet", n, c.Incident.ID, c.Cursor.Index)
		}
	}
	if last := told[2].Cursor; last.Index != 3 || v.cursor(cell) != last {
		t.Errorf("when all is shown the cursor is %v, the view's %v, want entry 3", last, v.cursor(cell))
	}
}

// TestTheCursorKnowsWhatWasShown: a matter is made anew with all that its record holds, and others are still to
// come. Whoever leaves for another station then must not be shown less of it there.
func TestTheCursorKnowsWhatWasShown(t *testing.T) {
	const cell = "yongqing"
	rules, err := LoadRules("")
	if err != nil {
		t.Fatal(err)
	}
	s := alerts.NewState(cell)
	v := newView(rules, aRecord{s}, func(alerts.Event) alerts.Standing { return alerts.Standing{} }, time.Now)
	index := uint64(0)
	put := func(id alerts.IncidentID, kind alerts.Kind, body alerts.Body) {
		index++
		at := web.Cursor{Epoch: 1, Index: index}
		s.Apply(alerts.Entry{Epoch: 1, Index: index, Verdict: alerts.Verdict{Code: alerts.Accepted}, At: time.Now(), Event: alerts.Event{
			ID: alerts.Hash{byte(index)}, Cell: cell, Incident: id, Kind: kind, Body: body,
		}})
		v.record(cell, id, alerts.LaneDecision, at)
	}
	put("first", alerts.KindRaised, &alerts.Raised{Category: "dispute"})
	v.refresh()
	var told []web.Change
	v.watch(func(c web.Change) { told = append(told, c) })
	put("a", alerts.KindRaised, &alerts.Raised{Category: "dispute"})
	put("b", alerts.KindRaised, &alerts.Raised{Category: "dispute"})
	put("a", alerts.KindNote, &alerts.Note{Words: "seen"})
	v.refresh()
	if len(told) != 2 || told[0].Incident.ID != "a" || len(told[0].Incident.Log) != 2 {
		t.Fatalf("%d changes, the first: %+v", len(told), told[0])
	}
	if want := (web.Cursor{Epoch: 1, Index: 1, Seen: 4}); told[0].Cursor != want {
		t.Errorf("shown entry 4 of one matter and nothing of another, the cursor is %v, want %v", told[0].Cursor, want)
	}
	if want := (web.Cursor{Epoch: 1, Index: 4}); told[1].Cursor != want {
		t.Errorf("when all is shown it is %v, want %v", told[1].Cursor, want)
	}
}

// TestAnAlarmDoesNotWaitForABacklog: it rings while hundreds of matters are made anew. It is shown among the
// first, and claims nothing of what was still to come.
func TestAnAlarmDoesNotWaitForABacklog(t *testing.T) {
	const cell, backlog = "yongqing", 20 * hurryEvery
	rules, err := LoadRules("")
	if err != nil {
		t.Fatal(err)
	}
	s := alerts.NewState(cell)
	v := newView(rules, aRecord{s}, func(alerts.Event) alerts.Standing { return alerts.Standing{} }, time.Now)
	put := func(n int, lane alerts.Lane) {
		at, id := web.Cursor{Epoch: 1, Index: uint64(n)}, alerts.IncidentID(fmt.Sprint(n))
		s.Apply(alerts.Entry{Epoch: at.Epoch, Index: at.Index, Verdict: alerts.Verdict{Code: alerts.Accepted}, At: time.Now(), Event: alerts.Event{
			ID: alerts.Hash{byte(n >> 8), byte(n), 1}, Cell: cell, Incident: id, Kind: alerts.KindRaised, Body: &alerts.Raised{Category: "dispute"},
		}})
		v.record(cell, id, lane, at)
	}
	for n := 1; n < backlog; n++ {
		put(n, alerts.LaneNote)
	}
	shown, rang := 0, 0
	v.watch(func(c web.Change) {
		if shown++; shown == 1 {
			put(backlog, alerts.LaneAlarm)
		}
		if c.Urgent && rang == 0 {
			if rang = shown; c.Cursor.Index != 0 {
				t.Errorf("the alarm claims entry %d while a backlog waits", c.Cursor.Index)
			}
		}
	})
	v.refresh()
	if rang == 0 || rang > 2*hurryEvery {
		t.Errorf("the alarm was shown as number %d of %d (0: not at all)", rang, shown)
	}
	v.refresh()
	if v.cursor(cell).Index != backlog {
		t.Errorf("when all is shown the cursor is %v, want entry %d", v.cursor(cell), backlog)
	}
}

// News from before a cut is held back for a moment; whoever asks for it by name is not told that it is not there.
func TestLateNewsIsThereForWhoAsks(t *testing.T) {
	const cell = "yongqing"
	rules, err := LoadRules("")
	if err != nil {
		t.Fatal(err)
	}
	s := alerts.NewState(cell)
	v := newView(rules, aRecord{s}, func(alerts.Event) alerts.Standing { return alerts.Standing{} }, time.Now)
	v.live = true
	told := 0
	v.watch(func(web.Change) { told++ })
	s.Apply(alerts.Entry{Epoch: 1, Index: 1, Verdict: alerts.Verdict{Code: alerts.Accepted}, At: time.Now().Add(-time.Hour), Event: alerts.Event{
		ID: alerts.Hash{1}, Cell: cell, Incident: "a", Kind: alerts.KindRaised, Body: &alerts.Raised{Category: "dispute"},
	}})
	v.record(cell, "a", alerts.LaneDecision, web.Cursor{Epoch: 1, Index: 1})
	v.refresh()
	if i, ok := v.incident("a"); !ok || i.ID != "a" {
		t.Error("who asks for it does not find it")
	}
	if told > 0 || len(v.all()) > 0 {
		t.Error("it was not held back")
	}
}

// A station that comes up makes a long record anew while the others send it what is new. Who pages back from
// the newest finds it in front, and not among the old.
func TestWhatComesWhileTheRecordIsOpenedIsTheNewest(t *testing.T) {
	const cell, backlog = "yongqing", 4 * hurryEvery
	rules, err := LoadRules("")
	if err != nil {
		t.Fatal(err)
	}
	s := alerts.NewState(cell)
	v := newView(rules, aRecord{s}, func(alerts.Event) alerts.Standing { return alerts.Standing{} }, time.Now)
	put := func(n int, lane alerts.Lane) {
		at, id := web.Cursor{Epoch: 1, Index: uint64(n)}, alerts.IncidentID(fmt.Sprint(n))
		s.Apply(alerts.Entry{Epoch: at.Epoch, Index: at.Index, Verdict: alerts.Verdict{Code: alerts.Accepted}, At: time.Unix(int64(n), 0), Event: alerts.Event{
			ID: alerts.Hash{byte(n >> 8), byte(n), 1}, Cell: cell, Incident: id, Kind: alerts.KindRaised, Body: &alerts.Raised{Category: "dispute"},
		}})
		v.record(cell, id, lane, at)
	}
	for n := 1; n < backlog; n++ {
		put(n, alerts.LaneNote)
	}
	shown := 0
	v.watch(func(web.Change) {
		if shown++; shown == 1 {
			put(backlog, alerts.LaneAlarm)
		}
	})
	v.refresh()
	v.arrange()
	for k, i := range v.all() {
		if want := alerts.IncidentID(fmt.Sprint(k + 1)); i.ID != want {
			t.Fatalf("number %d of %d is %s, want %s", k, backlog, i.ID, want)
		}
	}
	if n := len(v.all()); n != backlog {
		t.Errorf("%d matters shown, want %d", n, backlog)
	}
}
