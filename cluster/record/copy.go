package record

import (
	"errors"
	"fmt"
	"path/filepath"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/trust"
)

// Copy says where a copy of a record ends. Its entries travel beside it, in pages.
type Copy struct {
	Cell  alerts.CellID
	Era   []byte // the statement of its epoch; none for the first
	Index uint64
	Chain alerts.Hash
}

// ErrCopy says that a copy of a record is not what it says it is.
var ErrCopy = errors.New("copy of a record")

// Copy is what this station has now.
func (c *Cell) Copy() Copy { return c.fold.copied() }

func (f *fold) copied() Copy {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return Copy{Cell: f.cell, Era: f.era.raw, Index: f.head.Index, Chain: f.head.Chain}
}

// Pages hands over the entries up to an index, a page at a time.
func (c *Cell) Pages(upto uint64, page func(entries [][]byte) error) error {
	return c.store.pages(upto, page)
}

func (s *store) pages(upto uint64, page func([][]byte) error) error {
	for next := uint64(1); next <= upto; {
		raw, err := s.Read(next, int(min(maxBatch, upto-next+1)), sendBytes)
		if err != nil {
			return err
		}
		if len(raw) == 0 {
			return fmt.Errorf("entry %d is not in the store", next)
		}
		list := make([][]byte, len(raw))
		for i, r := range raw {
			list[i] = r.Bytes
		}
		if err := page(list); err != nil {
			return err
		}
		next += uint64(len(raw))
	}
	return nil
}

// Kept is a record on the disk of a station that does not run.
type Kept struct {
	store *store
	fold  *fold
}

// OpenKept reads the record that lies in dir and folds it, which checks every running hash.
func OpenKept(dir string, cell alerts.CellID, log *zap.Logger) (*Kept, error) {
	s, err := openStore(nil, cell, filepath.Join(dir, "record.db"), log, storeWatch{})
	if err != nil {
		return nil, err
	}
	f, err := newFold(cell, s)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &Kept{s, f}, nil
}

// Copy is where it ends.
func (k *Kept) Copy() Copy { return k.fold.copied() }

// Pages is as Cell.Pages.
func (k *Kept) Pages(upto uint64, page func(entries [][]byte) error) error {
	return k.store.pages(upto, page)
}

// Close lets go of the file.
func (k *Kept) Close() error { return k.store.Close() }

// Check reads a copy page by page, without keeping it.
type Check struct {
	to Copy
	f  *fold
}

// NewCheck begins at the first entry. Its error, like all of Check's, wraps ErrCopy.
func NewCheck(c Copy) (*Check, error) {
	of, err := readEra(c.Cell, c.Era)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCopy, err)
	}
	k := &Check{to: c, f: &fold{cell: c.Cell, era: of, state: alerts.NewState(c.Cell), head: of.start(), changed: make(chan struct{})}}
	return k, nil
}

// Page takes the entries that follow.
func (k *Check) Page(list [][]byte) error {
	_, err := k.page(list)
	return err
}

func (k *Check) page(list [][]byte) ([]alerts.Entry, error) {
	at := k.f.Head().Index
	if at+uint64(len(list)) > k.to.Index || len(list) == 0 {
		return nil, fmt.Errorf("%w: cell %s behind entry %d: a page of %d where it ends at %d", ErrCopy, k.to.Cell, at, len(list), k.to.Index)
	}
	entries, err := k.f.decode(list)
	if err != nil {
		return nil, fmt.Errorf("%w: cell %s behind entry %d: %w", ErrCopy, k.to.Cell, at, err)
	}
	k.f.apply(entries)
	return entries, nil
}

// Left is how many entries are still to come.
func (k *Check) Left() uint64 { return k.to.Index - k.f.Head().Index }

// Epoch is the one the record is in.
func (k *Check) Epoch() uint64 { return k.f.era.Epoch }

// End compares with where the copy was to end.
func (k *Check) End() error {
	if h := k.f.Head(); h.Index != k.to.Index || h.Chain != k.to.Chain {
		return fmt.Errorf("%w: cell %s ends at entry %d, chain %s, and not at %d, %s", ErrCopy, k.to.Cell, h.Index, h.Chain.Short(), k.to.Index, k.to.Chain.Short())
	}
	return nil
}

// Read runs f on what the entries fold to.
func (k *Check) Read(f func(*alerts.State)) { f(k.f.state) }

// seatFile lies in the folder of a restored record until raft has begun: its station is to vote there, even in a
// cell that is not its own.
const seatFile = "restored"

// Restore makes a copy the record of a station that does not run, in an empty directory: a new epoch begins upon
// it, with that station as its only voter, so that whoever still has more of the old one is told.
type Restore struct {
	check *Check
	store *store
	id    *trust.Identity
	root  *trust.Authority
	dir   string
}

// NewRestore makes the record in dir. By the word of root, the county's authority, everybody believes the new epoch;
// without it (nil), by the station's own, those who would believe it in Cell.Recover.
func NewRestore(dir string, c Copy, id *trust.Identity, root *trust.Authority, log *zap.Logger) (*Restore, error) {
	check, err := NewCheck(c)
	if err != nil {
		return nil, err
	}
	s, err := openStore(nil, c.Cell, filepath.Join(dir, "record.db"), log, storeWatch{})
	if err != nil {
		return nil, err
	}
	return &Restore{check, s, id, root, dir}, nil
}

// Page keeps the entries that follow.
func (r *Restore) Page(list [][]byte) error {
	entries, err := r.check.page(list)
	if err != nil {
		return err
	}
	return r.store.Append(raws(entries, list))
}

// End checks where it ends, begins the new epoch, and closes; it returns the epoch. Everything is on disk then.
func (r *Restore) End() (epoch uint64, err error) {
	if err := r.check.End(); err != nil {
		return 0, errors.Join(err, r.store.Close())
	}
	head := r.check.f.Head()
	e, err := r.era(head)
	if err == nil {
		err = r.store.Turn(e.raw, head.Index, nil, nil)
	}
	if err == nil {
		err = disk.WriteFile(filepath.Join(r.dir, seatFile), nil, 0o600)
	}
	return e.Epoch, errors.Join(err, r.store.Close())
}

// era is the epoch that begins.
func (r *Restore) era(head Head) (era, error) {
	s := statement{
		Cell: r.check.to.Cell, Epoch: r.check.Epoch() + 1, Index: head.Index, Chain: head.Chain,
		Voters: []alerts.StationID{r.id.Station}, By: r.id.Station, Root: r.root != nil,
	}
	said, err := state(s)
	if err != nil {
		return era{}, err
	}
	if r.root != nil {
		return sealEra(s.Cell, said, r.root.SignBytes(eraBytes(said)))
	}
	return sealEra(s.Cell, said, r.id.SignBytes(eraBytes(said)))
}

// Close gives up.
func (r *Restore) Close() error { return r.store.Close() }
