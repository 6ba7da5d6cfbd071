package sim

import (
	"context"
	"math/rand/v2"

	"hivemesh/alerts"
)

// joining is a station that is set up while the county runs: hive token, hive join, hive serve.
type joining struct{}

const newcomer = alerts.StationID("newcomer")

func (joining) draw(p *Plan, f *Fault, r *rand.Rand) bool {
	kind := alerts.Village
	if r.IntN(2) == 0 {
		kind = alerts.PolicePost
	}
	s := Station{ID: newcomer, Kind: kind, At: drawPoint(r), Township: innerTownship}
	p.County.Later = append(p.County.Later, s)
	f.Some = []alerts.StationID{s.ID}
	return true
}

func (joining) do(ctx context.Context, w *world, f Fault) uint64 {
	if !again(ctx, actTry, func(ctx context.Context) error { return w.enrol(ctx, w.plan.County.station(f.Some[0])) }) {
		return 0
	}
	return 1
}

// after it has joined it raises an alert, and somebody comes to it who hears others'.
func (joining) after(p *Plan, f Fault, r *rand.Rand) []Work {
	return []Work{{Do: "raise", Station: f.Some[0]}}
}
