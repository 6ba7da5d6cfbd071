package cluster

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/record"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

// A snapshot is what one station has of its county, in one file: the records of the cells it follows, what is
// pending, the county's tables, the stations' certificates and who was turned away. Frames of CBOR: a head,
// then for each cell its entries and its pending events in pages, then a seal, which is the hash of all
// before it and the station's signature. No key is inside: no station's, not the authority's, not gossip's.

// ErrSnapshot says that a file is no snapshot, or not whole any more.
var ErrSnapshot = errors.New("snapshot")

const (
	snapshotVersion = 1
	pageEvents      = 128 // pending events in a page: with the longest it fits a frame
)

// SnapshotHead opens a snapshot.
type SnapshotHead struct {
	Version uint64           `cbor:"1,keyasint"`
	Root    []byte           `cbor:"2,keyasint"` // the county authority's certificate
	By      alerts.StationID `cbor:"3,keyasint"`
	At      int64            `cbor:"4,keyasint"` // Unix milliseconds, by the clock of the station that made it
	Certs   [][]byte         `cbor:"5,keyasint"`
	Notices [][]byte         `cbor:"6,keyasint,omitempty"`
	County  []byte           `cbor:"7,keyasint"` // county.yaml
	Rules   []byte           `cbor:"8,keyasint"` // rules.yaml
	Cells   []SnapshotCell   `cbor:"9,keyasint"`
}

// SnapshotCell is one cell's part.
type SnapshotCell struct {
	Cell     alerts.CellID      `cbor:"1,keyasint"`
	Era      []byte             `cbor:"2,keyasint,omitempty"`
	Index    uint64             `cbor:"3,keyasint"`
	Chain    alerts.Hash        `cbor:"4,keyasint"`
	Founders []alerts.StationID `cbor:"5,keyasint,omitempty"`
	Pending  uint64             `cbor:"6,keyasint"`
}

// Copy is where the cell's record ends.
func (c SnapshotCell) Copy() record.Copy {
	return record.Copy{Cell: c.Cell, Era: c.Era, Index: c.Index, Chain: c.Chain}
}

// seal ends a snapshot.
type seal struct {
	Hash []byte `cbor:"1,keyasint"` // SHA-256 of all bytes before
	Sig  []byte `cbor:"2,keyasint"`
}

// forSnapshot keeps the signature from passing for anything else that a station signs.
const forSnapshot = "hivemesh snapshot\x00"

// SnapshotSource is a cell that goes into a snapshot. Pending is asked before Copy, so that what is recorded in
// between stands in it twice rather than not at all.
type SnapshotSource struct {
	Cell     alerts.CellID
	Founders []alerts.StationID
	Pending  []alerts.Event
	Copy     record.Copy
	Pages    func(upto uint64, page func(entries [][]byte) error) error
}

// WriteSnapshot writes a snapshot: h without cells, and the cells.
func WriteSnapshot(to io.Writer, id *trust.Identity, h SnapshotHead, cells []SnapshotSource) error {
	sum := sha256.New()
	w := io.MultiWriter(to, sum)
	h.Version, h.Root, h.By, h.At = snapshotVersion, id.Root.Raw, id.Station, time.Now().UnixMilli()
	for _, c := range cells {
		h.Cells = append(h.Cells, SnapshotCell{
			Cell: c.Cell, Era: c.Copy.Era, Index: c.Copy.Index, Chain: c.Copy.Chain, Founders: c.Founders, Pending: uint64(len(c.Pending)),
		})
	}
	if err := wire.WriteFrame(w, h); err != nil {
		return err
	}
	for _, c := range cells {
		if err := c.Pages(c.Copy.Index, func(list [][]byte) error { return wire.WriteFrame(w, list) }); err != nil {
			return fmt.Errorf("cell %s: %w", c.Cell, err)
		}
		for list := c.Pending; len(list) > 0; list = list[min(pageEvents, len(list)):] {
			var page [][]byte
			for _, e := range list[:min(pageEvents, len(list))] {
				page = append(page, e.Raw)
			}
			if err := wire.WriteFrame(w, page); err != nil {
				return err
			}
		}
	}
	s := seal{Hash: sum.Sum(nil)}
	s.Sig = id.SignBytes(append([]byte(forSnapshot), s.Hash...))
	return wire.WriteFrame(to, s)
}

// SnapshotReader takes what is in a snapshot, cell by cell. Nothing of it is to be believed before ReadSnapshot
// has returned nil.
type SnapshotReader interface {
	Head(SnapshotHead) error
	Page(cell int, entries [][]byte) error // the next entries of Cells[cell]
	Pending(cell int, e alerts.Event) error
}

// ReadSnapshot reads a snapshot and checks all of it: the hash, the signature, by a station whose certificate
// is inside and signed by the authority that is. Errors wrap ErrSnapshot, but for the reader's own.
func ReadSnapshot(from io.Reader, to SnapshotReader) error {
	r := snapshotFile{r: bufio.NewReader(from), sum: sha256.New()}
	var h SnapshotHead
	if err := r.frame("head", &h); err != nil {
		return err
	}
	if h.Version != snapshotVersion {
		return fmt.Errorf("%w of version %d: this program reads %d", ErrSnapshot, h.Version, snapshotVersion)
	}
	ring, err := h.Ring()
	if err != nil {
		return err
	}
	if err := to.Head(h); err != nil {
		return err
	}
	for i, c := range h.Cells {
		if err := r.cell(i, c, ring, to); err != nil {
			return err
		}
	}
	return r.seal(ring, h.By)
}

