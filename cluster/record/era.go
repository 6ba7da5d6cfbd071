package record

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

// ErrPast says that something belongs to an epoch that is over.
var ErrPast = errors.New("of an epoch that is over")

// era is one epoch of a cell's record: where it begins, and who votes first. Indices go on from one to the
// next. Of two, the one with the higher (epoch, mark) counts, everywhere: two halves of a county that were
// both given a new epoch become one again without anybody's help.
type era struct {
	Epoch  uint64
	Base   Head // the last entry before it
	Voters []alerts.StationID
	By     alerts.StationID // who said so
	Root   bool             // by the county authority's signature
	mark   alerts.Hash      // of the statement; zero for the first epoch, which nobody stated
	raw    []byte           // the signed statement
}

// statement is what a new epoch is announced with.
type statement struct {
	Version uint64             `cbor:"1,keyasint"`
	Cell    alerts.CellID      `cbor:"2,keyasint"`
	Epoch   uint64             `cbor:"3,keyasint"`
	Index   uint64             `cbor:"4,keyasint"` // of the entry it begins upon
	Chain   alerts.Hash        `cbor:"5,keyasint"` // the running hash there
	Voters  []alerts.StationID `cbor:"6,keyasint"`
	By      alerts.StationID   `cbor:"7,keyasint"`           // upon whose copy
	Root    bool               `cbor:"8,keyasint,omitempty"` // the authority signs it, and not By
}

// signedStatement carries a statement with the signature of its maker, or of the authority.
type signedStatement struct {
	Said []byte `cbor:"1,keyasint"`
	Sig  []byte `cbor:"2,keyasint"`
}

const (
	statementVersion = 1
	maxEraVoters     = 16 // names in a statement; five are the most that ever vote
)

// forEra keeps a statement from passing for anything else that a station signs.
const forEra = "hivemesh epoch\x00"

func firstEra() era { return era{Epoch: firstEpoch} }

// newEra states an epoch by a station's word.
func newEra(id *trust.Identity, cell alerts.CellID, epoch uint64, base Head, voters []alerts.StationID) (era, error) {
	said, err := state(statement{Cell: cell, Epoch: epoch, Index: base.Index, Chain: base.Chain, Voters: voters, By: id.Station})
	if err != nil {
		return era{}, err
	}
	return sealEra(cell, said, id.SignBytes(eraBytes(said)))
}

// state encodes a statement.
func state(s statement) ([]byte, error) {
	s.Version, s.Voters = statementVersion, slices.Sorted(slices.Values(s.Voters))
	return wire.Canonical.Marshal(s)
}

// eraBytes are what the signature of a statement is over.
func eraBytes(said []byte) []byte { return append([]byte(forEra), said...) }

func sealEra(cell alerts.CellID, said, sig []byte) (era, error) {
	raw, err := wire.Canonical.Marshal(signedStatement{said, sig})
	if err != nil {
		return era{}, err
	}
	return readEra(cell, raw)
}

// readEra reads a statement; without one it is the first epoch. The signature is not checked. Errors wrap
// wire.ErrMalformed.
func readEra(cell alerts.CellID, raw []byte) (era, error) {
	if len(raw) == 0 {
		return firstEra(), nil
	}
	var signed signedStatement
	var s statement
	if err := errors.Join(wire.Strict.Unmarshal(raw, &signed), wire.Strict.Unmarshal(signed.Said, &s)); err != nil {
		return era{}, fmt.Errorf("%w: epoch: %w", wire.ErrMalformed, err)
	}
	if s.Version != statementVersion || s.Cell != cell || s.Epoch <= firstEpoch || len(s.Voters) == 0 || len(s.Voters) > maxEraVoters {
		return era{}, fmt.Errorf("%w: epoch %d of cell %q, version %d, %d voters", wire.ErrMalformed, s.Epoch, s.Cell, s.Version, len(s.Voters))
	}
	return era{
		Epoch: s.Epoch, Base: Head{Index: s.Index, Chain: s.Chain}, Voters: s.Voters, By: s.By, Root: s.Root,
		mark: sha256.Sum256(signed.Said), raw: raw,
	}, nil
}

// verify checks the signature.
func (e era) verify(ring *trust.Ring) error {
	var signed signedStatement
	if err := wire.Strict.Unmarshal(e.raw, &signed); err != nil {
		return err
	}
	if e.Root {
		return ring.VerifyRoot(eraBytes(signed.Said), signed.Sig)
	}
	return ring.Verify(e.By, eraBytes(signed.Said), signed.Sig)
}

func (e era) newer(than era) bool {
	return cmp.Or(cmp.Compare(e.Epoch, than.Epoch), bytes.Compare(e.mark[:], than.mark[:])) > 0
}

// fits says whether an entry may stand behind head. Beyond the base all are of this epoch; up to there they
// are of earlier ones, never falling.
func (e era) fits(entry alerts.Entry, head Head) bool {
	if entry.Index != head.Index+1 {
		return false
	}
	if entry.Index > e.Base.Index {
		return entry.Epoch == e.Epoch
	}
	return entry.Epoch < e.Epoch && entry.Epoch >= head.Epoch
}

// reached gives the head the epoch that what follows upon it belongs to.
func (e era) reached(h Head) Head {
	if h.Index >= e.Base.Index {
		h.Epoch = e.Epoch
	}
	return h
}

// start is the head before the first entry.
func (e era) start() Head { return e.reached(Head{Epoch: firstEpoch}) }
