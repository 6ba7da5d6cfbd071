package trust

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// impatient lets data that nobody acknowledges end a connection after silence; accepted ones inherit it.
func impatient(_, _ string, c syscall.RawConn) error {
	var set error
	err := c.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return set
}
