//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"hivemesh/node/sim/history"
)

const (
	canaryPort = "7777"
	canaryText = "chaos-canary: this goes over the wire in plain"
)

// secrets are words of an alert that no frame between stations may hold.
var secrets = []string{noteMark, `"category"`, "domestic_violence", "疑似有人被带离"}

// wiretap reads every frame between the hosts and looks for what must not be there. A word of its own that
// it sends in plain shows that it would find it.
type wiretap struct {
	c    *county
	stop func()

	mu      sync.Mutex
	frames  int
	bytes   int
	canary  int
	secrets map[string]int
}

// tap begins to listen where the wires meet.
func tap(ctx context.Context, c *county) (*wiretap, error) {
	t := &wiretap{c: c, secrets: map[string]int{}}
	var err error
	if t.stop, err = c.fabric.listen(t.heard); err != nil {
		return nil, err
	}
	return t, t.sing(ctx)
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
