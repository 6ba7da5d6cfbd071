package node

import (
	"maps"
	"slices"
	"sync"
	"time"

	"hivemesh/alerts"
	"hivemesh/node/web"
)

// sources is where a view comes from.
type sources interface {
	// read runs f on the fold of cell under its lock; false where this station does not follow the cell.
	read(cell alerts.CellID, f func(*alerts.State)) bool
	// pending are the pending events of one incident.
	pending(cell alerts.CellID, in alerts.IncidentID) []alerts.Event
}

const (
	// lateAfter is from what age on an incident that is new here counts as news from before a cut; holdLate is
	// how long it is held back, so that its end, which may be right behind it, comes with it. The age is by
	// the maker's clock, which may be wrong: then an alarm is holdLate later, and nothing worse.
	lateAfter = 2 * time.Second
	holdLate  = 50 * time.Millisecond
)

// view holds what this station shows: for each incident the fold of the record and, on top, what is pending.
type view struct {
	rules    *alerts.Rules
	from     sources
	standing func(alerts.Event) alerts.Standing

	mu        sync.RWMutex
	incidents map[alerts.IncidentID]*alerts.Incident
	order     []alerts.IncidentID // as first seen here
	cursors   map[alerts.CellID]web.Cursor
	watchers  map[int]func(web.Change)
	next      int

	live bool                  // run has begun: what was known before is there, and news may be late
	held map[touched]time.Time // until when news from before a cut is held back

	dirtyMu sync.Mutex
	dirty   []touched // incidents to make anew, in the order they were touched
	queued  map[touched]bool
	urgent  []touched // of these, those touched by the alarm lane: they do not wait for the others
	rung    map[touched]bool
	reached map[alerts.CellID]web.Cursor // how far the record's entries have touched their incidents
	other   []web.Change                 // other changes, published after the incidents touched before them
	wake    chan struct{}
	stop    chan struct{}
	done    chan struct{}
}

type touched struct {
	cell alerts.CellID
	in   alerts.IncidentID
}

