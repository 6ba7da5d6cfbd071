package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	// lockTime is how long to wait for another process to let go of a file: one that is just ending.
	lockTime = 2 * time.Second
	// ClosePatience is how long closing waits for a disk that hangs: shorter than a service may take to stop.
	ClosePatience = 5 * time.Second
)

var (
	// ErrDamaged says that a file, or a page of it, cannot be read.
	ErrDamaged = errors.New("damaged or unreadable")
	// ErrInUse says that another process has the file open.
	ErrInUse = errors.New("another process has it open")
	// ErrHangs says that the disk did not answer in time.
	ErrHangs = errors.New("the disk does not answer")
)

// DB is one bbolt file. It is safe for concurrent use.
type DB struct {
	d      *Disk
	op     Op
	db     *bbolt.DB
	late   time.Duration // how long Close waits
	broken atomic.Bool   // a page that could not be read ended a write: bbolt may hold its lock for ever

	refresh refresher
}

// Open opens a file, or makes it with these buckets. One that has them already is not written to, so that a
// station starts on a full disk. Errors: ErrDamaged, ErrInUse, or what the disk said.
func (d *Disk) Open(store, cell, path string, buckets ...[]byte) (*DB, error) {
	b := &DB{d: d, op: Op{Store: store, Cell: cell}, late: ClosePatience, refresh: refresher{open: openDirect}}
	if err := b.before(Opens); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := b.open(path, false); err != nil {
		return nil, err
	}
	if err := named(b.prepare(buckets)); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare %s: %w", path, err), b.Close())
	}
	// Else a power cut may take the file although all in it was fsynced. Also where it was there: whoever made
	// it may have failed just here.
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), b.Close())
	}
	return b, nil
}

// Peek opens a file for reading only, as on a disk that takes no writes.
func (d *Disk) Peek(store, cell, path string) (*DB, error) {
	b := &DB{d: d, op: Op{Store: store, Cell: cell}, late: ClosePatience, refresh: refresher{open: openDirect}}
	if err := b.before(Reads); err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	return b, b.open(path, true)
}

func (b *DB) open(path string, readOnly bool) error {
	// The list of free pages is kept in the file: making it anew, bbolt reads every page in a goroutine of its
	// own, where a damaged one would end the program.
	open := func(readOnly bool) error {
		return Guarded(func() (err error) {
			b.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
				Timeout: lockTime, FreelistType: bbolt.FreelistMapType, ReadOnly: readOnly,
			})
			return err
		})
	}
	info, err := os.Stat(path)
	if err == nil && info.Size() > 0 {
		// Opened for reading first: nobody writes to it while its shape is looked at, and bbolt does not yet
		// read the list of free pages, at which it could ask for all memory there is.
		if err = open(true); err == nil {
			if err = sound(path); err != nil || !readOnly {
				err = errors.Join(err, b.db.Close())
			}
		}
	} else if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err == nil && !readOnly {
		err = open(false)
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("open %s: %w", path, named(err))
}

// named tells what the disk said from what bbolt says of the content: that is damage.
func named(err error) error {
	var disk syscall.Errno
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return ErrInUse
	case err == nil, errors.As(err, &disk), errors.Is(err, ErrDamaged), errors.Is(err, ErrHangs):
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

func (b *DB) prepare(buckets [][]byte) error {
	missing := false
	err := b.View(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			missing = missing || tx.Bucket(name) == nil
		}
		return nil
	})
	if err != nil || !missing {
		return err
	}
	return b.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *DB) before(do Act) error {
	op := b.op
	op.Do = do
	return b.d.before(op)
}

// Update runs one transaction; nil: it is on disk. On a full disk it throws out the ballast and tries again.
func (b *DB) Update(f func(*bbolt.Tx) error) error {
	err := b.update(f)
	if errors.Is(err, syscall.ENOSPC) && b.d.throwOut() {
		err = b.update(f)
	}
	return err
}

func (b *DB) update(f func(*bbolt.Tx) error) error {
	if b.broken.Load() {
		return fmt.Errorf("%w: a write met a bad page before", ErrDamaged)
	}
	err := b.before(Writes)
	if err == nil {
		err = Guarded(func() error { return b.db.Update(f) })
	}
	if errors.Is(err, ErrDamaged) {
		b.broken.Store(true)
	}
	b.d.count(err)
	return err
}

// View reads.
func (b *DB) View(f func(*bbolt.Tx) error) error {
	if err := b.before(Reads); err != nil {
		return err
	}
	return Guarded(func() error { return b.db.View(f) })
}

// Close closes the file, or gives up on it: on one that met a bad page at once, on a disk that hangs after
// ClosePatience, with ErrHangs.
func (b *DB) Close() error {
	if b.broken.Load() {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		b.refresh.wg.Wait()
		done <- Guarded(b.db.Close)
	}()
	late := time.NewTimer(b.late)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return fmt.Errorf("close %s: %w", b.op.Store, ErrHangs)
	}
}

// Bolt is the file itself, for tests.
func (b *DB) Bolt() *bbolt.DB { return b.db }

// Guarded makes an error of what a bad sector does to bbolt's memory map, which is a fault, and of what a
// damaged page does to bbolt, which is a panic.
func Guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return f()
}

// SetAside gives a damaged file or folder a name of its own beside the old one, and says which.
func SetAside(path string) (aside string, err error) {
	aside = fmt.Sprintf("%s.damaged-%d", path, time.Now().UnixNano())
	if err := os.Rename(path, aside); err != nil {
		return "", err
	}
	return aside, SyncDir(filepath.Dir(path))
}

// Rename gives a file another name for good.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}

// MakeDir makes a folder, its parents if need be, and their names outlast a power cut.
func MakeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// Those above were there before the station was.
	for range madeDirs {
		dir = filepath.Dir(dir)
		if err := SyncDir(dir); errors.Is(err, os.ErrPermission) {
			return nil // not made by this station
		} else if err != nil {
			return err
		}
	}
	return nil
}

// madeDirs is how deep a station's folders are below its own: cells, one of them, an epoch.
const madeDirs = 3

// SyncDir makes the names in a folder outlast a power cut.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// ReadOnly reports whether it was opened by Peek.
func (b *DB) ReadOnly() bool { return b.db.IsReadOnly() }
