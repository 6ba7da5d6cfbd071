package record

import (
	"bytes"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

var (
	bucketMeta     = []byte("meta")     // keyEra → the statement of the epoch
	bucketReturned = []byte("returned") // event name → envelope: of dropped entries, until the pending set has them
	keyEra         = []byte("era")
)

// Era is the statement of the store's epoch; nil in the first.
func (s *store) Era() (raw []byte, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		raw = bytes.Clone(tx.Bucket(bucketMeta).Get(keyEra))
		return nil
	})
	return raw, err
}

// Turn passes over to an epoch in one transaction: entries beyond keep are dropped, those of add follow, and
// the events of the dropped ones, and the loose ones, wait to be returned to the pending set.
func (s *store) Turn(raw []byte, keep uint64, add []Raw, loose []alerts.Event) error {
	return s.rewrite(func(tx *bolt.Tx) error {
		back := tx.Bucket(bucketReturned)
		for _, e := range loose {
			if err := back.Put(e.ID[:], e.Raw); err != nil {
				return err
			}
		}
		if err := drop(tx.Bucket(bucketEntries), keep, back); err != nil {
			return err
		}
		if err := put(tx, add); err != nil {
			return err
		}
		if len(raw) == 0 {
			return tx.Bucket(bucketMeta).Delete(keyEra)
		}
		return tx.Bucket(bucketMeta).Put(keyEra, raw)
	})
}

// drop deletes the entries beyond keep and puts their events into back.
func drop(entries *bolt.Bucket, keep uint64, back *bolt.Bucket) error {
	c := entries.Cursor()
	// Deleting under a cursor may skip a neighbour: seek anew each time.
	for k, v := c.Seek(key(keep + 1)); k != nil; k, v = c.Seek(key(keep + 1)) {
		r, err := rawOf(k, v)
		if err != nil {
			return err
		}
		e, err := wire.DecodeEntry(r.Bytes)
		if err != nil {
			return fmt.Errorf("drop entry %d: %w", r.Index, err)
		}
		if err := back.Put(e.Event.ID[:], e.Event.Raw); err != nil {
			return err
		}
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// Returned are the events of dropped entries that the pending set has not taken yet.
func (s *store) Returned() (out []alerts.Event, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketReturned).ForEach(func(_, raw []byte) error {
			e, err := wire.DecodeEvent(bytes.Clone(raw))
			if err == nil {
				out = append(out, e)
			}
			return err
		})
	})
	return out, err
}

// Taken forgets events that need not be returned any more.
func (s *store) Taken(events []alerts.Event) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		for _, e := range events {
			if err := tx.Bucket(bucketReturned).Delete(e.ID[:]); err != nil {
				return err
			}
		}
		return nil
	})
}
