package gossip

import (
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
)

const (
	// rejoinEvery is how often one missing peer is tried. memberlist never heals a split that lasts longer
	// than its GossipToTheDeadTime; one join of one address merges everybody in seconds.
	rejoinEvery = 10 * time.Second
	// rejoinJitter spreads the tries of stations that lost each other at the same moment.
	rejoinJitter = 4 * time.Second
)

// rejoin tries one missing peer after the other, for ever, and keeps the peers file.
func (g *Gossip) rejoin() {
	joined := make(map[string]bool) // seeds that have answered once
	for _, addr := range g.missing(joined) {
		if g.try(addr, joined) || g.ctx.Err() != nil {
			break // the others come with it
		}
	}
	for {
		wait := rejoinEvery - rejoinJitter/2 + rand.N(rejoinJitter)
		select {
		case <-g.ctx.Done():
			return
		case <-time.After(wait):
		}
		if err := g.members.save(g.peersFile); err != nil {
			g.log.Warn("keep the known peers", zap.Error(err))
		}
		if addrs := g.missing(joined); len(addrs) > 0 {
			g.try(addrs[rand.N(len(addrs))], joined)
		}
	}
}

func (g *Gossip) try(addr string, joined map[string]bool) bool {
	_, err := g.list.Join([]string{addr})
	if err != nil {
		g.log.Debug("a missing peer does not answer", zap.String("peer", addr), zap.Error(err))
		return false
	}
	joined[addr] = true
	return true
}

// missing is whom to try: known peers that are not alive ("station/ip:port"), and seeds that have never
// answered, or all seeds when nobody is alive.
func (g *Gossip) missing(joined map[string]bool) (addrs []string) {
	alone, alive := true, make(map[string]bool)
	for _, m := range g.members.list() {
		switch {
		case m.Station == g.self:
			alive[m.addr] = true
		case m.Alive:
			alone = false
			alive[m.addr], alive[m.Mesh] = true, true
		case m.addr != "":
			addrs = append(addrs, string(m.Station)+"/"+m.addr)
		}
	}
	for _, seed := range g.seeds {
		if !alive[seed] && (alone || !joined[seed]) {
			addrs = append(addrs, seed)
		}
	}
	return addrs
}
