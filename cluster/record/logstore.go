package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
)

// diskPatience is how long one write may take. A leader whose disk hangs goes on sending heartbeats, so
// nobody would take its place: after this time it is taken off the network.
const diskPatience = 3 * time.Second

var (
	bucketLogs = []byte("logs") // raft index → log
	bucketConf = []byte("conf") // raft's own keys

	// errNotFound must read so: raft compares the text.
	errNotFound = errors.New("not found")
	errReleased = errors.New("log store is closing")
)

// logStore is raft's log and its few values (term, vote). No write that failed ever comes back to raft:
// its caller is parked, and dead is told why, once.
type logStore struct {
	db       *disk.DB
	dead     func(error)
	released chan struct{} // closed when parked callers may go
	release  sync.Once
	patience time.Duration
	parks    atomic.Bool // raft runs: no failure may reach it
}

var (
	_ raft.LogStore          = (*logStore)(nil)
	_ raft.MonotonicLogStore = (*logStore)(nil)
	_ raft.StableStore       = (*logStore)(nil)
)

func openLogStore(d *disk.Disk, cell alerts.CellID, path string, dead func(error)) (*logStore, error) {
	db, err := d.Open("raft", string(cell), path, bucketLogs, bucketConf)
	if err != nil {
		return nil, err
	}
	return &logStore{db: db, dead: dead, released: make(chan struct{}), patience: diskPatience}, nil
}

// Release lets parked callers go: raft is being shut down.
func (s *logStore) Release() { s.release.Do(func() { close(s.released) }) }

// Close is for after raft has ended.
func (s *logStore) Close() error { s.Release(); return s.db.Close() }

// write runs one transaction, parks for good when it fails, and reports a hang. It returns an error only
// when the store is being released.
func (s *logStore) write(what string, f func(*bolt.Tx) error) error {
	watch := time.AfterFunc(s.patience, func() { s.dead(fmt.Errorf("%s: the disk has not answered for %s", what, s.patience)) })
	err := s.db.Update(f)
	watch.Stop()
	return s.park(what, err)
}

// park holds whoever met an error until the store is released. Before raft runs, the error comes back.
func (s *logStore) park(what string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", what, err)
	if !s.parks.Load() {
		return err
	}
	s.dead(err)
	<-s.released
	return errReleased
}

// IsMonotonic implements raft.MonotonicLogStore: after a snapshot from elsewhere the log begins anew.
func (s *logStore) IsMonotonic() bool { return true }

// FirstIndex implements raft.LogStore.
func (s *logStore) FirstIndex() (uint64, error) {
	return s.edge(func(c *bolt.Cursor) []byte { k, _ := c.First(); return k })
}

// LastIndex implements raft.LogStore.
func (s *logStore) LastIndex() (uint64, error) {
	return s.edge(func(c *bolt.Cursor) []byte { k, _ := c.Last(); return k })
}

func (s *logStore) edge(find func(*bolt.Cursor) []byte) (i uint64, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		if k := find(tx.Bucket(bucketLogs).Cursor()); k != nil {
			i = binary.BigEndian.Uint64(k)
		}
		return nil
	})
	return i, err
}

// GetLog implements raft.LogStore. raft takes an error, except for a log that is committed: there it panics,
// so its goroutine is parked and then ends instead.
func (s *logStore) GetLog(index uint64, l *raft.Log) error {
	err := s.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketLogs).Get(key(index))
		if b == nil {
			return raft.ErrLogNotFound
		}
		return decodeLog(index, b, l)
	})
	if err == nil || !s.parks.Load() || !committing() {
		return err
	}
	s.park("read raft's log", err)
	runtime.Goexit()
	return nil
}

// committing reports whether raft is asking for a log that it will pass to the fold. Asked only when the log
// cannot be read.
func committing() bool {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, ".processLogs") {
			return true
		}
		if !more {
			return false
		}
	}
}

