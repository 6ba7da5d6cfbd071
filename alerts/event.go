package alerts

import (
	"encoding/hex"
	"fmt"
	"time"
)

// Hash is a SHA-256 sum. The hash of an event's signed bytes is its name.
type Hash [32]byte

// IsZero reports whether h names nothing.
func (h Hash) IsZero() bool { return h == Hash{} }

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Short is h's first eight hex digits, for logs and for people.
func (h Hash) Short() string { return hex.EncodeToString(h[:4]) }

// MarshalText writes h as 64 hex digits, or as nothing when it is zero.
func (h Hash) MarshalText() ([]byte, error) {
	if h.IsZero() {
		return []byte{}, nil
	}
	return []byte(h.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (h *Hash) UnmarshalText(text []byte) error {
	*h = Hash{}
	if len(text) == 0 {
		return nil
	}
	if len(text) != 2*len(h) {
		return fmt.Errorf("event name: want %d hex digits, got %d characters", 2*len(h), len(text))
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("event name: %w", err)
	}
	return nil
}

// StationID names a station for life: a slug and a random ending, as its certificate states it.
type StationID string

// CellID names a cell.
type CellID string

// PersonID names a person of the directory.
type PersonID string

// IncidentID is a UUID in its text form; derived from (person or device, client's id), so the same alert
// sent to two stations is one incident.
type IncidentID string

// Event is one immutable fact or decision about an incident. ID and Raw are not part of the signed
// bytes: the codec fills them.
type Event struct {
	ID  Hash   `cbor:"-"`
	Raw []byte `cbor:"-"` // the envelope as received: signatures and hashes cover these bytes

	Station  StationID  // who made and signed it
	Cell     CellID     // the cell it was signed for
	Incident IncidentID //
	Prev     []Hash     // its predecessors within the incident; empty for Raised, and for what needs none
	Saw      Hash       // decisions: the last accepted decision on the same field that the maker saw
	Actor    PersonID   // who did it; empty when the station itself did (waves, receipts)
	Kind     Kind
	At       time.Time // as told by the maker's clock; shown, never believed for order
	Body     Body
	Client   string // the id the actor's device gave this deed: the same one twice is one deed
	Sealed   []byte // fields only trusted stations may read; empty until used
}

// Name says who acted, for logs: never a person's name.
func (e Event) Name() string { return string(e.Kind) + " " + e.ID.Short() }

// Ref points at an event and says who made it and when, so that a loser can be told.
type Ref struct {
	Event Hash      `cbor:"1,keyasint" json:"event"`
	By    PersonID  `cbor:"2,keyasint" json:"by"`
	At    time.Time `cbor:"3,keyasint" json:"at"` // the leader's time
	Kind  Kind      `cbor:"4,keyasint" json:"kind"`
}

// Standing is what the judge knows of an event's maker: the roles of its actor and the kind of the
// station that signed it, by which version of the rules.
type Standing struct {
	Roles   []Role      `cbor:"1,keyasint" json:"roles"`
	Kind    StationKind `cbor:"2,keyasint" json:"station_kind"`
	Version uint64      `cbor:"3,keyasint" json:"policy"`
}

// Verdict is the leader's one judgement of an event.
type Verdict struct {
	Code    Code     `cbor:"1,keyasint" json:"code"` // Accepted, or why not
	Lost    *Ref     `cbor:"2,keyasint,omitempty" json:"lost,omitempty"`
	Missing []string `cbor:"3,keyasint,omitempty" json:"missing,omitempty"` // Lacking: what the category asks for
}

// Accepted reports whether the event counts.
func (v Verdict) Accepted() bool { return v.Code == Accepted }

// Code says why an event does not count. Two of them never reach the record: Duplicate and Parked.
type Code string

// The codes of a verdict.
const (
	Accepted  Code = "accepted"
	Duplicate Code = "duplicate"  // already in the record: invisible
	Parked    Code = "parked"     // its raising event is missing: neither recorded nor refused
	Stale     Code = "stale"      // another decision on the same field came first (Lost)
	Followed  Code = "followed"   // decided upon a refused decision (Lost)
	Stands    Code = "stands"     // this wave was already decided (Lost)
	Busy      Code = "busy"       // the person is assigned to another open incident (Lost)
	Ended     Code = "ended"      // the move is not possible from the incident's state (Lost: what ended it)
	NotOpen   Code = "not_open"   // the table of moves does not allow it from the present state
	Forbidden Code = "forbidden"  // this role, at this kind of station, may not do it
	WrongCell Code = "wrong_cell" // signed for a cell other than the incident's
	Forwarded Code = "forwarded"  // the matter is another cell's by now, which judges it (Lost: the transfer)
	Conflict  Code = "conflict"   // the same incident id with another body (Lost: the first)
	Same      Code = "same"       // the same alert or deed again, by another station (Lost: the first)
	Lacking   Code = "lacking"    // the category asks for more before this (Missing)
	Involved  Code = "involved"   // who handled a matter may not check it or call after it, nor the same one check twice (Lost: his part)
	Unknown   Code = "unknown"    // a kind this version does not know
)

// Entry is one step of a cell's record.
type Entry struct {
	Epoch   uint64
	Index   uint64 // counts events, not raft entries; from 1
	Event   Event
	Verdict Verdict
	At      time.Time // the leader's
	By      Standing
	Chain   Hash // SHA-256 over the previous entry's Chain and this entry's bytes
}
