//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"hivemesh/alerts"
	"hivemesh/node/sim/history"
)

type runCmd struct {
	Minutes  int    `default:"5" help:"How long the faults go on; founding the county and the last look come on top."`
	Seed     uint64 `help:"Repeat the plan of a run; without it, a new one." placeholder:"N"`
	Stations int    `default:"5" help:"How many stations, 5 to 7."`
	Fabric   string `enum:"bridge,switch" default:"bridge" help:"What joins the hosts: the kernel's bridge (cuts by nftables), or a switch in this program that can delay and double frames as well."`
	Only     string `help:"Only these kinds of faults, each in turn (part of the name, separated by commas)." placeholder:"KIND,…"`
}

const defaultSeed = 1

func (c runCmd) Run(ctx context.Context) error {
	if c.Seed == 0 {
		c.Seed = uint64(time.Now().UnixNano()) % 1e6
	}
	if c.Stations < leastStations || c.Stations > mostStations {
		return fmt.Errorf("--stations: %d to %d", leastStations, mostStations)
	}
	length := time.Duration(c.Minutes) * time.Minute
	rounds := plan(c.Seed, c.Stations, length, c.kinds)
	if len(rounds) == 0 {
		return fmt.Errorf("--only %q: no fault is called so", c.Only)
	}
	f, err := c.wiring(c.Stations)
	if err != nil {
		return fmt.Errorf("wiring: %w", err)
	}
	defer f.close()
	co, err := found(ctx, f, c.Stations, length)
	if err != nil {
		return fmt.Errorf("found the county: %w", err)
	}
	defer co.close()
	w := newWeather(co, c.Seed)
	err = w.all(ctx, rounds)
	if ctx.Err() != nil {
		return errors.New("stopped before its end: nothing is proven")
	}
	return errors.Join(err, w.report(os.Stdout))
}

// wiring is the kernel's bridge or our own switch, and the kinds of faults that only one of them can make.
func (c runCmd) wiring(hosts int) (fabric, error) {
	if c.Fabric == "switch" {
		return newSwitch(hosts)
	}
	return newBridge(hosts)
}

// kinds are the faults that this run may make: what its wiring can do, and --only wants.
func (c runCmd) kinds(kind string) bool {
	if kind == lateAll && c.Fabric != "switch" || kind == losePower && !canLosePower() {
		return false
	}
	return c.Only == "" || slices.ContainsFunc(strings.Split(c.Only, ","), func(word string) bool {
		return strings.Contains(kind, strings.TrimSpace(word))
	})
}

// weather is one run: the county, its people, the faults and what was found.
type weather struct {
	*lab
	watch   *watch
	wiretap *wiretap
	begun   time.Time

	late *lateness

	mu     sync.Mutex
	active map[*fault]bool
	bites  map[string]*tally
	broken []history.Violation
	said   map[history.Violation]bool
	heals  []time.Duration
	lacked string        // what kept the county from being whole when that took long, the last
	closed time.Duration // from begun
}

// tally counts one kind of fault: how often it was made, how often it did something, and how much.
type tally struct{ made, bit, did int }

func newWeather(c *county, seed uint64) *weather {
	w := newWeatherOf(&lab{county: c, rec: newRecorder(), seed: seed})
	w.people()
	return w
}

func newWeatherOf(l *lab) *weather {
	w := &weather{
		lab: l, watch: newWatch(l.county), late: &lateness{}, begun: time.Now(),
		active: map[*fault]bool{}, said: map[history.Violation]bool{}, bites: map[string]*tally{},
	}
	l.faults = w.going
	return w
}

// going names what is going on, for the reader of a slow answer.
func (w *weather) going() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for f := range w.active {
		names = append(names, f.kind+" at "+f.where)
	}
	return strings.Join(names, ", ")
}

// centre is where the police stand: every station is within 8 km of it.
var centre = alerts.Point{Lon: 116.53, Lat: 39.31}

