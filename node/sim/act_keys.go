package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"hivemesh/node"
)

// rotating is hive keys rotate, while a station's links flap.
type rotating struct{}

func (rotating) draw(p *Plan, f *Fault, r *rand.Rand) bool {
	if r.IntN(2) == 0 {
		f.Shape = urgent
	}
	ids := p.stations()
	k := 1 + r.IntN(len(ids)-1)
	f.Some, f.Others, f.For = ids[k:k+1], append(ids[:k:k], ids[k+1:]...), 12*time.Second
	return p.canBeMet(*f) && !p.off(ids[k], f.At+f.For)
}

const urgent = "urgent" // the key before is in wrong hands

func (rotating) do(ctx context.Context, w *world, f Fault) (told uint64) {
	again(ctx, actTry, func(ctx context.Context) error {
		_, all, err := node.RotateKeysOn(ctx, w.host(w.office()), w.officeDir(), f.Shape == urgent)
		if told = uint64(len(all.Stations)); err == nil && told == 0 {
			err = errors.New("nobody was told")
		}
		return err
	})
	return told
}

func (rotating) after(p *Plan, f Fault, r *rand.Rand) []Work { return nil }
