package cluster

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/gossip"
	"hivemesh/cluster/trust"
)

const (
	// compareEvery is how often one station whose hints say that it knows something else is met: hints lag
	// behind what has been evened out already.
	compareEvery = 10 * time.Second
	// maxCompares bounds the meetings at once: after a new key all of a county differ for a moment.
	maxCompares = 8
)

// compares are the meetings with stations that know something else of others' standing.
type compares struct {
	mu   sync.Mutex
	last map[alerts.StationID]time.Time
	now  int
	over bool
	wg   sync.WaitGroup
}

// work does something that close waits for, unless it is too late.
func (k *compares) work(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.over {
		k.wg.Go(f)
	}
}

func (k *compares) close() {
	k.mu.Lock()
	k.over = true
	k.mu.Unlock()
	k.wg.Wait()
}

// openNews takes and hands on who is no longer of the county, and the gossip key.
func (c *County) openNews() {
	c.news = trust.OpenNews(c.port, c.cfg.Keys, c.mesh, c.log.Named("news"))
	c.onClose(func() error {
		err := c.news.Close()
		c.compares.close()
		return err
	})
	c.cfg.Ring.OnNotice(func(n trust.Notice) {
		c.log.Warn("a station is no longer of the county", zap.String("station", string(n.Station)), zap.Stringer("why", n.Why))
		c.standing()
		if n.Why == trust.Expelled {
			c.compares.work(func() { c.disown(n) })
		}
	})
	c.cfg.Keys.OnTake(c.standing)
}

// standing tells gossip what has become known.
func (c *County) standing() {
	if g := c.gossip.Load(); g != nil {
		generation, _, _ := c.cfg.Keys.Latest()
		g.Forget()
		g.SetStanding(c.news.Digest(), generation)
	}
}

// compare meets a station that, by its hints, knows something else of others' standing.
func (c *County) compare(m gossip.Member) {
	if m.Alive && m.Station != c.cfg.Identity.Station && (m.Trust != c.news.Digest() || !c.hasNews()) {
		c.meetSoon(m.Station)
	}
}

// newsWait is how long a station that has just started waits, once, for the first other station's news before it
// takes the first event: nobody it meets may know any, and a pair that is cut off must work.
const newsWait = 2 * time.Second

// caution is the wait for the first news.
type caution struct {
	once sync.Once
	over chan struct{} // closed newsWait after the first event came
}

func (c *County) hasNews() bool {
	select {
	case <-c.news.Met():
		return true
	default:
		return false
	}
}

// awaitNews holds up events of others until one of them has told who is no longer of the county, at most newsWait.
func (c *County) awaitNews() {
	if c.hasNews() {
		return
	}
	c.caution.once.Do(func() { time.AfterFunc(newsWait, func() { close(c.caution.over) }) })
	select {
	case <-c.news.Met():
	case <-c.caution.over:
	case <-c.ctx.Done():
	}
}

// disown drops what came from a station since it was expelled and is not recorded: this station did not know yet.
// What the others hold of it from before comes back from them. Clocks may be off, so it is counted back from now by
// the time that the county agrees on.
func (c *County) disown(n trust.Notice) {
	since := time.Now().Add(-c.Now().Sub(time.Unix(n.At, 0)))
	gone := map[alerts.CellID][]alerts.Hash{}
	events := c.set.CameAfter(n.Station, since)
	for _, e := range events {
		if !c.isRecorded(e.Cell, e.Incident, e.ID) {
			gone[e.Cell] = append(gone[e.Cell], e.ID)
		}
	}
	for cell, ids := range gone {
		c.set.Remove(cell, ids)
		c.log.Warn("dropped what came from an expelled station since its expulsion", zap.String("station", string(n.Station)),
			zap.String("cell", string(cell)), zap.Int("events", len(ids)))
	}
	for _, e := range events {
		c.cfg.Events.Pending(e) // it is to be shown without it
	}
}

// meetSoon evens out with a station, unless that was done a moment ago: what makes it seem needed comes again.
func (c *County) meetSoon(s alerts.StationID) {
	addr, known := c.addr(s)
	k := &c.compares
	k.mu.Lock()
	defer k.mu.Unlock()
	if !known || k.over || k.now >= maxCompares || time.Since(k.last[s]) < compareEvery {
		return
	}
	k.now++
	k.last[s] = time.Now()
	k.wg.Go(func() {
		if err := c.meet(c.ctx, addr); err != nil {
			c.log.Debug("not met", zap.String("station", string(s)), zap.Error(err))
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.now--
	})
}

func (c *County) meet(ctx context.Context, addr string) error {
	_, err := c.news.Meet(ctx, addr)
	return err
}

// Gone reports whether a station's id is no longer to be met.
func (c *County) Gone(s alerts.StationID) bool {
	_, yes := c.cfg.Ring.Gone(s)
	return yes
}

// mesh are the mesh addresses of the others that are alive.
func (c *County) mesh() []string {
	var out []string
	for _, m := range c.Members() {
		if m.Alive && m.Station != c.cfg.Identity.Station && m.Mesh != "" {
			out = append(out, m.Mesh)
		}
	}
	return out
}

// Skew is how far this station's clock is from what the others agree on, 0 while they do not.
func (c *County) Skew() time.Duration { return c.port.Skew() }

// Now is the time to judge dates by, Wall what this machine's clock says.
func (c *County) Now() time.Time  { return c.port.Now() }
func (c *County) Wall() time.Time { return c.port.Wall() }

// Agreed is the time that most of this station and those it met tell; false while no two tell the same.
func (c *County) Agreed() (time.Time, bool) { return c.port.Agreed() }
