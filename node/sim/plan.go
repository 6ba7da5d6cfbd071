package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"hivemesh/alerts"
	"hivemesh/node"
)

// Kind is a kind of fault.
type Kind string

// The kinds of fault. Of each seed's half, every kind strikes one to three times.
const (
	Cut     Kind = "cut"     // some stations parted from the others, in one of several shapes
	OneWay  Kind = "oneway"  // what one station sends does not arrive, what is sent to it does
	Flap    Kind = "flap"    // a link that is cut and whole by turns
	Delay   Kind = "delay"   // a slow link
	Loss    Kind = "loss"    // a link that drops packets
	Restart Kind = "restart" // a station closed and opened again
	Crash   Kind = "crash"   // kill -9: a station goes on later with what was on its disk in that moment
	Late    Kind = "late"    // a station that comes to the county only now
	Full    Kind = "full"    // a disk without room
	Broken  Kind = "broken"  // a disk that fails what one store writes, or all
	Slow    Kind = "slow"    // a disk that takes its time for every write
	Hung    Kind = "hung"    // a disk that answers no write
	Clock   Kind = "clock"   // a wall clock that is off, by up to ten years
)

var allKinds = []Kind{
	Cut, OneWay, Flap, Delay, Loss, Restart, Crash, Late, Full, Broken, Slow, Hung, Clock,
}

// AllKinds are the kinds of fault that a seed chooses half of.
func AllKinds() []Kind { return slices.Clone(allKinds) }

// EveryKind are those and the acts.
func EveryKind() []Kind { return append(AllKinds(), Joins, Replaces, Leaves, Moves, Expels, Rotates) }

// Times of a run, all virtual.
const (
	settleWithin = 60 * time.Second // until all stations follow a leader, before the first fault
	chaosLasts   = 50 * time.Second
	faultAfter   = 2 * time.Second
	reachWithin  = 10 * time.Second // after the healing: who is connected has every alarm
	healWithin   = 30 * time.Second // after it: one record everywhere, all stations alive to each other
	quietLasts   = 45 * time.Second // from the healing to the end of the run
	flapEvery    = 1500 * time.Millisecond
)

// Plan is what a seed makes. The same seed makes the same plan; how goroutines interleave may differ.
type Plan struct {
	Seed   uint64
	Links  string // node.LinksLAN or node.LinksMixed
	County County
	Kinds  []Kind
	Faults []Fault
	Work   []Work
}

// Fault is one fault: at what moment of the chaos, for how long, and where.
type Fault struct {
	Kind   Kind
	Shape  string // of a cut; of a broken disk the store that it fails, empty: all
	At     time.Duration
	For    time.Duration
	Some   []alerts.StationID // those it strikes
	Others []alerts.StationID // the other side of a cut
	Delay  time.Duration      // of a link, of each write, or of a clock
	Share  float64            // of packets lost
}

func (f Fault) String() string {
	return fmt.Sprintf("%-8s %-8s %5.1fs for %4.1fs %v %v %v %v", f.Kind, f.Shape, f.At.Seconds(), f.For.Seconds(), f.Some, f.Others, f.Delay, f.Share)
}

// String is the plan's county and its faults, one a line.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d stations, two cells: %v, links %s, %d pieces of work\n", p.Seed, len(p.County.Stations), p.County.Two, p.Links, len(p.Work))
	for _, f := range p.Faults {
		fmt.Fprintln(&b, "  ", f)
	}
	return b.String()
}

// Work is one thing that a person sets out to do.
type Work struct {
	At       time.Duration
	Do       string // raise, twice, move, walk, decide, duel
	Who      alerts.PersonID
	Rival    alerts.PersonID // duel: the other dispatcher
	Station  alerts.StationID
	Second   alerts.StationID // twice: the same alert at another station
	Category string
	Kind     alerts.Kind // decide
	Number   int         // of the raise that a duel is about; a number for whatever else is drawn
}

