//go:build linux

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	tapMTU     = 1400 // leaves room in a buffer for the frame's own header
	tapBytes   = 2048
	lateLeast  = 15 * time.Millisecond // each way, of a link that goes over a mobile network
	lateMore   = 30 * time.Millisecond // up to so much on top, for each frame its own: they overtake each other
	slowLeast  = 150 * time.Millisecond
	slowMore   = 100 * time.Millisecond
	doubleOdds = 0.05
	tenth      = 0.10
	third      = 0.33
)

// trouble is what happens to frames from one host to another.
type trouble struct {
	cut         bool
	loss        float64
	double      float64
	least, more time.Duration // delay
	slow        bool          // the delay is a slow link's
}

// tapSwitch is a switch in this process: each host has one TAP, and every frame goes through the rules.
// It does what the kernel here has no netem for: delay, jitter, doubled frames.
type tapSwitch struct {
	hosts []*netns
	taps  []*os.File
	wg    sync.WaitGroup

	mu     sync.RWMutex
	rules  [][]trouble
	out    []bool // cable out, by host
	ear    func(frame []byte)
	counts map[string]*atomic.Int64
}

func newSwitch(n int) (_ *tapSwitch, err error) {
	s := &tapSwitch{rules: make([][]trouble, n), out: make([]bool, n), counts: map[string]*atomic.Int64{}}
	for _, kind := range []string{biteCut, biteThin, biteSlow, biteUnplug, biteDelay, biteDouble} {
		s.counts[kind] = &atomic.Int64{}
	}
	for k := range n {
		s.rules[k] = make([]trouble, n)
		h, err := newNetns(fmt.Sprint("host", k))
		if err != nil {
			return nil, err
		}
		tap, err := openTap(h, k)
		if err != nil {
			return nil, err
		}
		s.hosts, s.taps = append(s.hosts, h), append(s.taps, tap)
	}
	for k := range n {
		s.wg.Go(func() { s.carry(k) })
	}
	return s, nil
}

// openTap makes the host's network card, whose other end is ours. Its address ends with the host's number.
func openTap(h *netns, k int) (tap *os.File, err error) {
	err = h.do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("/dev/net/tun: %w", err)
		}
		ifr, err := unix.NewIfreq("eth0")
		if err != nil {
			return err
		}
		ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
			return errors.Join(fmt.Errorf("make a TAP: %w", err), unix.Close(fd))
		}
		tap = os.NewFile(uintptr(fd), "tap of "+h.name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return tap, errors.Join(
		run("ip", "-n", h.name, "link", "set", "eth0", "address", fmt.Sprintf("02:00:00:00:00:%02x", k+1), "mtu", fmt.Sprint(tapMTU), "up"),
		run("ip", "-n", h.name, "addr", "add", address(k)+"/24", "dev", "eth0"),
	)
}

// carry takes what host k sends to whom it is for, until its TAP is closed.
func (s *tapSwitch) carry(k int) {
	b := make([]byte, tapBytes)
	for {
		n, err := s.taps[k].Read(b)
		if err != nil {
			return
		}
		frame := append([]byte(nil), b[:n]...) // a delayed one outlives the buffer
		s.mu.RLock()
		ear := s.ear
		s.mu.RUnlock()
		if ear != nil {
			ear(frame)
		}
		group := frame[0]&1 != 0 // broadcast and multicast: the lowest bit of the first byte
		for to := range s.taps {
			if to != k && (group || int(frame[5]) == to+1) {
				s.pass(k, to, frame)
			}
		}
	}
}

// pass lets one frame through from a to b, or not.
func (s *tapSwitch) pass(a, b int, frame []byte) {
	s.mu.RLock()
	t, out := s.rules[a][b], s.out[a] || s.out[b]
	s.mu.RUnlock()
	switch {
	case out:
		s.counts[biteUnplug].Add(1)
		return
	case t.cut:
		s.counts[biteCut].Add(1)
		return
	case rand.Float64() < t.loss:
		s.counts[biteThin].Add(1)
		return
	}
	copies := 1
	if rand.Float64() < t.double {
		copies = 2
		s.counts[biteDouble].Add(1)
	}
	for range copies {
		if t.least == 0 {
			_, _ = s.taps[b].Write(frame) // a full card drops, as cards do
			continue
		}
		kind := biteDelay
		if t.slow {
			kind = biteSlow
		}
		s.counts[kind].Add(1)
		time.AfterFunc(t.least+rand.N(t.more), func() { _, _ = s.taps[b].Write(frame) })
	}
}

func (s *tapSwitch) host(k int) *netns { return s.hosts[k] }

func (s *tapSwitch) listen(heard func([]byte)) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ear = heard
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ear = nil
	}, nil
}

func (s *tapSwitch) rule(a, b int, f func(*trouble)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.rules[a][b])
	return nil
}

func (s *tapSwitch) cut(a, b int) error     { return s.rule(a, b, func(t *trouble) { t.cut = true }) }
func (s *tapSwitch) thin(a, b int) error    { return s.rule(a, b, func(t *trouble) { t.loss = tenth }) }
func (s *tapSwitch) thinner(a, b int) error { return s.rule(a, b, func(t *trouble) { t.loss = third }) }

func (s *tapSwitch) late(a, b int) error {
	return s.rule(a, b, func(t *trouble) { t.least, t.more, t.double = lateLeast, lateMore, doubleOdds })
}

func (s *tapSwitch) slow(k int) error {
	for o := range s.hosts {
		for _, way := range [][2]int{{k, o}, {o, k}} {
			if err := s.rule(way[0], way[1], func(t *trouble) { t.least, t.more, t.slow = slowLeast, slowMore, true }); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *tapSwitch) unplug(k int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out[k] = true
	return nil
}

func (s *tapSwitch) calm() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a := range s.rules {
		clear(s.rules[a])
	}
	clear(s.out)
	return nil
}

func (s *tapSwitch) bites() (map[string]int, error) {
	bit := map[string]int{}
	for kind, n := range s.counts {
		bit[kind] = int(n.Load())
	}
	return bit, nil
}

func (s *tapSwitch) close() error {
	var errs []error
	for _, t := range s.taps {
		errs = append(errs, t.Close())
	}
	s.wg.Wait()
	return errors.Join(errs...)
}
