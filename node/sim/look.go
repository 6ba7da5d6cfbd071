package sim

import (
	"slices"
	"time"

	"hivemesh/alerts"
	"hivemesh/node/web"
)

// look is a history with what several checks want to know of it. It uses none of the rules' own functions on
// who may hear or see: a check that asked them could not find them wrong.
type look struct {
	*History
	cells   []alerts.CellID
	record  map[alerts.CellID][]alerts.Entry // the longest that any station holds
	entries map[alerts.Hash]alerts.Entry
	raised  map[alerts.IncidentID]alerts.Entry
	waves   map[alerts.IncidentID]map[int][]alerts.Waved // recorded, also those refused: a view may have shown them
	people  map[alerts.PersonID]alerts.Person
	sounded map[string]map[alerts.IncidentID][]Push // alarms by device
	asked   map[string]Deed                         // by client id
	made    map[alerts.Hash]Deed                    // by the event that came of it
	own     map[ownKey]bool                         // who has a part in what
}

type ownKey struct {
	who alerts.PersonID
	in  alerts.IncidentID
}

func lookAt(h *History) *look {
	l := &look{
		History: h, record: map[alerts.CellID][]alerts.Entry{}, entries: map[alerts.Hash]alerts.Entry{},
		raised: map[alerts.IncidentID]alerts.Entry{}, waves: map[alerts.IncidentID]map[int][]alerts.Waved{},
		people: map[alerts.PersonID]alerts.Person{}, sounded: map[string]map[alerts.IncidentID][]Push{},
		asked: map[string]Deed{}, made: map[alerts.Hash]Deed{}, own: map[ownKey]bool{},
	}
	for _, f := range h.Final {
		for cell, held := range f.Cells {
			if len(held.Entries) > len(l.record[cell]) {
				l.record[cell] = held.Entries
			}
		}
	}
	for cell, entries := range l.record {
		l.cells = append(l.cells, cell)
		for _, e := range entries {
			l.read(e)
		}
	}
	slices.Sort(l.cells)
	for _, p := range h.Plan.County.People {
		l.people[p.ID] = p
	}
	for _, s := range h.Plan.County.all() {
		id := web.KioskPerson(s.ID)
		l.people[id] = alerts.Person{ID: id, Roles: []alerts.Role{alerts.KioskRole}, Home: s.ID}
	}
	for _, p := range h.Pushes {
		if p.Type == "alarm" {
			if l.sounded[p.Device] == nil {
				l.sounded[p.Device] = map[alerts.IncidentID][]Push{}
			}
			l.sounded[p.Device][p.Incident] = append(l.sounded[p.Device][p.Incident], p)
		}
	}
	for _, d := range h.Deeds {
		l.asked[d.Client] = d
		if d.Status < 300 && !d.Event.IsZero() {
			l.made[d.Event] = d
		}
		if d.Incident != "" && d.Kind != alerts.KindClue && d.Kind != alerts.KindNote {
			l.own[ownKey{d.Person, d.Incident}] = true
		}
	}
	return l
}

// read takes one entry of a record.
func (l *look) read(e alerts.Entry) {
	l.entries[e.Event.ID] = e
	in := e.Event.Incident
	switch b := e.Event.Body.(type) {
	case *alerts.Raised:
		if e.Verdict.Accepted() {
			l.raised[in] = e
		}
		l.wave(in, alerts.Waved{Number: 1, Ring: b.Ring})
	case *alerts.Waved:
		l.wave(in, *b)
	case *alerts.Assigned:
		l.own[ownKey{b.Person, in}] = true
	}
}

func (l *look) wave(in alerts.IncidentID, w alerts.Waved) {
	if l.waves[in] == nil {
		l.waves[in] = map[int][]alerts.Waved{}
	}
	l.waves[in][w.Number] = append(l.waves[in][w.Number], w)
}

// Groups of roles, told again here.
var (
	desk   = []alerts.Role{alerts.Dispatcher, alerts.TownshipCentre, alerts.CountyCentre}
	police = []alerts.Role{alerts.AuxiliaryPolice, alerts.Officer}
	full   = append(append([]alerts.Role{alerts.Auditor, alerts.Admin}, desk...), police...)
	public = []alerts.Role{
		alerts.Informant, alerts.GridWorker, alerts.GridLeader, alerts.Volunteer, alerts.Guard, alerts.EnterpriseMgr,
		alerts.VillageCadre, alerts.Mediator, alerts.KioskRole,
	}
)

func has(p alerts.Person, roles []alerts.Role) bool { return p.Has(roles...) }

// at is where a person counted at a moment: where he said to be last, else at home.
func (l *look) at(p alerts.Person, when time.Time) alerts.Point {
	at := l.Plan.County.station(p.Home).At
	for _, w := range l.Walks {
		if w.Person == p.ID && !w.At.After(when) {
			at = w.To
		}
	}
	return at
}

// follows reports whether a station holds a cell's record.
func (l *look) follows(s alerts.StationID, cell alerts.CellID) bool {
	f, known := l.Final[s]
	_, held := f.Cells[cell]
	return !known || held
}

