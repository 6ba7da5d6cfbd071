package pending

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"hivemesh/alerts"
)

const (
	// retryEvery is how often a failed write is tried again: a full disk that was cleared is used soon.
	retryEvery = time.Second
	// lockTime is how long to wait for another process to let go of the file: one that is just ending.
	lockTime = 2 * time.Second
)

// ErrClosed says that the set has been closed.
var ErrClosed = errors.New("pending set is closed")

var eventsBucket = []byte("events") // event name → envelope

// OpenSet opens the set kept in the file path, which is made if need be. decode reads an envelope. One that it
// cannot read is not shown and stays on disk: a later version, or a ring that knows its maker, may read it.
func OpenSet(path string, decode func(raw []byte) (alerts.Event, error), log *zap.Logger) (*Set, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTime, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, fmt.Errorf("open pending set %s: %w", path, err)
	}
	s := &Set{
		log: log, db: db, items: map[alerts.Hash]*item{}, cells: map[alerts.CellID]*cell{}, dirty: map[alerts.Hash]struct{}{},
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	if err := s.load(decode); err != nil {
		return nil, errors.Join(fmt.Errorf("read pending set %s: %w", path, err), db.Close())
	}
	go s.run()
	return s, nil
}

func (s *Set) load(decode func([]byte) (alerts.Event, error)) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(eventsBucket)
		if err != nil {
			return err
		}
		return b.ForEach(func(_, raw []byte) error {
			e, err := decode(bytes.Clone(raw)) // bbolt's memory ends with the transaction
			if err != nil {
				s.log.Warn("a kept event cannot be read", zap.Error(err))
				return nil
			}
			s.insert(e).kept = true
			return nil
		})
	})
}

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
	debug.SetPanicOnFault(true) // bbolt maps the file: a broken disk is a fault, not an error
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

func (s *Set) commit(raws map[alerts.Hash][]byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("disk fault: %v", p)
		}
	}()
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
