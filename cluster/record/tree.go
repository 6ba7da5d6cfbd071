package record

import (
	"net"
	"slices"

	"hivemesh/alerts"
)

// fanOut is how many stations follow one at most: a leader on a village's uplink feeds eight, those eight
// each, and three steps reach every station of the biggest cell.
const fanOut = 8

// way is the stations between the leader and this one, the leader first: as many as this station is deep in the
// tree. ok is false while no leader feeds this station.
func (c *Cell) way() (path []alerts.StationID, ok bool) {
	if c.leads() {
		return nil, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.news.Path, len(c.news.Path) > 0
}

// path is the way to those who follow this station; nil while no leader feeds it.
func (c *Cell) path() []alerts.StationID {
	way, ok := c.way()
	if !ok {
		return nil
	}
	return append(slices.Clip(way), c.cfg.Self)
}

// feed lets a follower in, or names those who are fed already. A leader keeps places for the voters, who
// follow it and nobody else; one of them that comes late takes the place of whoever came last.
func (c *Cell) feed(peer alerts.StationID, conn net.Conn) (*feeding, []alerts.StationID) {
	voters, kept := c.voters(), 0
	if c.leads() {
		kept = max(0, len(voters)-1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old, again := c.fed[peer]
	me := &feeding{conn: conn, votes: kept > 0 && slices.Contains(voters, peer), since: 1}
	plain := 0
	var newest alerts.StationID
	for s, f := range c.fed {
		me.since = max(me.since, f.since+1)
		if f.votes || s == peer {
			continue
		}
		plain++
		if newest == "" || f.since > c.fed[newest].since {
			newest = s
		}
	}
	if !me.votes && plain+kept >= fanOut {
		return nil, c.feedsLocked()
	}
	if again {
		old.conn.Close() // the follower has opened anew: the old stream is dead and does not know it
	} else if len(c.fed) >= fanOut && newest != "" {
		c.fed[newest].conn.Close()
		delete(c.fed, newest)
	}
	c.fed[peer] = me
	return me, nil
}

// leave ends a follower's place, unless it has been given to another stream of its since.
func (c *Cell) leave(peer alerts.StationID, me *feeding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fed[peer] == me {
		delete(c.fed, peer)
	}
}

func (c *Cell) feedsLocked() []alerts.StationID {
	out := make([]alerts.StationID, 0, len(c.fed))
	for s := range c.fed {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}
