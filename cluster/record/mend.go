package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/wire"
)

// span is a run of entries that cannot be read here any more.
type span struct{ from, upto uint64 }

const (
	// scrubEvery, scrubEntries and scrubLogs: 100,000 entries are looked through in 100 minutes, some
	// milliseconds at a time.
	scrubEvery   = time.Minute
	scrubEntries = 1024
	scrubLogs    = 1024
	// refreshEvery is how often, in looks, what the disk has is compared with what the kernel keeps of it: a record
	// of 100,000 entries in 40 minutes.
	refreshEvery = 10
	// mendBytes is how much of a lost part is held in memory while it is fetched. Of more than that, what
	// follows upon the sound entries comes after the next start.
	mendBytes = 256 << 20
	// mendTime bounds one station's turn at sending it.
	mendTime = time.Minute
)

// errNobody says that no other station could show lost entries.
var errNobody = errors.New("no station in reach has them")

// lose notes lost entries, for tend. It never waits: what is still lost is found again.
func (c *Cell) lose(from, upto uint64) {
	select {
	case c.lost <- span{from, upto}:
	default:
	}
}

// keepSound looks for damage, and fetches what is damaged from other stations.
func (c *Cell) keepSound() {
	s := &scrubber{c: c}
	tick := time.NewTicker(scrubEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
			s.look()
		case lost := <-c.lost:
			if err := c.mend(lost); err != nil {
				c.log.Warn("entries lost here are not fetched yet", zap.Uint64("from", lost.from), zap.Uint64("to", lost.upto), zap.Error(err))
			}
		}
	}
}

// mend fetches lost entries from whoever has them and puts them back. What comes must lead to the very hash that
// this station knows to be right.
func (c *Cell) mend(lost span) error {
	if head := c.fold.Head().Index; lost.upto > head {
		lost.upto = head
	}
	chain, ok, err := c.store.Chain(lost.from - 1)
	if err != nil || !ok {
		return errors.Join(fmt.Errorf("before entry %d: %w", lost.from, errHole), err)
	}
	if raws := c.remembered(lost, chain); raws != nil {
		if err := c.store.Fill(raws); err != nil {
			return err
		}
		c.log.Warn("entries lost here were written again from memory", zap.Uint64("from", lost.from), zap.Uint64("to", lost.upto))
		return nil
	}
	err = errNobody
	for _, from := range slices.Concat(c.voters(), c.cfg.Founders, c.cfg.Alive()) {
		if from == c.cfg.Self {
			continue
		}
		var raws []Raw
		if raws, err = c.fetch(from, lost, chain); err != nil {
			continue
		}
		if !c.leadsOn(raws[len(raws)-1]) {
			err = fmt.Errorf("%w: what %s sent does not lead to what is here", ErrDiverged, from)
			continue
		}
		if err = c.store.Fill(raws); err != nil {
			return err
		}
		c.log.Warn("entries lost here were fetched", zap.Uint64("from", lost.from), zap.Uint64("to", lost.upto), zap.String("station", string(from)))
		return nil
	}
	return err
}

// remembered makes lost entries anew from the fold, which was made of them: so a station alone in its village mends
// itself. nil: the fold does not have all of them; it keeps no duplicates, which other stations have.
func (c *Cell) remembered(lost span, chain alerts.Hash) []Raw {
	var entries []alerts.Entry
	c.Read(func(s *alerts.State) {
		all := s.Entries()
		at, _ := slices.BinarySearchFunc(all, lost.from, func(e alerts.Entry, index uint64) int { return cmp.Compare(e.Index, index) })
		entries = slices.Clone(all[at:min(uint64(len(all)), uint64(at)+lost.upto-lost.from+1)])
	})
	out := make([]Raw, 0, len(entries))
	for _, e := range entries {
		b, err := wire.EncodeEntry(e)
		if err != nil || e.Index != lost.from+uint64(len(out)) || wire.Chain(chain, b) != e.Chain {
			return nil
		}
		chain = e.Chain
		out = append(out, Raw{Index: e.Index, Bytes: b, Chain: chain})
	}
	if len(out) == 0 || out[len(out)-1].Index != lost.upto || !c.leadsOn(out[len(out)-1]) {
		return nil
	}
	return out
}

// leadsOn reports whether the entry after this one, or the fold's head if there is none, is upon its hash.
func (c *Cell) leadsOn(last Raw) bool {
	head := c.fold.Head()
	if last.Index == head.Index {
		return last.Chain == head.Chain
	}
	next, ok := c.store.peekAt(last.Index + 1)
	return ok && wire.Chain(last.Chain, next.Bytes) == next.Chain
}

// peekAt is an entry as it stands on disk or in the tail, checked by nothing.
func (s *store) peekAt(index uint64) (r Raw, ok bool) {
	s.mu.Lock()
	tail := s.tail
	s.mu.Unlock()
	for _, t := range tail {
		if t.Index == index {
			return t, true
		}
	}
	err := s.db.View(func(tx *bolt.Tx) (err error) {
		if v := tx.Bucket(bucketEntries).Get(key(index)); v != nil {
			r, err = rawOf(key(index), v)
			ok = err == nil
		}
		return err
	})
	return r, ok && err == nil
}

