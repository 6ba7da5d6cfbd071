package sim

import (
	"context"
	"math/rand/v2"
	"testing/synctest"

	"hivemesh/alerts"
	"hivemesh/node"
)

// replacing is a station whose disk burns: hive token --replaces, and hive join on a new machine.
type replacing struct{}

func (replacing) draw(p *Plan, f *Fault, r *rand.Rand) bool {
	if !f.takes(p, r) {
		return false
	}
	s := p.County.station(f.Some[0])
	s.ID, s.After = s.ID+"-2", s.ID
	f.Others = []alerts.StationID{s.ID}
	p.County.Later = append(p.County.Later, s)
	return true
}

func (replacing) do(ctx context.Context, w *world, f Fault) uint64 {
	old, next := f.Some[0], f.Others[0]
	w.burn(old)
	if !again(ctx, actTry, func(ctx context.Context) error {
		id, err := node.SuccessorID(w.officeDir(), old)
		if err == nil && id != next {
			w.broken("the successor of %s is to be %s, want %s", old, id, next)
		}
		if err == nil {
			_, err = node.ReplaceOn(ctx, w.host(w.office()), w.officeDir(), old)
		}
		return err
	}) {
		return 0
	}
	if !again(ctx, actTry, func(ctx context.Context) error { return w.enrol(ctx, w.plan.County.station(next)) }) {
		return 0
	}
	w.goes(old, next)
	return 1
}

func (replacing) after(p *Plan, f Fault, r *rand.Rand) []Work {
	return []Work{{Do: "raise", Station: f.Others[0]}}
}

// burn is the end of a station with all that it had.
func (w *world) burn(id alerts.StationID) {
	n := w.node(id)
	w.net.PowerOff(string(id))
	synctest.Wait()
	w.end(id, n)
	w.goes(id, w.office()) // until its successor is there
}
