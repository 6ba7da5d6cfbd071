package record

import (
	"errors"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
)

// A record on a full disk: what is agreed is shown, nothing leaves the pending set, another leads; when there
// is room again the station votes again, without a restart.
func TestARecordOnAFullDiskResumes(t *testing.T) {
	for name, fault := range map[string]func(*disk.Trouble){
		"full":  func(d *disk.Trouble) { d.Fail(syscall.ENOSPC, disk.Writing("record")) },
		"hangs": func(d *disk.Trouble) { d.Hang(disk.Writing("record")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCounty(t, three)
				old := c.leader()
				c.raise(old)
				c.eventually(10*time.Second, "recorded", c.allRecorded(three...))
				var left []alerts.Hash
				b := c.up[old]
				b.cell.WatchKept(func(ids []alerts.Hash) { left = append(left, ids...) })
				fault(c.bad[old])
				start := time.Now()
				e := c.raise(old)
				c.eventually(10*time.Second, "recorded under another leader", func() bool {
					l := c.up[others(old)[0]].cell.leader()
					return c.allRecorded(three...)() && l != "" && l != old
				})
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("another led after %v", took)
				}
				if s := b.cell.Status(); s.Err == nil || s.Role == Leader || slices.Contains(left, e.ID) || !b.cell.Leaving(e.ID) {
					t.Errorf("with a bad disk: %+v, left the pending set %v", s, left)
				}
				c.bad[old].Heal()
				c.eventually(10*time.Second, "votes again and has it on disk", func() bool {
					s := b.cell.Status()
					return s.Err == nil && s.Role != Follower && !b.cell.Leaving(e.ID)
				})
				c.stop(others(old)[0])
				c.raise(old)
				c.eventually(20*time.Second, "its vote counts", c.allRecorded(old, others(old)[1]))
				c.checkRecords()
				c.end()
			})
		})
	}
}

// The disk cannot even be opened: the station is up, follows, and votes when the disk is well.
func TestARecordOpensOnADeadDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three)
		c.leader()
		for range 3 {
			c.raise("post")
		}
		c.eventually(10*time.Second, "recorded", c.allRecorded(three...))
		c.stop("post")
		c.bad["post"].Fail(syscall.EIO, func(disk.Op) bool { return true })
		b := c.start("post")
		c.raise("xinzhuang")
		c.eventually(20*time.Second, "followed in memory", c.allRecorded(three...))
		if s := b.cell.Status(); s.Err == nil || s.Role != Follower || b.cell.store.Kept() != 0 {
			t.Errorf("on a dead disk: %+v, kept to %d", s, b.cell.store.Kept())
		}
		c.bad["post"].Heal()
		c.eventually(10*time.Second, "votes again", func() bool {
			s := b.cell.Status()
			return s.Err == nil && s.Role == Voter && b.cell.store.Kept() == s.Index
		})
		c.checkRecords()
		c.end()
	})
}

// A disk that cannot be written to when raft starts makes raft panic; that damages nothing, and it starts later.
func TestRaftStartsOnceItsVoteCanBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three)
		c.leader()
		c.raise("post")
		c.eventually(10*time.Second, "recorded", c.allRecorded(three...))
		c.stop("post")
		c.bad["post"].Fail(syscall.ENOSPC, disk.Writing("vote"))
		b := c.start("post")
		c.raise("xinzhuang")
		c.eventually(20*time.Second, "it follows all the same", c.allRecorded(three...))
		if s := b.cell.Status(); !errors.Is(s.Err, syscall.ENOSPC) {
			t.Errorf("it says %+v", s)
		}
		c.bad["post"].Heal()
		c.eventually(2*longCure, "it votes again, without a restart", func() bool {
			s := b.cell.Status()
			return s.Err == nil && s.Role != Follower
		})
		c.end()
	})
}
