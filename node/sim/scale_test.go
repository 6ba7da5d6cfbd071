package sim

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/gossip"
	"hivemesh/cluster/memnet"
	"hivemesh/cluster/trust"
	"hivemesh/node"
)

var (
	scaleStations = flag.Int("stations", 40, "TestScale: how many stations")
	scaleLoss     = flag.Float64("loss", 0, "TestScale: share of packets lost on every link")
)

const (
	// startWithin is how long it takes until the last station is switched on: the power is back.
	startWithin = time.Minute
	// scaleDelay is each link's, one way: fibre and LTE mixed.
	scaleDelay = 10 * time.Millisecond
	// settleMost is how long after the last start all are to know all and hear each other.
	settleMost = 10 * time.Minute
	// hearMost is within what every station, also one beyond a torn net, hears an alarm.
	hearMost = 2 * time.Minute
	idleFor  = time.Minute
	// gossipQuiet is longer than what memberlist has under way after it was closed.
	gossipQuiet = 30 * time.Second
	scaleAlarms = 20
	nearMetres  = 3000.0 // the second ring of an abduction
)

// large is a county of whole stations but for their pages: mesh port, gossip, pending set, flash, sync and record.
type large struct {
	t     *testing.T
	net   *memnet.Network
	ids   []*trust.Identity
	at    []alerts.Point
	on    []*cluster.County
	rings []*trust.Ring
	mu    sync.Mutex
	heard map[alerts.Hash][]time.Duration // by station; below 0: not yet
	since map[alerts.Hash]time.Time
}

// TestScale lets a county of -stations come up within a minute, idle, raise alarms, and lose a third of itself for a
// while, in virtual time; it prints what grew. make scale runs it with many.
func TestScale(t *testing.T) {
	rules, err := node.LoadRules("../../configs/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n, before, begun := *scaleStations, measured(), time.Now()
		l := &large{t: t, net: memnet.New(1), heard: map[alerts.Hash][]time.Duration{}, since: map[alerts.Hash]time.Time{}}
		l.net.Delay("", scaleDelay)
		defer l.close()
		l.start(n, rules)
		l.wait(func() bool { return l.known() == n }, "all know all")
		began := time.Since(begun) - startWithin
		l.net.Loss("", *scaleLoss)
		time.Sleep(idleFor)
		after := measured()
		idle := l.idle()
		out, in := l.streams()
		near, far := l.alarms(0, n)
		torn := l.torn()
		fmt.Fprintf(os.Stderr, "stations | all know all after | idle B/s a station, median (most) | of it gossip | streams out / in, most | "+
			"alarm near p50 / p99 | anywhere p50 / p99 / last | with a third cut off and one bridge, last | memory a station | goroutines a station\n"+
			"%d | %v | %.0f (%.0f) | %.0f | %d / %d | %v / %v | %v / %v / %v | %v | %d KB | %d\n",
			n, began.Round(time.Second), at(idle.all, 50), at(idle.all, 100), at(idle.gossip, 50), out, in,
			ms(at(near, 50)), ms(at(near, 99)), ms(at(far, 50)), ms(at(far, 99)), ms(at(far, 100)), ms(torn),
			(after.bytes-before.bytes)/uint64(n)>>10, (after.goroutines-before.goroutines)/n)
	})
}

