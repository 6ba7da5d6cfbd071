package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"hivemesh/alerts"
	"hivemesh/node/sim/history"
)

type place struct {
	cell         alerts.CellID
	epoch, index uint64
}

// sameFold proves One history: wherever two stations stood at the same index of a cell, at whatever time,
// they had the same chain head and had folded it to the same state.
func sameFold(l *look) (bad []string) {
	t := (*tell)(&bad)
	chains, hashes := map[place]Sample{}, map[place]Sample{}
	for _, s := range l.Samples {
		at := place{s.Cell, s.Epoch, s.Index}
		if first, known := chains[at]; !known {
			chains[at] = s
		} else if first.Chain != s.Chain {
			t.say("%s %d.%d: %s had chain %.8s at %v, %s has %.8s", s.Cell, s.Epoch, s.Index, first.Station, first.Chain, l.since(first.At), s.Station, s.Chain)
		}
		if s.Hash.IsZero() {
			continue
		}
		if first, known := hashes[at]; !known {
			hashes[at] = s
		} else if first.Hash != s.Hash {
			t.say("%s %d.%d: %s had folded to %s at %v, %s to %s", s.Cell, s.Epoch, s.Index, first.Station, first.Hash.Short(), l.since(first.At), s.Station, s.Hash.Short())
		}
	}
	return bad
}

func (l *look) since(at time.Time) time.Duration { return at.Sub(l.Began) }

// syncedPrefix proves that every record is a prefix of one chain: the entries that stations hold in the end,
// every head that was sampled on the way, and what a station had when it was opened again.
func syncedPrefix(l *look) (bad []string) {
	t := (*tell)(&bad)
	for station, f := range l.Final {
		for cell, held := range f.Cells {
			for k, e := range held.Entries {
				if longest := l.record[cell][k]; e.Chain != longest.Chain || e.Event.ID != longest.Event.ID {
					t.say("%s: entry %d of %s is another than elsewhere", station, k+1, cell)
					break
				}
				if e.Index != uint64(k+1) {
					t.say("%s: entry %d of %s stands at place %d", station, e.Index, cell, k+1)
					break
				}
			}
		}
	}
	for _, s := range l.Samples {
		switch record := l.record[s.Cell]; {
		case s.Index > uint64(len(record)):
			t.say("%s stood at %d of %s after %v, and the record has only %d", s.Station, s.Index, s.Cell, l.since(s.At), len(record))
		case s.Index > 0 && record[s.Index-1].Chain.String() != s.Chain:
			t.say("%s stood at %d of %s after %v on another chain (fresh: %v)", s.Station, s.Index, s.Cell, l.since(s.At), s.Fresh)
		}
	}
	return bad
}

// oneClaim proves that of decisions which exclude each other one was accepted: along each field of an
// incident every accepted decision names the one before it, and nobody is bound by two open matters.
func oneClaim(l *look) (bad []string) {
	t := (*tell)(&bad)
	for _, cell := range l.cells {
		latest := map[string]alerts.Hash{}
		for _, e := range l.record[cell] {
			field := alerts.FieldOf(e.Event.Kind)
			if field == "" || !e.Verdict.Accepted() {
				continue
			}
			key := string(e.Event.Incident) + " " + string(field)
			if saw := l.meant(e.Event.Saw); saw != latest[key] {
				t.say("entry %d of %s: %s on the %s of %s was decided upon %s, and %s stood", e.Index, cell, e.Event.Name(), field, e.Event.Incident, saw.Short(), latest[key].Short())
			}
			latest[key] = e.Event.ID
		}
		l.sentTwice(t, cell)
	}
	return bad
}

// meant is the first of two recorded deeds that are the same one, over two stations.
func (l *look) meant(saw alerts.Hash) alerts.Hash {
	if e, ok := l.entries[saw]; ok && e.Verdict.Code == alerts.Same && e.Verdict.Lost != nil {
		return e.Verdict.Lost.Event
	}
	return saw
}

// sentTwice follows who is sent where along the record.
func (l *look) sentTwice(t *tell, cell alerts.CellID) {
	bound := map[alerts.PersonID]alerts.IncidentID{}
	free := func(who alerts.PersonID, in alerts.IncidentID) {
		if bound[who] == in {
			delete(bound, who)
		}
	}
	for _, e := range l.record[cell] {
		if !e.Verdict.Accepted() {
			continue
		}
		in := e.Event.Incident
		switch b := e.Event.Body.(type) {
		case *alerts.Assigned:
			if other, busy := bound[b.Person]; busy && other != in {
				t.say("entry %d of %s sends %s to %s while bound by %s", e.Index, cell, b.Person, in, other)
			}
			bound[b.Person] = in
		case *alerts.Responded:
			switch b.Step {
			case alerts.KindDeclined, alerts.KindReleased:
				free(e.Event.Actor, in)
			}
		case *alerts.Resolved, *alerts.Cancelled:
			for who := range maps.Clone(bound) {
				free(who, in)
			}
		case *alerts.Registered:
			for who := range maps.Clone(bound) {
				if b.Void {
					free(who, in)
				}
			}
		}
	}
}

// checkTime bounds one porcupine run; no history of ours comes near it.
const checkTime = 20 * time.Second

// never is when an operation ended of which nobody was told.
const never = int64(1) << 62

