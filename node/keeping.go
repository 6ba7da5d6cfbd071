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
	tell func(web.Change) // must not block

	mu     sync.Mutex
	events map[alerts.Hash]*keep
	old    []keptUntil // recorded ones, oldest first
}

type keep struct {
	here   bool
	near   map[alerts.StationID]bool
	index  uint64
	record bool
	refuse alerts.Code // on the record, and does not count
}

type keptUntil struct {
	event alerts.Hash
	until time.Time
}

func newKeeping(tell func(web.Change)) *keeping {
	return &keeping{tell: tell, events: map[alerts.Hash]*keep{}}
}

// follow starts following an event made here.
func (k *keeping) follow(id alerts.Hash) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.events[id] == nil {
		k.events[id] = &keep{near: map[alerts.StationID]bool{}}
	}
}

func (k *keeping) here(id alerts.Hash, fsynced bool) {
	k.change(id, nil, func(e *keep) { e.here = fsynced })
}

func (k *keeping) near(id alerts.Hash, by alerts.StationID) {
	k.change(id, nil, func(e *keep) { e.near[by] = true })
}

// recorded notes that the record has an event; refused says why it does not count there, if it does not.
func (k *keeping) recorded(id alerts.Hash, index uint64, refused *web.Refusal) {
	k.change(id, refused, func(e *keep) {
		if e.record {
			return
		}
		e.record, e.index = true, index
		if refused != nil {
			e.refuse = refused.Code
		}
		k.old = append(k.old, keptUntil{id, time.Now().Add(keptFor)})
		for len(k.old) > 0 && time.Now().After(k.old[0].until) {
			delete(k.events, k.old[0].event)
			k.old = k.old[1:]
		}
	})
}

// change changes one of our events and tells how it is kept now, under the lock: else of two changes at once
// the earlier might be told last, and who waits for the record would wait on. Why an event does not count is
// told first: who waits for the record is to hear that, not that it is there.
func (k *keeping) change(id alerts.Hash, refused *web.Refusal, f func(*keep)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.events[id]
	if !ok {
		return
	}
	f(e)
	if refused != nil {
		k.tell(web.Change{Refused: refused})
	}
	k.tell(web.Change{Event: id, Kept: e.kept()})
}

// kept says how one of our events is kept now; false: it is not ours, or long on the record.
func (k *keeping) kept(id alerts.Hash) (web.Kept, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.events[id]
	if !ok {
		return web.Kept{}, false
	}
	return e.kept(), true
}

func (e *keep) kept() web.Kept {
	return web.Kept{Here: e.here, Near: len(e.near), Recorded: e.record, Index: e.index, Refused: e.refuse}
}

// refusedBy is why an entry does not count; empty: it counts.
func refusedBy(v alerts.Verdict) alerts.Code {
	if v.Accepted() {
		return ""
	}
	return v.Code
}
