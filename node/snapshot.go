package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster"
	"hivemesh/cluster/pending"
	"hivemesh/cluster/record"
	"hivemesh/cluster/trust"
)

// Where a station's data lies, as cluster keeps it.
const (
	cellsDir    = "cells"
	pendingFile = "pending.db"
)

// Snapshot writes one of all that this running station has.
func (n *Node) Snapshot(to io.Writer) error {
	h, err := tablesOf(n.cfg.Dir)
	if err != nil {
		return err
	}
	return n.county.Snapshot(to, h)
}

func tablesOf(dir string) (h cluster.SnapshotHead, err error) {
	if h.County, err = os.ReadFile(filepath.Join(dir, countyFile)); err != nil {
		return h, err
	}
	h.Rules, err = os.ReadFile(filepath.Join(dir, rulesFile))
	return h, err
}

// SnapshotStopped writes one of all that the stopped station in dir has. Whoever calls it keeps others out of dir.
func SnapshotStopped(dir string, to io.Writer) (err error) {
	id, err := trust.LoadIdentity(filepath.Join(dir, identityDir))
	if err != nil {
		return fmt.Errorf("no station in %s: %w", dir, err)
	}
	ring, err := trust.NewRing(id.Root, filepath.Join(dir, ringDir))
	if err != nil {
		return err
	}
	if _, err := ring.Add(id.Cert.Raw); err != nil {
		return err
	}
	h, err := tablesOf(dir)
	if err != nil {
		return err
	}
	h.Certs, h.Notices = ring.Certs(), ring.Notices()
	set, err := pending.OpenSet(nil, filepath.Join(dir, pendingFile), ring.Check, zap.NewNop())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	begun, err := loadCell(dir)
	if err != nil {
		return err
	}
	found, err := os.ReadDir(filepath.Join(dir, cellsDir))
	if err != nil {
		return err
	}
	var cells []cluster.SnapshotSource
	for _, f := range found {
		if !f.IsDir() {
			continue // notes about a cell, beside it
		}
		cell := alerts.CellID(f.Name())
		kept, e := record.OpenKept(filepath.Join(dir, cellsDir, f.Name()), cell, zap.NewNop())
		if e != nil {
			return fmt.Errorf("cell %s: %w", cell, e)
		}
		defer func() { err = errors.Join(err, kept.Close()) }()
		s := cluster.SnapshotSource{Cell: cell, Pending: set.List(cell), Copy: kept.Copy(), Pages: kept.Pages}
		if cell == id.Cell {
			s.Founders = begun.Founders
		}
		cells = append(cells, s)
	}
	return cluster.WriteSnapshot(to, id, h, cells)
}

// SnapshotReport says what is in a snapshot.
type SnapshotReport struct {
	County string
	By     alerts.StationID
	At     time.Time // by the clock of the station that made it
	Known  int       // stations whose certificates are inside
	Cells  []SnapshotCellReport
	Lacks  []alerts.CellID // cells of the county that the station did not follow
}

// SnapshotCellReport is one cell's part of a report.
type SnapshotCellReport struct {
	Cell      alerts.CellID
	Epoch     uint64
	Entries   uint64 // as the snapshot says
	Read      uint64 // as far as they could be read and their running hash is right
	Chain     alerts.Hash
	Incidents int
	Pending   int
	Checked   bool // all of it was read and is right
}

// InspectSnapshot reads all of a snapshot and keeps nothing. What could be read is reported with an error as well,
// but is to be believed only without one.
func InspectSnapshot(from io.Reader) (SnapshotReport, error) {
	i := inspector{check: map[int]*record.Check{}}
	err := cluster.ReadSnapshot(from, &i)
	for k := range i.report.Cells {
		if end := i.end(k); err == nil {
			err = end
		}
	}
	return i.report, err
}

// inspector is a cluster.SnapshotReader.
type inspector struct {
	report SnapshotReport
	check  map[int]*record.Check
}

func (i *inspector) Head(h cluster.SnapshotHead) error {
	ring, err := h.Ring()
	if err != nil {
		return err
	}
	i.report = SnapshotReport{County: ring.County(), By: h.By, At: time.UnixMilli(h.At), Known: len(h.Certs)}
	for k, c := range h.Cells {
		check, err := record.NewCheck(c.Copy())
		if err != nil {
			return err
		}
		i.check[k] = check
		i.report.Cells = append(i.report.Cells, SnapshotCellReport{Cell: c.Cell, Epoch: check.Epoch(), Entries: c.Index, Chain: c.Chain})
	}
	return nil
}

func (i *inspector) Page(cell int, entries [][]byte) error { return i.check[cell].Page(entries) }

func (i *inspector) Pending(cell int, _ alerts.Event) error {
	i.report.Cells[cell].Pending++
	return nil
}

func (i *inspector) end(cell int) error {
	r, check := &i.report.Cells[cell], i.check[cell]
	r.Read = r.Entries - check.Left()
	check.Read(func(s *alerts.State) {
		r.Incidents = len(s.Incidents())
		if d := s.Directory(); d != nil {
			i.report.Lacks = i.lacks(d)
		}
	})
	err := check.End()
	r.Checked = err == nil
	return err
}

