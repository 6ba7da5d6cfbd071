package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// openDirect opens a file past the kernel's memory; errors.ErrUnsupported where the file system cannot.
func openDirect(path string) (direct, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECT, 0)
	if errors.Is(err, unix.EINVAL) {
		return nil, errors.ErrUnsupported
	}
	return f, err
}
