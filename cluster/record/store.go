package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/wire"
)

var bucketEntries = []byte("entries") // index → running hash and entry bytes

// storeBuckets are all that a record store's file holds.
var storeBuckets = [][]byte{bucketEntries, bucketMeta, bucketReturned}

var (
	// errBehind says that more waits for the disk than is held in memory, and that the disk takes nothing. It
	// is no damage: the entries come again.
	errBehind = errors.New("the disk takes no entries")
	// errHole says that entries are missing on disk which were there: other stations have them.
	errHole = errors.New("entries are missing here")
	// errRotten says that what is kept of an entry is not what was written.
	errRotten = errors.New("the running hash is not over what is kept")
)

// Raw is one entry as it is kept and sent.
type Raw struct {
	Index uint64
	Bytes []byte      // wire.EncodeEntry
	Chain alerts.Hash // the running hash after it
}

// store keeps the record itself: every entry from 1 on, without gaps. What is appended can be read at once;
// the keeper writes it behind (keeper.go), and Settle waits for that.
type store struct {
	disk *disk.Disk
	cell alerts.CellID
	path string
	log  *zap.Logger
	db   *file

	writing sync.Mutex // one transaction at a time; taken before mu

	mu      sync.Mutex
	tail    []Raw  // appended and not on disk yet, oldest first
	size    int    // its bytes
	top     uint64 // the highest index appended
	kept    uint64 // the highest index on disk
	err     error  // why the disk takes nothing, or nil
	closed  bool
	changed chan struct{} // closed at a change of kept, err or closed
	watch   storeWatch

	wake chan struct{}
	stop chan struct{}
	done chan struct{}
	end  error
	bad  int // writes in a row that failed with an input/output error; the keeper's
}

// storeWatch is who hears how the keeper fares. Each is called from its goroutine.
type storeWatch struct {
	kept   func(index uint64)      // all up to it is on disk
	failed func(error)             // the disk takes nothing, for this new reason
	well   func()                  // it takes entries again
	lost   func(from, upto uint64) // these entries cannot be read here any more
}

// Append adds entries; the first must follow upon the last one, those before it are passed over. It waits
// while the tail is full and the disk works; else it answers errBehind.
func (s *store) Append(entries []Raw) error {
	for {
		s.mu.Lock()
		for len(entries) > 0 && entries[0].Index <= s.top {
			entries = entries[1:]
		}
		changed := s.changed
		switch {
		case s.closed:
			s.mu.Unlock()
			return errReleased
		case len(entries) == 0:
			s.mu.Unlock()
			return nil
		case entries[0].Index != s.top+1:
			defer s.mu.Unlock()
			return fmt.Errorf("entry %d where %d is next", entries[0].Index, s.top+1)
		case len(s.tail) < maxTail && s.size < maxTailBytes:
			s.tail = append(s.tail, entries...)
			s.top = entries[len(entries)-1].Index
			for _, e := range entries {
				s.size += len(e.Bytes)
			}
			s.mu.Unlock()
			s.poke()
			return nil
		case s.err != nil:
			defer s.mu.Unlock()
			return fmt.Errorf("%w: %d wait: %w", errBehind, len(s.tail), s.err)
		}
		s.mu.Unlock()
		<-changed
	}
}

// put writes entries; those that a write which seemed to fail has left are passed over.
func put(tx *bolt.Tx, entries []Raw) error {
	b := tx.Bucket(bucketEntries)
	b.FillPercent = 1 // only ever appended to
	next := lastOf(b) + 1
	for _, e := range entries {
		switch {
		case e.Index < next:
			continue
		case e.Index > next:
			return fmt.Errorf("entry %d where %d is next", e.Index, next)
		}
		if err := b.Put(key(e.Index), append(e.Chain[:], e.Bytes...)); err != nil {
			return err
		}
		next++
	}
	return nil
}

