package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
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

	// errNotFound must read so: raft compares the text.
	errNotFound = errors.New("not found")
	errReleased = errors.New("log store is closing")
)

// logStore is raft's log and its few values (term, vote). No write that failed ever comes back to raft:
// its caller is parked, and dead is told why, once.
type logStore struct {
	db       *disk.DB
	ballot   *ballot
	mark     mark
	marked   bool                   // the mark is there; only raft's writer asks
	rotten   atomic.Pointer[uint64] // a log that cannot be read any more
	dead     func(error)
	released chan struct{} // closed when parked callers may go
	release  sync.Once
	patience time.Duration
	parks    atomic.Bool           // raft runs: no failure may reach it
	failed   atomic.Pointer[error] // what the disk said of a write before raft ran
}

var (
	_ raft.LogStore          = (*logStore)(nil)
	_ raft.MonotonicLogStore = (*logStore)(nil)
	_ raft.StableStore       = (*logStore)(nil)
)

// openLogStore opens raft's files in a folder. Errors: errVoteless when what this station said to the other
// voters is lost, for good; or what the disk said.
func openLogStore(d *disk.Disk, cell alerts.CellID, dir string, m mark, dead func(error)) (*logStore, error) {
	took, lost := m.took()
	if lost != nil {
		return nil, lost
	}
	if err := disk.MakeDir(dir); err != nil {
		return nil, err
	}
	logs, vote := filepath.Join(dir, "raft.db"), filepath.Join(dir, "vote")
	if took && (missing(logs) || missing(vote)) {
		return nil, m.lose(errors.New("raft's files are gone"))
	}
	s := &logStore{mark: m, marked: took, dead: dead, released: make(chan struct{}), patience: diskPatience}
	err := s.open(d, cell, logs, vote)
	if errors.Is(err, disk.ErrDamaged) && !took { // nothing was ever said: begin anew
		for _, path := range []string{logs, vote} {
			if _, bad := disk.SetAside(path); bad != nil && !errors.Is(bad, os.ErrNotExist) {
				return nil, errors.Join(err, bad)
			}
		}
		err = s.open(d, cell, logs, vote)
	}
	if errors.Is(err, disk.ErrDamaged) {
		err = m.lose(err)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func missing(path string) bool { _, err := os.Stat(path); return errors.Is(err, os.ErrNotExist) }

func (s *logStore) open(d *disk.Disk, cell alerts.CellID, logs, vote string) (err error) {
	if s.db, err = d.Open("raft", string(cell), logs, bucketLogs); err != nil {
		return err
	}
	if s.ballot, err = openBallot(d, cell, vote); err != nil {
		return errors.Join(err, s.db.Close())
	}
	last, err := s.LastIndex()
	if err == nil && last > 0 && !s.marked {
		err = fmt.Errorf("%w: logs without a mark that they are this station's", disk.ErrDamaged)
	}
	if err != nil {
		return errors.Join(err, s.ballot.slots.Close(), s.db.Close())
	}
	return nil
}

// Release lets parked callers go: raft is being shut down.
func (s *logStore) Release() { s.release.Do(func() { close(s.released) }) }

// Close is for after raft has ended.
func (s *logStore) Close() error {
	s.Release()
	return errors.Join(s.ballot.slots.Close(), s.db.Close())
}

// write does one write, parks for good when it fails, and reports a hang. It returns an error only when the
// store is being released.
func (s *logStore) write(what string, do func() error) error {
	watch := time.AfterFunc(s.patience, func() { s.dead(fmt.Errorf("%s: %w for %s", what, disk.ErrHangs, s.patience)) })
	err := s.takePart()
	if err == nil {
		err = do()
	}
	watch.Stop()
	return s.park(what, err)
}

// takePart leaves the mark before anything is said to the other voters.
func (s *logStore) takePart() error {
	if s.marked {
		return nil
	}
	err := s.mark.take()
	s.marked = err == nil
	return err
}

// park holds whoever met an error until the store is released. Before raft runs, the error comes back.
func (s *logStore) park(what string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", what, err)
	if !s.parks.Load() {
		s.failed.Store(&err)
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
	if errors.Is(err, errRotten) || errors.Is(err, disk.ErrDamaged) {
		s.rotten.Store(&index)
	}
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
	return s.write("keep raft's log", func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketLogs)
			b.FillPercent = 1 // appended to at one end, shortened at the other
			for _, l := range logs {
				if err := b.Put(key(l.Index), encodeLog(l)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// DeleteRange implements raft.LogStore.
func (s *logStore) DeleteRange(from, to uint64) error {
	return s.write("shorten raft's log", func() error {
		return s.db.Update(func(tx *bolt.Tx) error { return deleteRange(tx, from, to) })
	})
}

func deleteRange(tx *bolt.Tx, from, to uint64) error {
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
}

// Set implements raft.StableStore. raft panics on its error, so a parked caller's goroutine ends instead.
func (s *logStore) Set(k, v []byte) error {
	err := s.write("keep raft's term or vote", func() error { return s.ballot.set(string(k), v) })
	if errors.Is(err, errReleased) {
		runtime.Goexit()
	}
	return err
}

// Get implements raft.StableStore.
func (s *logStore) Get(k []byte) (v []byte, err error) { return s.ballot.get(string(k)) }

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

// logHead is a checksum over index and all that follows (4 bytes), term (8), type (1), time in nanoseconds (8),
// length of the extensions (4).
const logHead = 4 + 8 + 1 + 8 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func logSum(index uint64, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum(key(index), castagnoli), castagnoli, rest)
}

func encodeLog(l *raft.Log) []byte {
	b := make([]byte, 4, logHead+len(l.Extensions)+len(l.Data))
	b = binary.BigEndian.AppendUint64(b, l.Term)
	b = append(b, byte(l.Type))
	at := int64(0)
	if !l.AppendedAt.IsZero() {
		at = l.AppendedAt.UnixNano()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = binary.BigEndian.AppendUint32(b, uint32(len(l.Extensions)))
	b = append(append(b, l.Extensions...), l.Data...)
	binary.BigEndian.PutUint32(b, logSum(l.Index, b[4:]))
	return b
}

// decodeLog copies: b belongs to the transaction. Errors wrap errRotten.
func decodeLog(index uint64, b []byte, l *raft.Log) error {
	if len(b) < logHead || binary.BigEndian.Uint32(b) != logSum(index, b[4:]) {
		return fmt.Errorf("raft log %d: %w", index, errRotten)
	}
	ext, rest := uint64(binary.BigEndian.Uint32(b[21:])), b[logHead:]
	if ext > uint64(len(rest)) {
		return fmt.Errorf("raft log %d is cut off: %w", index, errRotten)
	}
	*l = raft.Log{Index: index, Term: binary.BigEndian.Uint64(b[4:]), Type: raft.LogType(b[12])}
	if at := int64(binary.BigEndian.Uint64(b[13:])); at != 0 {
		l.AppendedAt = time.Unix(0, at)
	}
	if ext > 0 {
		l.Extensions = append([]byte{}, rest[:ext]...)
	}
	l.Data = append([]byte{}, rest[ext:]...)
	return nil
}
