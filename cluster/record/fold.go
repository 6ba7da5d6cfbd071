package record

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

// ErrDiverged says that two copies of one record differ. This one stands still until somebody has looked.
var ErrDiverged = errors.New("this copy of the record differs from the cell's")

// errGap says that entries are missing before those offered: no harm, they come again.
var errGap = errors.New("entries are missing before these")

// errUnsound says that entries cannot be this record's next ones.
var errUnsound = errors.New("not what comes next in this record")

// loadPage is how many entries are read at once when a store is folded.
const loadPage = 1024

// fold is the record as everybody at this station reads it. Whoever has new entries feeds them by index;
// those already there are passed over.
type fold struct {
	cell   alerts.CellID
	store  *store
	feeder sync.Mutex // one feeds at a time, so what watchers hear is in order

	// back takes the events of dropped entries into the pending set and returns when they are on disk.
	back func([]alerts.Event) error

	mu       sync.RWMutex // guards the rest; never held while a disk or a watcher works
	era      era
	state    *alerts.State
	head     Head
	err      error         // why the record stands still
	changed  chan struct{} // closed at the next change
	watchers []func(alerts.Change)
	resets   []func()  // told when the fold was made anew
	owes     bool      // events wait to be returned
	doubt    time.Time // since when a voter's word says that this copy is not the cell's; zero: none does
}

// newFold folds all that the store has.
func newFold(cell alerts.CellID, s *store) (*fold, error) {
	f := &fold{cell: cell, store: s, changed: make(chan struct{}), owes: true, era: firstEra()}
	f.state, f.head = alerts.NewState(cell), f.era.start()
	raw, err := s.Era()
	if err != nil {
		return f, err
	}
	if f.era, err = readEra(cell, raw); err != nil {
		return f, fmt.Errorf("record store: %w", err)
	}
	return f, f.load()
}

// load folds what is kept, from the first entry on.
func (f *fold) load() error {
	f.state, f.head = alerts.NewState(f.cell), f.era.start()
	f.state.Epoch = f.head.Epoch
	for {
		page, err := f.store.Read(f.head.Index+1, loadPage, wire.MaxFrame)
		if err != nil || len(page) == 0 {
			return err
		}
		bytes := make([][]byte, len(page))
		for i, r := range page {
			bytes[i] = r.Bytes
		}
		entries, err := f.decode(bytes)
		if err != nil {
			return fmt.Errorf("record store: %w", err)
		}
		if last := page[len(page)-1]; entries[len(entries)-1].Chain != last.Chain || last.Index != f.head.Index+uint64(len(page)) {
			return fmt.Errorf("record store: the running hash at entry %d is not over what is kept", last.Index)
		}
		f.apply(entries)
	}
}

// decode reads entries that follow upon the head and gives each its running hash.
func (f *fold) decode(list [][]byte) ([]alerts.Entry, error) {
	head, of := f.Head(), f.Era()
	out := make([]alerts.Entry, len(list))
	for i, b := range list {
		e, err := wire.DecodeEntry(b)
		if err != nil {
			return nil, err
		}
		if !of.fits(e, head) {
			return nil, fmt.Errorf("entry says it is %d of epoch %d, it stands behind %d of %d", e.Index, e.Epoch, head.Index, head.Epoch)
		}
		head = of.reached(Head{Epoch: e.Epoch, Index: e.Index, Chain: wire.Chain(head.Chain, b)})
		if head.Index == of.Base.Index && head.Chain != of.Base.Chain {
			return nil, fmt.Errorf("%w: epoch %d begins upon another entry %d", ErrDiverged, of.Epoch, head.Index)
		}
		e.Chain = head.Chain
		out[i] = e
	}
	return out, nil
}

// Feed takes entries that stand in the record after base, whose running hash is chain: the fold's own head,
// or an earlier one, whose entries are then passed over. of is the mark of the epoch whose record they are
// from. It returns errGap when entries before them are missing, errBehind while the disk takes nothing and much
// waits for it, ErrPast when that epoch is over. Any other error stops this record.
func (f *fold) Feed(of alerts.Hash, base uint64, chain alerts.Hash, list [][]byte) error {
	return f.feed(of, base, chain, list, f.Stop)
}

// Offer is Feed of what nobody vouches for: entries that make no sense, or stand upon another record, are errUnsound
// and stop nothing.
func (f *fold) Offer(of alerts.Hash, base uint64, chain alerts.Hash, list [][]byte) error {
	return f.feed(of, base, chain, list, func(err error) error { return fmt.Errorf("%w: %w", errUnsound, err) })
}

