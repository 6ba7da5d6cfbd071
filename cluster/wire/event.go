package wire

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"hivemesh/alerts"
)

// MaxEvent is the longest envelope in bytes: room for a note, a card and sealed fields, never for media.
const MaxEvent = 16 << 10

// maxEnvelope is MaxEvent and what carrying such an event into another cell puts around it.
const maxEnvelope = MaxEvent + 1<<10

// Versions and algorithms of the forms below.
const (
	version    = 1
	algEd25519 = 1 // SM2 would be 2
)

// signedPart is what a station signs; its SHA-256 is the event's name.
type signedPart struct {
	Version  uint64          `cbor:"1,keyasint"`
	Alg      uint64          `cbor:"2,keyasint"`
	Station  string          `cbor:"3,keyasint"`
	Cell     string          `cbor:"4,keyasint"`
	Incident string          `cbor:"5,keyasint"`
	Prev     [][]byte        `cbor:"6,keyasint,omitempty"`
	Saw      []byte          `cbor:"7,keyasint,omitempty"`
	Actor    string          `cbor:"8,keyasint,omitempty"`
	Kind     string          `cbor:"9,keyasint"`
	At       int64           `cbor:"10,keyasint"` // Unix milliseconds
	Body     cbor.RawMessage `cbor:"11,keyasint"`
	Sealed   []byte          `cbor:"12,keyasint,omitempty"`
	Client   string          `cbor:"13,keyasint,omitempty"`
}

// envelope carries the signed part with its signature, and later one by the actor's own device key.
type envelope struct {
	Version  uint64 `cbor:"1,keyasint"`
	Signed   []byte `cbor:"2,keyasint"`
	Sig      []byte `cbor:"3,keyasint"`
	ActorSig []byte `cbor:"4,keyasint,omitempty"`
}

// EncodeEvent returns the bytes of e that are signed. Times are cut to milliseconds.
func EncodeEvent(e alerts.Event) (signed []byte, err error) {
	body, err := encodeBody(e.Kind, e.Body)
	if err != nil {
		return nil, err
	}
	p := signedPart{
		Version: version, Alg: algEd25519,
		Station: string(e.Station), Cell: string(e.Cell), Incident: string(e.Incident),
		Actor: string(e.Actor), Kind: string(e.Kind), At: e.At.UnixMilli(), Body: body, Sealed: e.Sealed, Client: e.Client,
	}
	for _, h := range e.Prev {
		p.Prev = append(p.Prev, bytes.Clone(h[:]))
	}
	if !e.Saw.IsZero() {
		p.Saw = e.Saw[:]
	}
	return Canonical.Marshal(p)
}

func encodeBody(k alerts.Kind, b alerts.Body) (cbor.RawMessage, error) {
	if b == nil {
		return nil, fmt.Errorf("encode event: %s without a body", k)
	}
	if b.Kind() != k {
		return nil, fmt.Errorf("encode event: %s with the body of %s", k, b.Kind())
	}
	if f, ok := b.(*alerts.Foreign); ok {
		return f.Raw, nil
	}
	return Canonical.Marshal(b)
}

// EventID names the event with this signed part.
func EventID(signed []byte) alerts.Hash { return sha256.Sum256(signed) }

// Seal puts the signed part and its signature into an envelope: what travels and is kept as Event.Raw.
// actorSig is the signature by the actor's own device key, nil where there is none.
func Seal(signed, sig, actorSig []byte) ([]byte, error) {
	raw, err := Canonical.Marshal(envelope{Version: version, Signed: signed, Sig: sig, ActorSig: actorSig})
	if err != nil {
		return nil, err
	}
	if len(raw) > maxEnvelope {
		return nil, fmt.Errorf("event of %d bytes: at most %d fit", len(raw), MaxEvent)
	}
	return raw, nil
}

// Unseal takes an envelope apart without reading the signed part. Errors wrap ErrMalformed.
func Unseal(raw []byte) (signed, sig, actorSig []byte, err error) {
	if len(raw) > maxEnvelope {
		return nil, nil, nil, fmt.Errorf("%w: event of %d bytes, at most %d are taken", ErrMalformed, len(raw), MaxEvent)
	}
	var v envelope
	if err := Strict.Unmarshal(raw, &v); err != nil {
		return nil, nil, nil, fmt.Errorf("%w: envelope: %w", ErrMalformed, err)
	}
	if v.Version != version {
		return nil, nil, nil, fmt.Errorf("%w: envelope of version %d, this station reads %d", ErrMalformed, v.Version, version)
	}
	if again, err := Canonical.Marshal(v); err != nil || !bytes.Equal(again, raw) {
		return nil, nil, nil, fmt.Errorf("%w: envelope is not deterministic CBOR", ErrMalformed)
	}
	return v.Signed, v.Sig, v.ActorSig, nil
}

