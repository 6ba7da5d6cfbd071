package wire

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"time"

	"hivemesh/alerts"
)

// MaxEntry is the longest entry in bytes: an event and what the leader adds, which is some roles and a reference.
const MaxEntry = MaxEvent + 4<<10

// entryForm is one step of a record. The running hash is not inside: it is over these bytes.
type entryForm struct {
	Version uint64          `cbor:"1,keyasint"`
	Epoch   uint64          `cbor:"2,keyasint"`
	Index   uint64          `cbor:"3,keyasint"`
	Event   []byte          `cbor:"4,keyasint"` // the envelope
	Verdict alerts.Verdict  `cbor:"5,keyasint"`
	At      int64           `cbor:"6,keyasint"` // Unix milliseconds
	By      alerts.Standing `cbor:"7,keyasint"`
}

// EncodeEntry returns e's bytes; e.Event.Raw must be there, e.Chain is not inside. Times are cut to
// milliseconds, so a leader folds what DecodeEntry gives back, not what it passed in.
func EncodeEntry(e alerts.Entry) ([]byte, error) {
	if len(e.Event.Raw) == 0 {
		return nil, fmt.Errorf("encode entry %d: the event has no bytes", e.Index)
	}
	return Canonical.Marshal(entryForm{
		Version: version, Epoch: e.Epoch, Index: e.Index, Event: e.Event.Raw,
		Verdict: e.Verdict, At: e.At.UnixMilli(), By: e.By,
	})
}

// DecodeEntry reads what EncodeEntry wrote, except Chain. Errors wrap ErrMalformed.
func DecodeEntry(b []byte) (alerts.Entry, error) {
	if len(b) > MaxEntry {
		return alerts.Entry{}, fmt.Errorf("%w: entry of %d bytes, at most %d are taken", ErrMalformed, len(b), MaxEntry)
	}
	var f entryForm
	if err := Strict.Unmarshal(b, &f); err != nil {
		return alerts.Entry{}, fmt.Errorf("%w: entry: %w", ErrMalformed, err)
	}
	if f.Version != version {
		return alerts.Entry{}, fmt.Errorf("%w: entry of version %d, this station reads %d", ErrMalformed, f.Version, version)
	}
	if again, err := Canonical.Marshal(f); err != nil || !bytes.Equal(again, b) {
		return alerts.Entry{}, fmt.Errorf("%w: entry is not deterministic CBOR", ErrMalformed)
	}
	event, err := DecodeEvent(f.Event)
	if err != nil {
		return alerts.Entry{}, fmt.Errorf("entry %d: %w", f.Index, err)
	}
	return alerts.Entry{
		Epoch: f.Epoch, Index: f.Index, Event: event,
		Verdict: f.Verdict, At: time.UnixMilli(f.At).UTC(), By: f.By,
	}, nil
}

// Chain is the running hash after an entry with these bytes: SHA-256 over the previous one and the bytes.
func Chain(prev alerts.Hash, entry []byte) alerts.Hash {
	h := sha256.New()
	h.Write(prev[:])
	h.Write(entry)
	return alerts.Hash(h.Sum(nil))
}
