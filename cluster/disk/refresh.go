package disk

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

const (
	// refreshChunk is how much of a file is compared at a time: a multiple of any disk's block.
	refreshChunk = 64 << 10
	// RefreshBytes is how much of one file a look compares: a record of 100,000 entries has 50 MB.
	RefreshBytes = 16 << 20
)

// direct reads a file from the disk itself, past what the kernel keeps of it in memory.
type direct interface {
	io.ReaderAt
	io.Closer
}

// refresher compares a file on disk with what the kernel keeps of it.
type refresher struct {
	open func(path string) (direct, error) // openDirect, but in tests

	mu sync.Mutex // held while it is at it
	at int64      // where it goes on
	wg sync.WaitGroup
}

// Refresh compares up to most bytes of the file, from where it left off, and writes again what the disk does not have
// as the kernel does: all reading goes through the kernel's memory, where a good page stays for as long as there is
// room, so that rot below it would show only after the next power cut. What of it was the wrong copy, the stores find
// by what they read. It does not wait; said is told at the end, unless there is nothing to tell, and Close waits for
// it as for any work of the disk.
func (b *DB) Refresh(most int64, said func(rewritten int, err error)) {
	if b.ReadOnly() || b.broken.Load() || !b.refresh.mu.TryLock() {
		return
	}
	b.refresh.wg.Go(func() {
		defer b.refresh.mu.Unlock()
		rewritten, err := b.compare(most)
		if rewritten > 0 || err != nil {
			said(rewritten, err)
		}
	})
}

// compare is for holders of refresh.mu.
func (b *DB) compare(most int64) (rewritten int, err error) {
	if err := b.before(Reads); err != nil {
		return 0, err
	}
	below, err := b.refresh.open(b.db.Path())
	if errors.Is(err, errors.ErrUnsupported) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer below.Close()
	above, err := os.OpenFile(b.db.Path(), os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer above.Close()
	info, err := above.Stat()
	if err != nil {
		return 0, err
	}
	c := comparison{below: below, above: above, disk: aligned(refreshChunk), memory: make([]byte, refreshChunk)}
	for ; most > 0 && b.refresh.at < info.Size(); most -= refreshChunk {
		same, err := c.same(b.refresh.at)
		if err == nil && !same {
			same, err = b.rewrite(&c)
		}
		if err != nil {
			return rewritten, err
		}
		if !same {
			rewritten++
		}
		b.refresh.at += refreshChunk
	}
	if b.refresh.at >= info.Size() {
		b.refresh.at = 0
	}
	return rewritten, nil
}

// rewrite writes what memory has of a chunk while no transaction writes; same: one had, a moment ago.
func (b *DB) rewrite(c *comparison) (same bool, err error) {
	if err := b.before(Writes); err != nil {
		return false, err
	}
	err = Guarded(func() error {
		tx, err := b.db.Begin(true)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if same, err = c.same(b.refresh.at); err != nil || same {
			return err
		}
		if _, err = c.above.WriteAt(c.memory[:c.n], b.refresh.at); err != nil {
			return err
		}
		return datasync(c.above)
	})
	return same, err
}

// comparison is of one chunk after the other.
type comparison struct {
	below        direct
	above        *os.File
	disk, memory []byte
	n            int // how much of memory the chunk fills
}

// same reads a chunk twice. A sector that cannot be read is one that differs: writing it gets it another place.
func (c *comparison) same(at int64) (bool, error) {
	n, err := c.above.ReadAt(c.memory, at)
	if c.n = n; err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	m, err := c.below.ReadAt(c.disk, at)
	switch {
	case errors.Is(err, syscall.EIO):
		return false, nil
	case err != nil && !errors.Is(err, io.EOF):
		return false, err
	}
	return bytes.Equal(c.disk[:min(m, n)], c.memory[:min(m, n)]), nil
}

// aligned is memory that begins where a disk's block may.
func aligned(size int) []byte {
	const block = 4 << 10
	b := make([]byte, size+block)
	skip := block - int(uintptr(unsafe.Pointer(&b[0]))%block)
	return b[skip : skip+size]
}
