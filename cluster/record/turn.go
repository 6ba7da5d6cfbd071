package record

import (
	"errors"
	"fmt"

	"hivemesh/alerts"
)

// Era is the epoch the record is in.
func (f *fold) Era() era {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.era
}

// Whole reports whether this copy has reached the base of its epoch. One that has not may hold entries that
// no longer count: it neither votes nor feeds anybody.
func (f *fold) Whole() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.head.Index >= f.era.Base.Index
}

// Turn passes over to a newer epoch. What stands here beyond its base, or on another chain than it, is
// dropped, and its events go back to the pending set, with those of loose. own are entries, of the epoch that
// ends, that the maker of the new one takes into it: they follow upon the head here.
func (f *fold) Turn(to era, own [][]byte, loose []alerts.Event) error {
	f.feeder.Lock()
	defer f.feeder.Unlock()
	if !to.newer(f.Era()) {
		return nil
	}
	if err := f.Err(); err != nil && !errors.Is(err, ErrDiverged) {
		return err // what cannot be read or written stands still in any epoch; what differs is dropped
	}
	if len(own) > 0 {
		return f.take(to, own, loose)
	}
	keep := f.Head().Index
	if keep >= to.Base.Index {
		keep = to.Base.Index
		if chain, _, err := f.store.Chain(keep); err != nil {
			return err
		} else if chain != to.Base.Chain && keep > 0 {
			keep-- // they part somewhere below: where, shows when the new record comes in
		}
	}
	if keep == f.Head().Index {
		return f.take(to, nil, loose)
	}
	return f.cut(to, keep, loose)
}

// take turns without dropping anything, and goes on with entries of this station's own.
func (f *fold) take(to era, own [][]byte, loose []alerts.Event) error {
	entries, err := f.decode(own)
	if err != nil {
		return err
	}
	if err := f.store.Turn(to.raw, f.Head().Index, raws(entries, own), loose); err != nil {
		return err
	}
	f.mu.Lock()
	f.era, f.owes, f.err = to, true, nil
	f.head = to.reached(f.head)
	f.state.Epoch = f.head.Epoch
	f.mu.Unlock()
	f.tell(f.apply(entries))
	f.GiveBack() // an error comes again, and is told, when it is tried again
	return nil
}

// cut drops the entries beyond keep and makes the fold anew, in the epoch to. The events of what is dropped are
// in the pending set before the fold is without them, so that no screen ever misses them.
func (f *fold) cut(to era, keep uint64, loose []alerts.Event) error {
	if err := f.store.Turn(to.raw, keep, nil, loose); err != nil {
		return fmt.Errorf("drop the entries beyond %d: %w", keep, err)
	}
	if back, err := f.store.Returned(); err == nil && f.back != nil && len(back) > 0 {
		f.back(back)
	}
	return f.anew(to)
}

// anew folds what is kept once more, in the epoch to; the caller is the feeder.
func (f *fold) anew(to era) error {
	fresh := &fold{cell: f.cell, store: f.store, changed: make(chan struct{}), era: to}
	err := fresh.load()
	f.mu.Lock()
	f.era, f.state, f.head, f.err, f.owes = to, fresh.state, fresh.head, err, true
	f.wake()
	resets := f.resets
	f.mu.Unlock()
	f.GiveBack() // once more: who took a copy away meanwhile believed the fold to have it
	for _, r := range resets {
		r()
	}
	return err
}

// GiveBack hands the events that wait for it to the pending set.
func (f *fold) GiveBack() error {
	f.mu.RLock()
	owes := f.owes
	f.mu.RUnlock()
	if !owes || f.back == nil {
		return nil
	}
	all, err := f.store.Returned()
	if err != nil {
		return err
	}
	var lacking []alerts.Event
	f.mu.RLock()
	for _, e := range all {
		if !f.state.Has(e.Incident, e.ID) {
			lacking = append(lacking, e)
		}
	}
	f.mu.RUnlock()
	if len(lacking) > 0 {
		if err := f.back(lacking); err != nil {
			return fmt.Errorf("return %d events to the pending set: %w", len(lacking), err)
		}
	}
	if len(all) > 0 {
		if err := f.store.Taken(all); err != nil {
			return err
		}
	}
	f.mu.Lock()
	f.owes = false
	f.mu.Unlock()
	return nil
}

// OnReset has r told when entries were dropped and the fold was made anew. r must not block.
func (f *fold) OnReset(r func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resets = append(f.resets[:len(f.resets):len(f.resets)], r)
}

func raws(entries []alerts.Entry, list [][]byte) []Raw {
	out := make([]Raw, len(entries))
	for i, e := range entries {
		out[i] = Raw{Index: e.Index, Bytes: list[i], Chain: e.Chain}
	}
	return out
}
