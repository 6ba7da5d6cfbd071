//go:build linux

package faultfs

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

const (
	page   = 4096
	sector = 512 // what a disk writes whole or not at all
)

type inode struct{ dev, ino uint64 }

// content is a file whose content is not all durable: what a power cut would leave.
type content struct {
	file  *os.File // in the folder below, whatever its name is by now
	size  int64    // durable
	pages map[int64]*saved
}

// saved is the durable content of a page that was changed since.
type saved struct {
	was  []byte // shorter than a page at the end of the file
	lost bool   // an fsync failed since it was changed: a later one does not save it
}

// change is a name made, moved or removed in folders that were not fsynced since.
type change struct {
	dirs []string // relative to the mount
	undo func() error
}

// of is the state of an open file. The caller holds mu.
func (f *FS) of(file *os.File) (*content, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(file.Fd()), &st); err != nil {
		return nil, err
	}
	id := inode{st.Dev, st.Ino}
	if c := f.files[id]; c != nil {
		return c, nil
	}
	own, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(int(file.Fd())), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	c := &content{file: own, size: st.Size, pages: map[int64]*saved{}}
	f.files[id] = c
	return c, nil
}

// touch saves what is durable of a range that is about to change.
func (c *content) touch(from, upto int64) error {
	for p := from / page; p*page < upto; p++ {
		if s := c.pages[p]; s != nil {
			s.lost = false
			continue
		}
		was := make([]byte, page)
		n, err := c.file.ReadAt(was, p*page)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		c.pages[p] = &saved{was: was[:n]}
	}
	return nil
}

// save is an fsync that worked.
func (c *content) save() error {
	i, err := c.file.Stat()
	if err != nil {
		return err
	}
	c.size = i.Size()
	for p, s := range c.pages {
		if !s.lost {
			delete(c.pages, p)
		}
	}
	return nil
}

// lose is one that failed: the kernel takes the pages for clean, and nobody writes them ever.
func (c *content) lose() {
	for _, s := range c.pages {
		s.lost = true
	}
}

// cut makes the folder below what a power cut leaves. The caller holds mu.
func (f *FS) cut() error {
	if f.dead {
		return nil
	}
	f.dead = true
	var errs []error
	for _, c := range f.files {
		errs = append(errs, f.revert(c))
	}
	for _, n := range slices.Backward(f.names) {
		errs = append(errs, n.undo())
	}
	f.names = nil
	return errors.Join(errs...)
}

// revert gives a file its durable content, but for sectors that were written all the same when it tears.
func (f *FS) revert(c *content) error {
	if len(c.pages) == 0 && f.torn == nil {
		return c.file.Truncate(c.size)
	}
	size := c.size
	if i, err := c.file.Stat(); err == nil && f.torn != nil && f.torn.IntN(2) == 0 {
		size = max(size, i.Size()) // the length is metadata and may have been first
	}
	var order []int64
	for p := range c.pages {
		order = append(order, p)
	}
	slices.Sort(order) // the same seed tears the same
	for _, p := range order {
		s := c.pages[p]
		for at := 0; at < page; at += sector {
			if !s.lost && f.torn != nil && f.torn.IntN(2) == 0 {
				continue
			}
			was := make([]byte, sector)
			if at < len(s.was) {
				copy(was, s.was[at:])
			}
			if _, err := c.file.WriteAt(was, p*page+int64(at)); err != nil {
				return err
			}
		}
	}
	return c.file.Truncate(size)
}

// named notes a change of names and how it is undone.
func (f *FS) named(undo func() error, paths ...string) {
	var dirs []string
	for _, p := range paths {
		dirs = append(dirs, filepath.Dir(p))
	}
	f.names = append(f.names, change{dirs, undo})
}

// settle is an fsync of a folder: its names are durable. A move between two folders is when either is synced,
// as a journal would have it.
func (f *FS) settle(dir string) {
	f.names = slices.DeleteFunc(f.names, func(c change) bool { return slices.Contains(c.dirs, dir) })
}

// removeIfThere undoes the making of a file. One that is gone lay in a folder whose own new name was fsynced since:
// a journal that keeps the name keeps what is in it.
func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// hide gives what is about to lose its name another one, outside, and the way back.
func (f *FS) hide(path string) (back func() error, err error) {
	f.tmp++
	aside, real := filepath.Join(f.trash, strconv.Itoa(f.tmp)), filepath.Join(f.below, path)
	if err := os.Link(real, aside); errors.Is(err, os.ErrNotExist) {
		return func() error { return nil }, nil
	} else if err != nil {
		return nil, err
	}
	return func() error { return os.Rename(aside, real) }, nil
}
