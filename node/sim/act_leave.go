package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// leaving is a station that goes for good: it is stopped, and hive leave starts it once more.
type leaving struct{}

// leaveTime is what hive leave tries for.
const leaveTime = time.Minute

func (leaving) draw(p *Plan, f *Fault, r *rand.Rand) bool { return f.takes(p, r) }

func (leaving) do(ctx context.Context, w *world, f Fault) uint64 {
	id := f.Some[0]
	if !again(ctx, leaveTime, func(ctx context.Context) error {
		w.stop(id)
		w.start(id)
		n := w.node(id)
		if n == nil {
			return errors.New("it does not run")
		}
		return n.Leave(ctx)
	}) {
		return 0
	}
	w.goes(id, w.office())
	w.stop(id)
	return 1
}

func (leaving) after(p *Plan, f Fault, r *rand.Rand) []Work { return nil }
