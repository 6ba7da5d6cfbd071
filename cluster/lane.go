package cluster

import (
	"sync/atomic"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/pending"
	"hivemesh/cluster/wire"
)

const (
	// keepEnded is how long all that is held of an ended alarm of a cell not followed here stays: who had a part
	// in it looks at it again.
	keepEnded = 10 * time.Minute
	// keepEnd is how long its beginning and its end stay after that, so that whoever comes back from a long cut
	// and still believes it open is told, and nothing sounds after its own end.
	keepEnd = 7 * 24 * time.Hour
	// tidyEvery is how often a station looks for alarms of other cells that are over.
	tidyEvery = 10 * time.Second
)

// lanes is what this station holds of the alarms of cells that it does not follow. Of those the pending set
// holds the alarm lane, recorded or not, and what was made here, until the alarm is over.
type lanes struct {
	sure  map[alerts.Hash]pending.Done // of cells not followed: known to stand in the record
	ended map[farKey]time.Time         // since when this station knows an alarm to be over

	changes atomic.Uint64  // counts what lanes may depend on
	known   []pending.Lane // as they were at that count
	at      uint64
}

type farKey struct {
	cell alerts.CellID
	in   alerts.IncidentID
}

// look is what is known of an incident here: by the record and what is pending, or by the lane alone.
func (c *County) look(cell alerts.CellID, in alerts.IncidentID) (i *alerts.Incident) {
	held := c.set.Of(cell, in)
	if !c.Read(cell, func(s *alerts.State) { i = c.cfg.Rules.Look(s, in, held, c.cfg.Standing, time.Now()) }) {
		i = c.cfg.Rules.LookFar(cell, in, held, c.cfg.Standing)
	}
	return i
}

// announced reports whether i's alarm is open in its own cell.
func announced(i *alerts.Incident) bool { return i != nil && i.AlarmOpen() && i.Moved == nil }

// lanesNow is what pending.Sync compares. In a county of one cell, which everybody follows, there is nothing.
func (c *County) lanesNow() []pending.Lane {
	gen := c.lanes.changes.Load()
	c.laneMu.Lock()
	defer c.laneMu.Unlock()
	if c.lanes.known == nil || c.lanes.at != gen {
		c.lanes.known, c.lanes.at = c.makeLanes(), gen
	}
	return c.lanes.known
}

func (c *County) makeLanes() []pending.Lane {
	cells := map[alerts.CellID]bool{}
	if c.Directory() != nil {
		for _, id := range c.Cells() {
			cells[id] = true
		}
	}
	for _, id := range c.set.Cells() {
		cells[id] = true
	}
	out := make([]pending.Lane, 0, len(cells))
	for id := range cells {
		l := pending.Lane{Cell: id, Follows: c.cell(id) != nil}
		for _, in := range c.maybeOpen(id) {
			if i := c.look(id, in); announced(i) {
				l.Open = append(l.Open, c.laneOf(id, i)...)
			}
		}
		if !l.Follows {
			l.Unsure = c.unsure(id)
		}
		out = append(out, l)
	}
	return out
}

// maybeOpen are the incidents of a cell whose alarm may be open.
func (c *County) maybeOpen(cell alerts.CellID) []alerts.IncidentID {
	out := c.set.Incidents(cell)
	seen := map[alerts.IncidentID]bool{}
	for _, in := range out {
		seen[in] = true
	}
	c.Read(cell, func(s *alerts.State) {
		for _, i := range s.OpenAlarms() {
			if !seen[i.ID] {
				out = append(out, i.ID)
			}
		}
	})
	return out
}

// laneOf is the alarm lane of an incident as it is known here.
func (c *County) laneOf(cell alerts.CellID, i *alerts.Incident) []pending.Brief {
	var out []pending.Brief
	seen := map[alerts.Hash]bool{}
	add := func(id alerts.Hash, raw []byte) {
		if !seen[id] && raw != nil {
			seen[id] = true
			out = append(out, pending.Brief{ID: id, Incident: i.ID, Raw: raw})
		}
	}
	for _, l := range i.Log {
		if !alerts.AlarmLane(l.Event.Kind) {
			continue
		}
		if l.Origin != nil {
			add(l.Origin.Event, l.Origin.Raw)
		} else {
			add(l.Event.ID, l.Event.Raw)
		}
	}
	// What does not count here may count elsewhere, where more is known.
	for _, e := range c.set.Of(cell, i.ID) {
		if e.AlarmLane() {
			add(e.ID, e.Raw)
		}
	}
	return out
}

