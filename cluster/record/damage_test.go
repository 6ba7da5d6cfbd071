package record

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"hivemesh/alerts"
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
