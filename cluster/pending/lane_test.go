package pending_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/pending"
)

// far is a cell that one of two stations does not follow.
const far = alerts.CellID("caojiawu")

// laneHolder is what a station knows of alarms beside its lanes.
type laneHolder struct {
	ended    map[alerts.IncidentID][]pending.Brief
	recorded map[alerts.Hash]pending.Done

	mu      sync.Mutex // several exchanges at a time
	settled []pending.Done
}

func (h *laneHolder) Ended(cell alerts.CellID, in alerts.IncidentID) []pending.Brief {
	if cell != far {
		return nil
	}
	return h.ended[in]
}

func (h *laneHolder) Recorded(cell alerts.CellID, _ alerts.IncidentID, id alerts.Hash) (pending.Done, bool) {
	d, ok := h.recorded[id]
	return d, ok && cell == far
}

func (h *laneHolder) Settled(d pending.Done) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settled = append(h.settled, d)
}

func (h *laneHolder) told() []pending.Done {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.settled)
}

// ofFar is an event of the far cell.
func (s *station) ofFar(t *testing.T, in int, b alerts.Body) alerts.Event {
	t.Helper()
	e, err := s.id.Sign(alerts.Event{
		Cell: far, Incident: incidentID(in), Actor: "li", Kind: b.Kind(), Body: b, Prev: []alerts.Hash{{1}}, At: time.UnixMilli(1700000000000).UTC(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func brief(events ...alerts.Event) (out []pending.Brief) {
	for _, e := range events {
		out = append(out, pending.Brief{ID: e.ID, Incident: e.Incident, Raw: e.Raw})
	}
	return out
}

// inTwo runs f with a station that does not follow the far cell and one that does, before they have met.
func inTwo(t *testing.T, f func(m *mesh, abroad, within *station)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newStations(t, "abroad", "within")
		f(m, m.on["abroad"], m.on["within"])
		m.close()
	})
}

// A station that believes an alarm to be open is told what ended it, by whoever knows: of a cell that it follows
// it would be the record's to say.
func TestWhoBelievesAnAlarmOpenIsToldItsEnd(t *testing.T) {
	inTwo(t, func(m *mesh, abroad, within *station) {
		wave := within.ofFar(t, 1, &alerts.Waved{Number: 2, Ring: 1000})
		end := within.ofFar(t, 1, &alerts.StoodDown{Reason: "found"})
		abroad.set.Put(wave)
		abroad.lanes = []pending.Lane{{Cell: far, Open: brief(wave)}}
		abroad.about = &laneHolder{}
		within.lanes = []pending.Lane{{Cell: far, Follows: true}} // nothing is open there
		within.about = &laneHolder{ended: map[alerts.IncidentID][]pending.Brief{wave.Incident: brief(wave, end)}}
		m.meet()
		settle(5 * time.Second)
		if !abroad.set.Has(end.ID) {
			t.Error("nobody told it that the alarm is over")
		}
	})
}

// An open alarm of another cell is offered to whoever does not hold it, from either side.
func TestOpenAlarmsOfOtherCellsAreSwapped(t *testing.T) {
	inTwo(t, func(m *mesh, abroad, within *station) {
		one := within.ofFar(t, 1, &alerts.Waved{Number: 2, Ring: 1000})
		two := abroad.ofFar(t, 2, &alerts.Waved{Number: 2, Ring: 1000})
		within.set.Put(one)
		abroad.set.Put(two)
		within.lanes = []pending.Lane{{Cell: far, Follows: true, Open: brief(one)}}
		abroad.lanes = []pending.Lane{{Cell: far, Open: brief(two)}}
		within.about, abroad.about = &laneHolder{}, &laneHolder{}
		m.meet()
		settle(5 * time.Second)
		if !abroad.set.Has(one.ID) || !within.set.Has(two.ID) {
			t.Errorf("the alarms are known as %v and %v, want both", abroad.set.Has(one.ID), within.set.Has(two.ID))
		}
	})
}

// What a station made for another cell is said to be recorded by whoever follows that cell, with the verdict.
func TestWhoDoesNotFollowLearnsThatItIsRecorded(t *testing.T) {
	inTwo(t, func(m *mesh, abroad, within *station) {
		made := abroad.ofFar(t, 1, &alerts.Waved{Number: 2, Ring: 1000})
		unknown := abroad.ofFar(t, 1, &alerts.Note{Words: "not there yet"})
		for _, e := range []alerts.Event{made, unknown} {
			abroad.set.Put(e)
		}
		want := pending.Done{ID: made.ID, Index: 7, Code: alerts.Stale}
		told := &laneHolder{}
		abroad.lanes = []pending.Lane{{Cell: far, Unsure: brief(made, unknown)}}
		abroad.about = told
		within.lanes = []pending.Lane{{Cell: far, Follows: true}}
		within.about = &laneHolder{recorded: map[alerts.Hash]pending.Done{made.ID: want}}
		m.meet()
		settle(5 * time.Second)
		settled := told.told()
		if len(settled) == 0 || slices.ContainsFunc(settled, func(d pending.Done) bool { return d != want }) {
			t.Errorf("it was told %+v, want %+v", settled, want)
		}
		if !within.set.Has(unknown.ID) {
			t.Error("what is not recorded was not taken by who follows the cell")
		}
	})
}
