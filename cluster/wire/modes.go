package wire

import (
	"errors"

	"github.com/fxamacker/cbor/v2"
)

// ErrMalformed says that bytes are not what they should be: too long, not CBOR, not deterministic, of
// another version, with unknown keys, or with parts missing.
var ErrMalformed = errors.New("malformed")

// Limits of the decoder. They bound memory and stack for whatever a peer sends.
const (
	maxNested = 16      // levels; an event has 5
	maxArray  = 1 << 16 // elements; a sync names at most some thousands of events
	maxPairs  = 1 << 12 // keys of a map; soft state is keyed by station, of which a county has 2,000
)

// Canonical is the one encoding of the project: RFC 8949 core deterministic, times as RFC 3339 text in UTC.
var Canonical = encMode()

// Strict is the one decoder: it refuses unknown and duplicate keys, tags, indefinite lengths, invalid
// UTF-8, NaN and infinities.
var Strict = decMode(cbor.ExtraDecErrorUnknownField)

// Tolerant is Strict except that unknown keys are passed over: for soft state that nobody signs or hashes,
// so that stations of different versions still see each other.
var Tolerant = decMode(cbor.ExtraDecErrorNone)

func encMode() cbor.EncMode {
	o := cbor.CoreDetEncOptions()
	o.Time = cbor.TimeRFC3339NanoUTC
	o.TagsMd = cbor.TagsForbidden
	m, err := o.EncMode()
	if err != nil {
		panic(err) // the options above are constants
	}
	return m
}

func decMode(extra cbor.ExtraDecErrorCond) cbor.DecMode {
	m, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: extra,
		UTF8:              cbor.UTF8RejectInvalid,
		NaN:               cbor.NaNDecodeForbidden,
		Inf:               cbor.InfDecodeForbidden,
		MaxNestedLevels:   maxNested,
		MaxArrayElements:  maxArray,
		MaxMapPairs:       maxPairs,
	}.DecMode()
	if err != nil {
		panic(err) // the options above are constants
	}
	return m
}
