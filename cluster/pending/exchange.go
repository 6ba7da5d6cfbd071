package pending

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"hivemesh/alerts"
)

const (
	// batch is the most events in one message: with the longest it fits a frame, and on a slow link an
	// exchange stays within its time. Rounds follow each other until the sets are equal.
	batch = 128
	// maxNames is the most bytes of names said of one cell, and maxGroups the most incidents: 60,000 events.
	// Only a cell whose record has stood still for weeks has more; the rest follows when it has gone on.
	maxNames  = 60_000 * 32
	maxGroups = 20_000
	// diskTime is how long an exchange waits for the fsync of what it brought before it says less.
	diskTime = 2 * time.Second
)

// message is one turn of an exchange. Both sides answer whatever is in it; an empty one ends the exchange.
// The usual course: heads, heads; names, offer+want; events+want, events+kept; kept.
type message struct {
	Heads  []headForm `cbor:"1,keyasint,omitempty"`
	Names  []namesOf  `cbor:"2,keyasint,omitempty"`  // all I have of the cells that differ
	Offer  []namesOf  `cbor:"3,keyasint,omitempty"`  // of these you have said nothing
	Want   []byte     `cbor:"4,keyasint,omitempty"`  // names: send me these
	Events [][]byte   `cbor:"5,keyasint,omitempty"`  // envelopes
	Kept   []byte     `cbor:"6,keyasint,omitempty"`  // names: these are on my disk
	Asks   []string   `cbor:"7,keyasint,omitempty"`  // whose certificates are missing
	Certs  []certForm `cbor:"8,keyasint,omitempty"`  // the answers
	Unsure []string   `cbor:"9,keyasint,omitempty"`  // of these cells, name what you do not know to be recorded
	Done   []doneForm `cbor:"10,keyasint,omitempty"` // of what you named, this stands in the record
}

type headForm struct {
	Cell  string `cbor:"1,keyasint"`
	Epoch uint64 `cbor:"2,keyasint"`
	Index uint64 `cbor:"3,keyasint"`
	Sum   []byte `cbor:"4,keyasint"`
	Count int    `cbor:"5,keyasint"`
	Chain []byte `cbor:"6,keyasint"`
	Mark  []byte `cbor:"7,keyasint,omitempty"` // of the epoch; none for the first

	Far    bool   `cbor:"8,keyasint,omitempty"`  // the cell is not followed: all above but its name means nothing
	Lane   []byte `cbor:"9,keyasint,omitempty"`  // the sum of its open alarms' lane
	Unsure int    `cbor:"10,keyasint,omitempty"` // how many events are not known to be recorded
}

// namesOf is events of one cell by name, and by incident: the record is asked by both.
type namesOf struct {
	Cell string  `cbor:"1,keyasint"`
	Of   []group `cbor:"2,keyasint"`           // by incident, ascending
	Cut  bool    `cbor:"3,keyasint,omitempty"` // of incidents beyond the last nothing is said
	What uint64  `cbor:"4,keyasint,omitempty"` // pending events, a lane, or what is unsure
}

type group struct {
	Incident string `cbor:"1,keyasint"`
	IDs      []byte `cbor:"2,keyasint"`
}

type certForm struct {
	Of  string `cbor:"1,keyasint"`
	Der []byte `cbor:"2,keyasint,omitempty"` // empty: not here either
}

func (m message) empty() bool {
	return len(m.Heads)+len(m.Names)+len(m.Offer)+len(m.Want)+len(m.Events)+len(m.Kept)+len(m.Asks)+len(m.Certs)+len(m.Unsure)+len(m.Done) == 0
}

// side is one end of one exchange.
type side struct {
	s     *Sync
	peer  alerts.StationID
	opens bool // spoke first
	held  held
	more  bool                   // a batch was full: there is more to swap
	lanes map[alerts.CellID]Lane // as they were when the exchange began
}

func (s *Sync) side(peer alerts.StationID, opens bool) *side {
	d := &side{s: s, peer: peer, opens: opens, held: held{t: s.take}, lanes: map[alerts.CellID]Lane{}}
	if s.cfg.Lanes != nil {
		for _, l := range s.cfg.Lanes() {
			d.lanes[l.Cell] = l
		}
	}
	return d
}

func (s *Sync) heads(d *side) []headForm {
	out := []headForm{}
	for _, h := range s.cfg.Heads() {
		sum := s.cfg.Set.Sum(h.Cell)
		f := headForm{Cell: string(h.Cell), Epoch: h.Epoch, Index: h.Index, Sum: sum[:], Count: s.cfg.Set.Count(h.Cell), Chain: h.Chain[:]}
		if !h.Mark.IsZero() {
			f.Mark = h.Mark[:]
		}
		out = append(out, f)
	}
	return d.withLanes(out)
}

// step answers one message.
func (d *side) step(in message) (out message) {
	if in.Heads != nil {
		mine := d.s.heads(d)
		d.behind(mine, in.Heads)
		if d.opens {
			out.Names = d.differing(mine, in.Heads)
			d.compareLanes(mine, in.Heads, &out)
		} else {
			out.Heads = mine
		}
	}
	set := d.s.cfg.Set
	for _, n := range in.Names {
		switch n.What {
		case ofPending:
			d.missing(n, &out)
		case ofLane:
			d.missingInLane(n, &out)
		case ofUnsure:
			d.settle(n, &out)
		}
	}
	for _, n := range in.Offer {
		d.want(n, &out)
		if n.What == ofLane {
			d.tellEnds(n, &out)
		}
	}
	for _, cell := range in.Unsure[:min(len(in.Unsure), maxCells)] {
		out.Names = append(out.Names, d.unsure(alerts.CellID(cell)))
	}
	d.done(in.Done)
	for _, id := range splitIDs(in.Want) {
		if len(out.Events) == batch {
			break
		}
		if e, ok := set.event(id); ok {
			out.Events = append(out.Events, e.Raw)
		} else if raw, ok := d.inLanes(id); ok {
			out.Events = append(out.Events, raw)
		}
	}
	d.more = d.more || len(out.Events) == batch // there may be more to give
	raws := in.Events
	for _, c := range in.Certs {
		raws = append(raws, d.held.answer(alerts.StationID(c.Of), c.Der)...)
	}
	d.takeIn(raws, &out)
	if f := d.s.cfg.OnKept; f != nil {
		for _, id := range splitIDs(in.Kept) {
			f(id, d.peer)
		}
	}
	for _, s := range in.Asks[:min(len(in.Asks), maxHeld)] {
		der, _ := d.s.cfg.Ring.Cert(alerts.StationID(s))
		out.Certs = append(out.Certs, certForm{s, der})
	}
	return out
}

