package alerts

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

// Look is what a screen shows of an incident: as the record has it and, on top, the pending events, judged
// as the leader would judge them now, in the order (step, hash). Nil where nothing is known of it but
// events whose raising event has not come.
func (r *Rules) Look(s *State, id IncidentID, pending []Event, standing func(Event) Standing, now time.Time) *Incident {
	i, known := s.Incident(id)
	if len(pending) == 0 {
		return i
	}
	if known {
		i = i.scratch()
	}
	for _, e := range inOrder(pending) {
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

// inOrder sorts by (step, hash): step is one more than the highest step among the predecessors named, so
// causes stand before what they caused and every station finds the same order without any clock.
func inOrder(pending []Event) []Event {
	if len(pending) == 1 {
		return pending
	}
	at := make(map[Hash]int, len(pending))
	for k, e := range pending {
		at[e.ID] = k
	}
	steps := make([]int, len(pending))
	var step func(k int) int
	step = func(k int) int {
		if steps[k] == 0 {
			steps[k] = 1
			for _, h := range pending[k].Prev {
				if p, ok := at[h]; ok {
					steps[k] = max(steps[k], 1+step(p))
				}
			}
		}
		return steps[k]
	}
	order := make([]int, len(pending))
	for k := range pending {
		step(k)
		order[k] = k
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(steps[a], steps[b]), bytes.Compare(pending[a].ID[:], pending[b].ID[:]))
	})
	out := make([]Event, len(pending))
	for k, o := range order {
		out[k] = pending[o]
	}
	return out
}
