package record

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
)

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
		c.eventually(time.Minute, "and goes on", func() bool { return c.allRecorded(three...)() && c.allRecorded("zhangyong")() })
		c.checkRecords()
		c.end()
	})
}

// A voter with nobody to ask mends itself while it runs: rotten entries, and a file that lost its end.
func TestALoneVoterMendsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, []alerts.StationID{"post"})
		c.leader()
		for range 5 {
			c.raise("post")
		}
		c.eventually(10*time.Second, "recorded", c.allRecorded("post"))
		cell := c.up["post"].cell
		whole := func() bool {
			got, err := cell.Entries(1, 100)
			s := cell.Status()
			return err == nil && uint64(len(got)) == s.Index && cell.store.Kept() == s.Index && s.Err == nil
		}
		c.must(cell.store.Settle())
		for _, index := range []uint64{2, cell.fold.Head().Index} {
			db, err := cell.store.db.open()
			c.must(err)
			rot(t, db, bucketEntries, key(index))
			if got, err := cell.Entries(index, 1); err == nil {
				t.Errorf("a rotten entry was served: %v", got)
			}
			c.eventually(2*scrubEvery, "written again", whole)
		}
		c.must(os.Truncate(filepath.Join(c.dir, "post", "record.db"), 2*4096))
		c.raise("post")
		c.eventually(2*scrubEvery, "recorded in a new file, which has all", func() bool { return c.allRecorded("post")() && whole() })
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
