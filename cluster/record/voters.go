package record

import (
	"cmp"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"hivemesh/alerts"
)

const (
	wantVoters  = 3                // survive the loss of one
	stableFor   = 10 * time.Second // how long a station must have been alive without a break
	voterLook   = time.Second
	voterChange = 10 * time.Second // one change at a time, each given this long to begin
)

// voters brings the cell to three voters while this station leads. It never takes a vote away: that a
// station is out of sight is no reason, or two halves of a county could each think themselves whole.
type voters struct {
	c     *council
	since map[alerts.StationID]time.Time // alive without a break since
}

func (v *voters) run() {
	tick := time.NewTicker(voterLook)
	defer tick.Stop()
	for {
		select {
		case <-v.c.ctx.Done():
			return
		case <-tick.C:
		}
		if v.c.raft.State() != raft.Leader || v.c.Err() != nil {
			clear(v.since)
			continue
		}
		v.look(time.Now())
	}
}

func (v *voters) look(now time.Time) {
	alive := map[alerts.StationID]time.Time{}
	for _, s := range v.c.cfg.Alive() {
		alive[s] = now
		if since, ok := v.since[s]; ok {
			alive[s] = since
		}
	}
	v.since = alive
	have := v.c.voters()
	next := v.choose(have, now)
	// With two voters the loss of either stops the record: the second comes only when a third is at hand.
	if len(next) == 0 || len(have) == 1 && len(next) < 2 {
		return
	}
	s := next[0]
	if err := v.c.raft.AddVoter(raft.ServerID(s), raft.ServerAddress(s), 0, voterChange).Error(); err != nil {
		v.c.log.Warn("make a voter", zap.String("station", string(s)), zap.Error(err))
		return
	}
	v.c.log.Info("a station votes from now on", zap.String("station", string(s)))
}

// choose lists who may become a voter, the best first: police posts have power and people at night.
func (v *voters) choose(have []alerts.StationID, now time.Time) []alerts.StationID {
	if len(have) == 0 || len(have) >= wantVoters {
		return nil
	}
	var out []alerts.StationID
	for s, since := range v.since {
		if now.Sub(since) >= stableFor && !slices.Contains(have, s) && v.c.mayVote(s) {
			out = append(out, s)
		}
	}
	rank := func(s alerts.StationID) int {
		if kind, _ := v.c.cfg.Ring.Kind(s); kind == alerts.PolicePost {
			return 0
		}
		return 1
	}
	slices.SortFunc(out, func(a, b alerts.StationID) int { return cmp.Or(rank(a)-rank(b), cmp.Compare(a, b)) })
	return out
}
