package record

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

// fsm feeds what the voters agreed on into the fold. It keeps its own head, by raft's log alone: the fold may
// be further on by the stream, in the midst of a batch even, and what counts must not depend on that.
type fsm struct {
	*fold
	of      alerts.Hash // the mark of its epoch
	at      Head
	reached atomic.Uint64 // at.Index, for others
}

// newFSM begins where the epoch does.
func newFSM(f *fold, of era) *fsm { return &fsm{fold: f, of: of.mark, at: of.reached(of.Base)} }

// whole reports whether the fold has all that raft here agreed on. One that lost entries, or whose disk takes
// none, gets them from others by the stream, and may not lead meanwhile.
func (m *fsm) whole() bool { return m.Head().Index >= m.reached.Load() }

// Apply implements raft.FSM. Its response is an error, or nil: the batch counts, or everyone passes it over,
// because it was logged twice, or judged by a leader that had lost its place.
func (m *fsm) Apply(l *raft.Log) any {
	b, err := decodeBatch(l.Data)
	if err != nil {
		return m.Stop(fmt.Errorf("raft log %d: %w", l.Index, err))
	}
	if b.Base != m.at.Index || b.Chain != m.at.Chain {
		return nil
	}
	err = m.Feed(m.of, b.Base, b.Chain, b.Entries)
	if errors.Is(err, ErrPast) {
		return err // this council is about to be closed
	}
	if err != nil && !errors.Is(err, errGap) && !errors.Is(err, errBehind) {
		return m.Stop(fmt.Errorf("raft log %d: %w", l.Index, err))
	}
	for _, e := range b.Entries {
		m.at = Head{Epoch: m.at.Epoch, Index: m.at.Index + 1, Chain: wire.Chain(m.at.Chain, e)}
	}
	m.reached.Store(m.at.Index)
	if err != nil {
		return err
	}
	return nil
}

// snapHead begins a snapshot; frames of entries follow until Head.Index, so that what a voter restores can
// be checked from the first entry on.
type snapHead struct {
	Version uint64        `cbor:"1,keyasint"`
	Cell    alerts.CellID `cbor:"2,keyasint"`
	Epoch   uint64        `cbor:"3,keyasint"`
	Index   uint64        `cbor:"4,keyasint"`
	Chain   alerts.Hash   `cbor:"5,keyasint"`
}

const snapVersion = 1

// snapshot is the record up to a head.
type snapshot struct {
	fold *fold
	head Head
}

// Snapshot implements raft.FSM.
func (m *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := m.Err(); err != nil {
		return nil, err // a record that stands still must not let raft drop the logs it has not taken in
	}
	return snapshot{m.fold, m.at}, nil
}

// Persist implements raft.FSMSnapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.write(sink); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

func (s snapshot) write(w io.Writer) error {
	if err := s.fold.store.Settle(); err != nil { // raft drops its logs for this
		return err
	}
	h := snapHead{Version: snapVersion, Cell: s.fold.cell, Epoch: s.head.Epoch, Index: s.head.Index, Chain: s.head.Chain}
	if err := wire.WriteFrame(w, h); err != nil {
		return err
	}
	for next := uint64(1); next <= s.head.Index; {
		page, err := s.fold.store.Read(next, int(min(maxBatch, s.head.Index-next+1)), sendBytes)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return fmt.Errorf("entry %d is not in the store", next)
		}
		list := make([][]byte, len(page))
		for i, r := range page {
			list[i] = r.Bytes
		}
		if err := wire.WriteFrame(w, list); err != nil {
			return err
		}
		next += uint64(len(page))
	}
	return nil
}

// Release implements raft.FSMSnapshot.
func (snapshot) Release() {}

// Restore implements raft.FSM. What the fold already has is a prefix of the snapshot, or goes beyond it; it
// is compared by running hash and kept.
func (m *fsm) Restore(from io.ReadCloser) error {
	defer from.Close()
	if m.Err() != nil {
		return nil // it stands still already, and says so; raft would keep the whole station from starting
	}
	r := bufio.NewReader(from)
	var h snapHead
	if err := wire.ReadFrame(r, &h); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	if h.Version != snapVersion || h.Cell != m.cell {
		return fmt.Errorf("snapshot of version %d of cell %q: this is version %d, cell %q", h.Version, h.Cell, snapVersion, m.cell)
	}
	var at uint64
	var chain alerts.Hash
	for at < h.Index {
		var list [][]byte
		if err := wire.ReadFrame(r, &list); err != nil {
			return fmt.Errorf("snapshot at entry %d: %w", at, err)
		}
		if len(list) == 0 {
			return fmt.Errorf("snapshot at entry %d: %w: an empty page", at, wire.ErrMalformed)
		}
		if err := m.Feed(m.of, at, chain, list); err != nil {
			return err
		}
		for _, b := range list {
			chain = wire.Chain(chain, b)
		}
		at += uint64(len(list))
	}
	if at != h.Index || chain != h.Chain {
		return fmt.Errorf("snapshot: %w: it does not end where it says", wire.ErrMalformed)
	}
	m.at = Head{Epoch: h.Epoch, Index: h.Index, Chain: h.Chain}
	m.reached.Store(m.at.Index)
	return m.Verify(m.at)
}
