package sim

import (
	"sync/atomic"
	"syscall"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
)

// badDisk is a station's disk: it fails, hangs, or only takes its time. It stays the same over restarts.
type badDisk struct {
	disk.Trouble
	wait   atomic.Int64 // nanoseconds that each write takes
	waited atomic.Uint64
}

// ballast in bytes: what matters is that it is thrown out and taken in again, and all disks are in one memory.
const ballast = 1 << 20

func (d *badDisk) faults() *disk.Faults {
	f := d.Trouble.Faults()
	f.Ballast = ballast
	bad := f.Before
	f.Before = func(op disk.Op) error {
		if wait := d.wait.Load(); wait > 0 && op.Do == disk.Writes {
			d.waited.Add(1)
			time.Sleep(time.Duration(wait))
		}
		return bad(op)
	}
	return f
}

// met is how many writes found the disk bad so far.
func (d *badDisk) met() uint64 {
	n := d.waited.Load()
	for _, k := range d.Bit() {
		n += uint64(k)
	}
	return n
}

// strike is a fault taking place.
type strike struct {
	w    *world
	f    Fault
	span int // of h.Struck
	base uint64
	over bool
}

// holdFor is how long a fault that has met nothing yet is kept up before it is looked at again.
const holdFor = 500 * time.Millisecond

func (w *world) strike(f Fault) *strike { return &strike{w: w, f: f, span: -1} }

// links are the directions that a cut stops.
func (f Fault) links() [][2]alerts.StationID {
	var out [][2]alerts.StationID
	for _, a := range f.Some {
		for _, b := range f.Others {
			if a == b {
				continue
			}
			out = append(out, [2]alerts.StationID{a, b})
			if f.Kind != OneWay {
				out = append(out, [2]alerts.StationID{b, a})
			}
		}
	}
	return out
}

// count is how much the fault has met so far.
func (s *strike) count() uint64 {
	stats := s.w.net.Stats()
	switch s.f.Kind {
	case Cut, OneWay, Flap:
		var n uint64
		for _, l := range s.f.links() {
			n += s.w.net.Stopped(string(l[0]), string(l[1]))
		}
		return n
	case Delay:
		return stats.Delayed
	case Loss:
		return stats.Lost
	case Clock:
		return s.w.net.WrongTimes(string(s.f.Some[0]))
	case Full, Broken, Slow, Hung:
		return s.w.disks[s.f.Some[0]].met()
	}
	return 0
}

func (s *strike) begin() {
	if s.f.Shape == fromLeader {
		s.f.Some, s.f.Others = s.w.leader(), s.w.plan.stations()
	}
	s.base = s.count()
	for _, id := range s.f.Some {
		switch s.f.Kind {
		case Delay:
			s.w.net.Delay(string(id), s.f.Delay)
		case Loss:
			s.w.net.Loss(string(id), s.f.Share)
		case Restart:
			s.w.stop(id)
		case Crash:
			s.w.crash(id)
		case Full:
			s.w.disks[id].Fail(syscall.ENOSPC, disk.Writing())
		case Broken:
			s.w.disks[id].Fail(syscall.EIO, s.stores())
		case Slow:
			s.w.disks[id].wait.Store(int64(s.f.Delay))
		case Hung:
			s.w.disks[id].Hang(disk.Writing())
		case Clock:
			s.w.net.Jump(string(id), s.f.Delay)
		}
	}
	s.cut()
	h := s.w.h
	h.mu.Lock()
	defer h.mu.Unlock()
	s.span = len(h.Struck)
	h.Struck = append(h.Struck, Span{Kind: s.f.Kind, Shape: s.f.Shape, Stations: s.f.Some, Others: s.f.Others, Share: s.f.Share, From: time.Now()})
	if s.f.Kind == Late {
		h.Struck[s.span].From = time.Time{}
	}
}

// stores picks the writes that a broken disk fails.
func (s *strike) stores() func(disk.Op) bool {
	if s.f.Shape == "" {
		return disk.Writing()
	}
	return disk.Writing(s.f.Shape)
}

func (s *strike) cut() {
	switch s.f.Kind {
	case Cut, OneWay, Flap:
		for _, l := range s.f.links() {
			s.w.net.CutOneWay(string(l[0]), string(l[1]))
		}
	}
}

func (s *strike) mend() {
	for _, l := range s.f.links() {
		s.w.net.Mend(string(l[0]), string(l[1]))
	}
}

// flap makes a flapping link whole, or cuts it again.
func (s *strike) flap(whole bool) {
	switch {
	case s.over:
	case whole:
		s.mend()
	default:
		s.cut()
	}
}

// endIfMet ends a fault unless it would have been one in name only. A station that was stopped is opened again
// in any case.
func (s *strike) endIfMet() {
	if s.f.turnsOff() || s.count() > s.base {
		s.end()
	}
}

func (s *strike) end() {
	if s.over {
		return
	}
	s.over = true
	bites := s.count() - s.base
	for _, id := range s.f.Some {
		switch s.f.Kind {
		case Delay:
			s.w.net.Delay(string(id), 0)
		case Loss:
			s.w.net.Loss(string(id), 0)
		case Restart, Crash, Late:
			s.w.start(id)
			if s.w.node(id) != nil {
				bites = 1
			}
		case Full, Broken, Hung:
			s.w.disks[id].Heal()
		case Slow:
			s.w.disks[id].wait.Store(0)
		case Clock:
			s.w.net.Jump(string(id), 0)
		}
	}
	switch s.f.Kind {
	case Cut, OneWay, Flap:
		s.mend()
	}
	h := s.w.h
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Struck[s.span].To, h.Struck[s.span].Bites = time.Now(), bites
}
