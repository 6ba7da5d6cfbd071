package record

import (
	"time"

	"github.com/hashicorp/raft"
)

// Profile is what sort of links lie between the voters.
type Profile int

// The profiles.
const (
	LAN   Profile = iota // one building, one village, one fibre: another leader within half a second
	Mixed                // mobile or metered links: seconds, and few elections for nothing
)

const (
	keepSnapshots = 2
	poolSize      = 3
	trailingLogs  = 20000 // a voter that was away for a night needs no snapshot
)

// patience is how long the other end of a stream may be silent, or a dial may take.
func (p Profile) patience() time.Duration {
	if p == Mixed {
		return 10 * time.Second
	}
	return 3 * time.Second
}

// election is how long a candidate waits for votes.
func (p Profile) election() time.Duration {
	if p == Mixed {
		return 2 * time.Second
	}
	return 150 * time.Millisecond
}

func (p Profile) raft(self raft.ServerID) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = self
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = 150*time.Millisecond, p.election(), 100*time.Millisecond
	if p == Mixed {
		c.HeartbeatTimeout, c.LeaderLeaseTimeout = time.Second, time.Second
	}
	c.CommitTimeout = 50 * time.Millisecond
	c.TrailingLogs = trailingLogs
	c.ShutdownOnRemove = false
	c.NoLegacyTelemetry = true
	// Not RestoreCommittedLogs: in raft 1.8.0 a restarted voter would then not know who votes (it looks for the
	// configuration behind the restored logs only), and one with more than 128 batches to restore would never
	// come up. Our own store shows the whole record at once without it.
	return c
}
