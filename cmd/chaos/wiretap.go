//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hivemesh/node/sim/history"
)

const (
	tapFrame   = 1 << 16                // more than any frame
	tapWait    = 200 * time.Millisecond // between looks whether to stop
	tapBuffer  = 8 << 20                // bytes the kernel may queue for us
	canaryPort = "7777"
	canaryText = "chaos-canary: this goes over the wire in plain"
)

// secrets are words of an alert that no frame between stations may hold.
var secrets = []string{noteMark, `"category"`, "domestic_violence", "疑似有人被带离"}

// wiretap reads every frame between the hosts and looks for what must not be there. A word of its own that
// it sends in plain shows that it would find it.
type wiretap struct {
	fd int
	c  *county

	mu      sync.Mutex
	frames  int
	bytes   int
	canary  int
	secrets map[string]int
}

// tap opens the capture where the wires meet.
func tap(c *county) (*wiretap, error) {
	t := &wiretap{c: c, secrets: map[string]int{}}
	err := c.fabric.wire().do(func() (err error) {
		all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)) // in network order
		t.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, int(all))
		return err
	})
	if err != nil {
		return nil, err
	}
	wait := unix.NsecToTimeval(tapWait.Nanoseconds())
	return t, errors.Join(unix.SetsockoptTimeval(t.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.SetsockoptInt(t.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, tapBuffer))
}

func (t *wiretap) run(ctx context.Context) {
	defer unix.Close(t.fd)
	if err := t.sing(ctx); err != nil {
		return // no canary was heard: the report says so
	}
	b := make([]byte, tapFrame)
	for ctx.Err() == nil {
		n, _, err := unix.Recvfrom(t.fd, b, 0)
		if err == nil {
			t.heard(b[:n])
		}
	}
}

// sing sends the canary from the first host to the second.
func (t *wiretap) sing(ctx context.Context) error {
	conn, err := t.c.stations[0].ns.dial(ctx, "udp", address(1)+":"+canaryPort)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(canaryText))
	return err
}

func (t *wiretap) heard(frame []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.frames++
	t.bytes += len(frame)
	if bytes.Contains(frame, []byte(canaryText)) {
		t.canary++
	}
	for _, s := range secrets {
		if bytes.Contains(frame, []byte(s)) {
			t.secrets[s]++
		}
	}
}

// found checks NoPlaintext.
func (t *wiretap) found() (broken []history.Violation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s, n := range t.secrets {
		broken = append(broken, history.Violation{Check: "NoPlaintext", What: fmt.Sprintf("%q was in %d frames between stations", s, n)})
	}
	return broken
}

// listened reports whether the capture proves anything.
func (t *wiretap) listened() (frames, size int, heardItself bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.frames, t.bytes, t.canary > 0
}