// lacks are the cells that go on by the directory and are not in the snapshot.
func (i *inspector) lacks(d *alerts.Directory) (out []alerts.CellID) {
	for _, e := range d.Cells {
		inside := slices.ContainsFunc(i.report.Cells, func(c SnapshotCellReport) bool { return c.Cell == e.ID })
		if d.Present(e.ID) == e.ID && !inside {
			out = append(out, e.ID)
		}
	}
	return out
}

// ErrNotFresh says that a station has records of its own already.
var ErrNotFresh = errors.New("the station has records already")

// RestoreSnapshot makes what is in a snapshot the records of the station in dir, which has not run yet: a new epoch
// of each begins there. The station must be one of the same county. Whoever calls it keeps others out of dir.
func RestoreSnapshot(from io.Reader, dir string) (SnapshotReport, error) {
	id, err := trust.LoadIdentity(filepath.Join(dir, identityDir))
	if err != nil {
		return SnapshotReport{}, fmt.Errorf("no station in %s (make one with hive init, beside the county's restored authority, or with hive join): %w", dir, err)
	}
	for _, name := range []string{cellsDir, pendingFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return SnapshotReport{}, fmt.Errorf("%s: %w: %s is there; restore into one that has not run", dir, ErrNotFresh, name)
		}
	}
	root, err := trust.OpenAuthority(filepath.Join(dir, authorityDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return SnapshotReport{}, err
	}
	tmp, err := os.MkdirTemp(dir, "restoring-")
	if err != nil {
		return SnapshotReport{}, err
	}
	r := &restorer{id: id, root: root, dir: tmp}
	err = cluster.ReadSnapshot(from, r)
	err = errors.Join(err, r.close(err == nil))
	if err == nil {
		err = r.settle(dir)
	}
	return r.report, errors.Join(err, os.RemoveAll(tmp))
}

// restorer is a cluster.SnapshotReader that keeps what it reads, beside where it will lie.
type restorer struct {
	id     *trust.Identity
	root   *trust.Authority // nil: it is not here
	dir    string
	head   cluster.SnapshotHead
	report SnapshotReport
	cells  []*record.Restore
	set    *pending.Set
}

func (r *restorer) Head(h cluster.SnapshotHead) error {
	if string(h.Root) != string(r.id.Root.Raw) {
		return errors.New("the snapshot is of a county with another authority than the station's")
	}
	ring, err := h.Ring()
	if err != nil {
		return err
	}
	r.head = h
	r.report = SnapshotReport{County: ring.County(), By: h.By, At: time.UnixMilli(h.At), Known: len(h.Certs)}
	if r.set, err = pending.OpenSet(nil, filepath.Join(r.dir, pendingFile), ring.Check, zap.NewNop()); err != nil {
		return err
	}
	for _, c := range h.Cells {
		if name := string(c.Cell); !filepath.IsLocal(name) || filepath.Base(name) != name {
			return fmt.Errorf("cell %q: a name that cannot be a folder's", c.Cell)
		}
		dir := filepath.Join(r.dir, cellsDir, string(c.Cell))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		rec, err := record.NewRestore(dir, c.Copy(), r.id, r.root, zap.NewNop())
		if err != nil {
			return err
		}
		r.cells = append(r.cells, rec)
		r.report.Cells = append(r.report.Cells, SnapshotCellReport{Cell: c.Cell, Entries: c.Index, Chain: c.Chain})
	}
	return nil
}

func (r *restorer) Page(cell int, entries [][]byte) error {
	r.report.Cells[cell].Read += uint64(len(entries))
	return r.cells[cell].Page(entries)
}

func (r *restorer) Pending(cell int, e alerts.Event) error {
	r.report.Cells[cell].Pending++
	kept, _ := r.set.Put(e)
	return <-kept
}

// close ends what was opened; whole: all was read and is right.
func (r *restorer) close(whole bool) (err error) {
	for k, c := range r.cells {
		if !whole {
			err = errors.Join(err, c.Close())
			continue
		}
		epoch, e := c.End()
		r.report.Cells[k].Epoch, r.report.Cells[k].Checked = epoch, e == nil
		err = errors.Join(err, e)
	}
	if r.set != nil {
		err = errors.Join(err, r.set.Close())
	}
	return err
}

// settle puts the whole into its place: the records last, since with them the station is no longer fresh.
func (r *restorer) settle(dir string) error {
	ring, err := trust.NewRing(r.id.Root, filepath.Join(dir, ringDir))
	if err != nil {
		return err
	}
	for _, der := range r.head.Certs {
		if _, err := ring.Add(der); err != nil {
			return err
		}
	}
	for _, notice := range r.head.Notices {
		if _, err := ring.TakeNotice(notice); err != nil {
			return fmt.Errorf("who was turned away: %w", err)
		}
	}
	for name, b := range map[string][]byte{countyFile: r.head.County, rulesFile: r.head.Rules} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	for _, name := range []string{pendingFile, cellsDir} {
		if err := os.Rename(filepath.Join(r.dir, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