// linearizable proves that the record is no stale replica: every decision can be placed between its maker's
// asking and the moment in which any client was told what became of it, so that all verdicts are right.
func linearizable(l *look) (bad []string) {
	t := (*tell)(&bad)
	fields := map[string][]porcupine.Operation{}
	for _, cell := range l.cells {
		for _, e := range l.record[cell] {
			field := alerts.FieldOf(e.Event.Kind)
			if field == "" {
				continue
			}
			in := history.Decision{Event: e.Event.ID, Saw: l.meant(e.Event.Saw), Accepted: e.Verdict.Accepted(), Stale: e.Verdict.Code == alerts.Stale}
			if e.Verdict.Lost != nil {
				in.Lost = e.Verdict.Lost.Event
			}
			op := porcupine.Operation{Input: in, Return: never}
			if d, known := l.asked[e.Event.Client]; known { // else NoPhantom says so
				op.Call = int64(d.Begin)
				if d.Settled > 0 {
					op.Return = int64(d.Settled)
				}
			}
			key := string(e.Event.Incident) + " " + string(field)
			fields[key] = append(fields[key], op)
		}
	}
	for key, ops := range fields {
		if got := porcupine.CheckOperationsTimeout(history.Decisions, ops, checkTime); got != porcupine.Ok {
			t.say("the decisions on %s cannot have happened one after the other (%s): %+v", key, got, ops)
		}
	}
	return bad
}

// order of the statuses; closed ones are equal.
var order = map[alerts.Status]int{
	alerts.StatusReported: 1, alerts.StatusRegistered: 2, alerts.StatusGraded: 3, alerts.StatusDispatched: 4,
	alerts.StatusReturned: 3, alerts.StatusReopened: 3, alerts.StatusHandling: 5,
	alerts.StatusResolved: 6, alerts.StatusVoid: 6, alerts.StatusCancelled: 6,
}

// legalMove proves that the record holds no accepted move that the county's table forbids: by role and kind of
// station, from the status that the moves before led to; and that no station shows another status in the end.
func legalMove(l *look) (bad []string) {
	t := (*tell)(&bad)
	status := map[alerts.IncidentID]alerts.Status{}
	for _, cell := range l.cells {
		for _, e := range l.record[cell] {
			if e.Verdict.Accepted() && !alerts.OfCounty(e.Event.Kind) {
				l.legal(t, e, status)
			}
		}
	}
	for station, f := range l.Final {
		for _, i := range f.Shown {
			if want, known := status[i.ID]; known && i.Status != want && !i.Provisional() {
				t.say("%s shows %s as %s, the record leads to %s", station, i.ID, i.Status, want)
			}
		}
	}
	return bad
}

func (l *look) legal(t *tell, e alerts.Entry, status map[alerts.IncidentID]alerts.Status) {
	in, move := e.Event.Incident, l.Rules.Moves[e.Event.Kind]
	now := status[in]
	if e.Event.Kind != alerts.KindRaised && now == "" {
		t.say("entry %d: %s on a matter that nobody raised", e.Index, e.Event.Name())
	}
	if e.Event.Actor != "" {
		who := l.people[e.Event.Actor]
		own := move.Own && l.raised[in].Event.Actor == e.Event.Actor
		kind := l.Plan.County.station(e.Event.Station).Kind
		if !own && !has(who, move.By) || len(move.At) > 0 && !slices.Contains(move.At, kind) {
			t.say("entry %d: %s by %s (%v) at a %s", e.Index, e.Event.Name(), who.ID, who.Roles, kind)
		}
	}
	if alerts.FieldOf(e.Event.Kind) != "" && (order[now] == 6 || len(move.From) > 0 && !slices.Contains(move.From, now)) {
		t.say("entry %d: %s from %s", e.Index, e.Event.Name(), now)
	}
	forward := func(to alerts.Status) {
		if order[to] > order[now] {
			status[in] = to
		}
	}
	switch b := e.Event.Body.(type) {
	case *alerts.Raised:
		forward(alerts.StatusReported)
	case *alerts.Registered:
		forward(alerts.StatusRegistered)
		if b.Void {
			status[in] = alerts.StatusVoid
		}
	case *alerts.Graded:
		forward(alerts.StatusGraded)
	case *alerts.Assigned:
		forward(alerts.StatusDispatched)
	case *alerts.Responded:
		if b.Step != alerts.KindDeclined && b.Step != alerts.KindReleased {
			forward(alerts.StatusHandling)
		}
	case *alerts.Resolved:
		status[in] = alerts.StatusResolved
	case *alerts.Cancelled:
		status[in] = alerts.StatusCancelled
	}
}

// monotonicReads proves that a device never sees the record go back, over reconnects and changes of station:
// recorded lines of a matter that it was shown are in every later frame of that matter. A station that does not
// follow the matter's cell has only its alarms, without a record, and is left out.
func monotonicReads(l *look) (bad []string) {
	t := (*tell)(&bad)
	type key struct {
		device string
		in     alerts.IncidentID
	}
	seen := map[key]Push{}
	for _, p := range l.Pushes {
		if p.Type != "incident" || !l.follows(p.Station, p.Cell) {
			continue
		}
		k := key{p.Device, p.Incident}
		if was := seen[k]; len(p.Lines) < len(was.Lines) {
			t.say("%s was shown %d recorded lines of %s by %s, and then %d by %s", p.Device, len(was.Lines), p.Incident, was.Station, len(p.Lines), p.Station)
		} else if !p.Pending && !was.Pending && order[p.Status] < order[was.Status] {
			t.say("%s was shown %s as %s by %s, and then as %s by %s", p.Device, p.Incident, was.Status, was.Station, p.Status, p.Station)
		}
		seen[k] = p
	}
	return bad
}
