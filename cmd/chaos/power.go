//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"hivemesh/cluster/faultfs"
)

// frailDisks are the stations whose disk can lose its power: a voter, and one that follows.
func frailDisks() []int { return []int{2, 4} }

// cutWait is how long a station may take to fsync something once the power is to go: alerts come every second.
const cutWait = 20 * time.Second

// frailDisk keeps a station's data on a file system of our own, whose power can go.
type frailDisk struct {
	below, at string
	fs        *faultfs.FS
}

// canLosePower reports whether this machine has FUSE.
func canLosePower() bool {
	_, err := os.Stat("/dev/fuse")
	return err == nil
}

// frail gives the station such a disk.
func (s *station) frail() error {
	d := &frailDisk{below: s.dir + ".disk", at: s.dir}
	if err := errors.Join(os.MkdirAll(d.below, 0o700), os.MkdirAll(d.at, 0o700)); err != nil {
		return err
	}
	s.power = d
	return d.mount()
}

func (d *frailDisk) mount() (err error) {
	d.fs, err = faultfs.Mount(d.below, d.at, nil)
	return err
}

// cutsPower takes the power at the next fsync, with all that was not durable by then, and ends the process,
// which has no power either. The machine comes back when the fault ends.
func (l *lab) cutsPower(f *fault, s *station) {
	kill := &fault{}
	l.kills(kill, func(context.Context) []*station { return some(s) })
	n := 0
	f.begin = func(ctx context.Context) error {
		var gone atomic.Bool
		s.power.fs.Plan(func(op faultfs.Op) faultfs.Fault {
			if op.Kind == faultfs.Sync && gone.CompareAndSwap(false, true) {
				return faultfs.PowerCut
			}
			return faultfs.None
		})
		for until := time.Now().Add(cutWait); !gone.Load() && time.Now().Before(until); {
			if !pause(ctx, time.Millisecond) {
				return ctx.Err()
			}
		}
		n = s.power.fs.Bit()[faultfs.PowerCut]
		return kill.begin(ctx)
	}
	f.end = func(ctx context.Context) error {
		if err := s.power.fs.Unmount(); err != nil {
			return fmt.Errorf("a disk without power: %w", err)
		}
		return errors.Join(s.power.mount(), kill.end(ctx))
	}
	f.bit = func() (int, error) { return n, nil }
}
