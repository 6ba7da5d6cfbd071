//go:build linux

package faultfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file or folder: go-fuse's own mirror of the folder below, but for what changes the disk.
type node struct {
	*fs.LoopbackNode
	f *FS
}

var (
	_ fs.NodeWrapChilder    = (*node)(nil)
	_ fs.NodeOpener         = (*node)(nil)
	_ fs.NodeCreater        = (*node)(nil)
	_ fs.NodeSetattrer      = (*node)(nil)
	_ fs.NodeUnlinker       = (*node)(nil)
	_ fs.NodeRenamer        = (*node)(nil)
	_ fs.NodeMkdirer        = (*node)(nil)
	_ fs.NodeRmdirer        = (*node)(nil)
	_ fs.NodeLinker         = (*node)(nil)
	_ fs.NodeSymlinker      = (*node)(nil)
	_ fs.NodeMknoder        = (*node)(nil)
	_ fs.NodeOpendirHandler = (*node)(nil)
)

func (n *node) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{ops.(*fs.LoopbackNode), n.f}
}

// path is where the node is below the mount; child may be empty.
func (n *node) path(child string) string { return filepath.Join(n.Path(n.Root()), child) }

// does runs an operation on names if it is to go well.
func (n *node) does(kind Kind, path string, do func() syscall.Errno) syscall.Errno {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	if _, errno := n.f.meet(kind, path); errno != 0 {
		return errno
	}
	return do()
}

func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	if n.f.dead {
		return nil, 0, syscall.EIO
	}
	path := n.path("")
	if flags&syscall.O_TRUNC != 0 { // the kernel asks for the truncation by itself
		flags &^= syscall.O_TRUNC
	}
	file, err := os.OpenFile(filepath.Join(n.f.below, path), int(flags)&^syscall.O_APPEND, 0)
	if err != nil {
		return nil, 0, fs.ToErrno(err)
	}
	return &handle{f: n.f, file: file, path: path}, 0, 0
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (in *fs.Inode, h fs.FileHandle, _ uint32, errno syscall.Errno) {
	path := n.path(name)
	errno = n.does(Create, path, func() syscall.Errno {
		real := filepath.Join(n.f.below, path)
		file, err := os.OpenFile(real, int(flags)&^syscall.O_APPEND|os.O_CREATE, os.FileMode(mode))
		if err != nil {
			return fs.ToErrno(err)
		}
		n.f.named(func() error { return removeIfThere(real) }, path)
		if _, err = n.f.of(file); err != nil { // of its content, nothing is durable yet
			return fs.ToErrno(errors.Join(err, file.Close()))
		}
		h = &handle{f: n.f, file: file, path: path}
		return 0
	})
	if errno == 0 {
		in, errno = n.Lookup(ctx, name, out)
	}
	return in, h, 0, errno
}

// Setattr is a truncation, or harmless.
func (n *node) Setattr(ctx context.Context, h fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	path := n.path("")
	size, ok := in.GetSize()
	if !ok {
		return n.LoopbackNode.Setattr(ctx, nil, in, out)
	}
	errno := n.does(Truncate, path, func() syscall.Errno {
		var file *os.File
		if own, ok := h.(*handle); ok {
			file = own.file
		} else {
			var err error
			if file, err = os.OpenFile(filepath.Join(n.f.below, path), os.O_RDWR, 0); err != nil {
				return fs.ToErrno(err)
			}
			defer file.Close()
		}
		c, err := n.f.of(file)
		if err == nil {
			err = c.touch(int64(size), c.size)
		}
		if err == nil {
			err = file.Truncate(int64(size))
		}
		return fs.ToErrno(err)
	})
	if errno != 0 {
		return errno
	}
	return n.Getattr(ctx, h, out)
}

func (n *node) Getattr(ctx context.Context, h fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	own, ok := h.(*handle)
	if !ok {
		return n.LoopbackNode.Getattr(ctx, nil, out)
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(int(own.file.Fd()), &st); err != nil {
		return fs.ToErrno(err)
	}
	out.FromStat(&st)
	return 0
}

func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	path := n.path(name)
	return n.does(Unlink, path, func() syscall.Errno {
		back, err := n.f.hide(path)
		if err != nil {
			return fs.ToErrno(err)
		}
		errno := n.LoopbackNode.Unlink(ctx, name)
		if errno == 0 {
			n.f.named(back, path)
		}
		return errno
	})
}

func (n *node) Rename(ctx context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if flags != 0 {
		return syscall.ENOTSUP
	}
	from, into := n.path(name), to.(*node).path(newName)
	return n.does(Rename, from, func() syscall.Errno {
		back := func() error { return nil }
		if i, err := os.Lstat(filepath.Join(n.f.below, into)); err == nil && !i.IsDir() {
			if back, err = n.f.hide(into); err != nil {
				return fs.ToErrno(err)
			}
		}
		a, b := filepath.Join(n.f.below, from), filepath.Join(n.f.below, into)
		if err := os.Rename(a, b); err != nil {
			return fs.ToErrno(err)
		}
		n.f.named(func() error { return errors.Join(os.Rename(b, a), back()) }, from, into)
		return 0
	})
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (in *fs.Inode, errno syscall.Errno) {
	path := n.path(name)
	errno = n.does(Mkdir, path, func() (errno syscall.Errno) {
		in, errno = n.LoopbackNode.Mkdir(ctx, name, mode, out)
		if errno == 0 {
			n.f.named(func() error { return os.RemoveAll(filepath.Join(n.f.below, path)) }, path)
		}
		return errno
	})
	return in, errno
}

func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	path := n.path(name)
	return n.does(Rmdir, path, func() syscall.Errno {
		errno := n.LoopbackNode.Rmdir(ctx, name)
		if errno == 0 {
			n.f.named(func() error { return os.Mkdir(filepath.Join(n.f.below, path), 0o700) }, path)
		}
		return errno
	})
}

// Link, Symlink and Mknod: no store of a station uses them, so what a power cut does to them is not told.

func (n *node) Link(context.Context, fs.InodeEmbedder, string, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.ENOTSUP
}

func (n *node) Symlink(context.Context, string, string, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.ENOTSUP
}

func (n *node) Mknod(context.Context, string, uint32, uint32, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.ENOTSUP
}

func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	stream, _, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return &folder{stream.(dirStream), n.f, n.path("")}, 0, 0
}

// dirStream is what go-fuse reads a folder with.
type dirStream interface {
	fs.FileReaddirenter
	fs.FileSeekdirer
	fs.FileReleasedirer
}

// folder is an open folder.
type folder struct {
	dirStream
	f    *FS
	path string
}

func (d *folder) Fsyncdir(context.Context, uint32) syscall.Errno {
	d.f.mu.Lock()
	defer d.f.mu.Unlock()
	if _, errno := d.f.meet(SyncDir, d.path); errno != 0 {
		return errno
	}
	d.f.settle(filepath.Clean(d.path))
	return 0
}
