//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// fault is one trouble of a round. bit is asked after it ended: how often it did something.
type fault struct {
	kind  string
	where string
	begin func(context.Context) error
	end   func(context.Context) error
	bit   func() (int, error)
}

// The kinds of faults. Some need a round of their own, because they leave no majority or because what they
// show would be hidden by others.
const (
	killOne      = "kill -9 of one"
	killLeader   = "kill -9 of the leader"
	killMajority = "kill -9 of a majority"
	killAll      = "kill -9 of all"
	killLong     = "a station dead for 26 s"
	stopOne      = "SIGSTOP of one"
	stopLeader   = "SIGSTOP of the leader"
	cutOff       = "one cut off"
	cutHalf      = "split in two"
	cutOneWay    = "cut one way"
	thinAll      = "10 % loss everywhere"
	thinOne      = "33 % loss at one"
	unplugOne    = "cable out"
	slowOne      = "slow link"
	lateAll      = "late and doubled frames everywhere" // only where the fabric can
	fillDisk     = "disk full"
	fullAlone    = "cut off with a full disk, then killed"
	losePower    = "power cut: what was not fsynced is gone"
	breakSync    = "fsync fails (EIO)"
	noSpace      = "writes fail (ENOSPC)"
	slowSync     = "slow fsync"
	killSync     = "killed in fsync"
)

// alone are the kinds that have a round to themselves.
func alone() []string { return []string{killMajority, killAll, killLong, thinAll, fullAlone} }

// mixed are the kinds that come together, each at another station.
func mixed() []string {
	return []string{killOne, killLeader, stopOne, stopLeader, cutOff, cutHalf, cutOneWay, thinOne, unplugOne, slowOne, lateAll,
		fillDisk, losePower, breakSync, noSpace, slowSync, killSync}
}

// onWire reports whether a fault is between hosts.
func onWire(kind string) bool {
	return slices.Contains([]string{cutOff, cutHalf, cutOneWay, thinAll, thinOne, unplugOne, slowOne, lateAll}, kind)
}

// make builds the fault of a plan.
func (l *lab) make(p planned) *fault {
	s := l.county.stations[p.at]
	f := &fault{kind: p.kind, where: string(s.id), end: func(context.Context) error { return nil }}
	switch p.kind {
	case killOne, killLong:
		l.kills(f, func(context.Context) []*station { return some(l.standingBy(s)) })
	case killLeader:
		l.kills(f, func(ctx context.Context) []*station { return some(l.county.leader(ctx)) })
	case killMajority:
		f.where = "the voters"
		l.kills(f, l.county.majority)
	case killAll:
		f.where = "every station"
		l.kills(f, func(context.Context) []*station { return l.county.stations })
	case stopOne:
		l.stops(f, func(context.Context) *station { return l.standingBy(s) })
	case stopLeader:
		l.stops(f, l.county.leader)
	case cutOff, cutHalf, cutOneWay:
		l.wire(f, biteCut, func() error { return l.cuts(p) })
	case thinAll:
		f.where = "all links"
		l.wire(f, biteThin, func() error { return l.pairs(l.county.fabric.thin) })
	case thinOne:
		l.wire(f, biteThin, func() error { return l.around(p.at, l.county.fabric.thinner) })
	case slowOne:
		l.wire(f, biteSlow, func() error { return l.county.fabric.slow(p.at) })
	case lateAll:
		f.where = "all links"
		l.wire(f, biteDelay, func() error { return l.pairs(l.county.fabric.late) })
	case unplugOne:
		l.wire(f, biteUnplug, func() error { return l.county.fabric.unplug(p.at) })
	case fillDisk:
		fills(f, s)
	case fullAlone:
		l.fillsAlone(f, p)
	case losePower:
		l.cutsPower(f, s)
	default:
		l.injects(f, s)
	}
	return f
}

// standingBy is the station, or another one where a fault that chose the leader has it already.
func (l *lab) standingBy(s *station) *station {
	for k := range l.county.stations {
		if o := l.county.stations[(s.k+k)%len(l.county.stations)]; o.is(up) {
			return o
		}
	}
	return nil
}

func some(s *station) []*station {
	if s == nil {
		return nil
	}
	return []*station{s}
}

// kills ends processes for as long as the fault lasts.
func (l *lab) kills(f *fault, which func(context.Context) []*station) {
	var hit []*station
	n := 0
	f.begin = func(ctx context.Context) error {
		hit = which(ctx)
		if len(hit) == 1 {
			f.where = string(hit[0].id)
		}
		var errs []error
		for _, s := range hit {
			before := s.killed()
			errs = append(errs, s.kill())
			n += s.killed() - before
		}
		return errors.Join(errs...)
	}
	f.end = func(ctx context.Context) error { return l.county.startAll(ctx, hit...) }
	f.bit = func() (int, error) { return n, nil }
}

func (l *lab) stops(f *fault, which func(context.Context) *station) {
	var s *station
	n := 0
	f.begin = func(ctx context.Context) error {
		if s = which(ctx); s == nil {
			return nil
		}
		f.where = string(s.id)
		stood, err := s.freeze()
		if stood {
			n++
		}
		return err
	}
	f.end = func(context.Context) error {
		if s == nil {
			return nil
		}
		return s.thaw()
	}
	f.bit = func() (int, error) { return n, nil }
}

