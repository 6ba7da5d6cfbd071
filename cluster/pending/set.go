package pending

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
)

// Set is the pending events of all cells of this station. It is safe for concurrent use.
type Set struct {
	log    *zap.Logger
	disk   *disk.Disk
	path   string
	decode func([]byte) (alerts.Event, error)

	// the writer's own
	db       *disk.DB // nil: cannot be opened now
	failing  bool     // the last write failed
	bad      int      // writes in a row that failed with an input/output error
	scrubbed alerts.Hash
	closeErr error

	closing sync.WaitGroup // of files given up

	turn    sync.Mutex // one change and its watchers at a time: watchers hear changes in their order
	watches []func(alerts.Event, bool)

	mu          sync.RWMutex
	keptWatches []func(alerts.Hash, bool)
	reloaded    func()
	closed      bool
	trouble     error // why the last write failed
	seq         uint64
	items       map[alerts.Hash]*item
	cells       map[alerts.CellID]*cell
	dirty       map[alerts.Hash]struct{} // memory and disk may differ about these

	wake chan struct{} // dirty has grown
	stop chan struct{}
	done chan struct{}
}

type item struct {
	e       alerts.Event
	seq     uint64
	kept    bool
	came    time.Time // when it was put; zero: before this start
	waiters []chan error
}

// cell is one cell's part of the set.
type cell struct {
	sum       alerts.Hash
	items     map[alerts.Hash]*item
	incidents map[alerts.IncidentID]map[alerts.Hash]*item
}

// Watch has f told of every event that enters (added) or leaves, in order and before the fsync. f must not
// block and must not change the set. To be called before the set is in use.
func (s *Set) Watch(f func(e alerts.Event, added bool)) {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.watches = append(s.watches, f)
}

// WatchKept has f told of every event that has come to be on disk (kept), also after an attempt that failed, and
// of each that a damaged disk has lost again, before whoever put it is answered. f must not block and must
// not change the set. To be called before the set is in use.
func (s *Set) WatchKept(f func(id alerts.Hash, kept bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keptWatches = append(s.keptWatches, f)
}

// WatchReload has f called when a file that could not be read at the start was read after all: some of what it
// held may be recorded meanwhile. f may change the set. To be called before the set is in use.
func (s *Set) WatchReload(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reloaded = f
}

// Put takes in a checked event. It is visible when Put returns; kept delivers once: nil after the fsync, or
// why this attempt failed (the set goes on trying). added is false when the event is there already; kept
// then is about that one.
func (s *Set) Put(e alerts.Event) (kept <-chan error, added bool) {
	s.turn.Lock()
	defer s.turn.Unlock()
	wait := make(chan error, 1)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		wait <- ErrClosed
		return wait, false
	}
	it, known := s.items[e.ID]
	if !known {
		it = s.insert(e)
		it.came = time.Now()
	}
	s.mu.Unlock()
	if !known {
		s.tell(e, true)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if it.kept {
		wait <- nil
		return wait, false
	}
	it.waiters = append(it.waiters, wait)
	s.write(e.ID)
	return wait, !known
}

// Remove takes out events of a cell that its record has. Those not there are passed over.
func (s *Set) Remove(c alerts.CellID, ids []alerts.Hash) {
	s.turn.Lock()
	defer s.turn.Unlock()
	var gone []alerts.Event
	s.mu.Lock()
	for _, id := range ids {
		it, ok := s.items[id]
		if !ok || it.e.Cell != c || s.closed {
			continue
		}
		s.drop(it)
		for _, w := range it.waiters {
			w <- nil // the record has it: more than kept here
		}
		it.waiters = nil
		gone = append(gone, it.e)
		s.write(id)
	}
	s.mu.Unlock()
	for _, e := range gone {
		s.tell(e, false)
	}
}

// List is a cell's events in the order in which they came; those from before a restart first, by name.
func (s *Set) List(c alerts.CellID) []alerts.Event {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.cells[c] == nil {
		return nil
	}
	return inOrder(s.cells[c].items)
}

// Of is one incident's events in the order in which they came.
func (s *Set) Of(c alerts.CellID, incident alerts.IncidentID) []alerts.Event {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.cells[c] == nil {
		return nil
	}
	return inOrder(s.cells[c].incidents[incident])
}

// Cells are those that any event here is of, in no order.
func (s *Set) Cells() []alerts.CellID {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []alerts.CellID
	for id, c := range s.cells {
		if len(c.items) > 0 {
			out = append(out, id)
		}
	}
	return out
}

// Incidents are those that any event of the cell here is of, in no order.
func (s *Set) Incidents(c alerts.CellID) []alerts.IncidentID {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.cells[c] == nil {
		return nil
	}
	return slices.Collect(maps.Keys(s.cells[c].incidents))
}

// Has reports whether the event is pending here.
func (s *Set) Has(id alerts.Hash) bool { _, ok := s.event(id); return ok }

// Kept reports whether the event is pending here and on disk.
func (s *Set) Kept(id alerts.Hash) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	it, ok := s.items[id]
	return ok && it.kept
}

