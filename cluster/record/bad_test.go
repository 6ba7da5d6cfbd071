package record

import (
	"bufio"
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
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

// A damaged copy stands still and says so, snapshot or not; the station opens, and the others go on.
func TestADamagedRecordStandsStillAndTheStationOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three)
		c.leader()
		for range 5 {
			c.raise("post")
		}
		c.eventually(10*time.Second, "recorded", c.allRecorded(three...))
		if err := c.up["post"].cell.council().raft.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
		c.stop("post")
		c.spoil("post", "record.db", bucketEntries, key(3), make([]byte, 100))
		b := c.start("post")
		if s := b.cell.Status(); s.Err == nil {
			t.Errorf("a damaged record is not noticed: %+v", s)
		}
		c.raise("xinzhuang")
		c.eventually(20*time.Second, "recorded by the others", c.allRecorded(others("post")...))
		// its vote still counts: raft's own log is whole
		c.stop("caojiawu")
		c.raise("xinzhuang")
		c.eventually(20*time.Second, "recorded by one and the damaged one's vote", c.allRecorded("xinzhuang"))
		c.end()
	})
}

// reader asks as raft does for logs that are committed; there an error makes it panic.
type reader struct{ s *logStore }

func (r reader) processLogs() error { return r.s.GetLog(1, &raft.Log{}) }

func TestACommittedLogThatCannotBeReadParksRaft(t *testing.T) {
	said, ended := make(chan error, 1), make(chan struct{})
	s, err := openLogStore(nil, cellID, filepath.Join(t.TempDir(), "raft.db"), func(err error) { said <- err })
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

// A voter whose raft log is damaged may not vote, but it follows.
func TestADamagedRaftLogMakesAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three)
		c.leader()
		c.raise("post")
		c.eventually(10*time.Second, "recorded", c.allRecorded(three...))
		c.stop("post")
		c.spoil("post", "raft.db", bucketLogs, key(2), []byte{1})
		b := c.start("post")
		c.raise("xinzhuang")
		c.eventually(20*time.Second, "everybody has it", c.allRecorded(three...))
		if s := b.cell.Status(); s.Role != Follower || s.Err == nil || s.Leader == "" || s.Source == "" || len(s.Voters) != 3 {
			t.Errorf("the damaged one says %+v", s)
		}
		c.end()
	})
}

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

func FuzzStream(f *testing.F) {
	for _, v := range []any{
		opening{Version: openVersion, Cell: cellID, Purpose: forFollow, Index: 3},
		answer{Says: full, Era: []byte{1}, Feeds: three, Standing: &Standing{Station: "post", Index: 3}},
		frame{Index: 3, More: &more{Base: 1, Entries: [][]byte{{1}, {2}}}, News: &news{Leader: "post", Voters: three, Path: three}, Head: &vouch{By: "post", Index: 3, Sig: []byte{1}}},
		frame{More: &more{Entries: [][]byte{{1}}}, Other: true},
	} {
		var b bytes.Buffer
		if err := wire.WriteFrame(&b, v); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	fold := newTestFold(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var o opening
		var got frame
		if wire.ReadFrameMax(bufio.NewReader(bytes.NewReader(data)), &o, openLimit) == nil && len(data) > openLimit+4 {
			t.Fatal("an opening beyond its limit")
		}
		if wire.ReadFrame(bufio.NewReader(bytes.NewReader(data)), &got) != nil {
			return
		}
		if got.Head != nil {
			if _, err := got.Head.signed(cellID); err != nil {
				t.Fatal(err)
			}
		}
		if got.More == nil {
			return
		}
		fold.err = nil
		if fold.Feed(alerts.Hash{}, got.More.Base, got.More.Chain, got.More.Entries) == nil && len(got.More.Entries) > 0 && fold.Head().Index == 0 {
			t.Fatal("entries that went nowhere were taken")
		}
	})
}