func newView(rules *alerts.Rules, from sources, standing func(alerts.Event) alerts.Standing) *view {
	return &view{
		rules: rules, from: from, standing: standing,
		incidents: map[alerts.IncidentID]*alerts.Incident{},
		cursors:   map[alerts.CellID]web.Cursor{},
		watchers:  map[int]func(web.Change){},
		held:      map[touched]time.Time{},
		queued:    map[touched]bool{},
		rung:      map[touched]bool{},
		reached:   map[alerts.CellID]web.Cursor{},
		wake:      make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// run makes touched incidents anew until close.
func (v *view) run() {
	defer close(v.done)
	v.mu.Lock()
	v.live = true
	v.mu.Unlock()
	for {
		select {
		case <-v.stop:
			return
		case <-v.wake:
			v.refresh()
		}
	}
}

func (v *view) close() error {
	close(v.stop)
	<-v.done
	return nil
}

// touch says that the pending set changed for an incident, by an event of that lane. It never blocks.
func (v *view) touch(cell alerts.CellID, in alerts.IncidentID, lane alerts.Lane) {
	v.record(cell, in, lane, web.Cursor{})
}

// record says that the record changed for an incident, by the entry at that place. Entries come in order.
func (v *view) record(cell alerts.CellID, in alerts.IncidentID, lane alerts.Lane, at web.Cursor) {
	t := touched{cell, in}
	v.dirtyMu.Lock()
	if lane == alerts.LaneAlarm && !v.rung[t] {
		v.rung[t] = true
		v.urgent = append(v.urgent, t)
	}
	if !v.queued[t] {
		v.queued[t] = true
		v.dirty = append(v.dirty, t)
	}
	if v.reached[cell].Before(at) {
		v.reached[cell] = at
	}
	v.dirtyMu.Unlock()
	v.poke()
}

// anew touches every incident of a cell that is shown: its record dropped entries. What was in them is pending
// again, so nothing disappears, but all of it may stand differently.
func (v *view) anew(cell alerts.CellID) {
	v.mu.RLock()
	var shown []alerts.IncidentID
	for _, id := range v.order {
		if v.incidents[id].Cell == cell {
			shown = append(shown, id)
		}
	}
	v.mu.RUnlock()
	for _, id := range shown {
		v.touch(cell, id, alerts.LaneDecision)
	}
}

// tell publishes a change that is not an incident's own, after all that was touched before it.
func (v *view) tell(c web.Change) {
	v.dirtyMu.Lock()
	v.other = append(v.other, c)
	v.dirtyMu.Unlock()
	v.poke()
}

func (v *view) poke() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// hurryEvery is after how many incidents made anew those that rang meanwhile are looked for: a millisecond or two.
const hurryEvery = 32

// refresh makes anew what was touched, alarms first. The place in the record moves on only with the last
// change of a cell: who keeps it and goes to another station must not lack what was still to come here.
func (v *view) refresh() {
	v.dirtyMu.Lock()
	dirty, urgent, other, reached := v.dirty, v.urgent, v.other, maps.Clone(v.reached)
	v.dirty, v.urgent, v.other = nil, nil, nil
	clear(v.queued)
	clear(v.rung)
	v.dirtyMu.Unlock()
	rings := map[touched]bool{}
	for _, t := range urgent {
		rings[t] = true
	}
	slices.SortStableFunc(dirty, func(a, b touched) int {
		switch {
		case rings[a] == rings[b]:
			return 0
		case rings[a]:
			return -1
		}
		return 1
	})
	last := map[alerts.CellID]web.Change{}
	for n, t := range dirty {
		if n%hurryEvery == hurryEvery-1 {
			v.hurry()
		}
		c, ok := v.look(t)
		if !ok {
			continue
		}
		c.Urgent = rings[t]
		if before, waits := last[t.cell]; waits {
			v.publish(before)
		}
		last[t.cell] = c
	}
	v.moveTo(reached)
	for _, cell := range slices.Sorted(maps.Keys(last)) {
		c := last[cell]
		c.Cursor = v.cursor(cell)
		v.publish(c)
	}
	for _, c := range other {
		v.publish(c)
	}
}

// hurry shows what rang while others are made anew. It is made anew with its own batch once more, which is
// when the place in the record moves on.
func (v *view) hurry() {
	v.dirtyMu.Lock()
	urgent := v.urgent
	v.urgent = nil
	clear(v.rung)
	v.dirtyMu.Unlock()
	for _, t := range urgent {
		if c, ok := v.look(t); ok {
			c.Urgent = true
			v.publish(c)
		}
	}
}

// moveTo says up to where everything is shown; not while late news is held back, which is not shown yet.
func (v *view) moveTo(reached map[alerts.CellID]web.Cursor) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for cell, at := range reached {
		if len(v.held) == 0 && v.cursors[cell].Before(at) {
			v.cursors[cell] = at
		}
	}
}

// look makes one incident anew.
func (v *view) look(t touched) (web.Change, bool) {
	var i *alerts.Incident
	pending := v.from.pending(t.cell, t.in)
	if !v.from.read(t.cell, func(s *alerts.State) {
		i = v.rules.Look(s, t.in, pending, v.standing, time.Now())
	}) {
		return web.Change{}, false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if i == nil || v.hold(t, i) {
		return web.Change{}, false // pending events whose raising event has not come yet, or late news
	}
	if _, known := v.incidents[t.in]; !known {
		v.order = append(v.order, t.in)
	}
	v.incidents[t.in] = i
	return web.Change{Incident: i, Cursor: v.cursors[t.cell]}, true
}

// hold reports whether an incident that is new here is not to be shown yet; it is looked at again in time.
func (v *view) hold(t touched, i *alerts.Incident) bool {
	if _, known := v.incidents[t.in]; known || !v.live {
		return false
	}
	now := time.Now()
	until, held := v.held[t]
	if !held && now.Sub(i.RaisedAt) < lateAfter {
		return false
	}
	if !held {
		v.held[t] = now.Add(holdLate)
		time.AfterFunc(holdLate, func() { v.touch(t.cell, t.in, alerts.LaneAlarm) })
		return true
	}
	if now.Before(until) {
		return true
	}
	delete(v.held, t)
	return false
}

func (v *view) publish(c web.Change) {
	v.mu.RLock()
	watchers := make([]func(web.Change), 0, len(v.watchers))
	for _, f := range v.watchers {
		watchers = append(watchers, f)
	}
	v.mu.RUnlock()
	for _, f := range watchers {
		f(c)
	}
}

func (v *view) watch(f func(web.Change)) (stop func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	id := v.next
	v.next++
	v.watchers[id] = f
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.watchers, id)
	}
}

func (v *view) incident(id alerts.IncidentID) (*alerts.Incident, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	i, ok := v.incidents[id]
	return i, ok
}

// all returns every incident in the order in which this station first saw it.
func (v *view) all() []*alerts.Incident {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make([]*alerts.Incident, 0, len(v.order))
	for _, id := range v.order {
		out = append(out, v.incidents[id])
	}
	return out
}

func (v *view) cursor(cell alerts.CellID) web.Cursor {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.cursors[cell]
}