// start switches the stations on, at even moments.
func (l *large) start(n int, rules *alerts.Rules) {
	dir := l.t.TempDir()
	a, err := trust.NewAuthority("yongqing", filepath.Join(dir, "authority"))
	if err != nil {
		l.t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var founders []alerts.StationID
	for i := range n {
		kind := alerts.Village
		if i < 3 || i%100 == 50 {
			kind = alerts.PolicePost
		} else if i == 3 {
			kind = alerts.CountyOffice
		}
		id, err := a.NewStation(trust.Who{Cell: "yongqing", Kind: kind, Station: alerts.StationID(fmt.Sprintf("s%04d", i))})
		if err != nil {
			l.t.Fatal(err)
		}
		l.ids = append(l.ids, id)
		if i < 3 {
			founders = append(founders, id.Station)
		}
		// About 1.3 stations on a square kilometre, as 2,000 in a county of 1,500 have.
		side := 0.0095 * float64(isqrt(n))
		l.at = append(l.at, alerts.Point{Lon: 116.4 + r.Float64()*side, Lat: 39.2 + r.Float64()*side*0.77})
	}
	l.on = make([]*cluster.County, n)
	for i := range n {
		l.open(i, filepath.Join(dir, fmt.Sprint(i)), founders, rules)
		time.Sleep(startWithin / time.Duration(n))
	}
}

func isqrt(n int) (r int) {
	for r*r < n {
		r++
	}
	return r
}

func (l *large) open(i int, dir string, founders []alerts.StationID, rules *alerts.Rules) {
	id, host := l.ids[i], l.net.Host(string(l.ids[i].Station))
	ring, err := trust.NewRing(id.Root, "")
	if err != nil {
		l.t.Fatal(err)
	}
	keys, err := trust.OpenKeys(id, "")
	if err != nil {
		l.t.Fatal(err)
	}
	var seeds []string
	for _, s := range founders {
		if s != id.Station {
			seeds = append(seeds, l.net.Host(string(s)).Addr(9080))
		}
	}
	l.rings = append(l.rings, ring)
	saw := func(e alerts.Event) { l.hears(e.ID, i) }
	l.on[i], err = cluster.Open(cluster.Config{
		Identity: id, Ring: ring, Network: host, Listen: host.Addr(9080), Dir: dir, Keys: keys, Seeds: seeds,
		Hints: gossip.Hints{Name: string(id.Station), Cell: "yongqing", Kind: id.Kind, Mesh: host.Addr(9080), Point: &l.at[i], Wired: i < 3, Battery: i < 3},
		Home:  cluster.Cell{ID: "yongqing", Founders: founders}, Mixed: true, Rules: rules,
		Standing: func(e alerts.Event) alerts.Standing {
			kind, _ := ring.Kind(e.Station)
			return alerts.Standing{Roles: []alerts.Role{alerts.KioskRole}, Kind: kind, Version: rules.Version}
		},
		Events: cluster.Events{
			Pending: saw, Recorded: func(_ alerts.CellID, c alerts.Change) { saw(c.Entry.Event) },
			Reset: func(alerts.CellID) {}, Here: func(alerts.Hash, bool) {}, Kept: func(alerts.Hash, alerts.StationID) {},
			Opened: func(alerts.CellID) {}, Member: func(gossip.Member) {}, Cast: func(string, alerts.StationID, []byte) {},
		},
		Faults: &disk.Faults{Ballast: 1 << 12}, Log: zap.NewNop(),
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.on[i].Begin()
}

func (l *large) hears(e alerts.Hash, i int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.heard[e]; h != nil && h[i] < 0 {
		h[i] = time.Since(l.since[e])
	}
}

// known is how many others the worst informed station knows to be alive, itself included.
func (l *large) known() int {
	least := len(l.on)
	for _, c := range l.on {
		n := 0
		for _, m := range c.Members() {
			if m.Alive {
				n++
			}
		}
		least = min(least, n)
	}
	return least
}

func (l *large) wait(done func() bool, what string) time.Duration {
	l.t.Helper()
	for since := time.Now(); ; time.Sleep(time.Second) {
		if done() {
			return time.Since(since)
		}
		if time.Since(since) > settleMost {
			l.t.Fatalf("not within %v: %s (the worst informed knows %d of %d)", settleMost, what, l.known(), len(l.on))
		}
	}
}

// rates are bytes a second of each station, both ways, ascending.
type rates struct{ all, gossip []float64 }

func (l *large) idle() (r rates) {
	count := func() (all, gossip []float64) {
		for _, c := range l.on {
			sum, of := 0.0, 0.0
			for proto, f := range c.Traffic() {
				sum += float64(f.In + f.Out)
				if strings.Contains(proto, "gossip") {
					of += float64(f.In + f.Out)
				}
			}
			all, gossip = append(all, sum), append(gossip, of)
		}
		return all, gossip
	}
	all, of := count()
	time.Sleep(idleFor)
	r.all, r.gossip = count()
	for i := range all {
		r.all[i] = (r.all[i] - all[i]) / idleFor.Seconds()
		r.gossip[i] = (r.gossip[i] - of[i]) / idleFor.Seconds()
	}
	slices.Sort(r.all)
	slices.Sort(r.gossip)
	return r
}

// streams is the most that any station keeps open, and is kept open to.
func (l *large) streams() (out, in int) {
	for _, c := range l.on {
		s := c.Links()
		out, in = max(out, s.Out), max(in, s.In)
	}
	return out, in
}

// alarms raises one after the other at stations from up to to; every station of the county is to hear each. It
// returns how long it took to reach stations within nearMetres, and all.
func (l *large) alarms(from, to int) (near, all []float64) {
	r := rand.New(rand.NewPCG(3, 4))
	for range scaleAlarms {
		i := from + r.IntN(to-from)
		e := l.raise(i)
		l.wait(func() bool { return l.lacking(e) == 0 || time.Since(l.since[e.ID]) > hearMost }, "an alarm is heard")
		l.mu.Lock()
		for k, d := range l.heard[e.ID] {
			if d < 0 {
				l.t.Errorf("%s has not heard the alarm of %s within %v", l.ids[k].Station, e.Station, hearMost)
				continue
			}
			all = append(all, d.Seconds())
			if l.at[k].Distance(l.at[i]) <= nearMetres {
				near = append(near, d.Seconds())
			}
		}
		l.mu.Unlock()
	}
	slices.Sort(near)
	slices.Sort(all)
	return near, all
}

func (l *large) raise(i int) alerts.Event {
	l.t.Helper()
	e, err := l.ids[i].Sign(alerts.Event{
		Cell: "yongqing", Incident: alerts.IncidentID(uuid.NewString()), Kind: alerts.KindRaised, At: time.Now(),
		Body: &alerts.Raised{Category: "abduction", Grade: alerts.Grade1, Place: alerts.Place{Point: &l.at[i]},
			Source: alerts.FromKiosk, Ring: nearMetres, Wanted: 3, Card: alerts.Card{What: strings.Repeat("x", 200)}},
		Actor: alerts.PersonID("kiosk:" + string(l.ids[i].Station)),
	})
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.rings[i].Check(e.Raw); err != nil {
		l.t.Fatal(err)
	}
	h := make([]time.Duration, len(l.on))
	for k := range h {
		h[k] = -1
	}
	l.mu.Lock()
	l.heard[e.ID], l.since[e.ID] = h, time.Now()
	l.mu.Unlock()
	l.on[i].Put(e)
	return e
}

func (l *large) lacking(e alerts.Event) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.heard[e.ID] {
		if d < 0 {
			n++
		}
	}
	return n
}

// torn cuts the last third off but for one station that reaches both sides, and raises an alarm there at once. It
// returns when the last station of the county has heard it.
func (l *large) torn() float64 {
	var some, others []string
	third := len(l.on) * 2 / 3
	for i, id := range l.ids {
		switch {
		case i < third:
			some = append(some, string(id.Station))
		case i > third: // station number third is the bridge
			others = append(others, string(id.Station))
		}
	}
	l.net.Split(some, others)
	e := l.raise(len(l.on) - 1)
	l.wait(func() bool { return l.lacking(e) == 0 || time.Since(l.since[e.ID]) > hearMost }, "an alarm is heard")
	if n := l.lacking(e); n > 0 {
		l.t.Errorf("%d have not heard the alarm from beyond the bridge within %v", n, hearMost)
	}
	l.net.Heal()
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Max(l.heard[e.ID]).Seconds()
}

func (l *large) close() {
	var wg sync.WaitGroup
	for _, c := range l.on {
		if c != nil {
			wg.Go(func() {
				if err := io.Closer(c).Close(); err != nil {
					l.t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	time.Sleep(gossipQuiet)
}

type footprint struct {
	bytes      uint64
	goroutines int
}

// measured is the memory in use, stacks included, and the goroutines.
func measured() footprint {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{m.HeapInuse + m.StackInuse, runtime.NumGoroutine()}
}

// at is a percentile of sorted figures.
func at(sorted []float64, percent int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

func ms(seconds float64) string { return fmt.Sprintf("%.0f ms", seconds*1000) }