func lastOf(b *bolt.Bucket) uint64 {
	if k, _ := b.Cursor().Last(); len(k) == 8 {
		return binary.BigEndian.Uint64(k)
	}
	return 0
}

// Read returns entries from an index on: at most most, and, beyond the first, at most size bytes. Each is what
// was written, by its running hash; one that is not ends it, with an error if it is the first.
func (s *store) Read(from uint64, most, size int) (out []Raw, err error) {
	from = max(from, 1)
	s.mu.Lock()
	tail := s.tail // before the file: what leaves the tail is in the file by then
	s.mu.Unlock()
	full := false
	take := func(r Raw) bool {
		if size -= len(r.Bytes); len(out) == most || size < 0 && len(out) > 0 {
			full = true
			return false
		}
		out = append(out, r)
		return true
	}
	if len(tail) == 0 || from < tail[0].Index {
		err = s.db.View(func(tx *bolt.Tx) error { return walk(tx, from, take) })
		if errors.Is(err, errRotten) { // by the hash before it, or by its own
			at := from + uint64(len(out))
			s.lose(max(at, 2)-1, at)
		}
		if err != nil {
			if len(out) == 0 {
				return nil, err
			}
			return out, nil
		}
	}
	for _, r := range tail {
		if next := from + uint64(len(out)); r.Index < next || full {
			continue
		} else if r.Index > next || !take(r) {
			break
		}
	}
	return out, nil
}

// walk hands over the file's entries from an index on while take wants more, each checked by the hash before
// it and its own.
func walk(tx *bolt.Tx, from uint64, take func(Raw) bool) error {
	b := tx.Bucket(bucketEntries)
	var chain alerts.Hash
	if from > 1 {
		v := b.Get(key(from - 1))
		if v == nil {
			return nil
		}
		before, err := rawOf(key(from-1), v)
		if err != nil {
			return err
		}
		chain = before.Chain
	}
	c := b.Cursor()
	for k, v := c.Seek(key(from)); k != nil; k, v = c.Next() {
		r, err := rawOf(k, v)
		if err != nil {
			return err
		}
		if r.Index != from || r.Chain != wire.Chain(chain, r.Bytes) {
			return fmt.Errorf("record store: entry %d: %w", from, errRotten)
		}
		if !take(r) {
			return nil
		}
		chain = r.Chain
		from++
	}
	return nil
}

// Chain is the running hash after an entry; false when it is not here. Before the first it is zero.
func (s *store) Chain(index uint64) (h alerts.Hash, ok bool, err error) {
	if index == 0 {
		return h, true, nil
	}
	found, err := s.Read(index, 1, wire.MaxFrame)
	if err != nil || len(found) == 0 || found[0].Index != index {
		return h, false, err
	}
	return found[0].Chain, true, nil
}

func rawOf(k, v []byte) (Raw, error) {
	if len(k) != 8 || len(v) < len(alerts.Hash{}) {
		return Raw{}, fmt.Errorf("record store: entry %x: %w", k, errRotten)
	}
	r := Raw{Index: binary.BigEndian.Uint64(k)}
	n := copy(r.Chain[:], v)
	r.Bytes = append([]byte{}, v[n:]...)
	return r, nil
}

// file is the bbolt file that a store has open, if it can be opened.
type file struct {
	mu  sync.RWMutex
	db  *disk.DB
	why error // where db is nil
}

func (f *file) View(do func(*bolt.Tx) error) error {
	db, err := f.open()
	if err != nil {
		return err
	}
	return db.View(do)
}

func (f *file) Update(do func(*bolt.Tx) error) error {
	db, err := f.open()
	if err != nil {
		return err
	}
	return db.Update(do)
}

func (f *file) open() (*disk.DB, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.db, f.why
}

// set puts another file in the place of one, which it closes.
func (f *file) set(db *disk.DB, why error) error {
	f.mu.Lock()
	old := f.db
	f.db, f.why = db, why
	f.mu.Unlock()
	if old == nil {
		return nil
	}
	return old.Close()
}
