package alerts

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// Judge says whether e counts upon the record s: the leader asks once for every event, and whoever shows
// pending events asks the same. now is the leader's time; no rule of this version depends on it.
func (r *Rules) Judge(s *State, e Event, by Standing, now time.Time) Verdict {
	i, known := s.Incident(e.Incident)
	switch {
	case s.Has(e.Incident, e.ID):
		return Verdict{Code: Duplicate}
	case e.Cell != s.Cell, known && e.Cell != i.Cell:
		return Verdict{Code: WrongCell}
	case s.sealed != nil:
		return Verdict{Code: Parked} // the record has ended: it is the successor's to take
	case e.Kind == KindSealed:
		return r.judgeSealed(s, e, by)
	case OfCounty(e.Kind):
		return r.judgeDirectory(s, e, by)
	}
	return r.judge(i, e, by, s, false)
}

// judge is Judge on one incident, nil where it is not known yet. partial: this station holds of the cell only
// what is in the alarm lane.
func (r *Rules) judge(i *Incident, e Event, by Standing, s *State, partial bool) Verdict {
	switch e.Kind {
	case KindRaised:
		return r.judgeRaised(i, e, by)
	case KindCarried:
		return r.judgeCarried(s, i, e, by, partial)
	}
	if i == nil {
		return Verdict{Code: Parked}
	}
	if _, known := rowOf(e.Kind); !known {
		return Verdict{Code: Unknown}
	}
	if first := sameDeed(i.Log, e); first != nil {
		return Verdict{Code: Same, Lost: first}
	}
	if i.Moved != nil && e.Kind != KindHandedOver {
		return Verdict{Code: Forwarded, Lost: i.Moved}
	}
	if r.denied(e.Kind, e.Actor, by, i) != nil {
		return Verdict{Code: Forbidden}
	}
	if w, ok := e.Body.(*Waved); ok {
		if first := i.numbered(w.Number); first != nil {
			return Verdict{Code: Stands, Lost: first}
		}
		if e.Actor == "" && !i.ownWave(w, partial) {
			return Verdict{Code: Forbidden}
		}
	}
	if v := r.judgeCourse(i, e, by, s, partial); !v.Accepted() {
		return v
	}
	if field := FieldOf(e.Kind); field != "" {
		return r.judgeDecision(i, e, field, s)
	}
	return Verdict{Code: Accepted}
}

func (r *Rules) judgeRaised(i *Incident, e Event, by Standing) Verdict {
	if i != nil {
		first := &Ref{Event: i.First, By: i.RaisedBy, At: i.Log[0].At, Kind: KindRaised}
		if b, ok := e.Body.(*Raised); ok && e.Actor == i.RaisedBy && b.Same(i.Raised) {
			return Verdict{Code: Same, Lost: first}
		}
		return Verdict{Code: Conflict, Lost: first}
	}
	if r.denied(KindRaised, e.Actor, by, nil) != nil {
		return Verdict{Code: Forbidden}
	}
	return Verdict{Code: Accepted}
}

// Same reports whether two raises say the same. What a station fills in from its tables (ring, wanted number,
// card) is left out: two stations may hold tables of different versions, and the person said it once.
func (b Raised) Same(o Raised) bool {
	b.Ring, b.Wanted, b.Card = o.Ring, o.Wanted, o.Card
	return reflect.DeepEqual(b, o)
}

// waveGap is how many waves a station's own one may be ahead of those known: some may still be on their way.
const waveGap = 8

// ownWave reports whether a station may make the wave by its own rule. So a stolen village box cannot lift
// the police-only rule, sound a search again at will, announce a matter that has no alarm, or use up the
// numbers of the waves to come.
// Where only the alarm lane is known, what the wave rests on may be missing.
func (i *Incident) ownWave(b *Waved, partial bool) bool {
	return len(i.Waves) > 0 && b.Number <= i.Waves[len(i.Waves)-1].Number+waveGap &&
		(!b.Wide || i.wide() || partial) && (!b.Continues || len(i.Refused) > 0)
}

