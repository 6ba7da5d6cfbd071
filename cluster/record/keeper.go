package record

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
)

const (
	// maxTail and maxTailBytes are how much waits in memory for a slow or broken disk: some minutes of a busy
	// cell. Beyond it the record stands still here; alarms do not need it.
	maxTail      = 4096
	maxTailBytes = 16 << 20
	// keepEvery is how often a disk that takes nothing is tried again.
	keepEvery = time.Second
	// badTries is how many writes in a row may fail with an input/output error before all is copied into a
	// new file, whose blocks may be better.
	badTries = 3
)

// openStore opens a cell's record store, or makes it. A damaged file is put aside, and what can be believed of
// it, from the first entry on, is kept anew: the rest comes from other stations. On a disk that is full,
// read-only or broken it is in memory until the disk is well. The only error is a file that another process
// has open.
func openStore(d *disk.Disk, cell alerts.CellID, path string, log *zap.Logger, watch storeWatch) (*store, error) {
	s := &store{
		disk: d, cell: cell, path: path, log: log, db: &file{}, watch: watch, changed: make(chan struct{}),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	err := s.openFile()
	if errors.Is(err, disk.ErrInUse) {
		return nil, err
	}
	if err != nil {
		s.peek(err)
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
		log.Error("the record store cannot be opened", zap.Error(err))
	}
	go s.run()
	return s, nil
}

// openFile opens the file for writing, after repair if need be.
func (s *store) openFile() error {
	if err := disk.MakeDir(filepath.Dir(s.path)); err != nil {
		return err
	}
	adopt(s.path)
	if err := s.db.set(nil, errReleased); err != nil { // one for reading only
		return err
	}
	db, err := s.disk.Open("record", string(s.cell), s.path, storeBuckets...)
	if errors.Is(err, disk.ErrDamaged) {
		return s.repair(err)
	}
	if err != nil {
		return err
	}
	last, err := lastIn(db)
	switch {
	case errors.Is(err, disk.ErrDamaged):
		return errors.Join(s.repair(err), db.Close())
	case err != nil:
		return errors.Join(err, db.Close())
	}
	return s.use(db, last)
}

func lastIn(db *disk.DB) (last uint64, err error) {
	err = db.View(func(tx *bolt.Tx) error { last = lastOf(tx.Bucket(bucketEntries)); return nil })
	return last, err
}

// peek opens the file for reading where it cannot be written to.
func (s *store) peek(why error) {
	db, err := s.disk.Peek("record", string(s.cell), s.path)
	var last uint64
	if err == nil {
		err = db.View(func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketEntries)
			if b == nil {
				return fmt.Errorf("%w: no entries in it", disk.ErrDamaged)
			}
			last = lastOf(b)
			return nil
		})
		if err != nil {
			db.Close()
		}
	}
	if err != nil {
		s.db.set(nil, why)
		return
	}
	s.use(db, last)
}

// run is the keeper: it writes what has been appended, and tries again while that fails.
func (s *store) run() {
	defer close(s.done)
	var retry <-chan time.Time
	if s.Err() != nil {
		retry = time.After(keepEvery)
	}
	for {
		select {
		case <-s.wake:
		case <-retry:
		case <-s.stop:
			s.keep()
			s.end = s.db.set(nil, errReleased)
			return
		}
		if retry = nil; !s.keep() {
			retry = time.After(keepEvery)
		}
	}
}

func (s *store) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// keep writes the tail with one fsync; false: it has to be tried again.
func (s *store) keep() bool {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	tail, idle := s.tail, len(s.tail) == 0 && s.err == nil
	s.mu.Unlock()
	if idle {
		return true
	}
	err := s.timed(func() error { return s.write(tail) })
	if errors.Is(err, syscall.EIO) {
		s.bad++
	} else {
		s.bad = 0
	}
	if errors.Is(err, disk.ErrDamaged) || s.bad >= badTries {
		s.bad = 0
		if err = s.repair(err); err == nil {
			err = s.write(tail)
		}
	}
	s.fare(err, len(tail), func() bool { return true })
	return err == nil
}

