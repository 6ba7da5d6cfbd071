package pending

import (
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"hivemesh/alerts"
)

// retryEvery is how often a failed write is tried again: a full disk that was cleared is used soon.
const retryEvery = time.Second

// write marks an event for the writer; the caller holds mu.
func (s *Set) write(id alerts.Hash) {
	s.dirty[id] = struct{}{}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run is the one writer: whatever waits goes to disk together, with one fsync.
func (s *Set) run() {
	defer close(s.done)
	var retry <-chan time.Time
	for {
		select {
		case <-s.wake:
		case <-retry:
		case <-s.stop:
			s.flush()
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
	if len(raws) == 0 {
		return true
	}
	err := s.commit(raws)
	s.report(err, len(raws))
	s.mu.Lock()
	for id := range raws {
		it := s.items[id]
		switch {
		case err != nil:
			s.dirty[id] = struct{}{}
		case it != nil && raws[id] != nil:
			it.kept = true
		}
	}
	s.mu.Unlock()
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
}

func (s *Set) commit(raws map[alerts.Hash][]byte) error {
	return guarded(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
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
	})
}

// Close writes what waits, once, and closes the file. Later Puts answer ErrClosed.
func (s *Set) Close() error {
	s.turn.Lock() // a Put under way ends first, and is written
	defer s.turn.Unlock()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.stop)
	<-s.done
	return s.db.Close()
}
