package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/gossip"
	"hivemesh/cluster/pending"
	"hivemesh/cluster/record"
	"hivemesh/cluster/trust"
)

// Put keeps an event made here and spreads it, side by side. The answer comes when the fsync is done, or
// says why it failed; sent is the number of stations it was handed to.
func (c *County) Put(e alerts.Event) (kept <-chan error, sent int) {
	kept, _ = c.set.Put(e)
	return kept, c.links.Flash(e)
}

// Read runs f on the fold of a cell under its lock; false where this station does not follow the cell. f
// must not keep the State.
func (c *County) Read(cell alerts.CellID, f func(*alerts.State)) bool {
	r := c.cell(cell)
	if r != nil {
		r.Read(f)
	}
	return r != nil
}

// Pending are the pending events of one incident.
func (c *County) Pending(cell alerts.CellID, in alerts.IncidentID) []alerts.Event {
	return c.set.Of(cell, in)
}

// KnownCells are those that anything is known of here: followed, or with events held.
func (c *County) KnownCells() []alerts.CellID {
	out := append(c.Cells(), c.set.Cells()...)
	slices.Sort(out)
	return slices.Compact(out)
}

// Known reports whether the county has a cell of this name that goes on.
func (c *County) Known(id alerts.CellID) bool {
	_, recorded := c.Directory().Cell(id)
	return (recorded || id == c.cfg.Home.ID) && c.Directory().Present(id) == id
}

// Sure reports whether an event that is held here is known to stand in the record of its cell, which is not followed.
func (c *County) Sure(id alerts.Hash) bool {
	c.laneMu.Lock()
	defer c.laneMu.Unlock()
	_, sure := c.lanes.sure[id]
	return sure
}

// DropLate takes out of the pending set what was signed for a sealed cell and stands in its successor's record.
func (c *County) DropLate(sealed alerts.CellID) {
	var gone []alerts.Hash
	for _, e := range c.set.List(sealed) {
		id := e.ID
		if b, ok := e.Body.(*alerts.Carried); ok {
			id = b.Event.ID
		}
		if c.isRecorded(sealed, e.Incident, id) {
			gone = append(gone, e.ID)
		}
	}
	c.set.Remove(sealed, gone)
}

// PendingOf are all pending events of a cell.
func (c *County) PendingOf(cell alerts.CellID) []alerts.Event { return c.set.List(cell) }

// Holds reports whether the event is pending here, and whether it is fsynced.
func (c *County) Holds(id alerts.Hash) (pending, fsynced bool) {
	return c.set.Has(id), c.set.Kept(id)
}

// Members are the stations of the county, this one first, dead ones included.
func (c *County) Members() []gossip.Member {
	g := c.gossip.Load()
	if g == nil {
		return []gossip.Member{{Station: c.cfg.Identity.Station, Hints: c.cfg.Hints, Alive: true}}
	}
	return g.Members()
}

// Stations are those of a cell that are alive, this one included.
func (c *County) Stations(cell alerts.CellID) []alerts.StationID {
	var out []alerts.StationID
	for _, m := range c.Members() {
		if m.Alive && c.CellOf(m.Station) == cell {
			out = append(out, m.Station)
		}
	}
	return out
}

// SetLooking says whether a dispatcher at this station wants positions.
func (c *County) SetLooking(on bool) {
	if g := c.gossip.Load(); g != nil {
		g.SetLooking(on)
	}
}

// Cast sends soft state: the latest of a topic wins, and it may be lost.
func (c *County) Cast(lane alerts.Lane, topic string, body []byte, to ...alerts.StationID) {
	if len(to) > 0 {
		c.links.Cast(lane, topic, body, to...)
	}
}

// Status is how a cell's record stands here, and how many events are pending; nothing of a cell not followed.
func (c *County) Status(cell alerts.CellID) (s record.Status, pending int) {
	if r := c.cell(cell); r != nil {
		s = r.Status()
	}
	return s, c.set.Count(cell)
}

