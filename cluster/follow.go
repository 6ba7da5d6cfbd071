package cluster

import (
	"cmp"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/pending"
	"hivemesh/cluster/record"
)

// followEvery is how often a station looks whether it follows the right records; a change of the directory
// wakes it at once.
const followEvery = time.Second

// part is what a station has in a cell's record.
type part int

const (
	noPart  part = iota
	follows      // reads it
	votes        // may be asked to vote: it is of the cell, or was and is still counted on
)

// Directory is what the home cell's record says of the county; nil where it says nothing yet.
func (c *County) Directory() *alerts.Directory { return c.directory.Load() }

// Home is the cell that every station follows.
func (c *County) Home() alerts.CellID { return c.cfg.Home.ID }

// CellOf is the cell a station works for now.
func (c *County) CellOf(s alerts.StationID) alerts.CellID {
	who, _ := c.cfg.Ring.Who(s)
	return c.Directory().CellOf(s, who.Cell, c.cfg.Home.ID)
}

// Own is the cell this station works for now.
func (c *County) Own() alerts.CellID { return c.CellOf(c.cfg.Identity.Station) }

// Cells are those followed here, this station's own first.
func (c *County) Cells() []alerts.CellID {
	c.cellsMu.RLock()
	defer c.cellsMu.RUnlock()
	own := c.Own()
	out := make([]alerts.CellID, 0, len(c.cells))
	for id := range c.cells {
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b alerts.CellID) int {
		if (a == own) != (b == own) {
			if a == own {
				return -1
			}
			return 1
		}
		return cmp.Compare(a, b)
	})
	return out
}

// cell is a record that is open here, or nil.
func (c *County) cell(id alerts.CellID) *record.Cell {
	c.cellsMu.RLock()
	defer c.cellsMu.RUnlock()
	return c.cells[id]
}

// Follows reports whether a station follows a cell, as far as the directory tells. Only posts and centres may hand
// over what is in a record: one that has none of its own is followed by all of the county's.
func (c *County) Follows(s alerts.StationID, cell alerts.CellID) bool {
	if cell == c.cfg.Home.ID {
		return true
	}
	kind, _ := c.cfg.Ring.Kind(s)
	if kind == alerts.CountyOffice || kind.Trusted() && (*c.postless.Load())[cell] {
		return true
	}
	return c.CellOf(s) == c.Directory().Present(cell)
}

// findPostless notes which cells have no post or centre of their own; one that has ended is as its successor.
func (c *County) findPostless() {
	d, has, none := c.Directory(), map[alerts.CellID]bool{}, map[alerts.CellID]bool{}
	if d == nil {
		return
	}
	for _, who := range c.cfg.Ring.Stations() {
		if who.Kind.Trusted() {
			has[d.CellOf(who.Station, who.Cell, c.cfg.Home.ID)] = true
		}
	}
	for _, e := range d.Cells {
		none[e.ID] = !has[d.Present(e.ID)]
	}
	c.postless.Store(&none)
}

// wants reports whether a station is sent e at once: whoever follows its cell, and, of what is carried from one
// cell to another, who follows the one it comes from, so that it does not hang on one carrier.
func (c *County) wants(s alerts.StationID, e alerts.Event) bool {
	if b, ok := e.Body.(*alerts.Carried); ok && c.Follows(s, b.From) {
		return true
	}
	return c.Follows(s, e.Cell)
}

// part is what this station is to have in a cell's record now.
func (c *County) part(id alerts.CellID) part {
	open := c.cell(id)
	ended := false
	if open != nil {
		open.Read(func(s *alerts.State) { _, ended = s.SealedInto() })
	}
	switch {
	case c.Own() == id && !ended:
		return votes
	case open != nil && !ended && c.counted(open):
		return votes // another takes the place first, so that the cell can go on
	case c.Follows(c.cfg.Identity.Station, id):
		return follows
	}
	return noPart
}

// counted reports whether a cell's raft counts on this station.
func (c *County) counted(r *record.Cell) bool {
	s := r.Status()
	return s.Role != record.Follower
}

// openRecords opens the home cell's record, then those that its directory tells of and those that this
// station voted in when it stopped, and keeps that right from then on.
func (c *County) openRecords() error {
	c.host = record.NewHost(c.port, c.log.Named("record"))
	c.onClose(c.host.Close)
	c.onClose(c.closeRecords)
	if err := c.openRecord(c.cfg.Home.ID, c.part(c.cfg.Home.ID)); err != nil {
		return err
	}
	for _, id := range c.voted() {
		if c.cell(id) == nil {
			if err := c.openRecord(id, votes); err != nil {
				return err
			}
		}
	}
	c.set.WatchReload(func() {
		for _, id := range c.Cells() {
			if r := c.cell(id); r != nil {
				c.sweep(id, r)
			}
		}
	})
	return c.refollow()
}

// Begin follows the directory from now on: records open and close as cells change. To be called once, by
// whoever is told of it.
func (c *County) Begin() {
	c.begun.Store(true)
	stop, done := make(chan struct{}), make(chan struct{})
	go c.keepFollowing(stop, done)
	c.onClose(func() error { close(stop); <-done; return nil })
}

