package alerts

import "time"

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
		v := r.judge(i, e, by, s)
		if v.Code == Parked || i == nil && !v.Accepted() {
			continue
		}
		i = i.advance(Line{Entry: Entry{Event: e, Verdict: v, At: e.At, By: by}, Provisional: true})
	}
	return i
}