func (f *fold) feed(of alerts.Hash, base uint64, chain alerts.Hash, list [][]byte, bad func(error) error) error {
	f.feeder.Lock()
	defer f.feeder.Unlock()
	head, err := f.Head(), f.Err()
	switch {
	case err != nil:
		return err
	case of != f.Era().mark:
		return ErrPast
	case base > head.Index:
		return fmt.Errorf("%w: they follow upon %d, this station is at %d", errGap, base, head.Index)
	}
	if base, chain, list, err = f.pass(base, chain, list); err != nil {
		return f.unread(err)
	}
	head = f.Head()
	switch {
	case len(list) == 0:
		return nil
	case chain != head.Chain:
		return bad(fmt.Errorf("%w: at entry %d", ErrDiverged, base))
	}
	entries, err := f.decode(list)
	if err != nil {
		return bad(fmt.Errorf("cannot read the record beyond entry %d: %w", head.Index, err))
	}
	if err := f.keep(entries, list); errors.Is(err, errBehind) {
		return err
	} else if err != nil {
		return f.Stop(fmt.Errorf("keep the record: %w", err))
	}
	f.tell(f.apply(entries))
	return nil
}

// pass passes over what the fold has already. A copy that has not reached its epoch's base may hold entries
// that no longer count: they are dropped at the first that differs.
func (f *fold) pass(base uint64, chain alerts.Hash, list [][]byte) (uint64, alerts.Hash, [][]byte, error) {
	unsure := !f.Whole() || !f.doubted().IsZero()
	for ; base < f.Head().Index && len(list) > 0; base++ {
		next := wire.Chain(chain, list[0])
		if unsure {
			ours, _, err := f.store.Chain(base + 1)
			if err != nil {
				return base, chain, list, err
			}
			if ours != next {
				return base, chain, list, f.cut(f.Era(), base, nil)
			}
		}
		chain, list = next, list[1:]
	}
	return base, chain, list, nil
}

// tell has the watchers hear changes; the caller is the feeder.
func (f *fold) tell(changes []alerts.Change) {
	f.mu.RLock()
	watchers := f.watchers
	f.mu.RUnlock()
	for _, c := range changes {
		for _, w := range watchers {
			w(c)
		}
	}
}

func (f *fold) keep(entries []alerts.Entry, list [][]byte) error {
	return f.store.Append(raws(entries, list))
}

func (f *fold) apply(entries []alerts.Entry) []alerts.Change {
	f.mu.Lock()
	defer f.mu.Unlock()
	changes := make([]alerts.Change, len(entries))
	for i, e := range entries {
		changes[i] = f.state.Apply(e)
		f.head = f.era.reached(Head{Epoch: e.Epoch, Index: e.Index, Chain: e.Chain})
		f.state.Epoch = f.head.Epoch
	}
	f.wake()
	return changes
}

// wake tells all who wait on Changed; the caller holds mu.
func (f *fold) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// Stop makes the record stand still here, for the first reason given, and returns that reason.
func (f *fold) Stop(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
		f.wake()
	}
	return f.err
}

// Err is why the record stands still here, or nil.
func (f *fold) Err() error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.err
}

// Head is where the fold stands.
func (f *fold) Head() Head {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.head
}

// Changed is closed when the fold moves on or stops.
func (f *fold) Changed() <-chan struct{} {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.changed
}

// Watch adds a listener for all that comes from now on.
func (f *fold) Watch(w func(alerts.Change)) {
	f.feeder.Lock()
	defer f.feeder.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers = append(f.watchers[:len(f.watchers):len(f.watchers)], w)
}

// unread is what becomes of an error met while looking at entries kept before. A disk that does not answer is
// tended, and tried again; what disagrees or is damaged stops this record.
func (f *fold) unread(err error) error {
	if why := f.store.Err(); why != nil && !errors.Is(err, ErrDiverged) {
		return fmt.Errorf("%w: %w", errBehind, err)
	}
	return f.Stop(err)
}

// Verify compares with a head that another station vouches for. A head beyond ours proves nothing yet.
func (f *fold) Verify(h Head) error {
	_, err := f.has(h)
	if errors.Is(err, ErrDiverged) {
		return f.Stop(err)
	}
	return err
}

// has reports whether an entry stands here with that running hash; ErrDiverged: with another.
func (f *fold) has(h Head) (bool, error) {
	if h.Index > f.Head().Index {
		return false, nil
	}
	chain, ok, err := f.store.Chain(h.Index)
	if err != nil {
		return false, f.unread(err)
	}
	if ok && chain != h.Chain {
		return false, fmt.Errorf("%w: at entry %d", ErrDiverged, h.Index)
	}
	return ok, nil
}
