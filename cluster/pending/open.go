package pending

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"

	"hivemesh/alerts"
)

// lockTime is how long to wait for another process to let go of the file: one that is just ending.
const lockTime = 2 * time.Second

// ErrClosed says that the set has been closed.
var ErrClosed = errors.New("pending set is closed")

// errDamaged says that the file, or a page of it, cannot be read.
var errDamaged = errors.New("damaged or unreadable")

var eventsBucket = []byte("events") // event name → envelope

// OpenSet opens the set kept in the file path, which is made if need be. decode reads an envelope. One that it
// cannot read is not shown and stays on disk: a later version, or a ring that knows its maker, may read it.
// A damaged file is moved to a name beside it and what could be read of it is kept anew: a station without
// its old events is better than none, and the others have what was kept near.
func OpenSet(path string, decode func(raw []byte) (alerts.Event, error), log *zap.Logger) (*Set, error) {
	s := &Set{
		log: log, items: map[alerts.Hash]*item{}, cells: map[alerts.CellID]*cell{}, dirty: map[alerts.Hash]struct{}{},
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	err := s.load(path, decode)
	if errors.Is(err, errDamaged) {
		err = s.startAnew(path, decode, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open pending set %s: %w", path, err)
	}
	go s.run()
	return s, nil
}

func (s *Set) load(path string, decode func([]byte) (alerts.Event, error)) error {
	// The list of free pages is kept in the file: making it anew, bbolt reads every page in a goroutine of its
	// own, where a damaged one would end the program.
	db, err := openFile(path)
	if err != nil {
		return err
	}
	s.db = db
	err = guarded(func() error {
		if err := makeBucket(db); err != nil {
			return err
		}
		return db.View(func(tx *bbolt.Tx) error { return s.read(tx.Bucket(eventsBucket), decode) })
	})
	if err != nil && !errors.Is(err, errDamaged) { // closing a damaged one may wait for ever for what panicked
		err = errors.Join(err, db.Close())
	}
	return err
}

func openFile(path string) (db *bbolt.DB, err error) {
	err = guarded(func() (err error) {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTime, FreelistType: bbolt.FreelistMapType})
		return err
	})
	if errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrChecksum) {
		err = fmt.Errorf("%w: %w", errDamaged, err)
	}
	return db, err
}

// makeBucket writes only into a new file: a station must start on a full disk.
func makeBucket(db *bbolt.DB) error {
	there := false
	err := db.View(func(tx *bbolt.Tx) error { there = tx.Bucket(eventsBucket) != nil; return nil })
	if there || err != nil {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(eventsBucket); return err })
}

func (s *Set) read(b *bbolt.Bucket, decode func([]byte) (alerts.Event, error)) error {
	unread, why := 0, error(nil)
	err := b.ForEach(func(name, raw []byte) error {
		e, err := decode(bytes.Clone(raw)) // bbolt's memory ends with the transaction
		if err == nil && !bytes.Equal(name, e.ID[:]) {
			err = fmt.Errorf("event %s is kept as %x", e.ID.Short(), name)
		}
		if err != nil {
			unread, why = unread+1, err
			return nil
		}
		s.insert(e).kept = true
		return nil
	})
	if unread > 0 {
		s.log.Error("kept events cannot be read and are not shown", zap.Int("events", unread), zap.NamedError("last", why))
	}
	return err
}

// startAnew puts the damaged file aside and has what was read of it written into a new one.
func (s *Set) startAnew(path string, decode func([]byte) (alerts.Event, error), why error) error {
	aside := fmt.Sprintf("%s.damaged-%d", path, time.Now().UnixNano())
	if err := os.Rename(path, aside); err != nil {
		return errors.Join(why, err)
	}
	s.log.Error("pending set was damaged, begun anew", zap.Int("events read", len(s.items)), zap.String("old file", aside), zap.Error(why))
	if err := s.load(path, decode); err != nil {
		return errors.Join(why, err)
	}
	for id, it := range s.items {
		it.kept = false
		s.write(id)
	}
	return nil
}

// guarded makes an error of what a bad sector does to bbolt's memory map, which is a fault, and of what a
// damaged page does to bbolt, which is a panic.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return f()
}
