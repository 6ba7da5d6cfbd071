package node

import (
	"sync"
	"time"

	"hivemesh/alerts"
	"hivemesh/node/web"
)

// keptFor is how long the keeping of a recorded event made here is remembered in detail: longer than any
// screen that raised it stays open on it.
const keptFor = 15 * time.Minute

// keeping follows how the events made at this station are kept: here, near, recorded.
type keeping struct {
	mu     sync.Mutex
	events map[alerts.Hash]*keep
	old    []keptUntil // recorded ones, oldest first
}

type keep struct {
	here   bool
	near   map[alerts.StationID]bool
	index  uint64
	record bool
}

type keptUntil struct {
	event alerts.Hash
	until time.Time
}

func newKeeping() *keeping { return &keeping{events: map[alerts.Hash]*keep{}} }

// follow starts following an event made here.
func (k *keeping) follow(id alerts.Hash) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.events[id] == nil {
		k.events[id] = &keep{near: map[alerts.StationID]bool{}}
	}
}

func (k *keeping) here(id alerts.Hash, fsynced bool) (web.Kept, bool) {
	return k.change(id, func(e *keep) { e.here = fsynced })
}

func (k *keeping) near(id alerts.Hash, by alerts.StationID) (web.Kept, bool) {
	return k.change(id, func(e *keep) { e.near[by] = true })
}

func (k *keeping) recorded(id alerts.Hash, index uint64) (web.Kept, bool) {
	return k.change(id, func(e *keep) {
		if e.record {
			return
		}
		e.record, e.index = true, index
		k.old = append(k.old, keptUntil{id, time.Now().Add(keptFor)})
		for len(k.old) > 0 && time.Now().After(k.old[0].until) {
			delete(k.events, k.old[0].event)
			k.old = k.old[1:]
		}
	})
}

// change reports how the event is kept now, and whether it is one of ours.
func (k *keeping) change(id alerts.Hash, f func(*keep)) (web.Kept, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.events[id]
	if !ok {
		return web.Kept{}, false
	}
	f(e)
	return e.kept(), true
}

func (k *keeping) kept(id alerts.Hash) (web.Kept, bool) {
	return k.change(id, func(*keep) {})
}

func (e *keep) kept() web.Kept {
	return web.Kept{Here: e.here, Near: len(e.near), Recorded: e.record, Index: e.index}
}
