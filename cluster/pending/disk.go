package pending

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
)

const (
	// retryEvery is how often a failed write is tried again: a full disk that was cleared is used soon.
	retryEvery = time.Second
	// badTries is how many writes in a row a file may fail with an input/output error before all is written
	// into a new one, whose blocks may be better.
	badTries = 3
	// scrubEvery and scrubPage: 10,000 pending events are looked through in 40 minutes, 4 ms at a time.
	scrubEvery = time.Minute
	scrubPage  = 256
)

// write marks an event for the writer; the caller holds mu.
func (s *Set) write(id alerts.Hash) {
	s.dirty[id] = struct{}{}
	s.poke()
}

func (s *Set) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run is the one writer, and the only one to touch the file: whatever waits goes to disk together, with one
// fsync.
func (s *Set) run() {
	defer close(s.done)
	scrub := time.NewTicker(scrubEvery)
	defer scrub.Stop()
	var retry <-chan time.Time
	if s.db == nil {
		retry = time.After(retryEvery)
	}
	for {
		select {
		case <-s.wake:
		case <-retry:
		case <-scrub.C:
			s.scrub()
		case <-s.stop:
			s.flush()
			s.closing.Wait()
			if s.db != nil {
				s.closeErr = s.db.Close()
			}
			return
		}
		retry = nil
		if !s.flush() {
			retry = time.After(retryEvery)
		}
	}
}

// flush makes the disk agree with memory on all dirty events; false: it has to be tried again.
func (s *Set) flush() bool {
	s.mu.Lock()
	ids := s.dirty
	s.dirty = map[alerts.Hash]struct{}{}
	raws := make(map[alerts.Hash][]byte, len(ids)) // nil: to be removed
	waiters := make(map[alerts.Hash][]chan error, len(ids))
	for id := range ids {
		if it := s.items[id]; it != nil {
			raws[id], waiters[id] = it.e.Raw, it.waiters
			it.waiters = nil
		} else {
			raws[id] = nil
		}
	}
	s.mu.Unlock()
	if len(raws) == 0 && s.db != nil {
		return true
	}
	err := s.commit(raws)
	s.report(err, len(raws))
	var kept []alerts.Hash
	s.mu.Lock()
	for id := range raws {
		it := s.items[id]
		switch {
		case err != nil:
			s.dirty[id] = struct{}{}
		case it != nil && raws[id] != nil && !it.kept:
			it.kept = true
			kept = append(kept, id)
		}
	}
	s.mu.Unlock()
	s.tellKept(kept, true)
	for _, ws := range waiters {
		for _, w := range ws {
			w <- err
		}
	}
	return err == nil
}

// report logs when the disk begins to fail and when it is well again, not every try.
func (s *Set) report(err error, events int) {
	switch {
	case err != nil && !s.failing:
		s.log.Error("pending events are not on disk yet", zap.Int("events", events), zap.Error(err))
	case err == nil && s.failing:
		s.log.Info("pending events are on disk again", zap.Int("events", events))
	}
	s.failing = err != nil
	s.mu.Lock()
	s.trouble = err
	s.mu.Unlock()
}

// commit writes into the file, or, where that can no longer be, all there is into a new one.
func (s *Set) commit(raws map[alerts.Hash][]byte) error {
	if s.db == nil {
		if err := s.reopen(); err != nil {
			return err
		}
	}
	err := put(s.db, raws)
	if errors.Is(err, syscall.EIO) {
		s.bad++
	} else {
		s.bad = 0
	}
	if errors.Is(err, disk.ErrDamaged) || s.bad >= badTries {
		err = s.renew(err)
	}
	return err
}

func put(db *disk.DB, raws map[alerts.Hash][]byte) error {
	return db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(eventsBucket)
		for id, raw := range raws {
			var err error
			if raw == nil {
				err = b.Delete(id[:])
			} else {
				err = b.Put(id[:], raw)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// scrub compares some events on disk with memory, going round and round; what is not as it was is written
// again.
func (s *Set) scrub() {
	if s.db == nil {
		return
	}
	s.db.Refresh(disk.RefreshBytes, func(rewritten int, err error) {
		s.log.Warn("the disk had lost what is in memory, and it is written again", zap.Int("pieces", rewritten), zap.Error(err))
	})
	raws := s.nextToScrub()
	var lost []alerts.Hash
	err := s.db.View(func(tx *bbolt.Tx) error {
		lost = nil
		b := tx.Bucket(eventsBucket)
		for id, raw := range raws {
			if !bytes.Equal(b.Get(id[:]), raw) {
				lost = append(lost, id)
			}
		}
		return nil
	})
	if errors.Is(err, disk.ErrDamaged) {
		s.report(s.renew(err), len(raws))
		return
	}
	if err == nil && len(lost) > 0 {
		s.log.Error("kept events were damaged on disk and are written again", zap.Int("events", len(lost)))
		s.unkeep(lost)
	}
}

// nextToScrub is the next page of kept events, by name.
func (s *Set) nextToScrub() map[alerts.Hash][]byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	ids := slices.SortedFunc(maps.Keys(s.items), func(a, b alerts.Hash) int { return bytes.Compare(a[:], b[:]) })
	from, _ := slices.BinarySearchFunc(ids, s.scrubbed, func(a, b alerts.Hash) int { return bytes.Compare(a[:], b[:]) })
	ids = ids[from:min(len(ids), from+scrubPage)]
	s.scrubbed = alerts.Hash{} // from the start again, unless there is more
	out := make(map[alerts.Hash][]byte, len(ids))
	for _, id := range ids {
		if it := s.items[id]; it.kept {
			if _, dirty := s.dirty[id]; !dirty {
				out[id] = it.e.Raw
			}
		}
	}
	if len(ids) == scrubPage {
		s.scrubbed = ids[len(ids)-1]
	}
	return out
}

// unkeep takes back that events are kept; the next flush writes them. It wakes nobody: a disk that fails each
// time would be tried without a pause.
func (s *Set) unkeep(ids []alerts.Hash) {
	var told []alerts.Hash
	s.mu.Lock()
	for _, id := range ids {
		it := s.items[id]
		if it == nil {
			continue
		}
		if it.kept {
			told = append(told, id)
		}
		it.kept = false
		s.dirty[id] = struct{}{}
	}
	s.mu.Unlock()
	s.tellKept(told, false)
}

func (s *Set) tellKept(ids []alerts.Hash, kept bool) {
	s.mu.RLock()
	watches := s.keptWatches
	s.mu.RUnlock()
	for _, id := range ids {
		for _, f := range watches {
			f(id, kept)
		}
	}
}

// Err is why what is put now does not reach the disk, or nil.
func (s *Set) Err() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.trouble
}

// Close writes what waits, once, and closes the file. Later Puts answer ErrClosed. A disk that hangs is given
// up after disk.ClosePatience, with disk.ErrHangs: the writer ends when the disk answers.
func (s *Set) Close() error {
	s.turn.Lock() // a Put under way ends first, and is written
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	s.turn.Unlock()
	if closed {
		return nil
	}
	close(s.stop)
	late := time.NewTimer(disk.ClosePatience)
	defer late.Stop()
	select {
	case <-s.done:
		return s.closeErr
	case <-late.C:
		s.mu.RLock()
		defer s.mu.RUnlock()
		return fmt.Errorf("close the pending set, %d events not known to be kept: %w", len(s.dirty), disk.ErrHangs)
	}
}
