package sim

import (
	"context"
	"math/rand/v2"
	"time"
)

// moving is a station that has another address after a restart, as from a new router; its seeds and all others
// know the old ones.
type moving struct{}

func (moving) draw(p *Plan, f *Fault, r *rand.Rand) bool {
	ids := p.stations()
	k := r.IntN(len(ids))
	f.Some, f.For = ids[k:k+1], between(r, 100*time.Millisecond, 10*time.Second)
	return !p.stopsTwice(*f)
}

func (moving) do(ctx context.Context, w *world, f Fault) uint64 {
	id := f.Some[0]
	w.stop(id)
	select {
	case <-ctx.Done():
	case <-time.After(f.For):
	}
	w.mu.Lock()
	closed := w.closing[id]
	w.mu.Unlock()
	<-closed
	w.net.Renumber(string(id))
	w.mu.Lock()
	cfg := w.configs[id]
	cfg.HTTP, cfg.Mesh = w.host(id).Addr(httpPort), w.host(id).Addr(meshPort)
	w.configs[id] = cfg
	w.mu.Unlock()
	if err := writeConfig(cfg); err != nil {
		w.broken("config of %s: %v", id, err)
	}
	w.start(id)
	if w.node(id) == nil {
		return 0
	}
	return 1
}

func (moving) after(p *Plan, f Fault, r *rand.Rand) []Work {
	return []Work{{Do: "raise", Station: f.Some[0]}}
}
