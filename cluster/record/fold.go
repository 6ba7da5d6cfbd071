package record

import (
	"errors"
	"fmt"
	"sync"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

// ErrDiverged says that two copies of one record differ. This one stands still until somebody has looked.
var ErrDiverged = errors.New("this copy of the record differs from the cell's")

// errGap says that entries are missing before those offered: no harm, they come again.
var errGap = errors.New("entries are missing before these")

// loadPage is how many entries are read at once when a store is folded.
const loadPage = 1024

// fold is the record as everybody at this station reads it. Whoever has new entries feeds them by index;
// those already there are passed over.
type fold struct {
	cell   alerts.CellID
	store  *store
	feeder sync.Mutex // one feeds at a time, so what watchers hear is in order

	mu       sync.RWMutex // guards the rest; never held while a disk or a watcher works
	state    *alerts.State
	head     Head
	err      error         // why the record stands still
	changed  chan struct{} // closed at the next change
	watchers []func(alerts.Change)
}

// newFold folds all that the store has.
func newFold(cell alerts.CellID, s *store) (*fold, error) {
	f := &fold{
		cell: cell, store: s, state: alerts.NewState(cell), head: Head{Epoch: firstEpoch},
		changed: make(chan struct{}),
	}
	for {
		page, err := s.Read(f.head.Index+1, loadPage, wire.MaxFrame)
		if err != nil || len(page) == 0 {
			return f, err
		}
		bytes := make([][]byte, len(page))
		for i, r := range page {
			bytes[i] = r.Bytes
		}
		entries, err := f.decode(bytes)
		if err != nil {
			return f, fmt.Errorf("record store: %w", err)
		}
		if last := page[len(page)-1]; entries[len(entries)-1].Chain != last.Chain || last.Index != f.head.Index+uint64(len(page)) {
			return f, fmt.Errorf("record store: the running hash at entry %d is not over what is kept", last.Index)
		}
		f.apply(entries)
	}
}

// decode reads entries that follow upon the head and gives each its running hash.
func (f *fold) decode(list [][]byte) ([]alerts.Entry, error) {
	head := f.Head()
	out := make([]alerts.Entry, len(list))
	for i, b := range list {
		e, err := wire.DecodeEntry(b)
		if err != nil {
			return nil, err
		}
		if e.Index != head.Index+1 || e.Epoch != head.Epoch {
			return nil, fmt.Errorf("entry says it is %d of epoch %d, it stands at %d of %d", e.Index, e.Epoch, head.Index+1, head.Epoch)
		}
		head.Index++
		head.Chain = wire.Chain(head.Chain, b)
		e.Chain = head.Chain
		out[i] = e
	}
	return out, nil
}

// Feed takes entries that stand in the record after base, whose running hash is chain: the fold's own head,
// or an earlier one, whose entries are then passed over. It returns errGap when entries before them are
// missing, and errBehind while the disk takes nothing and much waits for it. Any other error stops this record.
func (f *fold) Feed(base uint64, chain alerts.Hash, list [][]byte) error {
	f.feeder.Lock()
	defer f.feeder.Unlock()
	head, err := f.Head(), f.Err()
	switch {
	case err != nil:
		return err
	case base > head.Index:
		return fmt.Errorf("%w: they follow upon %d, this station is at %d", errGap, base, head.Index)
	case base+uint64(len(list)) <= head.Index:
		return nil
	}
	for ; base < head.Index; base++ {
		chain, list = wire.Chain(chain, list[0]), list[1:]
	}
	if chain != head.Chain {
		return f.Stop(fmt.Errorf("%w: at entry %d", ErrDiverged, base))
	}
	entries, err := f.decode(list)
	if err != nil {
		return f.Stop(fmt.Errorf("cannot read the record beyond entry %d: %w", head.Index, err))
	}
	if err := f.keep(entries, list); errors.Is(err, errBehind) {
		return err
	} else if err != nil {
		return f.Stop(fmt.Errorf("keep the record: %w", err))
	}
	f.told(f.apply(entries))
	return nil
}

// told has the watchers hear changes; the caller is the feeder.
func (f *fold) told(changes []alerts.Change) {
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
	raw := make([]Raw, len(entries))
	for i, e := range entries {
		raw[i] = Raw{Index: e.Index, Bytes: list[i], Chain: e.Chain}
	}
	return f.store.Append(raw)
}

func (f *fold) apply(entries []alerts.Entry) []alerts.Change {
	f.mu.Lock()
	defer f.mu.Unlock()
	changes := make([]alerts.Change, len(entries))
	for i, e := range entries {
		changes[i] = f.state.Apply(e)
		f.head = Head{Epoch: e.Epoch, Index: e.Index, Chain: e.Chain}
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

// Verify compares with a head that another station vouches for. A head beyond ours proves nothing yet.
func (f *fold) Verify(h Head) error {
	if h.Index > f.Head().Index {
		return nil
	}
	chain, ok, err := f.store.Chain(h.Index)
	if err != nil {
		return f.Stop(err)
	}
	if ok && chain != h.Chain {
		return f.Stop(fmt.Errorf("%w: at entry %d", ErrDiverged, h.Index))
	}
	return nil
}