// Draw makes the plan of a seed. kinds are the faults to choose from; one that is alone is always chosen.
func Draw(seed uint64, kinds []Kind) Plan {
	r := rand.New(rand.NewPCG(seed, 0x5151))
	p := Plan{Seed: seed, Links: node.LinksLAN, County: drawCounty(r)}
	if r.IntN(2) == 0 {
		p.Links = node.LinksMixed
	}
	for _, k := range r.Perm(len(kinds))[:(len(kinds)+1)/2] {
		p.Kinds = append(p.Kinds, kinds[k])
	}
	slices.Sort(p.Kinds)
	// Few stations may come late, and the other faults must find theirs running.
	p.drawFaults(r, func(k Kind) bool { return k == Late })
	p.drawFaults(r, func(k Kind) bool { return k != Late && turnsOff(k) })
	p.drawFaults(r, func(k Kind) bool { return !turnsOff(k) })
	p.Kinds = slices.DeleteFunc(p.Kinds, func(k Kind) bool { // no station was left for it
		return !slices.ContainsFunc(p.Faults, func(f Fault) bool { return f.Kind == k })
	})
	slices.SortStableFunc(p.Faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	// A station that comes late does not know of the second cell yet: what it raises is carried over from the
	// home cell later, which the checks do not follow.
	p.County.Two = p.County.Two && !slices.Contains(p.Kinds, Late)
	p.drawWork(r)
	return p
}

// drawFaults draws one to three faults of each of these kinds.
func (p *Plan) drawFaults(r *rand.Rand, these func(Kind) bool) {
	for _, k := range slices.Clone(p.Kinds) {
		if !these(k) {
			continue
		}
		if acts[k] != nil {
			p.drawAct(k, r)
			continue
		}
		for n, tries := 1+r.IntN(3), 0; n > 0 && tries < mostTries; tries++ {
			if f := p.drawFault(k, r); !p.stopsTwice(f) && p.canBeMet(f) {
				p.Faults, n = append(append(p.Faults, f), beside(f)...), n-1
			}
		}
	}
}

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)+1))
}

func (p *Plan) drawFault(k Kind, r *rand.Rand) Fault {
	ids := p.stations()
	r.Shuffle(len(ids), func(a, b int) { ids[a], ids[b] = ids[b], ids[a] })
	f := Fault{Kind: k, At: between(r, faultAfter, chaosLasts-10*time.Second), For: between(r, 3*time.Second, 25*time.Second), Some: ids[:1]}
	switch k {
	case Cut:
		f.Shape = []string{"one", "halves", "pair", "hub", "all", fromLeader}[r.IntN(6)]
		switch f.Shape {
		case fromLeader:
			f.Some = nil
		case "one":
			f.Others = ids[1:]
		case "halves":
			half := 1 + r.IntN(len(ids)-1)
			f.Some, f.Others = ids[:half], ids[half:]
		case "pair":
			f.Others = ids[1:2]
		case "hub": // the first is the only one that reaches all
			f.Some, f.Others = ids[1:], ids[1:]
		case "all":
			f.Some, f.Others = ids, ids
		}
	case OneWay:
		f.Others = ids[1 : 2+r.IntN(len(ids)-1)]
	case Flap:
		f.Others = ids[1:]
	case Delay:
		f.Some = ids[:1+r.IntN(len(ids)/2)]
		f.Delay = between(r, 20*time.Millisecond, 800*time.Millisecond)
	case Loss:
		f.Some = ids[:1+r.IntN(len(ids)/2)]
		f.Share = 0.02 + 0.28*r.Float64()
		if r.IntN(2) == 0 { // one that NoFalseDead looks at
			f.Some, f.Share = ids[:1], 0.02+(mildLoss-0.02)*r.Float64()
		}
	case Restart, Crash:
		f.For = between(r, 100*time.Millisecond, 28*time.Second)
	case Broken:
		f.Shape = []string{"", "pending", "record", "raft", voteStore}[r.IntN(5)]
		if f.Shape == "raft" || f.Shape == voteStore { // who does not vote writes neither
			f.Some = p.stations()[:founders][r.IntN(founders):][:1]
		}
		if f.Shape == voteStore {
			f.At, f.For = min(f.At, chaosLasts-15*time.Second), max(f.For, 15*time.Second)
		}
	case Slow:
		f.At, f.For = min(f.At, chaosLasts-15*time.Second), max(f.For, 15*time.Second) // a station may write little
		f.Delay = between(r, 30*time.Millisecond, 1500*time.Millisecond)
	case Clock:
		f.At, f.For = min(f.At, chaosLasts-15*time.Second), max(f.For, 15*time.Second) // nor ask the time often
		f.Delay = between(r, time.Minute, tenYears)
		if r.IntN(2) == 0 {
			f.Delay = -f.Delay
		}
	case Late:
		f.At, f.For = 0, between(r, 5*time.Second, 35*time.Second) // away from the beginning on
		f.Some = []alerts.StationID{p.lateComer(r)}
	}
	f.For = min(f.For, chaosLasts-f.At)
	return f
}

const (
	fromLeader = "leader" // the shape of a cut that parts whoever leads the home cell then from all others
	voteStore  = "vote"   // the store of a voter's term and vote
)

