package pending

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
)

// ErrClosed says that the set has been closed.
var ErrClosed = errors.New("pending set is closed")

var eventsBucket = []byte("events") // event name → envelope

// newSuffix names a file that is to take a damaged one's place and is not whole yet.
const newSuffix = ".new"

// OpenSet opens the set kept in the file path, which is made if need be. decode reads an envelope. One that it
// cannot read is not shown and stays on disk: a later version, or a ring that knows its maker, may read it.
// A damaged file is moved to a name beside it and what could be read of it is kept anew: a station without
// its old events is better than none, and the others have what was kept near. On a disk that is full,
// read-only or broken the set is in memory, and says so, until the disk is well. The only error is a file
// that another process has open.
func OpenSet(d *disk.Disk, path string, decode func(raw []byte) (alerts.Event, error), log *zap.Logger) (*Set, error) {
	s := &Set{
		log: log, disk: d, path: path, decode: decode,
		items: map[alerts.Hash]*item{}, cells: map[alerts.CellID]*cell{}, dirty: map[alerts.Hash]struct{}{},
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	read, err := s.load()
	s.take(read)
	if errors.Is(err, disk.ErrDamaged) {
		err = s.renew(err)
	}
	if errors.Is(err, disk.ErrInUse) {
		return nil, fmt.Errorf("open pending set %s: %w", path, err)
	}
	if err != nil {
		s.take(s.peek())
		s.report(err, len(s.items))
	}
	go s.run()
	return s, nil
}

// load opens the file and reads what it can of it.
func (s *Set) load() (read []alerts.Event, err error) {
	if _, err := os.Stat(s.path); errors.Is(err, os.ErrNotExist) {
		// the power failed while a new file took a damaged one's place
		if os.Rename(s.path+newSuffix, s.path) == nil {
			s.log.Warn("pending set: the new file takes the old one's place")
		}
	}
	db, err := s.disk.Open("pending", "", s.path, eventsBucket)
	if errors.Is(err, disk.ErrDamaged) {
		return s.salvage(), err
	}
	if err != nil {
		return nil, err
	}
	read, err = s.read(db)
	if err != nil {
		return read, errors.Join(err, db.Close())
	}
	s.db = db
	return read, nil
}

// salvage is what can still be read of a file whose pages do not hold together.
func (s *Set) salvage() (out []alerts.Event) {
	err := disk.Salvage(s.path, eventsBucket, func(name, raw []byte) {
		if e, err := s.decode(bytes.Clone(raw)); err == nil && bytes.Equal(name, e.ID[:]) {
			out = append(out, e)
		}
	})
	s.log.Warn("pending set: read past the damage", zap.Int("events", len(out)), zap.Error(err))
	return out
}

// peek is what a file holds that cannot be written to.
func (s *Set) peek() []alerts.Event {
	db, err := s.disk.Peek("pending", "", s.path)
	if err != nil {
		return nil
	}
	read, err := s.read(db)
	if err = errors.Join(err, db.Close()); err != nil {
		s.log.Warn("pending set: not all could be read", zap.Error(err))
	}
	return read
}

// read gives the events of a file, up to a page that cannot be read.
func (s *Set) read(db *disk.DB) (out []alerts.Event, err error) {
	unread, why := 0, error(nil)
	err = db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(eventsBucket)
		if b == nil {
			return nil
		}
		return b.ForEach(func(name, raw []byte) error {
			e, err := s.decode(bytes.Clone(raw)) // bbolt's memory ends with the transaction
			if err == nil && !bytes.Equal(name, e.ID[:]) {
				err = fmt.Errorf("event %s is kept as %x", e.ID.Short(), name)
			}
			if err != nil {
				unread, why = unread+1, err
				return nil
			}
			out = append(out, e)
			return nil
		})
	})
	if unread > 0 {
		s.log.Error("kept events cannot be read and are not shown", zap.Int("events", unread), zap.NamedError("last", why))
	}
	return out, err
}

// take shows events of a file that are not shown yet: they are kept.
func (s *Set) take(read []alerts.Event) {
	s.turn.Lock()
	defer s.turn.Unlock()
	var shown []alerts.Event
	s.mu.Lock()
	for _, e := range read {
		if it := s.items[e.ID]; it != nil {
			it.kept = true
			continue
		}
		if _, gone := s.dirty[e.ID]; gone {
			continue // recorded meanwhile, and still to be removed here
		}
		s.insert(e).kept = true
		shown = append(shown, e)
	}
	s.mu.Unlock()
	for _, e := range shown {
		s.tell(e, true)
	}
}

// reopen tries again a file that could not be opened at the start.
func (s *Set) reopen() error {
	read, err := s.load()
	s.take(read)
	if errors.Is(err, disk.ErrDamaged) {
		err = s.renew(err)
	}
	s.mu.RLock()
	reloaded := s.reloaded
	s.mu.RUnlock()
	if err == nil && reloaded != nil {
		reloaded()
	}
	return err
}

// renew writes all there is into a new file, and puts the damaged one aside. Until that is done nothing
// counts as kept.
func (s *Set) renew(why error) error {
	if old := s.db; old != nil {
		s.closing.Go(func() { old.Close() }) // what there is to say of it was said
		s.db = nil
	}
	s.mu.RLock()
	raws, ids := make(map[alerts.Hash][]byte, len(s.items)), make([]alerts.Hash, 0, len(s.items))
	for id, it := range s.items {
		raws[id], ids = it.e.Raw, append(ids, id)
	}
	s.mu.RUnlock()
	s.unkeep(ids)
	fresh := s.path + newSuffix
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Join(why, err)
	}
	db, err := s.disk.Open("pending", "", fresh, eventsBucket)
	if err != nil {
		return errors.Join(why, err)
	}
	if err := put(db, raws); err != nil {
		return errors.Join(why, err, db.Close())
	}
	aside, err := disk.SetAside(s.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Join(why, err, db.Close())
	}
	if err := disk.Rename(fresh, s.path); err != nil {
		return errors.Join(why, err, db.Close())
	}
	s.db, s.bad = db, 0
	s.poke() // what the caller did not ask for is in the new file as well, and may be called kept
	s.log.Error("pending set was damaged, begun anew", zap.Int("events read", len(raws)), zap.String("old file", aside), zap.Error(why))
	return nil
}
