package record

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
)

// spoil overwrites a value in a stopped station's file.
func (c *county) spoil(s alerts.StationID, file string, bucket, k, v []byte) {
	c.t.Helper()
	db, err := bolt.Open(filepath.Join(c.dir, string(s), file), 0o600, nil)
	if err == nil {
		err = errors.Join(db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucket).Put(k, v) }), db.Close())
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func others(not alerts.StationID) (out []alerts.StationID) {
	for _, s := range three {
		if s != not {
			out = append(out, s)
		}
	}
	return out
}

// A damaged copy is put aside and fetched anew, snapshot or not; the station votes on.
func TestADamagedRecordIsFetchedAnew(t *testing.T) {
	for _, snapshot := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCounty(t, three)
			c.leader()
			for range 5 {
				c.raise("post")
			}
			c.eventually(10*time.Second, "recorded", c.allRecorded(three...))
			if snapshot {
				if err := c.up["post"].cell.council().raft.Snapshot().Error(); err != nil {
					t.Fatal(err)
				}
			}
			c.stop("post")
			c.spoil("post", "record.db", bucketEntries, key(3), make([]byte, 100))
			c.start("post")
			c.raise("xinzhuang")
			c.eventually(20*time.Second, "recorded by all", c.allRecorded(three...))
			if aside, _ := filepath.Glob(filepath.Join(c.dir, "post", "record.db.damaged-*")); len(aside) != 1 {
				t.Errorf("the damaged file is not there any more: %v", aside)
			}
			c.stop("caojiawu")
			c.raise("xinzhuang")
			c.eventually(20*time.Second, "recorded by one and the mended one", c.allRecorded("xinzhuang", "post"))
			c.checkRecords()
			c.end()
		})
	}
}

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

// reader asks as raft does for logs that are committed; there an error makes it panic.
type reader struct{ s *logStore }

func (r reader) processLogs() error { return r.s.GetLog(1, &raft.Log{}) }

func TestACommittedLogThatCannotBeReadParksRaft(t *testing.T) {
	said, ended := make(chan error, 1), make(chan struct{})
	s, err := openTestLogs(t.TempDir(), func(err error) { said <- err })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.Bolt().Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketLogs).Put(key(1), []byte{1}) }); err != nil {
		t.Fatal(err)
	}
	if err := (reader{s}).processLogs(); err == nil {
		t.Error("a damaged log was read")
	}
	s.parks.Store(true)
	if err := s.GetLog(1, &raft.Log{}); err == nil {
		t.Error("who can take an error gets none")
	}
	go func() {
		defer close(ended)
		(reader{s}).processLogs()
		t.Error("the failure came back to raft")
	}()
	if err := <-said; err == nil {
		t.Error("nobody is told why")
	}
	s.Close()
	<-ended
}

// A voter that lost its logs or its vote follows, and never votes again: another vote under its name could make
// two leaders of one term.
func TestAVoterThatForgotItsVoteOnlyFollows(t *testing.T) {
	for name, damage := range map[string]func(c *county, dir string){
		"a log is damaged": func(c *county, _ string) { c.spoil("post", "raft.db", bucketLogs, key(2), []byte{1}) },
		"the vote is damaged": func(c *county, dir string) {
			c.write(filepath.Join(dir, "vote"), bytes.Repeat([]byte{0xa5}, 8192))
		},
		"the vote is gone":   func(c *county, dir string) { c.must(os.Remove(filepath.Join(dir, "vote"))) },
		"the log is gone":    func(c *county, dir string) { c.must(os.Remove(filepath.Join(dir, "raft.db"))) },
		"the folder is gone": func(c *county, dir string) { c.must(os.RemoveAll(dir)) },
		"a file lies where the folder was": func(c *county, dir string) {
			c.must(os.RemoveAll(dir))
			c.write(dir, []byte("x"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "a log is damaged" && name != "the folder is gone" {
				t.Skip("these two are enough for a quick look")
			}
			synctest.Test(t, func(t *testing.T) {
				c := newCounty(t, three)
				c.leader()
				c.raise("post")
				c.eventually(10*time.Second, "recorded", c.allRecorded(three...))
				for range 2 { // a second start finds nothing damaged any more
					c.stop("post")
					damage(c, filepath.Join(c.dir, "post"))
					damage = func(*county, string) {}
					b := c.start("post")
					c.raise("xinzhuang")
					c.eventually(20*time.Second, "everybody has it", c.allRecorded(three...))
					if s := b.cell.Status(); s.Role != Follower || !errors.Is(s.Err, errVoteless) && name != "a file lies where the folder was" || s.Leader == "" || s.Source == "" || len(s.Voters) != 3 {
						t.Errorf("the damaged one says %+v", s)
					}
				}
				time.Sleep(5 * firstCure)
				c.stop("caojiawu")
				c.raise("xinzhuang")
				time.Sleep(10 * time.Second)
				if c.allRecorded("xinzhuang")() {
					t.Error("it voted again")
				}
				c.end()
			})
		})
	}
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

func (c *county) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *county) write(path string, b []byte) { c.t.Helper(); c.must(os.WriteFile(path, b, 0o600)) }

// Somebody names an index that nobody can show: nobody leaves the leader for it.
func TestABoastDoesNotDriveFollowersAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three, "zhangyong")
		l := c.leader()
		b := c.up["zhangyong"]
		follows := func() bool { return b.cell.Status().Source == l }
		c.eventually(10*time.Second, "the leader is followed", follows)
		b.cell.Heard(1e6, "xinzhuang")
		for range 600 {
			time.Sleep(50 * time.Millisecond)
			if !follows() {
				t.Fatalf("follows %q", b.cell.Status().Source)
			}
		}
		c.end()
	})
}