// lateComer is a station that did not found the record.
func (p *Plan) lateComer(r *rand.Rand) alerts.StationID {
	later := p.stations()[founders:]
	return later[r.IntN(len(later))]
}

const tenYears = 10 * 365 * 24 * time.Hour

// mostTries bounds the search for a fault that is compatible with the others.
const mostTries = 200

// apartStops is how long a station runs at least between two stops.
const apartStops = 5 * time.Second

// stops are the faults that stop a station, or the writes of its disk.
var stops = []Kind{Restart, Crash, Late, Full, Broken, Hung, Moves, Replaces, Leaves, Expels}

// stopsTwice reports whether f would stop a station that another fault has stopped already, or whose disk
// does not write. (A slow one does: a crash in the middle of a write is what there is to see.)
func (p *Plan) stopsTwice(f Fault) bool {
	return slices.Contains(stops, f.Kind) && slices.ContainsFunc(p.Faults, func(o Fault) bool {
		return slices.Contains(stops, o.Kind) && o.Some[0] == f.Some[0] && f.At < o.At+o.For+apartStops && o.At < f.At+f.For+apartStops
	})
}

func (p *Plan) stations() []alerts.StationID {
	var out []alerts.StationID
	for _, s := range p.County.Stations {
		out = append(out, s.ID)
	}
	return out
}

// categories that kiosks raise, with those that sound everywhere more often.
var categories = []string{
	"abduction", "abduction", "missing", "emergency", "fire", "security", "help", "panic", "domestic_violence",
	"suspicious", "traffic", "service", "fire_hazard",
}

func (p *Plan) drawWork(r *rand.Rand) {
	ids := p.stations()
	any := func() alerts.StationID { return ids[r.IntN(len(ids))] }
	all := chaosLasts + quietLasts/2
	person := func(list []alerts.Person) alerts.PersonID { return list[r.IntN(len(list))].ID }
	dispatchers := p.County.with(alerts.Dispatcher)
	aimed := p.aim(r)
	raises := max(10+r.IntN(15), len(aimed)+fewestElse)
	for k := range raises {
		w := Work{Do: "raise", At: between(r, 0, all), Station: any(), Category: categories[r.IntN(len(categories))], Number: k}
		if k < len(aimed) {
			w.At, w.Station = aimed[k].At, aimed[k].Station
		}
		if k%5 == 4 {
			who := p.County.People[r.IntN(len(p.County.People))]
			w.Do, w.Who, w.Second = "twice", who.ID, any()
			if who.Has(alerts.Auditor, alerts.Admin) { // may not raise
				w.Who = dispatchers[0].ID
			}
		}
		p.Work = append(p.Work, w)
	}
	kinds := []alerts.Kind{
		alerts.KindAssigned, alerts.KindAssigned, alerts.KindGraded, alerts.KindRegistered, alerts.KindResolved,
		alerts.KindCancelled, alerts.KindStoodDown, alerts.KindWave, alerts.KindNote,
	}
	for k := range 8 + r.IntN(12) {
		p.Work = append(p.Work, Work{Do: "decide", At: between(r, 5*time.Second, all), Who: person(dispatchers), Kind: kinds[r.IntN(len(kinds))], Number: k})
	}
	for range 2 + r.IntN(4) {
		a := r.IntN(len(dispatchers))
		b := (a + 1 + r.IntN(len(dispatchers)-1)) % len(dispatchers)
		p.Work = append(p.Work, Work{
			Do: "duel", At: between(r, 5*time.Second, chaosLasts), Who: dispatchers[a].ID, Rival: dispatchers[b].ID,
			Kind: []alerts.Kind{alerts.KindAssigned, alerts.KindGraded, alerts.KindResolved}[r.IntN(3)], Number: r.IntN(raises),
		})
	}
	for k := range 4 + r.IntN(10) {
		p.Work = append(p.Work, Work{Do: "move", At: between(r, 0, all), Who: person(p.County.People), Station: any(), Number: k})
	}
	for k := range r.IntN(6) {
		p.Work = append(p.Work, Work{Do: "walk", At: between(r, 0, all), Who: person(p.County.People), Station: any(), Number: k})
	}
	for k := range 6 { // what is not theirs to decide: somebody always tries
		if who := p.County.People[r.IntN(len(p.County.People))]; !who.Has(alerts.Dispatcher) {
			p.Work = append(p.Work, Work{Do: "decide", At: between(r, 5*time.Second, all), Who: who.ID, Kind: kinds[r.IntN(len(kinds))], Number: k})
		}
	}
	slices.SortStableFunc(p.Work, func(a, b Work) int { return cmp.Compare(a.At, b.At) })
}