// sameDeed finds the accepted event that the same person's device made under the same id.
func sameDeed(log []Line, e Event) *Ref {
	if e.Client == "" {
		return nil
	}
	for _, l := range log {
		if l.Event.Client == e.Client && l.Event.Actor == e.Actor && l.Event.Kind == e.Kind && l.Verdict.Accepted() {
			ref := refOf(l)
			return &ref
		}
	}
	return nil
}

func (i *Incident) numbered(wave int) *Ref {
	for _, w := range i.Waves {
		if w.Number == wave {
			kind := KindWave
			if w.Event == i.First {
				kind = KindRaised
			}
			return &Ref{Event: w.Event, By: w.By, At: w.At, Kind: kind}
		}
	}
	return nil
}

// judgeDecision: a decision counts only upon the last accepted one on its field.
func (r *Rules) judgeDecision(i *Incident, e Event, field Field, s *State) Verdict {
	saw := i.Line(e.Saw)
	if last, ok := i.Latest[field]; meant(e.Saw, saw) != last.Event {
		if saw != nil && !saw.Verdict.Accepted() {
			return Verdict{Code: Followed, Lost: &Ref{Event: saw.Event.ID, By: saw.Event.Actor, At: saw.At, Kind: saw.Event.Kind}}
		}
		if ok {
			return Verdict{Code: Stale, Lost: &last}
		}
		return Verdict{Code: Stale}
	}
	row, _ := rowOf(e.Kind)
	switch {
	case row.always:
	case row.after && !i.Status.Closed():
		return Verdict{Code: NotOpen}
	case !row.after && i.Status.Closed(), e.Kind == KindStoodDown && i.Ended != nil:
		return Verdict{Code: Ended, Lost: i.ending()}
	}
	if from := r.Moves[e.Kind].From; len(from) > 0 && !slices.Contains(from, i.Status) {
		return Verdict{Code: NotOpen}
	}
	if t, ok := e.Body.(*Transferred); ok && t.To == i.Cell {
		return Verdict{Code: NotOpen}
	}
	if a, ok := e.Body.(*Assigned); ok {
		if lost := s.boundElsewhere(a.Person, i.ID); lost != nil {
			return Verdict{Code: Busy, Lost: lost}
		}
	}
	return Verdict{Code: Accepted}
}

// meant is the decision that a maker who saw id had before him: where that was the same deed once more, over
// another station, the first of them.
func meant(id Hash, saw *Line) Hash {
	if saw != nil && saw.Verdict.Code == Same && saw.Verdict.Lost != nil {
		return saw.Verdict.Lost.Event
	}
	return id
}

// ending is what closed the matter, or, while it goes on, what ended its alarm.
func (i *Incident) ending() *Ref {
	field := FieldOutcome
	switch i.Status {
	case StatusVoid:
		field = FieldRegistration
	case StatusMerged:
		field = FieldDuplicate
	}
	if ref, ok := i.Latest[field]; ok && i.Status.Closed() {
		return &ref
	}
	return i.Ended
}

// Why tells the maker of a refused event, in words, which rule it met.
func (r *Rules) Why(e Event, v Verdict) string {
	switch v.Code {
	case Stale:
		return "another decision on the " + string(FieldOf(e.Kind)) + " came first; look at it and decide again"
	case Followed:
		return "the decision that this one builds on was itself refused"
	case Stands:
		return "this wave was already decided"
	case Busy:
		return "the person is assigned to another open incident; release them there first"
	case Ended:
		return "the matter or its alarm has already ended"
	case NotOpen:
		return string(e.Kind) + " is not possible from the present status"
	case Forbidden:
		return r.who(e.Kind)
	case WrongCell:
		return "the event was made for another cell than the incident's"
	case Forwarded:
		return "the matter is another cell's by now, which judges it"
	case Conflict:
		return "this id was used for another alert; send the alert again with a new id"
	case Same:
		return "the same deed was recorded before"
	case Lacking:
		return "the category asks for more before this; missing: " + strings.Join(v.Missing, ", ")
	case Involved:
		return "who handled a matter does not check it or call after it, and nobody checks one twice; somebody else must"
	case Unknown:
		return "the leader does not know events of kind " + string(e.Kind)
	}
	return ""
}
