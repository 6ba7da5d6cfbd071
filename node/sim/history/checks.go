package history

import (
	"cmp"
	"maps"
	"slices"

	"hivemesh/alerts"
)

// All runs every check that needs no more than the history and the standings.
func All(h History, at []Standing) []Violation {
	return slices.Concat(NoLostAck(h, at), NoPhantom(h, at), HonestAck(h, at), ShownOnce(h), OneClaim(h, at), Linearizable(h, at), SameFold(at), Monotonic(h))
}

// NoLostAck: what was acknowledged stands on the record at every station, an alert by exactly one raising event.
func NoLostAck(h History, at []Standing) []Violation {
	f := finding{check: "NoLostAck"}
	for _, s := range at {
		for _, r := range h.Raises {
			if !r.Told.Acknowledged() {
				continue
			}
			i, ok := s.Incidents[r.Incident]
			if !ok {
				f.add("alert %s (incident %s, told %s at %s) is not at %s", r.Client, r.Incident, r.Told.Level(), r.Station, s.Station)
				continue
			}
			if n := recordedRaises(i); n != 1 {
				f.add("alert %s (incident %s) has %d raising entries on the record at %s, want 1", r.Client, r.Incident, n, s.Station)
			}
		}
		for _, d := range h.Deeds {
			if !d.Told.Acknowledged() || d.Event == (alerts.Hash{}) {
				continue
			}
			if l, ok := s.Incidents[d.Incident].line(d.Event); !ok || l.Index == 0 {
				f.add("%s %s (event %s, told %s) is not on the record at %s", d.Kind, d.Client, d.Event, d.Told.Level(), s.Station)
			}
		}
	}
	return f.list
}

func recordedRaises(i Incident) (n int) {
	for _, l := range i.Lines {
		if l.Kind == alerts.KindRaised && l.Index > 0 && l.Verdict == alerts.Accepted {
			n++
		}
	}
	return n
}

// NoPhantom: every incident was raised by a client, and each alert of a client is one incident.
func NoPhantom(h History, at []Standing) []Violation {
	f := finding{check: "NoPhantom"}
	raised := map[string]bool{}
	for _, r := range h.Raises {
		raised[r.Client] = true
	}
	for _, s := range at {
		seen := map[string]alerts.IncidentID{}
		for _, id := range slices.Sorted(maps.Keys(s.Incidents)) {
			client := s.Incidents[id].Client
			if !raised[client] {
				f.add("incident %s at %s was raised by no client (it says %q)", id, s.Station, client)
				continue
			}
			if other, twice := seen[client]; twice {
				f.add("alert %s stands twice at %s: incidents %s and %s", client, s.Station, other, id)
			}
			seen[client] = id
		}
	}
	return f.list
}

// HonestAck: who was told "on the record, entry n" finds it there.
func HonestAck(h History, at []Standing) []Violation {
	f := finding{check: "HonestAck"}
	check := func(what string, in alerts.IncidentID, event alerts.Hash, told Told) {
		if !told.Recorded {
			return
		}
		for _, s := range at {
			if l, ok := s.Incidents[in].line(event); !ok || l.Index != told.Index {
				f.add("%s was told to be entry %d, and is entry %d at %s", what, told.Index, l.Index, s.Station)
			}
		}
	}
	for _, r := range h.Raises {
		check("alert "+r.Client, r.Incident, r.Event, r.Told)
	}
	for _, d := range h.Deeds {
		check(string(d.Kind)+" "+d.Client, d.Incident, d.Event, d.Told)
	}
	return f.list
}

// ShownOnce: a device sounds once for an incident and once for a call for support, and again only where the
// wave says that the search continues, once for that wave.
func ShownOnce(h History) []Violation {
	f := finding{check: "ShownOnce"}
	type matter struct {
		device   string
		incident alerts.IncidentID
		support  alerts.Hash
		wave     int // of a continued search; 0: the alarm itself
	}
	first := map[matter]Sound{}
	for _, s := range h.Sounds {
		m := matter{device: s.Device, incident: s.Incident, support: s.Support}
		if s.Continues {
			m.wave = s.Wave
		}
		if before, twice := first[m]; twice {
			f.add("%s sounded twice for %s: wave %d at %s, wave %d at %s, %v later", s.Device, s.Incident, before.Wave, before.Station, s.Wave, s.Station, s.At.Sub(before.At))
			continue
		}
		first[m] = s
	}
	return f.list
}

