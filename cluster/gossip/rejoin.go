package gossip

import (
	"math/rand/v2"
	"strings"
	"time"

	"go.uber.org/zap"
)

const (
	// rejoinEvery is how often one missing peer is tried. memberlist never heals a split that lasts longer
	// than its GossipToTheDeadTime; one join of one address merges everybody in seconds.
	rejoinEvery = 10 * time.Second
	// rejoinJitter spreads the tries of stations that lost each other at the same moment.
	rejoinJitter = 4 * time.Second
	// settleAfter is when a station that has just joined asks again. Where many start in the same moment
	// (the power is back), memberlist's few repetitions of "I am here" miss those who came in between.
	settleAfter = 2 * time.Second
	// unsettled is how long after somebody came or went a station goes on comparing notes: two who came
	// while each was out of the other's reach know nothing of one another, and gossip tells a thing only a few
	// times. memberlist compares once a minute on mixed links.
	unsettled = time.Minute
	// smallPool is up to how many members notes are compared so: their lists are a few KB. In bigger ones
	// more stations tell each thing.
	smallPool = 32
)

// rejoin enters the pool, then tries one missing peer after the other, for ever, and keeps the peers file.
func (g *Gossip) rejoin() {
	joined := make(map[string]bool) // addresses that have answered
	g.enter(joined)
	for g.sleep(rejoinEvery - rejoinJitter/2 + rand.N(rejoinJitter)) {
		if err := g.members.save(g.peersFile); err != nil {
			g.log.Warn("keep the known peers", zap.Error(err))
		}
		for _, addrs := range [][]string{g.toCompare(), g.missing(joined)} {
			if len(addrs) > 0 {
				g.try(addrs[rand.N(len(addrs))], joined)
			}
		}
	}
}

// enter joins the first who answers, and asks that one again soon after.
func (g *Gossip) enter(joined map[string]bool) {
	for _, addr := range g.missing(joined) {
		if g.ctx.Err() != nil {
			return
		}
		if g.try(addr, joined) {
			if g.sleep(settleAfter) {
				g.try(addr, joined)
			}
			return // the others come with it
		}
	}
}

// sleep reports whether gossip is still open after so long.
func (g *Gossip) sleep(d time.Duration) bool {
	select {
	case <-g.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (g *Gossip) try(addr string, joined map[string]bool) bool {
	if g.meet != nil {
		_, at, named := strings.Cut(addr, "/")
		if !named {
			at = addr
		}
		if err := g.meet(g.ctx, at); err != nil {
			g.log.Debug("a missing peer does not answer", zap.String("peer", addr), zap.Error(err))
			return false
		}
	}
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

// Awaits is whom this station looks for while it has met nobody since it started: its seeds. None once it has met
// another station, and none at the first of a county, which has no seeds but maybe itself.
func (g *Gossip) Awaits() (seeds []string) {
	own := make(map[string]bool)
	for _, m := range g.members.list() {
		switch {
		case m.Station == g.self:
			own[m.addr], own[m.Mesh] = true, true
		case !m.Since.IsZero():
			return nil
		}
	}
	for _, seed := range g.seeds {
		if !own[seed] {
			seeds = append(seeds, seed)
		}
	}
	return seeds
}

// toCompare is with whom to compare notes: anybody alive, while somebody came or went lately.
func (g *Gossip) toCompare() (addrs []string) {
	all := g.members.list()
	if len(all) > smallPool {
		return nil
	}
	changed := false
	for _, m := range all {
		if m.Station == g.self {
			continue
		}
		changed = changed || !m.Since.IsZero() && time.Since(m.Since) < unsettled
		if m.Alive && m.addr != "" {
			addrs = append(addrs, string(m.Station)+"/"+m.addr)
		}
	}
	if !changed {
		return nil
	}
	return addrs
}