// people gives everybody a device.
func (w *weather) people() {
	var all, posts []int
	for k, s := range w.county.stations {
		all = append(all, k)
		if s.kind == "police_post" {
			posts = append(posts, k)
		}
	}
	rng := func(n int) *rand.Rand { return rand.New(rand.NewPCG(w.seed, uint64(100+n))) }
	add := func(id alerts.PersonID, choice []int, stay time.Duration) *device {
		p := w.county.person(id)
		d := &device{
			lab: w.lab, name: "phone-of-" + string(id), person: p, choice: choice, stay: stay, works: isPolice(p.Roles),
			rng: rng(len(w.phones)), form: map[string]any{"person": id}, home: w.county.placeOf(p.Home),
		}
		if at := centre; isPolice(p.Roles) {
			d.at = &at
		}
		w.phones = append(w.phones, d)
		return d
	}
	for _, id := range []alerts.PersonID{"officer-wang", "officer-sun", "officer-ma", "aux-chen", "aux-liu", "vol-lin", "vol-gao", "vol-xu", "grid-zhou", "guard-luo"} {
		if d := add(id, all, roams); d.works {
			w.police = append(w.police, id)
		}
	}
	for _, id := range []alerts.PersonID{"disp-li", "disp-zhao", "township-qi"} {
		w.desks = append(w.desks, &desk{device: add(id, posts, 2*roams)})
	}
	for k, s := range w.county.stations {
		link := &device{
			lab: w.lab, name: "kiosk-of-" + string(s.id), person: alerts.Person{Roles: []alerts.Role{alerts.KioskRole}}, choice: []int{k},
			works: true, rng: rng(1000 + k), form: map[string]any{"kiosk": true}, home: s.place,
		}
		w.kiosks = append(w.kiosks, &kiosk{lab: w.lab, s: s, name: string(s.id), rng: rng(2000 + k), link: link})
	}
}

// all plays the rounds. What it returns is a failure of the harness; broken promises are kept for the report.
func (w *weather) all(ctx context.Context, rounds []round) (err error) {
	if _, err := w.whole(ctx, readyWait); err != nil {
		return fmt.Errorf("the county was never whole: %w", err)
	}
	if w.wiretap, err = tap(ctx, w.county); err != nil {
		return fmt.Errorf("listen on the wire: %w", err)
	}
	defer w.wiretap.stop()
	working, stop := context.WithCancel(ctx)
	var g sync.WaitGroup
	defer w.closing.Wait()
	defer g.Wait()
	defer stop()
	g.Go(func() { w.watch.run(working) })
	g.Go(func() { w.late.run(working) })
	for _, d := range w.phones {
		g.Go(func() { d.live(working) })
	}
	for _, k := range w.kiosks {
		g.Go(func() { k.link.live(working) })
		g.Go(func() { k.work(working) })
	}
	for _, k := range w.desks {
		g.Go(func() { k.work(working) })
	}
	for n, r := range rounds {
		if err := w.round(ctx, n, len(rounds), r); err != nil {
			return err
		}
	}
	w.closed = time.Since(w.begun)
	w.note(w.lastLook(ctx)...)
	return nil
}

// round makes the faults, mends everything, and looks.
func (w *weather) round(ctx context.Context, n, of int, r round) error {
	began := time.Now()
	w.paused.Store(false)
	names := make([]string, len(r.faults))
	faults := make([]*fault, len(r.faults))
	for k, p := range r.faults {
		faults[k] = w.make(p)
		names[k] = fmt.Sprintf("%s at %s (%.0f–%.0f s)", p.kind, faults[k].where, p.after.Seconds(), (p.after + p.lasts).Seconds())
	}
	fmt.Printf("%5.0f s  round %d of %d: %s\n", time.Since(w.begun).Seconds(), n+1, of, strings.Join(names, "; "))
	var g sync.WaitGroup
	errs := make([]error, len(faults))
	for k, f := range faults {
		p := r.faults[k]
		g.Go(func() {
			if !pause(ctx, p.after) {
				return
			}
			w.mark(f, true)
			at := time.Now()
			errs[k] = f.begin(ctx)
			pause(ctx, p.lasts)
			if f.kind == killLong {
				w.note(w.watch.lossSeen(f.where, at, time.Now())...)
			}
			if f.kind == thinAll {
				w.note(w.watch.falseDead(at, time.Now())...)
			}
			errs[k] = errors.Join(errs[k], f.end(ctx))
			w.mark(f, false)
		})
	}
	g.Wait()
	if err := errors.Join(errs...); err != nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	for _, f := range faults {
		did, err := f.bit()
		if err != nil {
			return err
		}
		w.tally(f.kind, did)
	}
	if err := w.county.fabric.calm(); err != nil {
		return fmt.Errorf("mend the wiring: %w", err)
	}
	return w.heal(ctx, began)
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (w *weather) mark(f *fault, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if on {
		w.active[f] = true
	} else {
		delete(w.active, f)
	}
}

func (w *weather) tally(kind string, did int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.bites[kind]
	if t == nil {
		t = &tally{}
		w.bites[kind] = t
	}
	t.made++
	t.did += did
	if did > 0 {
		t.bit++
	}
}

func (w *weather) note(v ...history.Violation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range v {
		if w.said[x] {
			continue // the last look sees again what a round's saw
		}
		w.said[x] = true
		w.broken = append(w.broken, x)
		fmt.Println("         BROKEN", x)
	}
}