// Due is an alarm that a device has to have sounded for: it was eligible, and connected long enough.
type Due struct {
	Device   string
	Incident alerts.IncidentID
}

// ReachAll: every device that was due an alarm sounded for it.
func ReachAll(h History, due []Due) []Violation {
	f := finding{check: "ReachAll"}
	heard := map[Due]bool{}
	for _, s := range h.Sounds {
		heard[Due{s.Device, s.Incident}] = true
	}
	for _, d := range due {
		if !heard[d] {
			f.add("%s never sounded for %s", d.Device, d.Incident)
		}
	}
	return f.list
}

// OneClaim: of decisions that exclude each other, made upon the same one before, at most one counts, and
// everybody was told the truth about their own.
func OneClaim(h History, at []Standing) []Violation {
	f := finding{check: "OneClaim"}
	type choice struct {
		incident alerts.IncidentID
		field    alerts.Field
		saw      alerts.Hash
	}
	for _, s := range at {
		won := map[choice]Deed{}
		for _, d := range h.Deeds {
			field := alerts.FieldOf(d.Kind)
			l, ok := s.Incidents[d.Incident].line(d.Event)
			if field == "" || !ok || l.Index == 0 {
				continue
			}
			counts := l.Verdict == alerts.Accepted
			if counts && d.Refused != "" {
				f.add("%s %s was refused (%s) to its maker, and counts at %s", d.Kind, d.Client, d.Refused, s.Station)
			}
			// The same deed again, over another station, is on the record as such: its first telling counts.
			if d.Won && !counts && l.Verdict != alerts.Same {
				f.add("%s %s was said to count, and is %s at %s", d.Kind, d.Client, l.Verdict, s.Station)
			}
			if !counts {
				continue
			}
			c := choice{d.Incident, field, d.Saw}
			if other, taken := won[c]; taken && other.Event != d.Event {
				f.add("%s and %s both decide the %s of %s at %s", other.Client, d.Client, field, d.Incident, s.Station)
			}
			won[c] = d
		}
	}
	return f.list
}

// SameFold: when all is quiet, every station stands at the same entry of one chain, shows the same, and
// nothing is pending.
func SameFold(at []Standing) []Violation {
	f := finding{check: "SameFold"}
	if len(at) == 0 {
		return nil
	}
	a := at[0]
	for _, b := range at {
		if b.Pending > 0 {
			f.add("%s has %d events pending", b.Station, b.Pending)
		}
		if a.Epoch != b.Epoch || a.Index != b.Index || a.Chain != b.Chain || a.Fold != b.Fold {
			f.add("%s stands at %d.%d chain %.8s fold %.8s, %s at %d.%d chain %.8s fold %.8s",
				a.Station, a.Epoch, a.Index, a.Chain, a.Fold, b.Station, b.Epoch, b.Index, b.Chain, b.Fold)
		}
	}
	for _, b := range at {
		for id, i := range b.Incidents {
			if i.Provisional {
				f.add("%s is still provisional at %s", id, b.Station)
			}
		}
	}
	slices.SortFunc(f.list, func(x, y Violation) int { return cmp.Compare(x.What, y.What) })
	return f.list
}

// Monotonic: what a device was shown of an incident's record never goes back, at whichever station it is.
func Monotonic(h History) []Violation {
	f := finding{check: "Monotonic"}
	type matter struct {
		device   string
		incident alerts.IncidentID
	}
	last := map[matter]Read{}
	for _, r := range h.Reads {
		m := matter{r.Device, r.Incident}
		before := last[m]
		if r.Index < before.Index || before.Closed && !r.Closed {
			f.add("%s saw %s at entry %d (closed %v) from %s, then at %d (closed %v) from %s", r.Device, r.Incident, before.Index, before.Closed, before.Station, r.Index, r.Closed, r.Station)
		}
		if r.Index >= before.Index {
			last[m] = r
		}
	}
	return f.list
}
