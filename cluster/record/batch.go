package record

import (
	"fmt"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

const (
	batchVersion = 1
	maxBatch     = 256 // entries a raft log holds: one fsync for many, and a batch fits one frame
	firstEpoch   = 1   // of a record that has never been sealed
)

// Head is where a record stands.
type Head struct {
	Epoch uint64
	Index uint64
	Chain alerts.Hash
}

// batch is the data of one raft log: entries judged upon one head.
type batch struct {
	Version uint64      `cbor:"1,keyasint"`
	Base    uint64      `cbor:"2,keyasint"` // index of the head they were judged on
	Chain   alerts.Hash `cbor:"3,keyasint"` // its running hash
	Entries [][]byte    `cbor:"4,keyasint"`
}

func (b batch) encode() ([]byte, error) { return wire.Canonical.Marshal(b) }

// decodeBatch reads what encode wrote. Errors wrap wire.ErrMalformed.
func decodeBatch(data []byte) (batch, error) {
	var b batch
	if err := wire.Strict.Unmarshal(data, &b); err != nil {
		return batch{}, fmt.Errorf("%w: batch: %w", wire.ErrMalformed, err)
	}
	if b.Version != batchVersion {
		return batch{}, fmt.Errorf("%w: batch of version %d, this station reads %d", wire.ErrMalformed, b.Version, batchVersion)
	}
	if len(b.Entries) == 0 || len(b.Entries) > maxBatch {
		return batch{}, fmt.Errorf("%w: batch of %d entries", wire.ErrMalformed, len(b.Entries))
	}
	return b, nil
}
