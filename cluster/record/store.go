package record

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
)

var bucketEntries = []byte("entries") // index → running hash and entry bytes

// Raw is one entry as it is kept and sent.
type Raw struct {
	Index uint64
	Bytes []byte      // wire.EncodeEntry
	Chain alerts.Hash // the running hash after it
}

// store keeps the record itself: every entry from 1 on, without gaps. An Append that returned is on disk.
type store struct{ db *disk.DB }

func openStore(d *disk.Disk, cell alerts.CellID, path string) (*store, error) {
	db, err := d.Open("record", string(cell), path, bucketEntries, bucketMeta, bucketReturned)
	if err != nil {
		return nil, err
	}
	return &store{db}, nil
}

func (s *store) Close() error { return s.db.Close() }

// Append adds entries in one transaction; the first must follow upon the last one kept.
func (s *store) Append(entries []Raw) error {
	return s.db.Update(func(tx *bolt.Tx) error { return put(tx, entries) })
}

func put(tx *bolt.Tx, entries []Raw) error {
	b := tx.Bucket(bucketEntries)
	b.FillPercent = 1 // only ever appended to
	next := uint64(1)
	if k, _ := b.Cursor().Last(); k != nil {
		next = binary.BigEndian.Uint64(k) + 1
	}
	for _, e := range entries {
		if e.Index != next {
			return fmt.Errorf("entry %d where %d is next", e.Index, next)
		}
		if err := b.Put(key(e.Index), append(e.Chain[:], e.Bytes...)); err != nil {
			return err
		}
		next++
	}
	return nil
}

// Read returns entries from an index on: at most max, and, beyond the first, at most size bytes.
func (s *store) Read(from uint64, max, size int) (out []Raw, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketEntries).Cursor()
		for k, v := c.Seek(key(from)); k != nil && len(out) < max; k, v = c.Next() {
			r, err := rawOf(k, v)
			if err != nil {
				return err
			}
			if size -= len(r.Bytes); size < 0 && len(out) > 0 {
				return nil
			}
			out = append(out, r)
		}
		return nil
	})
	return out, err
}

// Chain is the running hash after an entry; false when it is not here. Before the first it is zero.
func (s *store) Chain(index uint64) (h alerts.Hash, ok bool, err error) {
	if index == 0 {
		return h, true, nil
	}
	err = s.db.View(func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketEntries).Get(key(index))
		if v == nil {
			return nil
		}
		r, err := rawOf(key(index), v)
		h, ok = r.Chain, err == nil
		return err
	})
	return h, ok, err
}

func rawOf(k, v []byte) (Raw, error) {
	if len(k) != 8 || len(v) < len(alerts.Hash{}) {
		return Raw{}, fmt.Errorf("record store: entry %x is damaged", k)
	}
	r := Raw{Index: binary.BigEndian.Uint64(k)}
	n := copy(r.Chain[:], v)
	r.Bytes = append([]byte{}, v[n:]...)
	return r, nil
}