// DecodeEvent reads an envelope and fills ID, Raw and Body; a kind this version does not know gets a
// *alerts.Foreign body. It checks no signature. The event shares memory with raw. Errors wrap ErrMalformed.
func DecodeEvent(raw []byte) (alerts.Event, error) {
	e, _, _, err := OpenEvent(raw)
	return e, err
}

// OpenEvent is DecodeEvent and also gives what was signed and the signature, for whoever checks it.
func OpenEvent(raw []byte) (e alerts.Event, signed, sig []byte, err error) {
	if signed, sig, _, err = Unseal(raw); err != nil {
		return alerts.Event{}, nil, nil, err
	}
	if e, err = decodeSigned(signed); err != nil {
		return alerts.Event{}, nil, nil, err
	}
	// One event has one form: else a station could give the same deed many names.
	if again, err := EncodeEvent(e); err != nil || !bytes.Equal(again, signed) {
		return alerts.Event{}, nil, nil, fmt.Errorf("%w: event is not deterministic CBOR", ErrMalformed)
	}
	if e.Kind != alerts.KindCarried && len(raw) > MaxEvent {
		return alerts.Event{}, nil, nil, fmt.Errorf("%w: event of %d bytes, at most %d are taken", ErrMalformed, len(raw), MaxEvent)
	}
	e.ID, e.Raw = EventID(signed), raw
	return e, signed, sig, nil
}

func decodeSigned(signed []byte) (alerts.Event, error) {
	var p signedPart
	if err := Strict.Unmarshal(signed, &p); err != nil {
		return alerts.Event{}, fmt.Errorf("%w: event: %w", ErrMalformed, err)
	}
	if p.Version != version || p.Alg != algEd25519 {
		return alerts.Event{}, fmt.Errorf("%w: event of version %d, algorithm %d; this station reads %d, %d",
			ErrMalformed, p.Version, p.Alg, version, algEd25519)
	}
	e := alerts.Event{
		Station: alerts.StationID(p.Station), Cell: alerts.CellID(p.Cell), Incident: alerts.IncidentID(p.Incident),
		Actor: alerts.PersonID(p.Actor), Kind: alerts.Kind(p.Kind), At: time.UnixMilli(p.At).UTC(), Sealed: p.Sealed, Client: p.Client,
	}
	for _, b := range p.Prev {
		h, err := hash(b)
		if err != nil {
			return alerts.Event{}, err
		}
		e.Prev = append(e.Prev, h)
	}
	if len(p.Saw) > 0 {
		h, err := hash(p.Saw)
		if err != nil {
			return alerts.Event{}, err
		}
		e.Saw = h
	}
	var err error
	e.Body, err = decodeBody(e.Kind, p.Body)
	return e, err
}

func decodeBody(k alerts.Kind, raw cbor.RawMessage) (alerts.Body, error) {
	body, known := alerts.NewBody(k)
	if !known {
		return &alerts.Foreign{Name: k, Raw: raw}, nil
	}
	if err := Strict.Unmarshal(raw, body); err != nil {
		return nil, fmt.Errorf("%w: body of %s: %w", ErrMalformed, k, err)
	}
	if body.Kind() != k {
		return nil, fmt.Errorf("%w: %s with the body of %s", ErrMalformed, k, body.Kind())
	}
	if c, ok := body.(*alerts.Carried); ok {
		return c, decodeCarried(c)
	}
	return body, nil
}

// decodeCarried fills in the event that was carried. It is of one layer: what is carried on is unwrapped first.
func decodeCarried(c *alerts.Carried) (err error) {
	c.At = c.At.UTC()
	if len(c.Raw) > MaxEvent {
		return fmt.Errorf("%w: carried event of %d bytes, at most %d are taken", ErrMalformed, len(c.Raw), MaxEvent)
	}
	if c.Event, err = DecodeEvent(c.Raw); err == nil && c.Event.Kind == alerts.KindCarried {
		err = fmt.Errorf("%w: what was carried is carried again", ErrMalformed)
	}
	return err
}

func hash(b []byte) (h alerts.Hash, err error) {
	if len(b) != len(h) {
		return h, fmt.Errorf("%w: event name of %d bytes, want %d", ErrMalformed, len(b), len(h))
	}
	copy(h[:], b)
	if h.IsZero() {
		return h, fmt.Errorf("%w: event name of zeros", ErrMalformed)
	}
	return h, nil
}
