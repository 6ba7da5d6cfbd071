package history

import (
	"cmp"
	"slices"

	"hivemesh/alerts"
)

// Table is what a county's rules say of moves, and who is what in it.
type Table struct {
	Moves  map[alerts.Kind]alerts.Move
	Roles  func(alerts.PersonID) []alerts.Role
	KindOf func(alerts.StationID) alerts.StationKind
}

// order of the statuses that the clients' moves lead to; a matter never goes back.
var order = map[alerts.Status]int{
	alerts.StatusReported: 1, alerts.StatusDispatched: 2, alerts.StatusHandling: 3, alerts.StatusResolved: 4,
}

// leads is the status that an accepted step leads to at least; empty: it changes none.
func leads(k alerts.Kind) alerts.Status {
	switch k {
	case alerts.KindRaised:
		return alerts.StatusReported
	case alerts.KindAssigned:
		return alerts.StatusDispatched
	case alerts.KindAccepted, alerts.KindEnRoute, alerts.KindOnScene:
		return alerts.StatusHandling
	case alerts.KindResolved:
		return alerts.StatusResolved
	}
	return ""
}

// LegalMove: no station's record holds an accepted move that the county's table forbids, by role and kind of
// station and from the status that the moves before led to; and none shows another status than they lead to.
func LegalMove(at []Standing, t Table) []Violation {
	f := finding{check: "LegalMove"}
	for _, s := range at {
		for id, i := range s.Incidents {
			lines := slices.DeleteFunc(slices.Clone(i.Lines), func(l Line) bool { return l.Index == 0 || l.Verdict != alerts.Accepted })
			slices.SortFunc(lines, func(a, b Line) int { return cmp.Compare(a.Index, b.Index) })
			now := alerts.Status("")
			for _, l := range lines {
				t.judge(&f, s.Station, id, l, now)
				if next := leads(l.Kind); order[next] > order[now] {
					now = next
				}
			}
			if i.Status != now && !i.Provisional {
				f.add("%s shows %s as %q, its record leads to %q", s.Station, id, i.Status, now)
			}
		}
	}
	return f.list
}

// judge checks one accepted move.
func (t Table) judge(f *finding, by alerts.StationID, id alerts.IncidentID, l Line, now alerts.Status) {
	move := t.Moves[l.Kind]
	if now == "" && l.Kind != alerts.KindRaised {
		f.add("%s: entry %d is %s on %s, which nobody had raised", by, l.Index, l.Kind, id)
	}
	roles := t.Roles(l.By)
	may := slices.ContainsFunc(roles, func(r alerts.Role) bool { return slices.Contains(move.By, r) })
	if l.By != "" && !may {
		f.add("%s: entry %d is %s on %s by %s (%v)", by, l.Index, l.Kind, id, l.By, roles)
	}
	if l.By != "" && len(move.At) > 0 && !slices.Contains(move.At, t.KindOf(l.Station)) {
		f.add("%s: entry %d is %s on %s, signed by a %s", by, l.Index, l.Kind, id, t.KindOf(l.Station))
	}
	closed := now == alerts.StatusResolved
	if alerts.FieldOf(l.Kind) != "" && (closed || len(move.From) > 0 && !slices.Contains(move.From, now)) {
		f.add("%s: entry %d is %s on %s from %q", by, l.Index, l.Kind, id, now)
	}
}

// NoSilence: a red alarm that nobody answers does not stay with the ring that it began with: when its second
// wave is due, every station shows one that reaches further.
func NoSilence(at []Standing, due []alerts.IncidentID) []Violation {
	f := finding{check: "NoSilence"}
	for _, s := range at {
		for _, id := range due {
			rings := s.Incidents[id].Rings
			if len(rings) < 2 || rings[1] <= rings[0] {
				f.add("%s: nobody answers %s, and its waves reach %v m", s.Station, id, rings)
			}
		}
	}
	return f.list
}
