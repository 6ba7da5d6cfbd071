package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/memnet"
	"hivemesh/cluster/trust"
	"hivemesh/node"
)

// act is a kind of the plan that people do to the county's own make, where the others befall it: a station joins,
// leaves, is replaced. It is done once a seed, by the ways that an operator has.
type act interface {
	// draw completes the plan of it; false: this county is not one for it.
	draw(p *Plan, f *Fault, r *rand.Rand) bool
	// do carries it out and returns how often it took place. It tries again, as people do, until ctx ends.
	do(ctx context.Context, w *world, f Fault) uint64
	// after is the work that shows what became of it.
	after(p *Plan, f Fault, r *rand.Rand) []Work
}

// The kinds that are acts.
const (
	Joins    Kind = "join"    // a station comes to a running county with a token
	Replaces Kind = "replace" // a station's disk burns, and a new one takes its place under an id of its own
	Leaves   Kind = "leave"   // a station goes for good
	Moves    Kind = "address" // a station is somewhere else on the network after a restart
	Expels   Kind = "expel"   // a station is stolen and turned away
	Rotates  Kind = "keys"    // the gossip key changes
)

var acts = map[Kind]act{
	Joins: joining{}, Replaces: replacing{}, Leaves: leaving{}, Moves: moving{}, Expels: expelling{}, Rotates: rotating{},
}

const (
	// actsBefore is the last moment of the chaos at which an act begins: faults are to be met on its way.
	actsBefore = 25 * time.Second
	// actsWithin is how long after the healing an act may still go on: what could not be done in the weather
	// can be now, and the county has to be one again 30 s after it.
	actsWithin = 20 * time.Second
	actAgain   = time.Second
	actTry     = 5 * time.Second // a try that somebody who waits for it gives up
	// fewestLeft is how many of the first stations stay at least: enough to lose one more for a while.
	fewestLeft = 4
)

// drawAct draws one act, or none where the county is not one for it.
func (p *Plan) drawAct(k Kind, r *rand.Rand) {
	for range mostTries {
		f := Fault{Kind: k, At: between(r, faultAfter, actsBefore)}
		if acts[k].draw(p, &f, r) {
			p.Faults = append(append(p.Faults, f), beside(f)...)
			return
		}
	}
}

// takesAway reports whether the kind costs the county a station for good.
func takesAway(k Kind) bool { return k == Replaces || k == Leaves || k == Expels }

// taken are the stations that the plan takes away for good.
func (p *Plan) taken() (out []alerts.StationID) {
	for _, f := range p.Faults {
		if takesAway(f.Kind) {
			out = append(out, f.Some[0])
		}
	}
	return out
}

// takes picks for f a station that the county can do without: never the first, where its authority and its admin
// are. Of those that found a record one may leave, which asks first; one that burns or is stolen would leave two
// voters, and the loss of either for a while stops the record.
func (f *Fault) takes(p *Plan, r *rand.Rand) bool {
	taken, ids := p.taken(), p.stations()
	if len(ids)-len(taken) <= fewestLeft {
		return false
	}
	k := 1 + r.IntN(len(ids)-1)
	if f.Kind != Leaves && k < founders {
		return false
	}
	for _, gone := range taken {
		other := slices.Index(ids, gone)
		if other < founders && k < founders || p.County.Two && other >= founders && k >= founders {
			return false
		}
	}
	f.Some, f.For = ids[k:k+1], chaosLasts-f.At
	return !p.stopsTwice(*f)
}

// act carries an act out beside everything else.
func (w *world) act(f Fault) {
	w.h.mu.Lock()
	span := len(w.h.Struck)
	w.h.Struck = append(w.h.Struck, Span{Kind: f.Kind, Shape: f.Shape, Stations: f.Some, Others: f.Others, From: time.Now()})
	w.h.mu.Unlock()
	w.crowd.Go(func() {
		ctx, cancel := context.WithTimeout(w.ending, chaosLasts+actsWithin-f.At)
		defer cancel()
		bites := acts[f.Kind].do(ctx, w, f)
		w.h.mu.Lock()
		defer w.h.mu.Unlock()
		w.h.Struck[span].To, w.h.Struck[span].Bites = time.Now(), bites
	})
}

// again tries until it works; false: not before ctx ended.
func again(ctx context.Context, each time.Duration, try func(context.Context) error) bool {
	for {
		one, cancel := context.WithTimeout(ctx, each)
		err := try(one)
		cancel()
		if err == nil {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(actAgain):
		}
	}
}

// office is where the county's authority lies.
func (w *world) office() alerts.StationID { return w.plan.County.Stations[0].ID }

func (w *world) officeDir() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.configs[w.office()].Dir
}

// host is a station's machine.
func (w *world) host(id alerts.StationID) *memnet.Host { return w.net.Host(string(id)) }

// enrol brings a machine into the county with a token that the office makes, and starts its station. After a try
// that failed it goes on in the same directory, with the key that is there.
func (w *world) enrol(ctx context.Context, s Station) error {
	who := trust.Who{Cell: w.plan.County.Cell, Kind: s.Kind, Station: s.ID, Name: string(s.ID)}
	w.mu.Lock()
	office := w.configs[w.office()]
	w.mu.Unlock()
	token, err := node.NewToken(office.Dir, who, []string{office.Mesh}, node.TokenLife)
	if err != nil {
		return err
	}
	dir := filepath.Join(w.dir, "joined", string(s.ID))
	cfg := node.Config{
		Dir: dir, HTTP: w.host(s.ID).Addr(httpPort), Mesh: w.host(s.ID).Addr(meshPort), Power: node.PowerMains, Log: "warn",
		County: filepath.Join(dir, "county.yaml"), Rules: filepath.Join(dir, "rules.yaml"),
	}
	if _, err := node.JoinOn(ctx, w.host(s.ID), token, "", cfg); err != nil {
		return err
	}
	cfg.Seeds, cfg.Links, cfg.Demo = []string{office.Mesh}, w.plan.Links, true // as it was told
	w.mu.Lock()
	w.configs[s.ID] = cfg
	w.mu.Unlock()
	w.start(s.ID)
	if w.node(s.ID) == nil {
		return errors.New("it does not run")
	}
	return nil
}

// goes takes a station out of those that the county is asked about; its people go to another one.
func (w *world) goes(id, to alerts.StationID) {
	w.mu.Lock()
	w.gone[id] = to
	w.mu.Unlock()
	for _, d := range w.devices {
		switch {
		case d.station() != id && d.person.Home != id:
		case d.kiosk:
			d.leave()
		default:
			d.move(to, 0)
		}
	}
}

// now is where somebody who is on the way to a station finds one.
func (w *world) now(id alerts.StationID) alerts.StationID {
	w.mu.Lock()
	defer w.mu.Unlock()
	if to, gone := w.gone[id]; gone {
		return to
	}
	return id
}

// members are the stations that are to be one county now.
func (w *world) members() (out []alerts.StationID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.plan.County.all() {
		if _, gone := w.gone[s.ID]; !gone && (w.configs[s.ID].Dir != "") {
			out = append(out, s.ID)
		}
	}
	return out
}
