package record

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"

	"hivemesh/cluster/disk"
)

// Fill puts entries that were lost back, from other stations; they follow upon each other, and their hashes
// were checked.
func (s *store) Fill(entries []Raw) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	var last uint64
	err := s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketEntries)
		for _, e := range entries {
			if e.Index > lastOf(b)+1 {
				return fmt.Errorf("entry %d where %d is next", e.Index, lastOf(b)+1)
			}
			if err := b.Put(key(e.Index), append(e.Chain[:], e.Bytes...)); err != nil {
				return err
			}
		}
		last = lastOf(b)
		return nil
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.kept = max(s.kept, last)
	s.mu.Unlock()
	s.poke()
	return nil
}

// Repair is for a file in which damage was found before anything was appended.
func (s *store) Repair(why error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	s.top = 0
	s.mu.Unlock()
	return s.repair(why)
}

// newSuffix names a file that is to take a damaged one's place and is not whole yet.
const newSuffix = ".new"

// adopt ends a repair that a power cut broke off between its two renames.
func adopt(path string) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		os.Rename(path+newSuffix, path)
	}
}

// repair copies what can be believed of a damaged file into a new one, goes on with that, and puts the old one
// aside.
func (s *store) repair(why error) error {
	if err := s.db.set(nil, why); err != nil {
		s.log.Warn("close a damaged record store", zap.Error(err))
	}
	fresh := s.path + newSuffix
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Join(why, err)
	}
	db, err := s.disk.Open("record", string(s.cell), fresh, storeBuckets...)
	if err != nil {
		return errors.Join(why, err)
	}
	last, err := s.salvage(db)
	if err != nil {
		return errors.Join(why, err, db.Close())
	}
	aside, err := disk.SetAside(s.path)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		err = disk.Rename(fresh, s.path)
	}
	if err != nil {
		return errors.Join(why, err, db.Close())
	}
	s.log.Error("the record store was damaged, begun anew", zap.Uint64("entries read", last), zap.String("old file", aside), zap.Error(why))
	return s.use(db, last)
}

// use goes on with a file whose last entry is given.
func (s *store) use(db *disk.DB, last uint64) error {
	s.mu.Lock()
	s.kept, s.top = last, max(s.top, last)
	s.mu.Unlock()
	return s.db.set(db, nil)
}

// salvage copies the sound entries at the start of the damaged file, a page at a time, and all of its small
// buckets.
func (s *store) salvage(to *disk.DB) (last uint64, err error) {
	from, err := s.disk.Peek("record", string(s.cell), s.path)
	if err != nil {
		return 0, nil // nothing of it can be read
	}
	defer from.Close()
	for {
		var page []Raw
		_ = from.View(func(tx *bolt.Tx) error { // what it ends with is the damage that is known
			if tx.Bucket(bucketEntries) == nil {
				return nil
			}
			return walk(tx, last+1, func(r Raw) bool {
				page = append(page, r)
				return len(page) < loadPage
			})
		})
		if len(page) == 0 {
			return last, s.salvageRest(from, to)
		}
		if err := to.Update(func(tx *bolt.Tx) error { return put(tx, page) }); err != nil {
			return last, err
		}
		last = page[len(page)-1].Index
	}
}

// salvageRest copies what else the file holds beside entries.
func (s *store) salvageRest(from, to *disk.DB) error {
	for _, name := range storeBuckets {
		if bytes.Equal(name, bucketEntries) {
			continue
		}
		all := map[string][]byte{}
		_ = from.View(func(tx *bolt.Tx) error {
			b := tx.Bucket(name)
			if b == nil {
				return nil
			}
			return b.ForEach(func(k, v []byte) error { all[string(k)] = bytes.Clone(v); return nil })
		})
		err := to.Update(func(tx *bolt.Tx) error {
			for k, v := range all {
				if err := tx.Bucket(name).Put([]byte(k), v); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