// wire makes trouble between hosts; what it did is counted by the fabric.
func (l *lab) wire(f *fault, bite string, trouble func() error) {
	before := 0
	f.begin = func(context.Context) error {
		b, err := l.county.fabric.bites()
		before = b[bite]
		return errors.Join(err, trouble())
	}
	f.bit = func() (int, error) {
		b, err := l.county.fabric.bites()
		return b[bite] - before, err
	}
}

func (l *lab) cuts(p planned) error {
	cut := l.county.fabric.cut
	switch p.kind {
	case cutOneWay:
		return l.around(p.at, func(a, b int) error {
			if a != p.at {
				return nil // it hears all and is heard by nobody
			}
			return cut(a, b)
		})
	case cutHalf:
		near := map[int]bool{p.at: true, (p.at + 1) % len(l.county.stations): true}
		return l.pairs(func(a, b int) error {
			if near[a] == near[b] {
				return nil
			}
			return cut(a, b)
		})
	}
	return l.around(p.at, cut)
}

// pairs does something for every ordered pair of hosts, around for those with k.
func (l *lab) pairs(do func(a, b int) error) error {
	var errs []error
	for a := range l.county.stations {
		for b := range l.county.stations {
			if a != b {
				errs = append(errs, do(a, b))
			}
		}
	}
	return errors.Join(errs...)
}

func (l *lab) around(k int, do func(a, b int) error) error {
	return l.pairs(func(a, b int) error {
		if a != k && b != k {
			return nil
		}
		return do(a, b)
	})
}

const fillerFile = "filler"

// fills leaves no byte free on the station's own small disk. It bit if a write there is told so.
func fills(f *fault, s *station) {
	path := filepath.Join(s.dir, fillerFile)
	n := 0
	f.begin = func(context.Context) error {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		var size int64
		for step := int64(16 << 20); step >= 4096; { // smaller and smaller, until not even a page fits
			if err := syscall.Fallocate(int(file.Fd()), 0, size, step); err == nil {
				size += step
			} else if errors.Is(err, syscall.ENOSPC) {
				step /= 2
			} else {
				return err
			}
		}
		if _, err := file.WriteAt(make([]byte, 8192), size); errors.Is(err, syscall.ENOSPC) {
			n++
		}
		return nil
	}
	f.end = func(context.Context) error { return os.Remove(path) }
	f.bit = func() (int, error) {
		var fs unix.Statfs_t
		return n, unix.Statfs(s.dir, &fs)
	}
}

// fillsAlone leaves a station neither a disk nor anybody to send to, and kills it then: whatever it said is
// kept must be there when it comes back.
func (l *lab) fillsAlone(f *fault, p planned) {
	s := l.county.stations[p.at]
	cut, fill, kill := &fault{}, &fault{}, &fault{}
	l.wire(cut, biteCut, func() error { return l.around(p.at, l.county.fabric.cut) })
	fills(fill, s)
	l.kills(kill, func(context.Context) []*station { return some(s) })
	f.begin = func(ctx context.Context) error { return errors.Join(cut.begin(ctx), fill.begin(ctx)) }
	f.end = func(ctx context.Context) error {
		return errors.Join(kill.begin(ctx), fill.end(ctx), kill.end(ctx))
	}
	f.bit = func() (int, error) {
		least := math.MaxInt
		for _, part := range []*fault{cut, fill, kill} {
			n, err := part.bit()
			if err != nil {
				return 0, err
			}
			least = min(least, n)
		}
		return least, nil
	}
}

// injects lets strace make the disk's calls of the running process fail, wait or kill.
func (l *lab) injects(f *fault, s *station) {
	rule := map[string]string{
		breakSync: "fsync,fdatasync:error=EIO:when=3..8",
		noSpace:   "pwrite64,write,fallocate:error=ENOSPC:when=4..40",
		slowSync:  "fsync,fdatasync:delay_exit=250000",
		killSync:  "fsync,fdatasync:signal=KILL:when=5",
	}[f.kind]
	calls, _, _ := strings.Cut(rule, ":")
	var (
		tracer *exec.Cmd
		hits   atomic.Int64
		seen   = make(chan struct{})
	)
	f.begin = func(context.Context) error {
		pid := s.pid()
		if pid == 0 {
			close(seen)
			return nil
		}
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		args := []string{"-f", "-qq", "-p", fmt.Sprint(pid), "-e", "trace=" + calls, "-e", "inject=" + rule}
		if f.kind == noSpace { // only what goes to the station's own files: sockets are written to as well
			args = append(args, dataPaths(s.dir)...)
		}
		tracer = exec.Command("strace", args...)
		tracer.Stderr = w
		if err := tracer.Start(); err != nil {
			return errors.Join(err, r.Close(), w.Close())
		}
		w.Close()
		go func() {
			defer close(seen)
			defer r.Close()
			count(r, &hits)
		}()
		return nil
	}
	f.end = func(ctx context.Context) error {
		if tracer != nil {
			_ = tracer.Process.Signal(os.Interrupt) // it detaches
			kill := time.AfterFunc(stopWait, func() { _ = tracer.Process.Kill() })
			_ = tracer.Wait()
			kill.Stop()
		}
		<-seen
		if f.kind == killSync && s.pid() == 0 {
			return l.county.startAll(ctx, s)
		}
		return nil
	}
	f.bit = func() (int, error) { return int(hits.Load()), nil }
}
