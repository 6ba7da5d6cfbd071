package record

import (
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
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
