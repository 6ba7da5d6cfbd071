package cluster

import (
	"errors"
	"path/filepath"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/gossip"
	"hivemesh/cluster/pending"
	"hivemesh/cluster/record"
)

// power is what a station says of its link and its power.
func (c *County) power(s alerts.StationID) (wired, battery bool) {
	if g := c.gossip.Load(); g != nil {
		m, _ := g.Member(s)
		return m.Wired, m.Battery
	}
	return c.cfg.Hints.Wired, c.cfg.Hints.Battery
}

func profile(mixed bool) record.Profile {
	if mixed {
		return record.Mixed
	}
	return record.LAN
}

// sweep takes out of the pending set what the record has already: a station that stopped between the two
// still holds it.
func (c *County) sweep(cell alerts.CellID, r *record.Cell) {
	var done []alerts.Hash
	r.Read(func(s *alerts.State) {
		for _, e := range c.set.List(cell) {
			if s.Has(e.Incident, e.ID) {
				done = append(done, e.ID)
			}
		}
	})
	c.set.Remove(cell, done)
}

// returnTime is how long events of dropped entries may take to disk before it is said that they are not there.
const returnTime = 10 * time.Second

// returned puts events that stood in the record back into the pending set and waits for the disk.
func (c *County) returned(events []alerts.Event) error {
	late := time.NewTimer(returnTime)
	defer late.Stop()
	kept := make([]<-chan error, len(events))
	for i, e := range events {
		kept[i], _ = c.set.Put(e)
	}
	for _, k := range kept {
		select {
		case err := <-k:
			if err != nil {
				return err
			}
		case <-late.C:
			return errors.New("the disk does not answer")
		}
	}
	return nil
}

// recorded tells of an entry, and follows the directory.
func (c *County) recorded(cell alerts.CellID, ch alerts.Change) {
	if ch.Directory != nil && cell == c.cfg.Home.ID {
		c.directory.Store(ch.Directory)
		c.wakeFollow()
	}
	if _, sealed := ch.Entry.Event.Body.(*alerts.Sealed); sealed {
		c.wakeFollow()
	}
	c.lanes.changes.Add(1)
	c.cfg.Events.Recorded(cell, ch)
}

func (c *County) wakeFollow() {
	select {
	case c.follow <- struct{}{}:
	default:
	}
}

func (c *County) pendingChanged(e alerts.Event, added bool) {
	c.lanes.changes.Add(1)
	r := c.cell(e.Cell)
	if r != nil && added {
		r.Poke()
	}
	if !added {
		c.evens.mu.Lock()
		delete(c.evens.far, e.ID)
		c.evens.mu.Unlock()
	}
	if added || r == nil { // what leaves otherwise stands in the record, and that was told already
		c.cfg.Events.Pending(e)
	}
}

// openLinks starts flash and sync.
func (c *County) openLinks() {
	c.links = pending.OpenLinks(pending.LinksConfig{
		Port: c.port, Ring: c.cfg.Ring, Set: c.set, Peers: c.peers, Keep: keptStreams, Reach: c.reach, Wants: c.wants, Recorded: c.isRecorded,
		OnKept: c.kept, OnCast: c.cfg.Events.Cast, OnExpelled: c.meetSoon, Ready: c.awaitNews, Log: c.log.Named("flash"),
	})
	c.onClose(c.links.Close)
	c.swaps = pending.OpenSync(pending.SyncConfig{
		Port: c.port, Ring: c.cfg.Ring, Set: c.set, Peers: c.peers, Met: c.met, Recorded: c.isRecorded, OnEvent: c.links.Relay,
		Heads: c.heads, Lanes: c.lanesNow, Holder: c, Behind: c.behind, Older: c.older,
		OnKept: c.kept, OnEven: c.even, OnExpelled: c.meetSoon, Ready: c.awaitNews, Log: c.log.Named("sync"),
	})
	c.onClose(c.swaps.Close)
}

// isRecorded reports whether an event stands in its cell's record, or, that having ended, in its successor's; on
// disk here, so that it need not be pending any more.
func (c *County) isRecorded(cell alerts.CellID, in alerts.IncidentID, id alerts.Hash) (yes bool) {
	to, sealed := cell, false
	r := c.cell(cell)
	if r == nil {
		return false
	}
	r.Read(func(s *alerts.State) {
		yes = s.Has(in, id) && !r.Leaving(id)
		if to, sealed = s.SealedInto(); !sealed {
			return
		}
		yes = yes || in == alerts.DirectoryID // its end was decided: nobody has to end it again
		if i, ok := s.Incident(in); ok && i.Moved != nil {
			to = i.MovedTo
		}
	})
	next := c.cell(c.Directory().Present(to))
	if yes || !sealed || next == nil {
		return yes
	}
	next.Read(func(s *alerts.State) {
		i, ok := s.Incident(in)
		yes = ok && i.Took(id) && !next.Leaving(i.Line(id).Carrier())
	})
	return yes
}

// heads are how far the records are here, for peers to compare.
func (c *County) heads() []pending.Head {
	var out []pending.Head
	for _, id := range c.Cells() {
		r := c.cell(id)
		if r == nil {
			continue // closed since
		}
		s := r.Status()
		out = append(out, pending.Head{Cell: id, Epoch: s.Epoch, Mark: s.Mark, Index: s.Index, Chain: s.Chain})
	}
	return out
}

// behind hears that a peer is at index in a cell's record.
func (c *County) behind(cell alerts.CellID, peer alerts.StationID, index uint64) {
	if r := c.cell(cell); r != nil {
		r.Heard(index, peer)
	}
}

// older hears that a peer's record of a cell is in a newer epoch.
func (c *County) older(cell alerts.CellID, peer alerts.StationID) {
	if r := c.cell(cell); r != nil {
		r.Meet(peer)
	}
}

func (c *County) openGossip() error {
	g, err := gossip.Open(gossip.Config{
		Port: c.port, Self: c.cfg.Identity.Station, Hints: c.cfg.Hints, Keys: c.cfg.Keys, Meet: c.meet, Gone: c.Gone,
		PeersFile: filepath.Join(c.cfg.Dir, PeersFile), Seeds: c.cfg.Seeds, WAN: c.cfg.Mixed, Log: c.log.Named("gossip"),
	})
	if err != nil {
		return err
	}
	c.onClose(g.Close)
	c.gossip.Store(g)
	c.standing()
	g.OnChange(func(m gossip.Member) {
		c.nearby.change()
		c.compare(m)
		if m.Alive && m.Station != c.cfg.Identity.Station && c.keeps(m.Station) {
			c.links.Wake()
			c.swaps.Poke(m.Station)
		}
		c.cfg.Events.Member(m)
	})
	return nil
}