// unsure is for holders of laneMu.
func (c *County) unsure(cell alerts.CellID) []pending.Brief {
	var out []pending.Brief
	for _, e := range c.set.List(cell) {
		if _, sure := c.lanes.sure[e.ID]; !sure {
			out = append(out, pending.Brief{ID: e.ID, Incident: e.Incident, Raw: e.Raw})
		}
	}
	return out
}

// Ended implements pending.LaneHolder.
func (c *County) Ended(cell alerts.CellID, in alerts.IncidentID) []pending.Brief {
	if i := c.look(cell, in); i != nil && !announced(i) {
		return c.laneOf(cell, i)
	}
	return nil
}

// Recorded implements pending.LaneHolder.
func (c *County) Recorded(cell alerts.CellID, in alerts.IncidentID, id alerts.Hash) (d pending.Done, ok bool) {
	c.Read(cell, func(s *alerts.State) {
		if !s.Has(in, id) {
			return
		}
		d, ok = pending.Done{ID: id, Code: alerts.Same}, true // a stray: nothing shows it
		if i, known := s.Incident(in); known {
			if l := i.Line(id); l != nil {
				d.Index, d.Code = l.Index, l.Verdict.Code
			}
		}
	})
	return d, ok
}

// Settled implements pending.LaneHolder.
func (c *County) Settled(d pending.Done) {
	e, held := c.set.Event(d.ID)
	if !held || c.cell(e.Cell) != nil {
		return
	}
	c.laneMu.Lock()
	_, again := c.lanes.sure[d.ID]
	c.lanes.sure[d.ID] = d
	c.laneMu.Unlock()
	c.lanes.changes.Add(1)
	if !again {
		c.cfg.Events.Settled(e, d)
	}
}

// tidy drops what is held of alarms of other cells that are over and stand in the record.
func (c *County) tidy(now time.Time) {
	for _, cell := range c.set.Cells() {
		if c.cell(cell) != nil {
			continue
		}
		for _, in := range c.set.Incidents(cell) {
			c.tidyOne(farKey{cell, in}, now)
		}
	}
	c.laneMu.Lock()
	defer c.laneMu.Unlock()
	for id := range c.lanes.sure {
		if !c.set.Has(id) {
			delete(c.lanes.sure, id)
		}
	}
}

func (c *County) tidyOne(k farKey, now time.Time) {
	i := c.look(k.cell, k.in)
	c.laneMu.Lock()
	defer c.laneMu.Unlock()
	if announced(i) {
		delete(c.lanes.ended, k)
		return
	}
	since, known := c.lanes.ended[k]
	if !known {
		c.lanes.ended[k] = now
		return
	}
	var gone []alerts.Hash
	for _, e := range c.set.Of(k.cell, k.in) {
		_, sure := c.lanes.sure[e.ID]
		over := now.Sub(since) >= keepEnded && !marks(i, e) || now.Sub(since) >= keepEnd
		if sure && over {
			gone = append(gone, e.ID)
		}
	}
	c.set.Remove(k.cell, gone)
	if len(c.set.Of(k.cell, k.in)) == 0 {
		delete(c.lanes.ended, k)
	}
}

// marks reports whether e is what an incident began or ended with.
func marks(i *alerts.Incident, e alerts.Event) bool {
	if i == nil {
		return false
	}
	if c, ok := e.Body.(*alerts.Carried); ok {
		e = c.Event
	}
	return e.ID == i.First || i.Ended != nil && e.ID == i.Ended.Event || i.Moved != nil && e.ID == i.Moved.Event
}

// leaveLane keeps what was recorded of a cell's open alarms as pending, when its record is no longer followed.
func (c *County) leaveLane(list []pending.Brief) {
	for _, b := range list {
		if e, err := wire.DecodeEvent(b.Raw); err == nil {
			c.set.Put(e)
		}
	}
}
