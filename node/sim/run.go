package sim

import (
	"cmp"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
)

const (
	sampleEvery = time.Second
	deepEvery   = 5 // of samples: folding a hash costs real time
)

// Run lets the county of a plan live in dir, within a testing/synctest bubble, and returns what was seen of it.
// It returns when everything that it started has ended.
func Run(p *Plan, dir string, log *zap.Logger) (*History, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w, err := newWorld(p, dir, log, ctx)
	if err != nil {
		return nil, err
	}
	defer w.close()
	defer cancel()
	w.open()
	if p.County.Two {
		w.divide()
	}
	w.people()
	w.chaos()
	w.quiet()
	w.finish()
	return w.h, nil
}

// open starts all stations but those that come late, and waits until they are one county.
func (w *world) open() {
	late := map[alerts.StationID]bool{}
	for _, f := range w.plan.Faults {
		if f.Kind == Late {
			late[f.Some[0]] = true
		}
	}
	for _, id := range w.plan.stations() {
		if !late[id] {
			w.start(id)
		}
	}
	for end := time.Now().Add(settleWithin); !w.settled(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			w.broken("not one county within %v of its start", settleWithin)
			return
		}
	}
}

// divide gives the outer township a cell of its own, as the county's admin does, and waits until it works.
func (w *world) divide() {
	post := w.plan.County.Stations[0].ID
	admin := w.plan.County.with(alerts.Admin)[0].ID
	token, err := w.signIn(post, admin)
	if err != nil {
		w.broken("divide the county: %v", err)
		return
	}
	a, err := w.call(post, "POST", "/v1/cells", token, "", map[string]any{"cell": outerCell, "townships": []string{outerTownship}})
	if err != nil || a.status != http.StatusAccepted {
		w.broken("divide the county: %d %s %v", a.status, a.body.Detail, err)
		return
	}
	for end := time.Now().Add(settleWithin); !w.divided() || !w.settled(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			w.broken("two cells do not work within %v", settleWithin)
			return
		}
	}
}

// divided: the outer township's stations follow their own cell besides the home cell.
func (w *world) divided() bool {
	for id, n := range w.running() {
		want := 1
		if w.plan.County.station(id).Township == outerTownship {
			want = 2
		}
		if len(n.Cells()) != want {
			return false
		}
	}
	return true
}

// step is something that happens at its time.
type step struct {
	at time.Duration
	do func()
}

// chaos lets the faults and the work of the plan happen, all in one order.
func (w *world) chaos() {
	w.h.Began = time.Now()
	var steps []step
	for _, f := range w.plan.Faults {
		if acts[f.Kind] != nil {
			steps = append(steps, step{f.At, func() { w.act(f) }})
			continue
		}
		strike := w.strike(f)
		steps = append(steps, step{f.At, strike.begin})
		until := w.plan.until(f)
		for at := f.At + f.For; at < until; at += holdFor {
			steps = append(steps, step{at, strike.endIfMet})
		}
		steps = append(steps, step{until, strike.end})
		if f.Kind == Flap {
			for at, whole := f.At+flapEvery, true; at < until; at, whole = at+flapEvery, !whole {
				steps = append(steps, step{at, func() { strike.flap(whole) }})
			}
		}
	}
	steps = append(steps, w.works(0, chaosLasts)...)
	w.play(steps, chaosLasts)
}

// works are the plan's pieces of work within a time.
func (w *world) works(from, to time.Duration) []step {
	var out []step
	for _, k := range w.plan.Work {
		if k.At >= from && k.At < to {
			out = append(out, step{k.At - from, func() { w.crowd.Go(func() { w.do(k) }) }})
		}
	}
	return out
}

// play carries steps out at their times and samples the county meanwhile.
func (w *world) play(steps []step, lasts time.Duration) {
	begin := time.Now()
	n := 0
	for at := time.Duration(0); at < lasts; at += sampleEvery {
		deep := n%deepEvery == 0
		steps = append(steps, step{at, func() {
			w.sample(deep)
			if deep {
				w.measure()
			}
		}})
		n++
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	for _, s := range steps {
		time.Sleep(time.Until(begin.Add(s.at)))
		s.do()
	}
	time.Sleep(time.Until(begin.Add(lasts)))
}

// quiet heals everything, and waits for the county to be one again and for alarms to be heard.
func (w *world) quiet() {
	w.net.Heal()
	w.h.Healed = time.Now()
	steps := w.works(chaosLasts, chaosLasts+quietLasts/2)
	for at := time.Duration(0); at < quietLasts; at += 500 * time.Millisecond {
		steps = append(steps, step{at, w.lookAgreed})
	}
	w.play(steps, quietLasts)
	// The last work is done half-way; whoever waits for the record has been answered.
	for n := 0; n < 30 && w.apart() != ""; n++ {
		time.Sleep(time.Second)
		w.lookAgreed()
	}
	w.lookAgreed()
	w.h.Rest = Rest{Goroutines: census(), Procs: runtime.GOMAXPROCS(0), Devices: w.connected()}
}

// connected is how many devices are at the moment.
func (w *world) connected() (n int) {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	for _, k := range w.h.Links {
		if k.To.IsZero() {
			n++
		}
	}
	return n
}

func (w *world) lookAgreed() {
	if !w.h.Agreed.IsZero() {
		return
	}
	if w.h.Apart = w.apart(); w.h.Apart == "" {
		w.h.Agreed = time.Now()
	}
}

// measure notes the most that was used of what must stay bounded.
func (w *world) measure() {
	u := &w.h.Most
	u.Goroutines = max(u.Goroutines, runtime.NumGoroutine())
	for id := range w.running() {
		files, size := 0, int64(0)
		w.mu.Lock()
		dir := w.configs[id].Dir
		w.mu.Unlock()
		filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil // a file may go while we look
			}
			if info, err := d.Info(); err == nil {
				files, size = files+1, size+info.Size()
			}
			return nil
		})
		u.Files, u.Bytes = max(u.Files, files), max(u.Bytes, size)
	}
}
