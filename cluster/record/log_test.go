package record

import (
	"fmt"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// What raft says at every start asks nothing of an operator; that a leader was lost does.
func TestRaftSpeaksOnlyOfWhatConcernsAnOperator(t *testing.T) {
	core, said := observer.New(zapcore.DebugLevel)
	log := bridge(zap.New(core))
	unmet := fmt.Errorf("%w of post", errNoAddress)
	log.Warn("no known peers, aborting election")
	log.Warn("heartbeat timeout reached, starting election", "last-leader-addr", "", "last-leader-id", "")
	log.Error("failed to make requestVote RPC", "target", "post", "error", unmet, "term", 2)
	log.Info("entering follower state")
	if n := said.Len(); n > 0 {
		t.Errorf("at a start it says %v", said.All())
	}
	log.Warn("heartbeat timeout reached, starting election", "last-leader-addr", "post", "last-leader-id", "post")
	log.Error("failed to make requestVote RPC", "target", "post", "error", "i/o timeout", "term", 3)
	if n := said.Len(); n != 2 {
		t.Errorf("of a lost leader it says %v", said.All())
	}
}
