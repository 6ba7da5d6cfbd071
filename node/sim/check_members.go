package sim

import (
	"slices"
	"time"

	"hivemesh/alerts"
)

// lastHeard is how long a notice takes at most, once everything is whole, until every station has it.
const lastHeard = reachWithin

// alone reports whether an event was never heard of but at a station that burnt or was stolen later: what only that
// one kept went with it. Any word that others keep it, or a screen elsewhere that showed it, obliges as ever.
func (l *look) alone(event alerts.Hash) bool {
	d, known := l.made[event]
	if !known {
		return false
	}
	gone := slices.ContainsFunc(l.Struck, func(s Span) bool {
		return (s.Kind == Replaces || s.Kind == Expels) && s.Stations[0] == d.Station && (s.To.IsZero() || d.From.Before(s.To) || s.Kind == Expels)
	})
	twice := l.raisedElsewhere(d) // then what screens show is the other one's
	return gone && d.Kept.Near == 0 && !d.Kept.Recorded && !slices.ContainsFunc(l.Pushes, func(p Push) bool {
		return p.Event == event && (p.Kept.Near > 0 || p.Kept.Recorded) || !twice && p.Incident == d.Incident && p.Station != d.Station
	})
}

// raisedElsewhere reports whether the same alert was sent to another station as well.
func (l *look) raisedElsewhere(d Deed) bool {
	return slices.ContainsFunc(l.Deeds, func(o Deed) bool {
		return o.Kind == alerts.KindRaised && o.Incident == d.Incident && o.Station != d.Station
	})
}

// outcast proves that a station which was turned away is heard no more: what was raised there after everybody must
// have known stands in no record, and no device at another station was told of it.
func outcast(l *look) (bad []string) {
	t := (*tell)(&bad)
	for _, s := range l.Struck {
		if s.Kind != Expels || s.Bites == 0 {
			continue
		}
		known := l.Healed.Add(lastHeard)
		if s.To.After(known) {
			known = s.To.Add(lastHeard)
		}
		l.unheard(t, s.Stations[0], known)
	}
	return bad
}

func (l *look) unheard(t *tell, thief alerts.StationID, known time.Time) {
	for _, d := range l.Deeds {
		if d.Station != thief || !d.From.After(known) || d.Kind != alerts.KindRaised || d.Incident == "" || l.raisedElsewhere(d) {
			continue
		}
		if e, stands := l.entries[d.Event]; stands {
			t.say("%s at %s, which was expelled, stands in the record of %s as %d", d.Client, thief, e.Event.Cell, e.Index)
		}
		for _, p := range l.Pushes {
			if p.Incident == d.Incident && p.Station != thief {
				t.say("%s was told by %s of %s at %s, which was expelled", p.Device, p.Station, d.Client, thief)
			}
		}
	}
}
