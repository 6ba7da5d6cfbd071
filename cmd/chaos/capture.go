//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	captureFrame  = 1 << 16                // bytes; more than any frame
	captureWait   = 200 * time.Millisecond // between looks whether to stop
	captureBuffer = 8 << 20                // bytes the kernel may queue for us
)

// listen reads every frame on every port of the bridge.
func (b *bridge) listen(heard func([]byte)) (stop func(), err error) {
	var fd int
	if err := b.sw.do(func() (err error) {
		all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)) // in network order
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all))
		return err
	}); err != nil {
		return nil, err
	}
	wait := unix.NsecToTimeval(captureWait.Nanoseconds())
	if err := errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer)); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	var g sync.WaitGroup
	done := make(chan struct{})
	g.Go(func() {
		frame := make([]byte, captureFrame)
		for {
			select {
			case <-done:
				return
			default:
			}
			if n, _, err := unix.Recvfrom(fd, frame, 0); err == nil {
				heard(frame[:n])
			}
		}
	})
	return func() {
		close(done)
		g.Wait()
		_ = unix.Close(fd)
	}, nil
}