// Sum is the exclusive or of the names of a cell's events: equal sets have equal sums.
func (s *Set) Sum(c alerts.CellID) alerts.Hash {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.cells[c] == nil {
		return alerts.Hash{}
	}
	return s.cells[c].sum
}

// Count is how many events of a cell are pending.
func (s *Set) Count(c alerts.CellID) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.cells[c] == nil {
		return 0
	}
	return len(s.cells[c].items)
}

// CameAfter are a station's events that came here after a moment, in no order. Those that were here before this start
// are not among them.
func (s *Set) CameAfter(maker alerts.StationID, moment time.Time) (out []alerts.Event) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, it := range s.items {
		if it.e.Station == maker && !it.came.IsZero() && it.came.After(moment) {
			out = append(out, it.e)
		}
	}
	return out
}

// Event is the one of that name.
func (s *Set) Event(id alerts.Hash) (alerts.Event, bool) { return s.event(id) }

func (s *Set) event(id alerts.Hash) (alerts.Event, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	it, ok := s.items[id]
	if !ok {
		return alerts.Event{}, false
	}
	return it.e, true
}

func (s *Set) tell(e alerts.Event, added bool) {
	for _, f := range s.watches {
		f(e, added)
	}
}

// insert and drop change memory; the caller holds mu.
func (s *Set) insert(e alerts.Event) *item {
	s.seq++
	it := &item{e: e, seq: s.seq}
	s.items[e.ID] = it
	c := s.cells[e.Cell]
	if c == nil {
		c = &cell{items: map[alerts.Hash]*item{}, incidents: map[alerts.IncidentID]map[alerts.Hash]*item{}}
		s.cells[e.Cell] = c
	}
	c.items[e.ID] = it
	if c.incidents[e.Incident] == nil {
		c.incidents[e.Incident] = map[alerts.Hash]*item{}
	}
	c.incidents[e.Incident][e.ID] = it
	c.flip(e.ID)
	return it
}

func (s *Set) drop(it *item) {
	e := it.e
	delete(s.items, e.ID)
	c := s.cells[e.Cell]
	delete(c.items, e.ID)
	delete(c.incidents[e.Incident], e.ID)
	if len(c.incidents[e.Incident]) == 0 {
		delete(c.incidents, e.Incident)
	}
	c.flip(e.ID)
}

func (c *cell) flip(id alerts.Hash) {
	for i := range c.sum {
		c.sum[i] ^= id[i]
	}
}

func inOrder(items map[alerts.Hash]*item) []alerts.Event {
	all := make([]*item, 0, len(items))
	for _, it := range items {
		all = append(all, it)
	}
	slices.SortFunc(all, func(a, b *item) int { return cmp.Compare(a.seq, b.seq) })
	out := make([]alerts.Event, len(all))
	for i, it := range all {
		out[i] = it.e
	}
	return out
}
