package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"hivemesh/alerts"
)

// A fault that meets nothing shows nothing: a disk fault is none while nothing is written, a clock no fault while
// nobody asks the time. So every fault has an alert raised at its station, and is kept up until it has met something.

const (
	fewestElse = 5 // alerts besides those that faults are to meet
	// aimWithin is how long after a fault began the alert is raised; no fault is shorter.
	aimWithin = 3 * time.Second
	aimSurely = time.Second // the moment in which at least one of its stations runs
)

// turnsOff reports whether the station does not run while the fault lasts.
func (f Fault) turnsOff() bool { return turnsOff(f.Kind) }

func turnsOff(k Kind) bool {
	return k == Restart || k == Crash || k == Late || acts[k] != nil && k != Rotates
}

// off reports whether a station does not run at a moment of the chaos.
func (p *Plan) off(id alerts.StationID, at time.Duration) bool {
	return slices.ContainsFunc(p.Faults, func(f Fault) bool {
		return f.turnsOff() && f.Some[0] == id && f.At <= at && at < f.At+f.For
	})
}

// canBeMet reports whether one of the stations that a fault strikes runs soon after it began.
func (p *Plan) canBeMet(f Fault) bool {
	return f.turnsOff() || len(f.Some) == 0 || slices.ContainsFunc(f.Some, func(id alerts.StationID) bool { return !p.off(id, f.At+aimSurely) })
}

// aim finds a station and a moment for the alert that each fault is to meet.
func (p *Plan) aim(r *rand.Rand) (out []Work) {
	for _, f := range p.Faults {
		if a := acts[f.Kind]; a != nil {
			for _, w := range a.after(p, f, r) {
				w.At = chaosLasts + between(r, actsWithin, quietLasts/2)
				out = append(out, w)
			}
		}
		if f.turnsOff() || len(f.Some) == 0 {
			continue
		}
		var w Work
		for tries := range mostTries {
			w.Station, w.At = f.Some[r.IntN(len(f.Some))], f.At+between(r, 100*time.Millisecond, aimWithin)
			if tries > mostTries/2 {
				w.At = f.At + aimSurely
			}
			if !p.off(w.Station, w.At) {
				break
			}
		}
		out = append(out, w)
	}
	return out
}

// beside is what a fault needs to meet anything: a vote is written when there is an election, and there is one when
// the leader is gone.
func beside(f Fault) []Fault {
	switch {
	case f.Kind == Rotates:
		return []Fault{{Kind: Flap, Some: f.Some, Others: f.Others, At: f.At, For: f.For}}
	case f.Kind != Broken || f.Shape != voteStore:
		return nil
	}
	return []Fault{{Kind: Cut, Shape: fromLeader, At: f.At + 2*time.Second, For: 6 * time.Second}}
}

// until is how long a fault that has met nothing may be kept up: to the end of the chaos, or until another stops
// its station.
func (p *Plan) until(f Fault) time.Duration {
	end := chaosLasts
	for _, o := range p.Faults {
		if slices.Contains(stops, f.Kind) && slices.Contains(stops, o.Kind) && o.Some[0] == f.Some[0] && o.At > f.At {
			end = min(end, o.At-apartStops)
		}
	}
	return max(end, f.At+f.For)
}
