//go:build linux

package faultfs

import (
	"context"
	"os"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// handle is an open file.
type handle struct {
	f    *FS
	file *os.File
	path string // it was opened by
}

var (
	_ fs.FileReader    = (*handle)(nil)
	_ fs.FileWriter    = (*handle)(nil)
	_ fs.FileFsyncer   = (*handle)(nil)
	_ fs.FileFlusher   = (*handle)(nil)
	_ fs.FileReleaser  = (*handle)(nil)
	_ fs.FileAllocater = (*handle)(nil)
)

func (h *handle) Read(_ context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	if h.f.dead {
		return nil, syscall.EIO
	}
	n, err := syscall.Pread(int(h.file.Fd()), dest, off)
	if err != nil {
		return nil, fs.ToErrno(err)
	}
	return fuse.ReadResultData(dest[:n]), 0
}

func (h *handle) Write(_ context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	short, errno := h.f.meet(Write, h.path)
	if errno != 0 {
		return 0, errno
	}
	if short {
		data = data[:len(data)/2]
	}
	c, err := h.f.of(h.file)
	if err == nil {
		err = c.touch(off, off+int64(len(data)))
	}
	if err != nil {
		return 0, fs.ToErrno(err)
	}
	n, err := syscall.Pwrite(int(h.file.Fd()), data, off)
	return uint32(max(n, 0)), fs.ToErrno(err)
}

func (h *handle) Fsync(context.Context, uint32) syscall.Errno {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	c, err := h.f.of(h.file)
	if err != nil {
		return fs.ToErrno(err)
	}
	if _, errno := h.f.meet(Sync, h.path); errno != 0 {
		c.lose()
		return errno
	}
	return fs.ToErrno(c.save())
}

// Allocate reserves blocks; the content reads as zeros.
func (h *handle) Allocate(_ context.Context, off, size uint64, mode uint32) syscall.Errno {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	if _, errno := h.f.meet(Allocate, h.path); errno != 0 {
		return errno
	}
	if _, err := h.f.of(h.file); err != nil {
		return fs.ToErrno(err)
	}
	return fs.ToErrno(unix.Fallocate(int(h.file.Fd()), mode, int64(off), int64(size)))
}

func (h *handle) Flush(context.Context) syscall.Errno { return 0 }

func (h *handle) Release(context.Context) syscall.Errno { return fs.ToErrno(h.file.Close()) }