// behind tells of cells whose record goes further at the peer, and counts those that are not ours.
func (d *side) behind(mine, theirs []headForm) {
	pairs(mine, theirs, func(m, t headForm) {
		switch {
		case m.Far || t.Far:
		case t.Epoch != m.Epoch || !bytes.Equal(t.Mark, m.Mark):
			if d.s.cfg.Older != nil && cmp.Or(cmp.Compare(t.Epoch, m.Epoch), bytes.Compare(t.Mark, m.Mark)) > 0 {
				d.s.cfg.Older(alerts.CellID(t.Cell), d.peer)
			}
		case t.Index > m.Index:
			if d.s.cfg.Behind != nil {
				d.s.cfg.Behind(alerts.CellID(t.Cell), d.peer, t.Index)
			}
		case t.Index == m.Index && !bytes.Equal(t.Chain, m.Chain):
			d.s.take.bad(badChain)
		}
	})
}

func (d *side) differing(mine, theirs []headForm) (out []namesOf) {
	pairs(mine, theirs, func(m, t headForm) {
		if m.Far || t.Far {
			return
		}
		if m.Count == t.Count && bytes.Equal(m.Sum, t.Sum) {
			if f := d.s.cfg.OnEven; f != nil {
				f(alerts.CellID(m.Cell), d.peer)
			}
			return
		}
		out = append(out, d.names(alerts.CellID(m.Cell)))
	})
	return out
}

func pairs(mine, theirs []headForm, f func(m, t headForm)) {
	for _, m := range mine {
		for _, t := range theirs {
			if m.Cell == t.Cell {
				f(m, t)
			}
		}
	}
}

// names are those of a cell's events.
func (d *side) names(c alerts.CellID) namesOf {
	by := map[string][]byte{}
	for _, e := range d.s.cfg.Set.List(c) {
		by[string(e.Incident)] = append(by[string(e.Incident)], e.ID[:]...)
	}
	n, size := namesOf{Cell: string(c)}, 0
	for _, in := range slices.Sorted(maps.Keys(by)) {
		if size += len(by[in]); len(n.Of) > 0 && (size > maxNames || len(n.Of) == maxGroups) {
			n.Cut = true
			break
		}
		n.Of = append(n.Of, group{in, by[in]})
	}
	return n
}

// missing compares a peer's names with ours: what to want, what to offer, and what of its own is kept here.
func (d *side) missing(n namesOf, out *message) {
	set, known, last := d.s.cfg.Set, map[alerts.Hash]bool{}, ""
	for _, g := range n.Of {
		last = max(last, g.Incident)
		for _, id := range splitIDs(g.IDs) {
			known[id] = true
			if e, ok := set.event(id); ok && e.Station == d.peer && set.Kept(id) {
				out.Kept = append(out.Kept, id[:]...)
			}
		}
	}
	d.want(n, out)
	offer := namesOf{Cell: n.Cell}
	for _, g := range d.names(alerts.CellID(n.Cell)).Of {
		if n.Cut && g.Incident > last {
			break
		}
		var ids []byte
		for _, id := range splitIDs(g.IDs) {
			if !known[id] {
				ids = append(ids, id[:]...)
			}
		}
		if ids != nil {
			offer.Of = append(offer.Of, group{g.Incident, ids})
		}
	}
	if offer.Of != nil {
		out.Offer = append(out.Offer, offer)
	}
}

// want asks for those that are neither pending here nor in the record, up to a batch.
func (d *side) want(n namesOf, out *message) {
	for _, g := range n.Of {
		for _, id := range splitIDs(g.IDs) {
			if d.s.cfg.Set.Has(id) || d.s.take.recorded(alerts.CellID(n.Cell), alerts.IncidentID(g.Incident), id) {
				continue
			}
			if len(out.Want) == batch*len(id) {
				d.more = true
				return
			}
			out.Want = append(out.Want, id[:]...)
		}
	}
}

// takeIn puts what was sent, waits for the disk, and says what is kept and whose certificates are missing.
func (d *side) takeIn(raws [][]byte, out *message) {
	var all []taken
	for _, raw := range raws {
		k, unknown, ok := d.s.take.event(raw, d.peer)
		switch {
		case ok:
			all = append(all, k)
			if k.added && d.s.cfg.OnEvent != nil {
				d.s.cfg.OnEvent(k.e, d.peer)
			}
		case unknown != "" && d.held.hold(unknown, raw):
			out.Asks = append(out.Asks, string(unknown))
		}
	}
	late := time.NewTimer(diskTime)
	defer late.Stop()
	for _, k := range all {
		select {
		case err := <-k.kept:
			if err == nil {
				out.Kept = append(out.Kept, k.e.ID[:]...)
			}
		case <-late.C:
			return
		case <-d.s.ctx.Done():
			return
		}
	}
}
