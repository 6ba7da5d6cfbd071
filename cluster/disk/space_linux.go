package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// room is what is free for this process, and all there is, in bytes.
func room(dir string) (free, total uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
}

// reserve takes blocks for a file; errors.ErrUnsupported where the file system cannot.
func reserve(f *os.File, size int64) error { return unix.Fallocate(int(f.Fd()), 0, 0, size) }

// reserved is how many bytes of blocks a file holds; 0 where there is none.
func reserved(path string) int64 {
	var s unix.Stat_t
	if unix.Stat(path, &s) != nil {
		return 0
	}
	return s.Blocks * 512
}

// datasync waits until a file's content is on disk.
func datasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
