package record

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

// The figures to compare with: what the disk alone can do. One raft commit is two transactions one after the
// other, the leader's and a follower's; a record adds the fold's own.

func BenchmarkFdatasync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	for b.Loop() {
		if _, err := f.WriteAt(page, 0); err != nil {
			b.Fatal(err)
		}
		if err := fdatasync(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBboltPut(b *testing.B) {
	db, err := bolt.Open(filepath.Join(b.TempDir(), "raw.db"), 0o600, nil)
	if err == nil {
		err = db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket(bucketLogs); return err })
	}
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	value, i := make([]byte, 600), uint64(0)
	for b.Loop() {
		i++
		if err := db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketLogs).Put(key(i), value) }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRaftCommit is a bare commit among the same three voters: a batch that everyone passes over.
func BenchmarkRaftCommit(b *testing.B) {
	c, l := settled(b)
	data, err := batch{Version: batchVersion, Base: 1 << 40, Entries: [][]byte{make([]byte, 600)}}.encode()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := l.cell.council().raft.Apply(data, 0).Error(); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	c.stopAll()
}

// BenchmarkRecordOneByOne waits for each event to be recorded at the leader before it raises the next.
func BenchmarkRecordOneByOne(b *testing.B) { benchmarkRecord(b, 1) }

// BenchmarkRecord64InFlight keeps 64 events on their way.
func BenchmarkRecord64InFlight(b *testing.B) { benchmarkRecord(b, 64) }

func settled(b *testing.B) (*county, *box) {
	c := newCounty(b, three)
	l := c.up[c.leader()]
	c.raise(l.id)
	c.eventually(10*time.Second, "the first one is recorded everywhere", c.allRecorded(three...))
	return c, l
}

func benchmarkRecord(b *testing.B, inFlight int) {
	c, l := settled(b)
	places := make(chan struct{}, inFlight)
	l.cell.Watch(func(alerts.Change) { <-places })
	list := make([]alerts.Event, b.N)
	for i := range list {
		list[i] = c.unheard(l.id, i+1)
	}
	var done sync.WaitGroup
	b.ResetTimer()
	for _, e := range list {
		places <- struct{}{}
		done.Go(func() { l.put(e) })
	}
	for range inFlight {
		places <- struct{}{}
	}
	b.StopTimer()
	done.Wait()
	c.stopAll()
}

// BenchmarkWholeAgain is a station whose disk is gone: how long it takes until it has a record of 100,000 events
// again, each on its disk and folded, from one other station. `-benchtime 1x` is enough.
func BenchmarkWholeAgain(b *testing.B) {
	const events = 100_000
	c := newCounty(b, []alerts.StationID{"absent"}, "post", "newcomer")
	c.stop("absent") // nobody leads: what is measured is the copying
	c.stop("newcomer")
	post := c.up["post"].cell
	fill(b, c, post, events)
	for b.Loop() {
		if err := os.RemoveAll(filepath.Join(c.dir, "newcomer")); err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		got := c.start("newcomer").cell
		for got.Status().Index < events || got.store.Kept() < events {
			time.Sleep(10 * time.Millisecond)
		}
		b.Logf("%d events are here again after %v", events, time.Since(begin))
		if got.Status().Chain != post.Status().Chain {
			b.Fatal("another record")
		}
		b.StopTimer()
		c.stop("newcomer")
		b.StartTimer()
	}
	b.StopTimer()
	c.stopAll()
}

// fill records n events of a county's year at one station, without an agreement.
func fill(b *testing.B, c *county, at *Cell, n int) {
	b.Helper()
	head, now := at.fold.Head(), time.Now().UTC().Truncate(time.Millisecond)
	for n > 0 {
		base, list := head, make([][]byte, 0, maxBatch)
		for range min(maxBatch, n) {
			e := c.unheard("post", int(head.Index)+1)
			raw, err := wire.EncodeEntry(alerts.Entry{Epoch: head.Epoch, Index: head.Index + 1, Event: e, At: now, By: alerts.Standing{Roles: []alerts.Role{alerts.Officer}, Kind: alerts.PolicePost}})
			if err != nil {
				b.Fatal(err)
			}
			list = append(list, raw)
			head.Index, head.Chain = head.Index+1, wire.Chain(head.Chain, raw)
		}
		n -= len(list)
		for {
			err := at.fold.Feed(at.fold.Era().mark, base.Index, base.Chain, list)
			if err == nil {
				break
			}
			if !errors.Is(err, errBehind) {
				b.Fatal(err)
			}
			time.Sleep(time.Millisecond) // the disk has to catch up
		}
	}
	for at.store.Kept() < head.Index {
		time.Sleep(time.Millisecond)
	}
}
