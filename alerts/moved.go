package alerts

import "time"

// Transferred gives a matter to another cell. What the old cell still records of it from then on is forwarded.
type Transferred struct {
	To     CellID `cbor:"1,keyasint" json:"to"`
	Reason string `cbor:"2,keyasint,omitempty" json:"reason,omitempty"`
}

// Carried takes one entry of a cell's record over into the cell that the matter is of now: the event as it was
// signed, and what was made of it. Whoever follows the old cell may make it; the new one takes each (cell,
// index) once, in its order. Index 0 is an event that the old cell, being sealed, never recorded.
type Carried struct {
	From    CellID    `cbor:"1,keyasint" json:"from"`
	Index   uint64    `cbor:"2,keyasint" json:"index"`
	Prior   uint64    `cbor:"3,keyasint" json:"prior"` // the index of the matter's entry before this one; 0: it is the first to come here
	Raw     []byte    `cbor:"4,keyasint" json:"-"`     // the event's envelope
	Verdict Verdict   `cbor:"5,keyasint" json:"verdict"`
	At      time.Time `cbor:"6,keyasint" json:"at"` // the old cell's leader's
	By      Standing  `cbor:"7,keyasint" json:"-"`

	Event Event `cbor:"-" json:"-"` // what Raw holds; the codec fills it
}

// HandedOver notes in the old cell's record how far the new one has the matter: nobody carries that again.
// It is of the epoch it was made in: in a later one the same index may be another entry's.
type HandedOver struct {
	Index uint64 `cbor:"1,keyasint" json:"index"`
	Epoch uint64 `cbor:"2,keyasint,omitempty" json:"epoch,omitempty"` // 0: of whichever it is recorded in
}

// Sealed is the last entry of a cell's record. What comes later is its successor's.
type Sealed struct {
	Into CellID `cbor:"1,keyasint" json:"into"`
	By   Hash   `cbor:"2,keyasint" json:"by"` // the directory's decision
}

// Origin is where a line of an incident's history stood before it was carried over.
type Origin struct {
	Cell  CellID
	Index uint64
	Event Hash   // the event that carried it
	Raw   []byte `json:"-"` // its envelope
}

// judged reports whether the old cell left the judgement to the new one.
func (c *Carried) judged() bool { return c.Index > 0 && c.Verdict.Code != Forwarded }

// judgeCarried takes an entry over as it was judged, or judges now what was forwarded. partial: the station
// holds the alarm lane only, so entries are missing between.
func (r *Rules) judgeCarried(s *State, i *Incident, e Event, by Standing, partial bool) Verdict {
	c, ok := e.Body.(*Carried)
	if !ok || !by.Kind.Trusted() || e.Actor != "" {
		return Verdict{Code: Forbidden}
	}
	// An old cell that lost its majority and began a new epoch may have other entries under indices that were
	// carried before: those are new here, whatever their number.
	if i != nil && (c.Index > 0 && c.Index <= i.Carried[c.From] && i.Line(c.Event.ID) != nil || i.took(c.Event.ID)) {
		return Verdict{Code: Same, Lost: &Ref{Event: c.Event.ID, By: c.Event.Actor, At: c.At, Kind: c.Event.Kind}}
	}
	var had uint64
	if i != nil {
		had = i.Carried[c.From]
	}
	switch {
	case i == nil && c.Event.Kind != KindRaised, c.Index > 0 && c.Prior > had && !partial:
		return Verdict{Code: Parked}
	case c.judged() && c.Event.Kind != KindRaised, c.judged() && i == nil:
		return Verdict{Code: Accepted}
	}
	inner := c.Event
	return r.judge(i, inner, c.By, s, partial)
}

// CarriedHere reports whether i has what stands in another cell's record as l: itself, or, of the raising event,
// the same alert that was raised here too.
func (i *Incident) CarriedHere(from CellID, l Line) bool {
	return l.Index <= i.Carried[from] && (l.Event.Kind == KindRaised || i.Line(l.Event.ID) != nil)
}

// Departing reports whether the cell that i moved to is not known to have all of it.
func (i *Incident) Departing() bool {
	return i.Moved != nil && i.HandedOver < i.LastToCarry()
}

// LastToCarry is the index of the last entry that goes along when i moves.
func (i *Incident) LastToCarry() uint64 {
	for k := len(i.Log) - 1; k >= 0; k-- {
		if l := &i.Log[k]; l.Event.Kind != KindHandedOver && !l.Provisional {
			return l.Index
		}
	}
	return 0
}

// Arrived reports whether i is its cell's own, or came from another one with all up to the move.
func (i *Incident) Arrived() bool {
	for _, l := range i.Log {
		if t, ok := l.Event.Body.(*Transferred); ok && t.To == i.Cell && l.Verdict.Accepted() {
			return true
		}
	}
	return len(i.Carried) == 0
}

// Took reports whether the incident has the event in its own right.
func (i *Incident) Took(id Hash) bool { return i.took(id) }

// took reports whether the incident has the event in its own right: not as one that it only forwarded.
func (i *Incident) took(id Hash) bool {
	l := lineOf(i.Log, id)
	return l != nil && l.Verdict.Code != Forwarded
}

// judgeSealed: a record ends when all that is open in it has gone to another cell.
func (r *Rules) judgeSealed(s *State, e Event, by Standing) Verdict {
	if e.Actor != "" || r.denied(e.Kind, e.Actor, by, nil) != nil {
		return Verdict{Code: Forbidden}
	}
	if len(s.Staying()) > 0 {
		return Verdict{Code: NotOpen}
	}
	return Verdict{Code: Accepted}
}

// Staying are the open incidents that are this cell's own still, in the order of the record.
func (s *State) Staying() []*Incident {
	var out []*Incident
	for _, i := range s.Incidents() {
		if !i.Status.Closed() && i.Moved == nil {
			out = append(out, i)
		}
	}
	return out
}

// line is the old entry as the new cell's history shows it.
func (c *Carried) line(outer Line) Line {
	l := Line{Provisional: outer.Provisional, Origin: &Origin{Cell: c.From, Index: c.Index, Event: outer.Event.ID, Raw: outer.Event.Raw}}
	l.Entry = Entry{Epoch: outer.Epoch, Index: outer.Index, Event: c.Event, Verdict: c.Verdict, At: c.At, By: c.By, Chain: outer.Chain}
	if !c.judged() {
		l.Verdict = outer.Verdict
	}
	return l
}

// Carrier names the event that stands in the record for the line: the line's own, or what carried it there.
func (l *Line) Carrier() Hash {
	if l.Origin != nil {
		return l.Origin.Event
	}
	return l.Event.ID
}

// sealing is how a record ended.
type sealing struct {
	Into CellID
	Ref  Ref
}
