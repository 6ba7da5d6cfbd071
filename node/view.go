package node

import (
	"cmp"
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
	wall     func() time.Time // this machine's, which may be wrong

	mu        sync.RWMutex
	incidents map[alerts.IncidentID]*alerts.Incident
	homes     map[alerts.IncidentID][]alerts.CellID // the cells that anything is known of it in
	order     []alerts.IncidentID                   // as first seen here; what was there at the start, as recorded
	cursors   map[alerts.CellID]web.Cursor
	shown     map[alerts.CellID]web.Cursor // the latest entry that an incident was made anew with
	watchers  map[int]func(web.Change)
	next      int

	live bool                 // run has begun: what was known before is there, and news may be late
	held map[touched]lateNews // news from before a cut that is held back

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

// endOfTime is when what is pending counts as recorded.
var endOfTime = time.Unix(1<<40, 0)

type touched struct {
	cell alerts.CellID
	in   alerts.IncidentID
}

// lateNews is an incident that nobody is told of until then.
type lateNews struct {
	until time.Time
	i     *alerts.Incident
}

func newView(rules *alerts.Rules, from sources, standing func(alerts.Event) alerts.Standing, wall func() time.Time) *view {
	return &view{
		rules: rules, from: from, standing: standing, wall: wall,
		incidents: map[alerts.IncidentID]*alerts.Incident{},
		homes:     map[alerts.IncidentID][]alerts.CellID{},
		cursors:   map[alerts.CellID]web.Cursor{},
		shown:     map[alerts.CellID]web.Cursor{},
		watchers:  map[int]func(web.Change){},
		held:      map[touched]lateNews{},
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

// reach says that the record went on by an entry that is about no incident.
func (v *view) reach(cell alerts.CellID, at web.Cursor) {
	v.dirtyMu.Lock()
	if v.reached[cell].Before(at) {
		v.reached[cell] = at
	}
	v.dirtyMu.Unlock()
	v.poke()
}

// anew touches every incident of a cell that is shown: its record dropped entries. What was in them is pending
// again, so nothing disappears, but all of it may stand differently.
func (v *view) anew(cell alerts.CellID) {
	for _, id := range v.of(cell) {
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
		if before, waits := last[c.Incident.Cell]; waits {
			v.publish(before)
		}
		last[c.Incident.Cell] = c
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
	v.mu.Lock()
	if !slices.Contains(v.homes[t.in], t.cell) {
		v.homes[t.in] = append(v.homes[t.in], t.cell)
	}
	homes := slices.Clone(v.homes[t.in])
	v.mu.Unlock()
	var known []*alerts.Incident
	for _, cell := range homes {
		if i := lookIn(v.rules, v.from, v.standing, cell, t.in); i != nil {
			known = append(known, i)
		}
	}
	i := present(known)
	v.mu.Lock()
	defer v.mu.Unlock()
	if i == nil {
		before := v.incidents[t.in]
		v.forget(t.in) // pending events whose raising event has not come yet, or all was dropped
		if before == nil || !before.AlarmOpen() {
			return web.Change{}, false
		}
		over := *before // of an expelled station: whoever's device sounds is told that it is over
		over.Ended = &alerts.Ref{Kind: alerts.KindStoodDown, By: over.RaisedBy, At: time.Now()}
		return web.Change{Incident: &over, Cursor: v.cursors[over.Cell]}, true
	}
	if v.hold(t, i) {
		return web.Change{}, false // late news
	}
	if _, known := v.incidents[t.in]; !known {
		v.order = append(v.order, t.in)
	}
	v.incidents[t.in] = i
	if at := web.RecordedAt(i); v.shown[i.Cell].Before(at) {
		v.shown[i.Cell] = at
	}
	return web.Change{Incident: i, Cursor: v.claim(i.Cell)}, true
}

// forget drops what is no longer held here: an ended alarm of a cell that is not followed.
func (v *view) forget(in alerts.IncidentID) {
	for _, cell := range v.homes[in] {
		delete(v.held, touched{cell, in})
	}
	delete(v.homes, in)
	if _, known := v.incidents[in]; known {
		delete(v.incidents, in)
		v.order = slices.DeleteFunc(slices.Clone(v.order), func(id alerts.IncidentID) bool { return id == in })
	}
}

// of are the incidents of which anything is known in a cell.
func (v *view) of(cell alerts.CellID) []alerts.IncidentID {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var out []alerts.IncidentID
	for in, homes := range v.homes {
		if slices.Contains(homes, cell) {
			out = append(out, in)
		}
	}
	return out
}

// hold reports whether an incident that is new here is not to be shown yet; it is looked at again in time.
func (v *view) hold(t touched, i *alerts.Incident) bool {
	if _, known := v.incidents[t.in]; known || !v.live {
		delete(v.held, t)
		return false
	}
	now := time.Now()
	late, held := v.held[t]
	if !held && v.wall().Sub(i.RaisedAt) < lateAfter {
		return false
	}
	if !held {
		v.held[t] = lateNews{now.Add(holdLate), i}
		time.AfterFunc(holdLate, func() { v.touch(t.cell, t.in, alerts.LaneAlarm) })
		return true
	}
	if now.Before(late.until) {
		v.held[t] = lateNews{late.until, i}
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
	if i, ok := v.incidents[id]; ok {
		return i, true
	}
	for t, late := range v.held { // nobody is told of it yet; who asks for it is
		if t.in == id {
			return late.i, true
		}
	}
	return nil, false
}

// arrange puts what was known at the start into the order of the record, what is pending last: while a long
// record is made anew, what the others sent meanwhile comes in between, and who pages back from the newest would
// find it among matters of last week. Each cell's own order stands; the leaders' clocks only lay cells side by side.
func (v *view) arrange() {
	v.mu.Lock()
	defer v.mu.Unlock()
	first := func(id alerts.IncidentID) (e alerts.Entry) {
		if log := v.incidents[id].Log; len(log) > 0 {
			e = log[0].Entry
		}
		return e
	}
	order := slices.Clone(v.order)
	slices.SortStableFunc(order, func(a, b alerts.IncidentID) int {
		x, y := first(a), first(b)
		if recorded := x.Index > 0; recorded != (y.Index > 0) {
			if recorded {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(x.Epoch, y.Epoch), cmp.Compare(x.Index, y.Index))
	})
	latest, when := map[alerts.CellID]time.Time{}, map[alerts.IncidentID]time.Time{}
	for _, id := range order {
		e, cell := first(id), v.incidents[id].Cell
		if e.Index == 0 {
			when[id] = endOfTime
			continue
		}
		if e.At.After(latest[cell]) { // a clock that went back moves nothing before its predecessors
			latest[cell] = e.At
		}
		when[id] = latest[cell]
	}
	slices.SortStableFunc(order, func(a, b alerts.IncidentID) int { return when[a].Compare(when[b]) })
	v.order = order
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
	return v.claim(cell)
}

// claim is what whoever has seen all that was made anew may say of a cell. Called with mu held.
func (v *view) claim(cell alerts.CellID) web.Cursor {
	return v.cursors[cell].Having(v.shown[cell])
}