// write is one try; it opens the file where it could not be opened, or for reading only.
func (s *store) write(tail []Raw) error {
	if db, _ := s.db.open(); db == nil || db.ReadOnly() {
		if err := s.openFile(); err != nil {
			s.peek(err)
			return err
		}
	}
	s.mu.Lock()
	from, upto := s.hole()
	s.mu.Unlock()
	if from <= upto {
		call2(s.watch.lost, from, upto)
		return fmt.Errorf("%w: %d to %d", errHole, from, upto)
	}
	return s.db.Update(func(tx *bolt.Tx) error { return put(tx, tail) })
}

// timed runs a write and says so while the disk hangs.
func (s *store) timed(write func() error) error {
	over := false // guarded by mu
	watch := time.AfterFunc(diskPatience, func() { s.fare(disk.ErrHangs, 0, func() bool { return !over }) })
	defer watch.Stop()
	err := write()
	s.mu.Lock()
	defer s.mu.Unlock()
	over = true
	return err
}

// hole is what was appended and is neither on disk nor in the tail: from beyond upto where nothing is. The
// caller holds mu.
func (s *store) hole() (from, upto uint64) {
	if len(s.tail) > 0 {
		return s.kept + 1, s.tail[0].Index - 1
	}
	return s.kept + 1, s.top
}

// fare notes how a write of n entries went, if it still is so, and tells.
func (s *store) fare(err error, n int, still func() bool) {
	s.mu.Lock()
	if !still() {
		s.mu.Unlock()
		return
	}
	was := s.err
	s.err = err
	if err == nil && n > 0 {
		for _, e := range s.tail[:n] {
			s.size -= len(e.Bytes)
		}
		s.kept = max(s.kept, s.tail[n-1].Index)
		s.tail = s.tail[n:]
	}
	kept := s.kept
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	switch {
	case err != nil && was == nil:
		s.log.Error("the record is not on disk yet", zap.Int("entries", n), zap.Error(err))
		call(s.watch.failed, err)
	case err == nil && was != nil:
		s.log.Info("the record is on disk again", zap.Uint64("index", kept))
		if s.watch.well != nil {
			s.watch.well()
		}
	}
	if err == nil {
		call(s.watch.kept, kept)
	}
}

// lose has entries fetched that cannot be read here any more.
func (s *store) lose(from, upto uint64) { call2(s.watch.lost, from, upto) }

func call2(f func(a, b uint64), a, b uint64) {
	if f != nil {
		f(a, b)
	}
}

func call[T any](f func(T), with T) {
	if f != nil {
		f(with)
	}
}

// Err is why the disk takes nothing, or nil.
func (s *store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Kept is the index up to which all is on disk.
func (s *store) Kept() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept
}

// Settle waits until all that was appended is on disk, or says why the disk does not take it.
func (s *store) Settle() error {
	for {
		s.mu.Lock()
		left, err, closed, changed := len(s.tail), s.err, s.closed, s.changed
		s.mu.Unlock()
		switch {
		case err != nil:
			return err
		case left == 0:
			return nil
		case closed:
			return errReleased
		}
		<-changed
	}
}

// rewrite changes what is kept, after all that was appended. Nothing may be appended meanwhile.
func (s *store) rewrite(f func(*bolt.Tx) error) error {
	if err := s.Settle(); err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	var last uint64
	err := s.db.Update(func(tx *bolt.Tx) error {
		err := f(tx)
		last = lastOf(tx.Bucket(bucketEntries))
		return err
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.kept, s.top = last, last
	s.mu.Unlock()
	call(s.watch.kept, last)
	return nil
}

// Close writes what waits, once, and closes the file; a disk that hangs is given up with disk.ErrHangs.
func (s *store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	close(s.stop)
	late := time.NewTimer(disk.ClosePatience)
	defer late.Stop()
	select {
	case <-s.done:
		return s.end
	case <-late.C:
		return fmt.Errorf("close the record store: %w", disk.ErrHangs)
	}
}
