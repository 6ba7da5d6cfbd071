package sim

import (
	"context"
	"errors"
	"math/rand/v2"

	"hivemesh/node"
)

// expelling is hive expel: a station is stolen, and whoever has it goes on raising alerts there.
type expelling struct{}

func (expelling) draw(p *Plan, f *Fault, r *rand.Rand) bool { return f.takes(p, r) }

func (expelling) do(ctx context.Context, w *world, f Fault) (told uint64) {
	id := f.Some[0]
	w.goes(id, w.office())
	w.steal(id)
	again(ctx, actTry, func(ctx context.Context) error {
		all, err := node.ExpelOn(ctx, w.host(w.office()), w.officeDir(), id)
		if told = uint64(len(all.Stations)); err == nil && told == 0 {
			err = errors.New("nobody was told")
		}
		return err
	})
	return told
}

// after everybody must have heard of it, what is raised there is the thief's alone.
func (expelling) after(p *Plan, f Fault, r *rand.Rand) []Work {
	return []Work{{Do: "raise", Station: f.Some[0]}}
}
