package record

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"hivemesh/alerts"
)

const (
	// The kernel closes what a killed process had open one by one: for a moment its door may still be open.
	knocks     = 10
	knockEvery = 5 * time.Millisecond
	knockTime  = 300 * time.Millisecond // for one knock; a host that does not answer at all is raft's to judge
)

// heir does not wait for silence where death can be seen. When a leader's process ends, its host closes the streams
// and refuses new ones. Of the voters that remain, one then calls the election at once: the others still believe in
// the leader and call none of their own, so no votes are split, and the record stands still for one round of votes
// instead of for two followers' patience. It is raft's own way of handing over leadership, so whoever is wrong here
// costs an election and nothing else. Where nothing is seen (a cut, a power cut), or the heir is down or lacks entries,
// raft's own timeouts do.
func (k *council) heir() {
	for {
		select {
		case <-k.ctx.Done():
			return
		case lost := <-k.layer.lost:
			if k.inherits(lost) && k.gone(lost) && k.inherits(lost) {
				k.succeedTo(lost)
			}
		}
	}
}

// inherits reports whether the station is the leader that this voter follows, and it is first among the rest.
func (k *council) inherits(lost alerts.StationID) bool {
	_, leader := k.raft.LeaderWithID()
	if leader != raft.ServerID(lost) || k.raft.State() != raft.Follower {
		return false
	}
	var rest []string
	for _, s := range k.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter && s.ID != leader {
			rest = append(rest, string(s.ID))
		}
	}
	return len(rest) > 1 && slices.Min(rest) == string(k.cfg.Self)
}

// gone reports whether the station's host says that nobody listens there any more.
func (k *council) gone(lost alerts.StationID) bool {
	for range knocks {
		ctx, cancel := context.WithTimeout(k.ctx, knockTime)
		s, err := k.dial(ctx, lost, opening{Purpose: forSurvey, Era: k.era.raw})
		cancel()
		switch {
		case err == nil:
			s.conn.Close()
			return false
		case errors.Is(err, syscall.ECONNREFUSED):
			return true
		case errors.Is(err, context.DeadlineExceeded):
			return false
		}
		select {
		case <-k.ctx.Done():
			return false
		case <-time.After(knockEvery):
		}
	}
	return false
}

// succeedTo has raft call the election now.
func (k *council) succeedTo(lost alerts.StationID) {
	self := k.cfg.Self
	now := &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(self), Addr: []byte(self)}}
	k.log.Info("the leader's process ended: an election, at once", zap.String("leader", string(lost)))
	if err := k.trans.TimeoutNow(raft.ServerID(self), raft.ServerAddress(self), now, &raft.TimeoutNowResponse{}); err != nil {
		k.log.Info("the election waits for raft's own patience", zap.Error(err))
	}
}
