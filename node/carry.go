package node

import (
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
)

// carrier takes matters to the cell that they are of: those that moved, those of a township that is another
// cell's by now, and all that is open in a cell that is merged into another, which is sealed after that. Only
// police posts and centres do it; of them the leader of the old cell first.
type carrier struct {
	n     *Node
	turns *turns
}

func newCarrier(n *Node) *carrier { return &carrier{n: n, turns: newTurns(n)} }

// step does what is due. It is called by the duty loop.
func (c *carrier) step() {
	mayCarry := c.n.identity.Kind.Trusted()
	defer c.turns.end()
	for _, cell := range c.n.county.Cells() {
		var departing, staying []*alerts.Incident
		var sealed bool
		c.n.read(cell, func(s *alerts.State) {
			_, sealed = s.SealedInto()
			departing, staying = s.Departing(), s.Staying()
		})
		if sealed {
			c.n.county.DropLate(cell)
		}
		if !mayCarry {
			continue
		}
		for _, i := range departing {
			if c.turns.ours(cell, i.Moved.Event) && !sealed {
				c.carry(cell, i)
			}
		}
		for _, i := range staying {
			if to := c.belongs(cell, i); to != cell && !sealed && c.turns.ours(cell, i.First) && c.settled(i) {
				c.transfer(i, to)
			}
		}
		if sealed {
			c.carryLate(cell)
		} else if len(departing) == 0 && len(staying) == 0 {
			c.seal(cell)
		}
	}
}

// belongs is the cell that an open matter is to be of: the successor of a cell that ends, or its township's
// cell, unless a person gave it to this one.
func (c *carrier) belongs(cell alerts.CellID, i *alerts.Incident) alerts.CellID {
	d := c.n.county.Directory()
	if to := d.Present(cell); to != cell {
		return to
	}
	if ref, given := i.Latest[alerts.FieldHome]; given && ref.By != "" || !i.Arrived() {
		return cell
	}
	if to, ok := d.Home(c.n.data.township(i.Raised.Place)); ok {
		return to
	}
	return cell
}

// sentOn is how long a matter that came from another cell stays before it is sent on by itself: whoever sent it here
// may have the newer directory.
const sentOn = 30 * time.Second

// settled reports whether nothing speaks against sending the matter on, which is due.
func (c *carrier) settled(i *alerts.Incident) bool {
	return len(i.Carried) == 0 || time.Since(c.turns.due[i.First]) >= sentOn
}

func (c *carrier) transfer(i *alerts.Incident, to alerts.CellID) {
	for _, e := range c.n.pending(i.Cell, i.ID) {
		if e.Kind == alerts.KindTransferred {
			return // on its way to the record
		}
	}
	c.make(alerts.Event{
		Cell: i.Cell, Incident: i.ID, Prev: newest(i.Heads), Saw: i.Latest[alerts.FieldHome].Event, Kind: alerts.KindTransferred,
		Body: &alerts.Transferred{To: to},
	})
}

// carry makes for each entry that the new cell lacks the event that takes it there, and, when it has all,
// notes that in the old cell.
func (c *carrier) carry(cell alerts.CellID, i *alerts.Incident) {
	to := c.n.county.Directory().Present(i.MovedTo)
	if to == cell {
		return // it came back by a merge: it is here
	}
	there := c.there(to, cell, i)
	prior, all := i.HandedOver, true
	if to != i.MovedTo {
		prior = 0 // the successor has what was handed over from its predecessor, not from here
	}
	var before []alerts.Hash
	for _, l := range i.Log {
		if l.Index <= i.HandedOver || l.Event.Kind == alerts.KindHandedOver {
			continue
		}
		has := there[l.Event.ID]
		if !has.sent {
			has.event, has.sent = c.wrap(to, cell, l, prior, before)
		}
		all = all && has.sure
		if has.sent {
			before = []alerts.Hash{has.event}
		}
		prior = l.Index
	}
	if all {
		status, _ := c.n.county.Status(cell)
		c.make(alerts.Event{
			Cell: cell, Incident: i.ID, Prev: newest(i.Heads), Kind: alerts.KindHandedOver,
			Body: &alerts.HandedOver{Index: i.LastToCarry(), Epoch: status.Epoch},
		})
	}
}

