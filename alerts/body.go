package alerts

import "time"

// Body is what an event of one kind says. Every body is a plain struct with integer CBOR keys, so that a
// new kind is a new struct and a row in the table of moves, and nothing else.
type Body interface{ Kind() Kind }

// Place is where something is: WGS-84 degrees, or a grid with words ("村西头"), or both. A station that
// takes a place given in words fills in the grid's centre and radius before it signs.
type Place struct {
	Point  *Point  `cbor:"1,keyasint,omitempty" json:"point,omitempty"`
	Grid   string  `cbor:"2,keyasint,omitempty" json:"grid,omitempty"`
	Words  string  `cbor:"3,keyasint,omitempty" json:"words,omitempty"`
	Radius float64 `cbor:"4,keyasint,omitempty" json:"radius,omitempty"` // metres of uncertainty
}

// Source is how a matter came in.
type Source string

// The sources of a matter.
const (
	FromKiosk   Source = "kiosk"
	FromPatrol  Source = "patrol"
	FromPhone   Source = "phone"   // taken by a dispatcher on the telephone
	FromCounter Source = "counter" // taken by a dispatcher at the counter
)

// Raised opens an incident and is its first wave: ring, wanted number and grade were taken from the
// category table by the raising station and travel in the event, so that nobody waits for a leader.
type Raised struct {
	Category string  `cbor:"1,keyasint" json:"category"`
	Grade    Grade   `cbor:"2,keyasint" json:"grade"`
	Place    Place   `cbor:"3,keyasint" json:"place"`
	Note     string  `cbor:"4,keyasint,omitempty" json:"note,omitempty"`
	Source   Source  `cbor:"5,keyasint" json:"source"`
	Outside  string  `cbor:"6,keyasint,omitempty" json:"outside_number,omitempty"` // e.g. 110's number
	Drill    bool    `cbor:"7,keyasint,omitempty" json:"drill,omitempty"`
	Silent   bool    `cbor:"8,keyasint,omitempty" json:"silent,omitempty"` // coercion: no sound or light at the raising station
	Ring     float64 `cbor:"9,keyasint" json:"ring"`                       // metres of wave 1; 0: no alarm
	Wanted   int     `cbor:"10,keyasint" json:"wanted"`                    // responders wanted
	Card     Card    `cbor:"11,keyasint" json:"card"`
}

// Card is the clue card: all that the public side may know.
type Card struct {
	What string `cbor:"1,keyasint" json:"what"`
	Do   string `cbor:"2,keyasint,omitempty" json:"do,omitempty"`
	Dont string `cbor:"3,keyasint,omitempty" json:"dont,omitempty"`
}

// EmergencyCalled records that 110 (or 119, 120) was called, and its number.
type EmergencyCalled struct {
	Service string `cbor:"1,keyasint" json:"service"`
	Number  string `cbor:"2,keyasint,omitempty" json:"number,omitempty"` // the service's own case number
}

// Registered takes a matter on (受理), or declares it void with a reason (不予受理).
type Registered struct {
	Void   bool   `cbor:"1,keyasint,omitempty" json:"void,omitempty"`
	Reason string `cbor:"2,keyasint,omitempty" json:"reason,omitempty"`
}

// Graded sets how bad it is.
type Graded struct {
	Grade  Grade  `cbor:"1,keyasint" json:"grade"`
	Reason string `cbor:"2,keyasint,omitempty" json:"reason,omitempty"`
}

// Waved widens an alarm. Waves are named (incident, number); the first one recorded stands.
type Waved struct {
	Number    int     `cbor:"1,keyasint" json:"wave"`
	Ring      float64 `cbor:"2,keyasint" json:"ring"`                          // metres around the incident's place; CountyRing: everybody
	Continues bool    `cbor:"3,keyasint,omitempty" json:"continues,omitempty"` // "search continues": sounds again for all
	Wide      bool    `cbor:"4,keyasint,omitempty" json:"wide,omitempty"`      // a dispatcher lifted the police-only rule
	Reason    string  `cbor:"5,keyasint,omitempty" json:"reason,omitempty"`
}

// Receipts are one station's cumulative counts of devices for one wave; of several the later stands.
type Receipts struct {
	Wave     int `cbor:"1,keyasint" json:"wave"`
	Sent     int `cbor:"2,keyasint" json:"sent"`
	Reached  int `cbor:"3,keyasint" json:"reached"`
	Opened   int `cbor:"4,keyasint" json:"opened"`
	Released int `cbor:"5,keyasint,omitempty" json:"released,omitempty"`
}

// Responded is a responder's own step: accepted, declined, en route, on scene or released, by Step.
type Responded struct {
	Step   Kind   `cbor:"1,keyasint" json:"-"`
	Reason string `cbor:"2,keyasint,omitempty" json:"reason,omitempty"` // declined: why
	At     *Place `cbor:"3,keyasint,omitempty" json:"place,omitempty"`
}

// SupportRequested (需要支援) sounds at all police roles and dispatch above every alarm.
type SupportRequested struct {
	Words string `cbor:"1,keyasint,omitempty" json:"words,omitempty"`
	Place *Place `cbor:"2,keyasint,omitempty" json:"place,omitempty"`
}

// Clue is a sighting, or "not seen here", with place and time.
type Clue struct {
	Seen    bool      `cbor:"1,keyasint" json:"seen"`
	Place   Place     `cbor:"2,keyasint" json:"place"`
	SeenAt  time.Time `cbor:"3,keyasint" json:"seen_at"`
	Words   string    `cbor:"4,keyasint,omitempty" json:"words,omitempty"`
	Heading string    `cbor:"5,keyasint,omitempty" json:"heading,omitempty"` // one of eight compass points, as n, ne, e …
}

// CardUpdated replaces the clue card.
type CardUpdated struct {
	Card Card `cbor:"1,keyasint" json:"card"`
}

// Assigned sends a person to the incident.
type Assigned struct {
	Person PersonID `cbor:"1,keyasint" json:"person"`
	Words  string   `cbor:"2,keyasint,omitempty" json:"words,omitempty"`
}

// Note is a free remark for those who work the matter.
type Note struct {
	Words string `cbor:"1,keyasint" json:"words"`
}

// CancelRequested asks a dispatcher to cancel (误报); nothing is deleted.
type CancelRequested struct {
	Reason string `cbor:"1,keyasint,omitempty" json:"reason,omitempty"`
}

// Resolved ends the work with a code and what proves it.
type Resolved struct {
	Code     string     `cbor:"1,keyasint" json:"code"`
	Words    string     `cbor:"2,keyasint,omitempty" json:"words,omitempty"`
	Evidence []Evidence `cbor:"3,keyasint,omitempty" json:"evidence,omitempty"`
}

// Cancelled ends a matter that was raised in error.
type Cancelled struct {
	Reason string `cbor:"1,keyasint" json:"reason"`
}

// StoodDown ends the alarm for those who were called, while the matter itself may go on.
type StoodDown struct {
	Reason string `cbor:"1,keyasint,omitempty" json:"reason,omitempty"`
}

// Foreign is the body of a kind this version does not know: relayed unread.
type Foreign struct {
	Name Kind
	Raw  []byte
}
