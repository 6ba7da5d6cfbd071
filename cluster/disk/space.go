package disk

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Level is how much room a station's disk has left.
type Level string

// The levels, from good to bad.
const (
	Roomy Level = "roomy"
	Low   Level = "low"      // said in /readyz, /metrics and hive status: somebody should make room
	Shed  Level = "shed"     // positions and all but warnings of the log go
	Yield Level = "yielding" // a leader gives way to a voter with more room
)

// Levels are all, from good to bad.
var Levels = []Level{Roomy, Low, Shed, Yield}

// The marks. On a disk so small that a mark is more than its share (hundredths), the share counts.
const (
	LowBelow, lowShare     = 1 << 30, 10     // months of alerts: time to send somebody
	ShedBelow, shedShare   = 256 << 20, 5    // weeks, if nothing else writes
	YieldBelow, yieldShare = 64 << 20, 2     // a log that grows by itself ends this within hours
	BallastSize            = 16 << 20        // about 5,000 alerts in pending set, record and raft's log
	lookEvery              = 2 * time.Second // a runaway log of 30 MB/s is seen before it has passed a mark
)

// ballastFile lies in the station's folder and holds room that nobody else can take.
const ballastFile = "ballast"

// Disk is what one station's stores share. A nil *Disk is a good one without ballast.
type Disk struct {
	dir    string
	faults *Faults
	log    *zap.Logger
	failed atomic.Uint64 // writes that failed

	mu      sync.Mutex
	space   Space
	ballast bool // the file is there

	stop chan struct{}
	done chan struct{}
}

// Space is how a station's disk stands.
type Space struct {
	Free    uint64 // bytes
	Level   Level
	Ballast bool   // still there
	Failed  uint64 // writes that failed since the start
}

// Bad is a disk that does what faults say and has no ballast, for tests of one store; it needs no Close.
func Bad(faults *Faults) *Disk { return &Disk{faults: faults, log: zap.NewNop()} }

// Open looks after the disk that a folder is on, until Close.
func Open(dir string, faults *Faults, log *zap.Logger) *Disk {
	d := &Disk{dir: dir, faults: faults, log: log, stop: make(chan struct{}), done: make(chan struct{})}
	d.ballast = reserved(filepath.Join(dir, ballastFile)) >= faults.ballast() // also where there is no room to make it anew
	d.look()
	go d.run()
	return d
}

func (d *Disk) run() {
	defer close(d.done)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-tick.C:
			d.look()
		}
	}
}

// Close ends the looking; a disk that hangs is not waited for.
func (d *Disk) Close() error {
	close(d.stop)
	late := time.NewTimer(ClosePatience)
	defer late.Stop()
	select {
	case <-d.done:
		return nil
	case <-late.C:
		return ErrHangs
	}
}

// Space is how the disk stood when it was last looked at.
func (d *Disk) Space() Space {
	if d == nil {
		return Space{Level: Roomy}
	}
	if d.stop == nil { // nobody looks after a Bad one
		d.look()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.space
	s.Ballast, s.Failed = d.ballast, d.failed.Load()
	return s
}

// look measures, says when a mark is passed, and takes ballast in when there is room for it again.
func (d *Disk) look() {
	free, total, err := d.measure()
	if err != nil {
		d.log.Debug("free space is not known", zap.Error(err))
		return
	}
	level := levelOf(free, total)
	d.mu.Lock()
	was := d.space.Level
	d.space.Free, d.space.Level = free, level
	fits := d.dir != "" && !d.ballast && free > uint64(d.faults.ballast())+mark(YieldBelow, yieldShare, total)
	d.mu.Unlock()
	if was != level && (was != "" || level != Roomy) {
		d.log.Warn("room on the disk", zap.String("level", string(level)), zap.String("was", string(was)), zap.Uint64("free", free))
	}
	if fits {
		d.takeIn()
	}
}

func (d *Disk) measure() (free, total uint64, err error) {
	if d.faults != nil && d.faults.Free != nil {
		return d.faults.Free(), 1 << 60, nil
	}
	return room(d.dir)
}

func levelOf(free, total uint64) Level {
	switch {
	case free < mark(YieldBelow, yieldShare, total):
		return Yield
	case free < mark(ShedBelow, shedShare, total):
		return Shed
	case free < mark(LowBelow, lowShare, total):
		return Low
	}
	return Roomy
}

func mark(below, share, total uint64) uint64 { return min(below, total/100*share) }

// takeIn makes the ballast, or finds it there.
func (d *Disk) takeIn() {
	path := filepath.Join(d.dir, ballastFile)
	err := fill(path, d.faults.ballast())
	if err != nil {
		os.Remove(path) // half of it would only take room
		d.log.Warn("no ballast", zap.Error(err))
		return
	}
	d.mu.Lock()
	d.ballast = true
	d.mu.Unlock()
}

// fill reserves the blocks themselves: a file of zeros with holes would hold nothing free.
func fill(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = reserve(f, size)
	if errors.Is(err, errors.ErrUnsupported) {
		_, err = f.WriteAt(make([]byte, size), 0)
	}
	return errors.Join(err, f.Close())
}

// throwOut gives up the ballast; false: there is none.
func (d *Disk) throwOut() bool {
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ballast {
		return false
	}
	if err := os.Remove(filepath.Join(d.dir, ballastFile)); err != nil {
		d.log.Error("ballast cannot be thrown out", zap.Error(err))
		return false
	}
	d.ballast = false
	d.log.Warn("the disk is full: ballast thrown out")
	return true
}

func (d *Disk) before(op Op) error {
	if d == nil {
		return nil
	}
	return d.faults.before(op)
}

func (d *Disk) count(err error) {
	if d != nil && err != nil {
		d.failed.Add(1)
	}
}
