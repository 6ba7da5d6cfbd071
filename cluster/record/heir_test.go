package record

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// Everybody else hears at once that the leader's process has ended: nobody waits until it has been silent for long.
func TestALeaderWhoseProcessEndsIsSucceededAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three)
		for range three { // each may be the leader, or the heir
			l := c.leader()
			c.eventually(20*time.Second, "all follow "+string(l), func() bool { // who does not is no heir
				for s := range c.up {
					if _, leads := c.up[s].cell.council().raft.LeaderWithID(); leads != raft.ServerID(l) {
						return false
					}
				}
				return true
			})
			c.raise("post")
			c.eventually(20*time.Second, "all have its log", func() bool { // who lacks entries may not lead
				last := c.up[l].cell.council().raft.LastIndex()
				for s := range c.up {
					if c.up[s].cell.council().raft.LastIndex() != last {
						return false
					}
				}
				return c.allRecorded(three...)()
			})
			ended := time.Now()
			c.up[l].port.Close() // as the others see the end of a process: streams break, the door is shut
			heir := c.leader(l)
			if took := time.Since(ended); took >= LAN.raft("").HeartbeatTimeout {
				t.Errorf("%s leads %v after %s went: as late as silence would have told", heir, took, l)
			}
			c.stop(l)
			c.start(l)
		}
		c.checkRecords()
		c.end()
	})
}

// A stream that breaks is no death: the leader lives, its door is open, and nobody calls an election.
func TestABrokenStreamCallsNoElection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three)
		l := c.leader()
		c.raise("post")
		c.eventually(10*time.Second, "recorded", c.allRecorded(three...))
		term := c.up[l].cell.council().raft.CurrentTerm()
		for range 20 {
			c.net.PowerOff(string(l))
			c.net.PowerOn(string(l)) // resets its streams
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if now := c.up[l].cell.council().raft.CurrentTerm(); c.leader() != l || now != term {
			t.Errorf("%s leads in term %d, it was %s in %d", c.leader(), now, l, term)
		}
		c.end()
	})
}