// The source is silent without a goodbye, while another station can still be reached.
func TestAFollowerCutFromTheLeaderFindsAnotherWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three, "zhangyong")
		l := c.leader()
		c.raise("zhangyong")
		c.eventually(10*time.Second, "recorded", c.allRecorded("zhangyong"))
		c.net.Cut("zhangyong", string(l))
		c.raise("xinzhuang")
		c.eventually(30*time.Second, "recorded, by way of another voter", c.allRecorded("zhangyong"))
		if s := c.up["zhangyong"].cell.Status(); s.Source == l || s.Leader != l {
			t.Errorf("says %+v", s)
		}
		c.net.Heal()
		c.eventually(time.Minute, "back at the leader", func() bool { return c.up["zhangyong"].cell.Status().Source == l })
		c.checkRecords()
		c.end()
	})
}

// A stranger's head, or one that a follower made up, is not believed.
func TestAForgedHeadIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, []alerts.StationID{"post"}, "xinzhuang")
		c.leader()
		c.raise("post")
		c.eventually(10*time.Second, "recorded", c.allRecorded("post", "xinzhuang"))
		v := vouch{By: "post", Epoch: firstEpoch, Index: 1, Chain: alerts.Hash{1}}
		b, err := v.signed(cellID)
		if err != nil {
			t.Fatal(err)
		}
		v.Sig = c.ids["xinzhuang"].SignBytes(b) // not post's
		cell := c.up["xinzhuang"].cell
		if err := cell.takeIn(firstEra(), "post", frame{Index: 1, Head: &v}); err == nil || cell.Err() != nil {
			t.Errorf("forged: %v; stands still: %v", err, cell.Err())
		}
		v.Sig = c.ids["post"].SignBytes(b)
		if err := cell.takeIn(firstEra(), "post", frame{Index: 1, Head: &v}); !errors.Is(err, ErrDiverged) || !errors.Is(cell.Err(), ErrDiverged) {
			t.Errorf("the leader's word against ours: %v; stands still: %v", err, cell.Err())
		}
		c.end()
	})
}

// A village station that does not vote, carried off and made to lie, cannot stop the others' records; whoever
// votes now, as the leaders said one after the other, is believed, over a restart too.
func TestOnlyVotersHeadsAreBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := foundCounty(t, Mixed, three, "zhangyong", "works", "school")
		c.leader()
		c.raise("post")
		c.eventually(10*time.Second, "recorded", c.allRecorded("post", "zhangyong", "works"))
		lie := func(by alerts.StationID) *vouch {
			t.Helper()
			v := vouch{By: by, Epoch: firstEpoch, Index: 1, Chain: alerts.Hash{1}, Voters: []alerts.StationID{by}}
			b, err := v.signed(cellID)
			if err != nil {
				t.Fatal(err)
			}
			v.Sig = c.ids[by].SignBytes(b)
			return &v
		}
		cell := c.up["zhangyong"].cell
		if err := cell.takeIn(firstEra(), "school", frame{Index: 1, Head: lie("school"), News: &news{}}); err != nil || cell.Err() != nil {
			t.Errorf("a lie of one who does not vote: %v; stands still: %v", err, cell.Err())
		}
		if err := cell.takeIn(firstEra(), "school", frame{Other: true, News: &news{Leader: "school"}}); !errors.Is(err, errOther) || cell.Err() != nil {
			t.Errorf("one who says to lead, and does not vote: %v; stands still: %v", err, cell.Err())
		}
		if cell.elects("school") || cell.elects("works") {
			t.Error("who does not vote is believed")
		}

		c.sees(9, "school") // so that it is works
		c.down("caojiawu")
		c.votersBecome(stableFor+deadAfter, "post", "works", "xinzhuang")
		c.raise("works")
		c.eventually(time.Minute, "followed", c.allRecorded("zhangyong"))
		c.eventually(time.Minute, "whoever votes now is believed", func() bool { return cell.elects("works") && !cell.elects("caojiawu") })
		c.stop("zhangyong")
		cell = c.start("zhangyong").cell
		if !cell.elects("works") || cell.elects("caojiawu") {
			t.Error("forgotten over a restart")
		}
		if err := cell.takeIn(firstEra(), "works", frame{Index: 1, Head: lie("works"), News: &news{}}); !errors.Is(err, ErrDiverged) {
			t.Errorf("the word of one who votes: %v", err)
		}
		c.end()
	})
}