// Survey asks the survivors of a cell that has lost most of its voters how their records stand.
func (c *County) Survey(ctx context.Context, cell alerts.CellID, survivors []alerts.StationID) ([]record.Standing, error) {
	r := c.cell(cell)
	if r == nil {
		return nil, fmt.Errorf("this station does not follow cell %q", cell)
	}
	return r.Survey(ctx, survivors)
}

// Recover begins a new epoch of a cell's record upon this station's copy; see record.Cell.Recover, and, where sig
// is given, RecoverWith.
func (c *County) Recover(ctx context.Context, cell alerts.CellID, survivors []alerts.StationID, sig []byte) error {
	r := c.cell(cell)
	if r == nil {
		return fmt.Errorf("this station does not follow cell %q", cell)
	}
	if len(sig) > 0 {
		return r.RecoverWith(ctx, survivors, sig)
	}
	return r.Recover(ctx, survivors)
}

// Warrant is what the county's authority signs for Recover.
func (c *County) Warrant(ctx context.Context, cell alerts.CellID, survivors []alerts.StationID) ([]byte, error) {
	r := c.cell(cell)
	if r == nil {
		return nil, fmt.Errorf("this station does not follow cell %q", cell)
	}
	return r.Warrant(ctx, survivors)
}

// Traffic is what goes over the mesh port, by protocol.
func (c *County) Traffic() map[string]trust.Flow { return c.port.Traffic() }

// Links are counters of what goes between stations.
func (c *County) Links() pending.Stats { return c.links.Stats() }

// Disk is how this station's disk stands, and why what is put here does not reach it now, or nil.
func (c *County) Disk() (disk.Space, error) { return c.disk.Space(), c.set.Err() }

// meetWithin is how long a station that has met nobody is not ready: three rounds of gossip's search for its
// seeds. Longer would keep a village that is cut off, or whose seeds burnt, from ever being ready by itself.
const meetWithin = 30 * time.Second

// alone says that this station has somebody to look for and has met nobody since it started, or nil.
func (c *County) alone() error {
	seeds := c.gossip.Load().Awaits()
	if len(seeds) == 0 {
		return nil
	}
	return fmt.Errorf("this station knows no other station yet: none of its seeds (%s) has answered since it started", strings.Join(seeds, ", "))
}

// Warnings are what whoever watches this station should look into although it serves in full.
func (c *County) Warnings() []string {
	if err := c.alone(); err != nil && time.Since(c.began) >= meetWithin {
		return []string{err.Error() + "; it serves its own place alone"}
	}
	return nil
}

// Ready says why this station cannot serve its cells' records, or nil. The alarm lane works all the same.
func (c *County) Ready() error {
	var errs []error
	if err := c.alone(); err != nil && time.Since(c.began) < meetWithin {
		errs = append(errs, err)
	}
	if n, gone := c.cfg.Ring.Gone(c.cfg.Identity.Station); gone {
		errs = append(errs, fmt.Errorf("this station is %s: no other meets it any more, it serves this place alone", n.Why))
	}
	switch space, err := c.Disk(); {
	case err != nil:
		errs = append(errs, fmt.Errorf("what is raised here is not kept here, only sent to others: %w", err))
	case space.Level == disk.Shed || space.Level == disk.Yield:
		errs = append(errs, fmt.Errorf("the disk has %d MB left (%s): make room", space.Free>>20, space.Level))
	}
	for _, id := range c.Cells() {
		s, _ := c.Status(id)
		switch {
		case c.parts(id) != votes && c.Directory().Present(id) != id: // ended: there is nothing to lead
		case s.Err != nil:
			errs = append(errs, fmt.Errorf("the record of cell %s stands still here: %w", id, s.Err))
		case s.Leader == "":
			errs = append(errs, fmt.Errorf("cell %s has no leader in reach: alerts are taken and spread, nothing is recorded", id))
		}
	}
	return errors.Join(errs...)
}

// addr is where a station's mesh port is.
func (c *County) addr(s alerts.StationID) (string, bool) {
	g := c.gossip.Load()
	if g == nil {
		return "", false
	}
	m, ok := g.Member(s)
	return m.Mesh, ok && m.Mesh != ""
}