// opened tells that a cell's record is followed from now on, or no longer.
func (c *County) opened(id alerts.CellID) {
	c.lanes.changes.Add(1)
	if c.begun.Load() {
		c.cfg.Events.Opened(id)
	}
}

// voted are the cells with a folder of this station's in which it has voted.
func (c *County) voted() []alerts.CellID {
	var out []alerts.CellID
	folders, _ := filepath.Glob(filepath.Join(c.cfg.Dir, "cells", "*"))
	for _, f := range folders {
		if record.Voted(f) {
			out = append(out, alerts.CellID(filepath.Base(f)))
		}
	}
	return out
}

func (c *County) keepFollowing(stop, done chan struct{}) {
	defer close(done)
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	tidied := time.Now()
	for {
		select {
		case <-stop:
			return
		case <-c.follow:
		case <-tick.C:
		}
		if err := c.refollow(); err != nil {
			c.log.Error("follow the county's cells", zap.Error(err))
		}
		if now := time.Now(); now.Sub(tidied) >= tidyEvery {
			tidied = now
			c.tidy(now)
		}
	}
}

// refollow opens and closes records until they are what the directory says.
func (c *County) refollow() error {
	c.refollowing.Lock()
	defer c.refollowing.Unlock()
	c.findPostless()
	ids := append(c.Cells(), c.Own())
	if d := c.Directory(); d != nil {
		for _, e := range d.Cells {
			ids = append(ids, e.ID)
		}
	}
	slices.Sort(ids)
	var errs []error
	for _, id := range slices.Compact(ids) {
		is, want := c.parts(id), c.part(id)
		if is == want || is != noPart && id == c.cfg.Home.ID && want == noPart {
			continue
		}
		if is != noPart {
			errs = append(errs, c.closeRecord(id, want == noPart))
		}
		if want != noPart {
			errs = append(errs, c.openRecord(id, want))
		}
	}
	return errors.Join(errs...)
}

func (c *County) parts(id alerts.CellID) part {
	c.cellsMu.RLock()
	defer c.cellsMu.RUnlock()
	return c.has[id]
}

// founders are the stations that began a cell's record together.
func (c *County) founders(id alerts.CellID) []alerts.StationID {
	if id == c.cfg.Home.ID {
		return c.cfg.Home.Founders
	}
	e, _ := c.Directory().Cell(id)
	return e.Founders
}

// openRecord opens one cell's record and shows what it holds.
func (c *County) openRecord(id alerts.CellID, as part) error {
	r, err := record.Open(c.host, record.Config{
		Cell: id, Dir: filepath.Join(c.cfg.Dir, "cells", string(id)), Self: c.cfg.Identity.Station,
		Identity: c.cfg.Identity, Ring: c.cfg.Ring, Port: c.port, Founders: c.founders(id),
		Addr: c.addr, Alive: func() []alerts.StationID { return c.Stations(id) }, Power: c.power,
		Member: func(s alerts.StationID) bool { return c.CellOf(s) == c.Directory().Present(id) }, FollowOnly: as != votes,
		Wanted: func() int { e, _ := c.Directory().Cell(id); return e.Voters },
		Rules:  c.cfg.Rules, Standing: c.cfg.Standing,
		Pending: func() []alerts.Event { return c.set.List(id) }, Returned: c.returned,
		Links: profile(c.cfg.Mixed), Disk: c.disk, Log: c.log.Named("record"),
	})
	if err != nil {
		return err
	}
	c.cellsMu.Lock()
	c.cells[id], c.has[id] = r, as
	c.cellsMu.Unlock()
	r.Watch(func(ch alerts.Change) { c.recorded(id, ch) })
	r.OnReset(func() { c.reset(id, r) })
	r.WatchKept(func(events []alerts.Hash) { c.set.Remove(id, events) })
	if id == c.cfg.Home.ID {
		r.Read(func(s *alerts.State) { c.directory.Store(s.Directory()) })
	}
	c.sweep(id, r)
	c.opened(id)
	return nil
}

// reset hears that a newer epoch's record took the place of this one's last entries.
func (c *County) reset(id alerts.CellID, r *record.Cell) {
	if id == c.cfg.Home.ID {
		r.Read(func(s *alerts.State) { c.directory.Store(s.Directory()) })
		c.wakeFollow()
	}
	c.lanes.changes.Add(1)
	c.cfg.Events.Reset(id)
}

// closeRecord closes one cell's record; for good: what is open in it is held as of any cell not followed.
func (c *County) closeRecord(id alerts.CellID, forGood bool) error {
	r := c.cell(id)
	var held []pending.Brief
	if forGood {
		for _, in := range c.maybeOpen(id) {
			if i := c.look(id, in); announced(i) {
				held = append(held, c.laneOf(id, i)...)
			}
		}
	}
	c.cellsMu.Lock()
	delete(c.cells, id)
	delete(c.has, id)
	c.cellsMu.Unlock()
	err := r.Close()
	c.leaveLane(held)
	if forGood {
		c.opened(id)
	}
	return err
}

func (c *County) closeRecords() error {
	var errs []error
	for _, id := range c.Cells() {
		c.cellsMu.Lock()
		r := c.cells[id]
		c.cellsMu.Unlock()
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}
