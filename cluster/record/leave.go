package record

import (
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"hivemesh/alerts"
)

// handOver lets another voter lead before this station stops, so that the record does not wait for an election.
// It waits no longer than an election would take, and for nobody when this leader is not sound.
func (k *council) handOver() {
	if k.raft == nil || k.raft.State() != raft.Leader || k.Err() != nil || len(k.raftVoters()) < 2 {
		return
	}
	done := make(chan error, 1)
	k.Cell.wg.Go(func() { done <- k.raft.LeadershipTransfer().Error() }) // ends with raft at the latest
	select {
	case err := <-done:
		if err != nil {
			k.log.Info("the lead was not handed over; an election will settle it", zap.Error(err))
		}
	case <-time.After(2 * k.cfg.Links.election()):
		k.log.Info("the lead was not handed over in time; an election will settle it")
	}
}

// excuseFor is how long a wish to leave counts: who wants to go says so again and again until it may.
const excuseFor = 5 * time.Second

// Excuse notes at the leader that a station wants to go for good, and reports whether it has no seat left: then
// the record does not need it. Where leads is false, somebody else must be asked.
func (c *Cell) Excuse(s alerts.StationID) (free, leads bool) {
	k := c.council()
	if k == nil || !c.leads() {
		return false, false
	}
	k.mu.Lock()
	if k.excused == nil {
		k.excused = map[alerts.StationID]time.Time{}
	}
	k.excused[s] = time.Now()
	k.mu.Unlock()
	for _, x := range k.raft.GetConfiguration().Configuration().Servers {
		if alerts.StationID(x.ID) == s {
			return false, true
		}
	}
	return true, true
}

func (k *council) leaves(s alerts.StationID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, ok := k.excused[s]
	return ok && time.Since(at) < excuseFor
}
