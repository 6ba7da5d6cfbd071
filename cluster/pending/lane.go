package pending

import (
	"bytes"
	"maps"
	"slices"

	"hivemesh/alerts"
)

// What namesOf is about.
const (
	ofPending = iota // all that is pending of a cell that both sides follow
	ofLane           // the alarm lane of a cell's open alarms
	ofUnsure         // what one who does not follow the cell does not know to be recorded
)

// maxCells is more than a county has.
const maxCells = 256

// Lane is what a station holds of a cell's open alarms, whether or not it follows the cell's record.
type Lane struct {
	Cell    alerts.CellID
	Follows bool
	Open    []Brief // the alarm lane of alarms that are open as far as is known here
	Unsure  []Brief // where the cell is not followed: all that is not known to stand in its record
}

// Brief is an event of a lane.
type Brief struct {
	ID       alerts.Hash
	Incident alerts.IncidentID
	Raw      []byte
}

// Done says that an event stands in its cell's record.
type Done struct {
	ID    alerts.Hash
	Index uint64
	Code  alerts.Code // of the verdict
}

// LaneHolder answers for what Lanes does not list. Its methods must not block.
type LaneHolder interface {
	// Ended is the alarm lane of an incident whose alarm is known to be over here, or nil.
	Ended(cell alerts.CellID, in alerts.IncidentID) []Brief
	// Recorded says how an event stands in the record of a cell that is followed here.
	Recorded(cell alerts.CellID, in alerts.IncidentID, id alerts.Hash) (Done, bool)
	// Settled hears of an event that stands in the record of a cell that is not followed here.
	Settled(d Done)
}

type doneForm struct {
	ID    []byte `cbor:"1,keyasint"`
	Index uint64 `cbor:"2,keyasint"`
	Code  string `cbor:"3,keyasint"`
}

func (l Lane) sum() []byte {
	var sum alerts.Hash
	for _, b := range l.Open {
		for i := range sum {
			sum[i] ^= b.ID[i]
		}
	}
	return sum[:]
}

// withLanes adds to the heads what is held of open alarms, of cells not followed too.
func (d *side) withLanes(heads []headForm) []headForm {
	for k := range heads {
		if l, ok := d.lanes[alerts.CellID(heads[k].Cell)]; ok && l.Follows {
			heads[k].Lane = l.sum()
		}
	}
	for _, id := range slices.Sorted(maps.Keys(d.lanes)) {
		if l := d.lanes[id]; !l.Follows {
			heads = append(heads, headForm{Cell: string(id), Far: true, Lane: l.sum(), Unsure: len(l.Unsure)})
		}
	}
	return heads
}

// compareLanes begins the talk about cells that one side or both do not follow.
func (d *side) compareLanes(mine, theirs []headForm, out *message) {
	cells := map[string][2]headForm{}
	for _, t := range theirs {
		cells[t.Cell] = [2]headForm{{Cell: t.Cell, Far: true}, t}
	}
	for _, m := range mine {
		pair, ok := cells[m.Cell]
		if !ok {
			pair[1] = headForm{Cell: m.Cell, Far: true}
		}
		pair[0] = m
		cells[m.Cell] = pair
	}
	none := make([]byte, len(alerts.Hash{}))
	sum := func(h headForm) []byte {
		if h.Lane == nil {
			return none
		}
		return h.Lane
	}
	for _, id := range slices.Sorted(maps.Keys(cells)) {
		m, t := cells[id][0], cells[id][1]
		if !m.Far && !t.Far {
			continue
		}
		if !bytes.Equal(sum(m), sum(t)) {
			out.Names = append(out.Names, lane(alerts.CellID(id), d.lanes[alerts.CellID(id)].Open))
		}
		switch {
		case m.Far && !t.Far && m.Unsure > 0:
			out.Names = append(out.Names, d.unsure(alerts.CellID(id)))
		case t.Far && !m.Far && t.Unsure > 0:
			out.Unsure = append(out.Unsure, id)
		}
	}
}

func (d *side) unsure(c alerts.CellID) namesOf { return names(c, ofUnsure, d.lanes[c].Unsure) }

func lane(c alerts.CellID, list []Brief) namesOf { return names(c, ofLane, list) }

func names(c alerts.CellID, what uint64, list []Brief) namesOf {
	n := namesOf{Cell: string(c), What: what}
	by := map[string][]byte{}
	for _, b := range list {
		by[string(b.Incident)] = append(by[string(b.Incident)], b.ID[:]...)
	}
	for _, in := range slices.Sorted(maps.Keys(by)) {
		if len(n.Of) == maxGroups {
			break
		}
		n.Of = append(n.Of, group{in, by[in]})
	}
	return n
}

// missingInLane compares a peer's lane with ours: what to want, what to offer, and which alarms have ended.
func (d *side) missingInLane(n namesOf, out *message) {
	cell, named := alerts.CellID(n.Cell), map[alerts.Hash]bool{}
	for _, g := range n.Of {
		for _, id := range splitIDs(g.IDs) {
			named[id] = true
		}
	}
	d.want(n, out)
	d.tellEnds(n, out)
	var offer []Brief
	for _, b := range d.lanes[cell].Open {
		if !named[b.ID] {
			offer = append(offer, b)
		}
	}
	if len(offer) > 0 {
		out.Offer = append(out.Offer, lane(cell, offer))
	}
}

// tellEnds sends what ended the alarms that the peer believes to be open.
func (d *side) tellEnds(n namesOf, out *message) {
	if d.s.cfg.Holder == nil {
		return
	}
	for _, g := range n.Of {
		has := map[alerts.Hash]bool{}
		for _, id := range splitIDs(g.IDs) {
			has[id] = true
		}
		for _, b := range d.s.cfg.Holder.Ended(alerts.CellID(n.Cell), alerts.IncidentID(g.Incident)) {
			if has[b.ID] {
				continue
			}
			if len(out.Events) == batch {
				d.more = true
				return
			}
			out.Events = append(out.Events, b.Raw)
		}
	}
}

// settle says which of the events that a peer is unsure of stand in the record, and wants those unknown.
func (d *side) settle(n namesOf, out *message) {
	if d.s.cfg.Holder == nil {
		return
	}
	for _, g := range n.Of {
		for _, id := range splitIDs(g.IDs) {
			if r, ok := d.s.cfg.Holder.Recorded(alerts.CellID(n.Cell), alerts.IncidentID(g.Incident), id); ok {
				out.Done = append(out.Done, doneForm{bytes.Clone(id[:]), r.Index, string(r.Code)})
			}
		}
	}
	d.want(n, out)
}

func (d *side) done(list []doneForm) {
	if d.s.cfg.Holder == nil {
		return
	}
	for _, f := range list {
		if id, ok := asID(f.ID); ok {
			d.s.cfg.Holder.Settled(Done{id, f.Index, alerts.Code(f.Code)})
		}
	}
}

func asID(b []byte) (id alerts.Hash, ok bool) {
	if len(b) != len(id) {
		return id, false
	}
	return alerts.Hash(b), true
}

// inLanes finds an event that is recorded here and in the lane.
func (d *side) inLanes(id alerts.Hash) ([]byte, bool) {
	for _, l := range d.lanes {
		if k := slices.IndexFunc(l.Open, func(b Brief) bool { return b.ID == id }); k >= 0 {
			return l.Open[k].Raw, true
		}
	}
	return nil, false
}