// rot flips a bit of a value in a running station's file.
func rot(t *testing.T, db *disk.DB, bucket, k []byte) {
	t.Helper()
	err := db.Bolt().Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucket)
		v := bytes.Clone(b.Get(k))
		v[len(v)/2] ^= 1
		return b.Put(k, v)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A bit flips on a running station's disk: it is found, fetched from another station, and never served.
func TestARottenEntryIsFetchedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three, "zhangyong")
		l := c.leader()
		for range 5 {
			c.raise("post")
		}
		c.eventually(10*time.Second, "recorded", c.allRecorded(three...))
		for _, s := range []alerts.StationID{l, others(l)[0]} {
			cell := c.up[s].cell
			c.must(cell.store.Settle())
			for _, index := range []uint64{2, cell.fold.Head().Index} {
				db, err := cell.store.db.open()
				c.must(err)
				rot(t, db, bucketEntries, key(index))
				if got, err := cell.Entries(index, 1); err == nil {
					t.Errorf("a rotten entry was served: %v", got)
				}
				whole := func() bool {
					got, err := cell.Entries(1, 100)
					return err == nil && uint64(len(got)) == cell.fold.Head().Index
				}
				c.eventually(2*scrubEvery, "fetched again", whole)
			}
		}
		c.raise("zhangyong")
		c.eventually(10*time.Second, "and goes on", c.allRecorded(three...))
		c.checkRecords()
		c.end()
	})
}

// A log that is in the record already is not missed: a snapshot takes its place.
func TestARottenLogIsReplacedByASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three)
		l := c.leader()
		for range 5 {
			c.raise("post")
			c.eventually(10*time.Second, "recorded", c.allRecorded(three...))
		}
		k := c.up[l].cell.council()
		rot(t, k.logs.db, bucketLogs, key(3))
		c.eventually(3*scrubEvery, "a snapshot took its place", func() bool {
			first, err := k.logs.FirstIndex()
			return err == nil && (first == 0 || first > 3) && k.logs.rotten.Load() == nil
		})
		c.stop(l)
		c.start(l)
		c.raise("post")
		c.eventually(20*time.Second, "recorded by all", c.allRecorded(three...))
		c.eventually(20*time.Second, "and it votes", func() bool { s := c.up[l].cell.Status(); return s.Err == nil && s.Role != Follower })
		c.checkRecords()
		c.end()
	})
}

// The file itself is damaged under a running station: it begins a new one, fetches what is lost, and votes on.
func TestAFileDamagedUnderARunningStation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three)
		l := c.leader()
		for range 30 {
			c.raise("post")
		}
		c.eventually(10*time.Second, "recorded", c.allRecorded(three...))
		cell := c.up[l].cell
		c.must(cell.store.Settle())
		c.must(os.Truncate(filepath.Join(c.dir, string(l), "record.db"), 2*4096))
		c.raise("post")
		c.eventually(20*time.Second, "recorded by all", c.allRecorded(three...))
		c.eventually(time.Minute, "whole and voting again", func() bool {
			got, err := cell.Entries(1, 100)
			s := cell.Status()
			return err == nil && uint64(len(got)) == s.Index && cell.store.Kept() == s.Index && s.Err == nil && s.Role != Follower
		})
		if aside, _ := filepath.Glob(filepath.Join(c.dir, string(l), "record.db.damaged-*")); len(aside) != 1 {
			t.Errorf("the damaged file is not there any more: %v", aside)
		}
		c.checkRecords()
		c.end()
	})
}

// A snapshot with a flipped bit, in its content or in what is said of it, is neither taken at a start nor served:
// an older one is, and the logs after it.
func TestARottenSnapshotIsNotBelieved(t *testing.T) {
	for _, file := range []string{metaFile, "state.bin", sumFile} {
		t.Run(file, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCounty(t, three)
				l := c.leader()
				for range 2 {
					c.raise("post")
					c.eventually(10*time.Second, "recorded", c.allRecorded(three...))
					c.must(c.up[l].cell.council().raft.Snapshot().Error())
				}
				k := c.up[l].cell.council()
				list, err := k.snaps.List()
				c.must(err)
				if len(list) != 2 {
					t.Fatalf("%d snapshots", len(list))
				}
				path := filepath.Join(c.dir, string(l), snapsDir, list[0].ID, file)
				b, err := os.ReadFile(path)
				c.must(err)
				at := bytes.IndexByte(b, '1') // an index, a term, a part of a hash: it still reads well
				if at < 0 {
					at = len(b) / 2
				}
				b[at] ^= 2
				c.write(path, b)
				c.stop(l)
				c.start(l)
				c.raise("post")
				c.eventually(20*time.Second, "recorded by all", c.allRecorded(three...))
				if s := c.up[l].cell.Status(); s.Err != nil {
					t.Errorf("%+v", s)
				}
				k = c.up[l].cell.council()
				if n := k.snaps.scrub(k.log); n != 1 {
					t.Errorf("%d damaged snapshots were found", n)
				}
				if aside, _ := filepath.Glob(filepath.Join(c.dir, string(l), "snapshot-*.damaged-*")); len(aside) != 1 {
					t.Errorf("the damaged one is not there any more: %v", aside)
				}
				c.checkRecords()
				c.end()
			})
		})
	}
}