// fetch asks one station for entries that follow upon a hash.
func (c *Cell) fetch(from alerts.StationID, want span, chain alerts.Hash) (out []Raw, err error) {
	ctx, cancel := context.WithTimeout(c.ctx, mendTime)
	defer cancel()
	s, err := c.dial(ctx, from, opening{Purpose: forMend, Index: want.from - 1, Chain: chain, Era: c.fold.Era().raw})
	if err != nil {
		return nil, err
	}
	defer s.conn.Close()
	defer context.AfterFunc(ctx, func() { s.conn.Close() })()
	size := 0
	for at := want.from - 1; at < want.upto; {
		var page [][]byte
		if err := wire.ReadFrame(s.r, &page); err != nil {
			return nil, err
		}
		if len(page) == 0 {
			return nil, errNobody
		}
		for _, b := range page {
			if at == want.upto {
				break
			}
			at, chain = at+1, wire.Chain(chain, b)
			out = append(out, Raw{Index: at, Bytes: b, Chain: chain})
			if size += len(b); size > mendBytes {
				return nil, errors.New("too much is lost to be fetched while the station runs: start it anew")
			}
		}
	}
	return out, nil
}

// show sends who lost entries what follows upon a hash, a page a frame, until there is no more or it hangs up.
func (c *Cell) show(conn net.Conn, at uint64, chain alerts.Hash) {
	defer context.AfterFunc(c.ctx, func() { conn.Close() })()
	if ours, ok, err := c.store.Chain(at); err != nil || !ok || ours != chain {
		return
	}
	for {
		page, err := c.store.Read(at+1, maxBatch, sendBytes)
		if err != nil {
			return
		}
		list := make([][]byte, len(page))
		for i, r := range page {
			list[i] = r.Bytes
		}
		conn.SetWriteDeadline(time.Now().Add(sendTime))
		if wire.WriteFrame(conn, list) != nil || len(list) == 0 {
			return
		}
		at += uint64(len(list))
	}
}

// scrubber looks through what is on disk, round and round: what is damaged is found before it is needed.
type scrubber struct {
	c     *Cell
	entry uint64
	log   uint64
	looks int
}

func (s *scrubber) look() {
	page, err := s.c.store.Read(s.entry+1, scrubEntries, wire.MaxFrame)
	switch {
	case err != nil || len(page) == 0: // a rotten one has been noted by Read
		s.entry = 0
	default:
		s.entry = page[len(page)-1].Index
	}
	if s.looks++; s.looks%refreshEvery == 0 {
		if db, err := s.c.store.db.open(); err == nil {
			s.refresh("record", db)
		}
	}
	k := s.c.council()
	if k == nil || k.raft == nil || k.reason() != nil {
		return
	}
	if s.looks%refreshEvery == 0 {
		s.refresh("log", k.logs.db)
	}
	s.log = k.logs.scrub(s.log+1, scrubLogs)
	if at := k.logs.rotten.Load(); at != nil {
		k.shorten(*at)
	}
	if s.looks%scrubSnapshots == 0 && k.snaps.scrub(k.log) > 0 {
		if err := k.raft.Snapshot().Error(); err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
			k.log.Warn("a damaged snapshot is not replaced yet", zap.Error(err))
		}
	}
}

func (s *scrubber) refresh(store string, db *disk.DB) {
	db.Refresh(disk.RefreshBytes, func(rewritten int, err error) {
		s.c.log.Warn("the disk had lost what is in memory, and it is written again",
			zap.String("store", store), zap.Int("pieces", rewritten), zap.Error(err))
	})
}

// scrub reads logs from an index on and says which was the last; 0: there are no more.
func (s *logStore) scrub(from uint64, most int) uint64 {
	first, err1 := s.FirstIndex()
	last, err2 := s.LastIndex()
	if err1 != nil || err2 != nil || first == 0 {
		return 0
	}
	at := max(from, first)
	for ; at <= last && most > 0; at, most = at+1, most-1 {
		_ = s.GetLog(at, &raft.Log{}) // one that is damaged is noted there
	}
	if at > last {
		return 0
	}
	return at - 1
}

// shorten has a log that cannot be read any more replaced by a snapshot of what it led to. One that is not
// applied yet cannot be: this station has lost something that it confirmed.
func (k *council) shorten(rotten uint64) {
	if rotten > k.raft.AppliedIndex() {
		k.die(fmt.Errorf("raft log %d: %w", rotten, errRotten))
		return
	}
	conf := k.raft.ReloadableConfig()
	short := conf
	short.TrailingLogs = 0
	err := k.raft.ReloadConfig(short)
	if err == nil {
		err = errors.Join(k.raft.Snapshot().Error(), k.raft.ReloadConfig(conf))
	}
	if err != nil {
		k.log.Warn("a damaged log is not replaced by a snapshot yet", zap.Uint64("log", rotten), zap.Error(err))
		return
	}
	k.logs.rotten.Store(nil)
	k.log.Warn("a damaged log was replaced by a snapshot", zap.Uint64("log", rotten))
}