func (c *carrier) wrap(to, from alerts.CellID, l alerts.Line, prior uint64, before []alerts.Hash) (alerts.Hash, bool) {
	return c.make(alerts.Event{
		Cell: to, Incident: l.Event.Incident, Prev: before, Kind: alerts.KindCarried,
		Body: &alerts.Carried{From: from, Index: l.Index, Prior: prior, Raw: l.Event.Raw, Verdict: l.Verdict, At: l.At, By: l.By, Event: l.Event},
	})
}

// has is how far one entry has come on its way.
type has struct {
	event alerts.Hash // that carries it, where one is held here
	sent  bool
	sure  bool // it stands in the new cell's record
}

// there is what is known here of the entries of an incident that were carried from one cell to another.
func (c *carrier) there(to, from alerts.CellID, old *alerts.Incident) map[alerts.Hash]has {
	out := map[alerts.Hash]has{}
	for _, e := range c.n.pending(to, old.ID) {
		if b, ok := e.Body.(*alerts.Carried); ok && b.From == from {
			out[b.Event.ID] = has{event: e.ID, sent: true, sure: out[b.Event.ID].sure || c.n.county.Sure(e.ID)}
		}
	}
	c.n.read(to, func(s *alerts.State) {
		i, ok := s.Incident(old.ID)
		if !ok {
			return
		}
		for _, l := range old.Log {
			if i.CarriedHere(from, l) {
				out[l.Event.ID] = has{event: out[l.Event.ID].event, sent: true, sure: true}
			}
		}
	})
	return out
}

// seal ends the record of a cell that is merged into another, when nothing is left in it that goes on.
func (c *carrier) seal(cell alerts.CellID) {
	d := c.n.county.Directory()
	into := d.Present(cell)
	if into == cell || !c.turns.ours(cell, d.Last(alerts.FieldCells)) || len(c.n.county.PendingOf(cell)) > 0 {
		return
	}
	c.make(alerts.Event{Cell: cell, Incident: alerts.DirectoryID, Kind: alerts.KindSealed, Body: &alerts.Sealed{Into: into, By: d.Last(alerts.FieldCells)}})
}

// carryLate takes to the successor what was still signed for a sealed cell.
func (c *carrier) carryLate(cell alerts.CellID) {
	d := c.n.county.Directory()
	for _, e := range alerts.InOrder(c.n.county.PendingOf(cell)) {
		to := d.Present(cell)
		var old *alerts.Incident
		c.n.read(cell, func(s *alerts.State) { old, _ = s.Incident(e.Incident) })
		if old != nil && old.Moved != nil {
			to = d.Present(old.MovedTo)
		}
		i, there := c.n.look(to, e.Incident)
		if e.Kind == alerts.KindCarried || alerts.OfCounty(e.Kind) || there && i.Took(e.ID) || !c.turns.ours(to, e.ID) {
			continue
		}
		if !there && old != nil {
			c.carryWhole(cell, to, old) // it had ended: its history goes along with what came after
		}
		c.make(alerts.Event{
			Cell: to, Incident: e.Incident, Kind: alerts.KindCarried,
			Body: &alerts.Carried{From: cell, Raw: e.Raw, At: time.Now().UTC(), By: c.n.standing(e), Event: e},
		})
	}
}

func (c *carrier) carryWhole(from, to alerts.CellID, i *alerts.Incident) {
	var prior uint64
	var before []alerts.Hash
	for _, l := range i.Log {
		if l.Event.Kind == alerts.KindHandedOver {
			continue
		}
		if id, ok := c.wrap(to, from, l, prior, before); ok {
			before = []alerts.Hash{id}
		}
		prior = l.Index
	}
}

func (c *carrier) make(e alerts.Event) (alerts.Hash, bool) {
	c.n.making.Lock()
	defer c.n.making.Unlock()
	m, err := c.n.make(e)
	if err != nil {
		c.n.log.Info("a matter's way to its cell", zap.String("step", string(e.Kind)), zap.String("incident", string(e.Incident)), zap.Error(err))
	}
	return m.event.ID, err == nil
}