// StoreLog implements raft.LogStore.
func (s *logStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore.
func (s *logStore) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	return s.write("keep raft's log", func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketLogs)
		b.FillPercent = 1 // appended to at one end, shortened at the other
		for _, l := range logs {
			if err := b.Put(key(l.Index), encodeLog(l)); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteRange implements raft.LogStore.
func (s *logStore) DeleteRange(from, to uint64) error {
	return s.write("shorten raft's log", func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketLogs).Cursor()
		first, _ := c.First()
		last, _ := c.Last()
		if first == nil {
			return nil
		}
		if from <= binary.BigEndian.Uint64(first) && to >= binary.BigEndian.Uint64(last) {
			if err := tx.DeleteBucket(bucketLogs); err != nil {
				return err
			}
			_, err := tx.CreateBucket(bucketLogs)
			return err
		}
		// Deleting under a cursor may skip a neighbour: seek anew each time.
		for k, _ := c.Seek(key(from)); k != nil && binary.BigEndian.Uint64(k) <= to; k, _ = c.Seek(key(from)) {
			if err := c.Delete(); err != nil {
				return err
			}
		}
		return nil
	})
}

// Set implements raft.StableStore. raft panics on its error, so a parked caller's goroutine ends instead.
func (s *logStore) Set(k, v []byte) error {
	err := s.write("keep raft's term or vote", func(tx *bolt.Tx) error { return tx.Bucket(bucketConf).Put(k, v) })
	if errors.Is(err, errReleased) {
		runtime.Goexit()
	}
	return err
}

// Get implements raft.StableStore.
func (s *logStore) Get(k []byte) (v []byte, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketConf).Get(k)
		if b == nil {
			return errNotFound
		}
		v = append([]byte{}, b...)
		return nil
	})
	return v, err
}

// SetUint64 implements raft.StableStore.
func (s *logStore) SetUint64(k []byte, v uint64) error { return s.Set(k, key(v)) }

// GetUint64 implements raft.StableStore.
func (s *logStore) GetUint64(k []byte) (uint64, error) {
	b, err := s.Get(k)
	if err != nil {
		return 0, err
	}
	if len(b) != 8 {
		return 0, fmt.Errorf("value of %q has %d bytes, want 8", k, len(b))
	}
	return binary.BigEndian.Uint64(b), nil
}

func key(i uint64) []byte { return binary.BigEndian.AppendUint64(nil, i) }

// logHead is term (8 bytes), type (1), time in nanoseconds (8), length of the extensions (4).
const logHead = 8 + 1 + 8 + 4

func encodeLog(l *raft.Log) []byte {
	b := make([]byte, 0, logHead+len(l.Extensions)+len(l.Data))
	b = binary.BigEndian.AppendUint64(b, l.Term)
	b = append(b, byte(l.Type))
	at := int64(0)
	if !l.AppendedAt.IsZero() {
		at = l.AppendedAt.UnixNano()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = binary.BigEndian.AppendUint32(b, uint32(len(l.Extensions)))
	return append(append(b, l.Extensions...), l.Data...)
}

// decodeLog copies: b belongs to the transaction.
func decodeLog(index uint64, b []byte, l *raft.Log) error {
	if len(b) < logHead {
		return fmt.Errorf("raft log %d has %d bytes", index, len(b))
	}
	ext := uint64(binary.BigEndian.Uint32(b[17:]))
	rest := b[logHead:]
	if ext > uint64(len(rest)) {
		return fmt.Errorf("raft log %d is cut off", index)
	}
	*l = raft.Log{Index: index, Term: binary.BigEndian.Uint64(b), Type: raft.LogType(b[8])}
	if at := int64(binary.BigEndian.Uint64(b[9:])); at != 0 {
		l.AppendedAt = time.Unix(0, at)
	}
	if ext > 0 {
		l.Extensions = append([]byte{}, rest[:ext]...)
	}
	l.Data = append([]byte{}, rest[ext:]...)
	return nil
}