// Ring is of the certificates inside.
func (h SnapshotHead) Ring() (*trust.Ring, error) {
	root, err := x509.ParseCertificate(h.Root)
	if err != nil {
		return nil, fmt.Errorf("%w: authority's certificate: %w", ErrSnapshot, err)
	}
	ring, err := trust.NewRing(root, "")
	if err != nil {
		return nil, fmt.Errorf("%w: authority's certificate: %w", ErrSnapshot, err)
	}
	for _, der := range h.Certs {
		if _, err := ring.Add(der); err != nil {
			return nil, fmt.Errorf("%w: a station's certificate: %w", ErrSnapshot, err)
		}
	}
	return ring, nil
}

// snapshotFile reads frames and hashes their bytes.
type snapshotFile struct {
	r   *bufio.Reader
	sum hash.Hash
}

// frame reads the next one; what is what it holds, for the error.
func (f *snapshotFile) frame(what string, v any) error {
	_, err := f.raw(what, v)
	return err
}

func (f *snapshotFile) raw(what string, v any) ([]byte, error) {
	var n [4]byte
	if _, err := io.ReadFull(f.r, n[:]); err != nil {
		return nil, fmt.Errorf("%w: it ends before its %s", ErrSnapshot, what)
	}
	size := binary.BigEndian.Uint32(n[:])
	if size > wire.MaxFrame {
		return nil, fmt.Errorf("%w: %s of %d bytes", ErrSnapshot, what, size)
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, f.r, int64(size)); err != nil {
		return nil, fmt.Errorf("%w: it ends within its %s", ErrSnapshot, what)
	}
	if err := wire.Strict.Unmarshal(b.Bytes(), v); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrSnapshot, what, err)
	}
	if _, isSeal := v.(*seal); !isSeal {
		f.sum.Write(n[:])
		f.sum.Write(b.Bytes())
	}
	return b.Bytes(), nil
}

func (f *snapshotFile) cell(i int, c SnapshotCell, ring *trust.Ring, to SnapshotReader) error {
	for left := c.Index; left > 0; {
		var page [][]byte
		if err := f.frame(fmt.Sprintf("entries of cell %s behind %d", c.Cell, c.Index-left), &page); err != nil {
			return err
		}
		if len(page) == 0 || uint64(len(page)) > left {
			return fmt.Errorf("%w: cell %s behind entry %d: a page of %d entries", ErrSnapshot, c.Cell, c.Index-left, len(page))
		}
		left -= uint64(len(page))
		if err := to.Page(i, page); err != nil {
			return err
		}
	}
	for left := c.Pending; left > 0; {
		var page [][]byte
		if err := f.frame(fmt.Sprintf("pending events of cell %s", c.Cell), &page); err != nil {
			return err
		}
		if len(page) == 0 || uint64(len(page)) > left {
			return fmt.Errorf("%w: pending events of cell %s: a page of %d", ErrSnapshot, c.Cell, len(page))
		}
		left -= uint64(len(page))
		for _, raw := range page {
			e, err := ring.Check(raw)
			if err == nil && e.Cell != c.Cell {
				err = fmt.Errorf("it is of cell %s", e.Cell)
			}
			if err != nil {
				return fmt.Errorf("%w: a pending event of cell %s: %w", ErrSnapshot, c.Cell, err)
			}
			if err := to.Pending(i, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *snapshotFile) seal(ring *trust.Ring, by alerts.StationID) error {
	want := f.sum.Sum(nil)
	var s seal
	raw, err := f.raw("seal", &s)
	if err != nil {
		return err
	}
	if again, err := wire.Canonical.Marshal(s); err != nil || !bytes.Equal(again, raw) {
		return fmt.Errorf("%w: its seal is not written as it should be", ErrSnapshot)
	}
	if !bytes.Equal(s.Hash, want) {
		return fmt.Errorf("%w: its bytes are not those that were sealed", ErrSnapshot)
	}
	if err := ring.Verify(by, append([]byte(forSnapshot), s.Hash...), s.Sig); err != nil {
		return fmt.Errorf("%w: signature of %s: %w", ErrSnapshot, by, err)
	}
	if _, err := f.r.ReadByte(); err != io.EOF {
		return fmt.Errorf("%w: there is more behind its seal", ErrSnapshot)
	}
	return nil
}

// Snapshot writes one of all that this station has; h brings the county's tables.
func (c *County) Snapshot(to io.Writer, h SnapshotHead) error {
	var cells []SnapshotSource
	for _, id := range c.Cells() {
		r := c.cell(id)
		if r == nil {
			continue // no longer followed, since a moment
		}
		pending := c.set.List(id) // before the copy: what is recorded in between is in both, and nothing in neither
		cells = append(cells, SnapshotSource{Cell: id, Founders: c.founders(id), Pending: pending, Copy: r.Copy(), Pages: r.Pages})
	}
	h.Certs, h.Notices = c.cfg.Ring.Certs(), c.cfg.Ring.Notices()
	return WriteSnapshot(to, c.cfg.Identity, h, cells)
}
