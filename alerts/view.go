package alerts

import (
	"cmp"
	"slices"
	"time"
)

// Look is what a screen shows of an incident: as the record has it and, on top, the pending events, judged
// as the leader would judge them now, in the order of InOrder. Nil where nothing is known of it but
// events whose raising event has not come.
func (r *Rules) Look(s *State, id IncidentID, pending []Event, standing func(Event) Standing, now time.Time) *Incident {
	i, known := s.Incident(id)
	if len(pending) == 0 {
		return i
	}
	if known {
		i = i.scratch()
	}
	for _, e := range InOrder(pending) {
		if e.Incident != id || e.Cell != s.Cell || s.Has(e.Incident, e.ID) {
			continue
		}
		by := standing(e)
		v := r.judge(i, e, by, s, false)
		if v.Code == Parked || v.Code == Same && e.Kind == KindCarried || i == nil && !v.Accepted() {
			continue
		}
		i = i.advance(Line{Entry: Entry{Event: e, Verdict: v, At: e.At, By: by}, Provisional: true})
	}
	return i
}

// LookFar is what is shown of an incident whose cell this station does not follow: of that it holds the alarm
// lane, recorded or not, and what was made here. An end before the latest "search continues" was refused, or
// nobody would have said so.
func (r *Rules) LookFar(cell CellID, id IncidentID, held []Event, standing func(Event) Standing) *Incident {
	list := InOrder(held)
	// What stands between is missing here, so the steps do not tell the first from the others.
	slices.SortStableFunc(list, func(a, b Event) int {
		return cmp.Or(cmp.Compare(opening(a), opening(b)), cmp.Compare(carriedAt(a), carriedAt(b)))
	})
	goesOn := 0
	for k, e := range list {
		if w, ok := carriedOr(e).Body.(*Waved); ok && w.Continues {
			goesOn = k
		}
	}
	var i *Incident
	s := NewState(cell)
	for k, e := range list {
		if e.Incident != id || e.Cell != cell {
			continue
		}
		l := Line{Entry: Entry{Event: e, At: e.At, By: standing(e)}, Provisional: true}
		l.Verdict = r.judge(i, e, l.By, s, true)
		if k < goesOn && i != nil && i.AlarmOpen() && l.Verdict.Accepted() && !i.scratch().advance(l).AlarmOpen() {
			l.Verdict.Code = Stale
		}
		if l.Verdict.Code == Parked || l.Verdict.Code == Same && e.Kind == KindCarried || i == nil && !l.Verdict.Accepted() {
			continue
		}
		i = i.advance(l)
	}
	return i
}

// carriedOr is what e carries, or e itself.
func carriedOr(e Event) Event {
	if c, ok := e.Body.(*Carried); ok {
		return c.Event
	}
	return e
}

// opening puts the alert itself first, and what was carried before what was made in the cell since.
func opening(e Event) int {
	switch {
	case carriedOr(e).Kind == KindRaised:
		return 0
	case carriedAt(e) > 0:
		return 1
	}
	return 2
}

// carriedAt is where what e carries stood in the old cell's record; 0 where it carries nothing, or what stood in none.
func carriedAt(e Event) uint64 {
	if c, ok := e.Body.(*Carried); ok {
		return c.Index
	}
	return 0
}
