//go:build linux

package faultfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Kind is what an operation does to the disk.
type Kind string

// The kinds that are counted and can be made to fail. Reading is neither.
const (
	Create   Kind = "create"
	Write    Kind = "write"
	Truncate Kind = "truncate"
	Allocate Kind = "allocate"
	Sync     Kind = "fsync" // fdatasync comes as this, too
	SyncDir  Kind = "fsync of a folder"
	Rename   Kind = "rename"
	Unlink   Kind = "unlink"
	Mkdir    Kind = "mkdir"
	Rmdir    Kind = "rmdir"
	Link     Kind = "link"
)

// Op is one operation.
type Op struct {
	N    int // 1 for the first since the mount
	Kind Kind
	Path string // below the mount; empty where the file has no name any more
}

// Fault is what becomes of an operation.
type Fault int

// The faults.
const (
	None     Fault = iota
	EIO            // nothing is done; an fsync that fails so has lost what it was to save, for good
	ENOSPC         // nothing is done
	Short          // half of a write is done, and said so; other operations fail with EIO
	PowerCut       // nothing is done, by this or any later operation, and what was not durable is gone
)

func (f Fault) String() string {
	return [...]string{"none", "EIO", "ENOSPC", "short write", "power cut"}[f]
}

// FS is one mount. It is safe for concurrent use.
type FS struct {
	below string
	at    string
	trash string // what was unlinked and would be back after a power cut
	srv   *fuse.Server

	mu    sync.Mutex // guards the rest, and orders all that changes the folder below
	n     int
	plan  func(Op) Fault
	bit   map[Fault]int
	torn  *rand.Rand
	dead  bool // the power is gone
	files map[inode]*content
	names []change
	tmp   int
}

// ErrNoFUSE says that this machine, or this user, cannot mount.
var ErrNoFUSE = errors.New("no FUSE here: needs Linux, root and /dev/fuse")

// Mount shows the folder below at the folder at; both must be there. Beside below a folder for its own use is
// made. plan says what becomes of each operation; nil: all is well. It is called under a lock and must not
// use the mount.
func Mount(below, at string, plan func(Op) Fault) (*FS, error) {
	if _, err := os.Stat("/dev/fuse"); err != nil || os.Getuid() != 0 {
		return nil, ErrNoFUSE
	}
	f := &FS{
		below: below, at: at, trash: filepath.Clean(below) + ".trash", plan: plan,
		bit: map[Fault]int{}, files: map[inode]*content{},
	}
	if err := os.MkdirAll(f.trash, 0o700); err != nil {
		return nil, err
	}
	root, err := fs.NewLoopbackRoot(below)
	if err != nil {
		return nil, err
	}
	f.srv, err = fs.Mount(at, &node{root.(*fs.LoopbackNode), f}, &fs.Options{MountOptions: fuse.MountOptions{
		DirectMountStrict: true, FsName: "faultfs", Name: "faultfs", AllowOther: true,
	}})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoFUSE, err)
	}
	return f, nil
}

// Plan says what becomes of each operation from now on; nil: all is well.
func (f *FS) Plan(plan func(Op) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan = plan
}

// Nth is a plan that has one operation fail.
func Nth(n int, fault Fault) func(Op) Fault {
	return func(op Op) Fault {
		if op.N == n {
			return fault
		}
		return None
	}
}

// Tear has a power cut leave some of what was not fsynced, by sector, instead of nothing of it.
func (f *FS) Tear(seed uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.torn = rand.New(rand.NewPCG(seed, 0))
}

// Ops is how many operations there were.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// Bit is how often each fault was.
func (f *FS) Bit() map[Fault]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[Fault]int{}
	for k, n := range f.bit {
		out[k] = n
	}
	return out
}

// CutPower has the power go now. The folder below is as it would be found afterwards; all that is still done
// in the mount fails. Unmount, and mount again, to go on.
func (f *FS) CutPower() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cut()
}

// Unmount ends the mount; files must not be open in it any more, unless lazy.
func (f *FS) Unmount() error {
	err := f.srv.Unmount()
	if err != nil { // somebody who was killed may still be going
		err = syscall.Unmount(f.at, syscall.MNT_DETACH)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.files {
		err = errors.Join(err, c.file.Close())
	}
	f.files = nil
	return errors.Join(err, os.RemoveAll(f.trash))
}

// meet counts an operation and says what becomes of it. The caller holds mu.
func (f *FS) meet(kind Kind, path string) (short bool, errno syscall.Errno) {
	if f.dead {
		return false, syscall.EIO
	}
	f.n++
	fault := None
	if f.plan != nil {
		fault = f.plan(Op{N: f.n, Kind: kind, Path: path})
	}
	if fault != None {
		f.bit[fault]++
	}
	switch fault {
	case EIO:
		return false, syscall.EIO
	case ENOSPC:
		return false, syscall.ENOSPC
	case Short:
		if kind == Write {
			return true, 0
		}
		return false, syscall.EIO
	case PowerCut:
		if err := f.cut(); err != nil {
			panic(fmt.Sprintf("faultfs: the power cut is not what it should be: %v", err)) // a test on this would lie
		}
		return false, syscall.EIO
	}
	return false, 0
}