// called reports whether a wave of an incident is for the person at a place.
func (l *look) called(p alerts.Person, at alerts.Point, in alerts.IncidentID, w alerts.Waved) bool {
	e, ok := l.raised[in]
	return ok && l.calledTo(p, at, e.Event.Body.(*alerts.Raised), w)
}

func (l *look) calledTo(p alerts.Person, at alerts.Point, raised *alerts.Raised, w alerts.Waved) bool {
	cat := l.Rules.Categories[raised.Category]
	if w.Ring <= 0 || !(has(p, desk) || has(p, cat.Wakes) || w.Wide && !cat.Sealed && has(p, public)) {
		return false
	}
	if has(p, desk) || w.Ring >= alerts.CountyRing {
		return true
	}
	return raised.Place.Point != nil && at.Distance(*raised.Place.Point) <= w.Ring+raised.Place.Radius
}

// lostAlert is the alert that a station showed and went down with: it was raised in that moment, acknowledged to
// nobody, and is in no record. What it said is known from who raised it.
func (l *look) lostAlert(p Push) (*alerts.Raised, alerts.Waved, bool) {
	if _, recorded := l.raised[p.Incident]; recorded {
		return nil, alerts.Waved{}, false
	}
	for _, d := range l.Deeds {
		if d.Kind == alerts.KindRaised && d.Died && d.Status == 0 && d.Station == p.Station && !p.At.Before(d.From) && !p.At.After(d.To) {
			rings := l.Rules.Categories[d.Category].Rings
			if len(rings) == 0 {
				continue
			}
			place := d.Place
			raised := &alerts.Raised{Category: d.Category, Place: alerts.Place{Point: &place, Radius: gridRadius}}
			return raised, alerts.Waved{Number: 1, Ring: rings[0]}, true
		}
	}
	return nil, alerts.Waved{}, false
}

// woken reports whether a person may know of a matter by role: called to it, by its category or a wide wave.
func (l *look) woken(p alerts.Person, in alerts.IncidentID) bool {
	e, ok := l.raised[in]
	if !ok {
		return false
	}
	cat := l.Rules.Categories[e.Event.Body.(*alerts.Raised).Category]
	if len(cat.Rings) > 0 && has(p, cat.Wakes) {
		return true
	}
	for _, list := range l.waves[in] {
		for _, w := range list {
			if w.Wide && !cat.Sealed && has(p, public) || w.Number > 1 && has(p, cat.Wakes) {
				return true
			}
		}
	}
	return false
}

// endKinds are the kinds that may end an alarm.
var endKinds = []alerts.Kind{alerts.KindRegistered, alerts.KindResolved, alerts.KindCancelled, alerts.KindStoodDown}

// triedToEnd reports whether anybody asked before a moment to end the alarm.
func (l *look) triedToEnd(in alerts.IncidentID, before time.Time) bool {
	return slices.ContainsFunc(l.Deeds, func(d Deed) bool {
		return d.Incident == in && slices.Contains(endKinds, d.Kind) && d.From.Before(before)
	})
}

// planned reports whether the plan has a fault of a kind.
func (l *look) planned(k Kind) bool {
	return slices.ContainsFunc(l.Plan.Faults, func(f Fault) bool { return f.Kind == k })
}

// when is when an entry was first seen in some station's record, to the second. The times in the record are
// by clocks that may be years off.
func (l *look) when(cell alerts.CellID, index uint64) time.Time {
	first := l.Ended
	for _, s := range l.Samples {
		if s.Cell == cell && s.Index >= index && s.At.Before(first) {
			first = s.At
		}
	}
	return first
}

// ended is the accepted entry that ended the alarm, if one did.
func (l *look) ended(in alerts.IncidentID) (alerts.Entry, bool) {
	for _, cell := range l.cells {
		for _, e := range l.record[cell] {
			if e.Event.Incident != in || !e.Verdict.Accepted() || !slices.Contains(endKinds, e.Event.Kind) {
				continue
			}
			if b, ok := e.Event.Body.(*alerts.Registered); !ok || b.Void {
				return e, true
			}
		}
	}
	return alerts.Entry{}, false
}

// answered reports whether the person asked before a moment to answer the alarm: then the device is quiet.
func (l *look) answered(who alerts.PersonID, in alerts.IncidentID, before time.Time) bool {
	return slices.ContainsFunc(l.Deeds, func(d Deed) bool {
		return d.Person == who && d.Incident == in && d.From.Before(before) &&
			(d.Kind == alerts.KindAccepted || d.Kind == alerts.KindDeclined || d.Kind == alerts.KindOnScene)
	})
}

// connected lists the devices that were connected at a moment and for at least since before.
func (l *look) connected(at time.Time, since time.Duration) []Link {
	var out []Link
	for _, k := range l.Links {
		if !k.From.After(at.Add(-since)) && (k.To.IsZero() || k.To.After(at)) {
			out = append(out, k)
		}
	}
	return out
}

// trouble reports whether any fault, of the kinds or of all, struck within a time.
func (l *look) trouble(from, to time.Time, kinds ...Kind) bool {
	return slices.ContainsFunc(l.Struck, func(s Span) bool {
		return s.over(from, to) && (len(kinds) == 0 || slices.Contains(kinds, s.Kind))
	})
}
