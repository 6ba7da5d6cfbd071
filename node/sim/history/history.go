// Package history holds what the clients of a county under test did, saw and were told, and checks it against
// what stands at every station once everything has healed. The simulation in virtual time and the harness
// with real processes share it. It never starts, asks or times anything. The one rule: a check reads only
// what clients observed and what stations show; it never asks the code under test who is right.
package history

import (
	"fmt"
	"time"

	"hivemesh/alerts"
)

// Told is the highest guarantee a client was ever told for an event: by an answer or by a later frame.
type Told struct {
	Here     bool
	Near     int // other stations that keep it
	Recorded bool
	Index    uint64 // in the record; 0 unless Recorded
}

// Acknowledged reports whether somebody promised to keep the event.
func (t Told) Acknowledged() bool { return t.Here || t.Near > 0 || t.Recorded }

// Level names the highest guarantee: recorded, near, here, or none.
func (t Told) Level() string {
	switch {
	case t.Recorded:
		return "recorded"
	case t.Near > 0:
		return "near"
	case t.Here:
		return "here"
	}
	return "none"
}

// Raise is one alert of a client, over all of its tries: a client repeats one with the same id until it is answered.
type Raise struct {
	Client   string // the client's own id of the alert, unique in the run; it also stands in the alert's note
	Station  alerts.StationID
	Began    time.Time // of the first try
	Incident alerts.IncidentID
	Event    alerts.Hash // zero: never answered
	Told     Told
}

// Deed is one decision of a client about an incident.
type Deed struct {
	Client   string
	Incident alerts.IncidentID
	Kind     alerts.Kind
	Saw      alerts.Hash // the decision on the same field that its maker saw; zero: none
	Began    time.Time   // of the asking
	Settled  time.Time   // when its maker knew what became of it in the record; zero: never told
	Event    alerts.Hash // zero: the answer named none
	Told     Told
	Won      bool            // told that it stands on the record and counts
	Refused  alerts.Code     // told that it does not count, and why; empty: not told so
	LostTo   alerts.PersonID // who was named as the winner
}

// Sound is one alarm that a device sounded for.
type Sound struct {
	Device    string
	Incident  alerts.IncidentID
	Wave      int
	Support   alerts.Hash // zero: an alarm, not a call for support
	Continues bool        // "search continues": meant to sound again
	Station   alerts.StationID
	At        time.Time
}

// Read is how far an incident's record reached in one frame that a device was shown.
type Read struct {
	Device   string
	Incident alerts.IncidentID
	Index    uint64 // of the last recorded line shown
	Closed   bool   // the record had closed it
	Station  alerts.StationID
}

// History is all that clients observed, each list in the order of observation.
type History struct {
	Raises []Raise
	Deeds  []Deed
	Sounds []Sound
	Reads  []Read
}

// Standing is what one station shows when all is quiet.
type Standing struct {
	Station   alerts.StationID
	Epoch     uint64
	Index     uint64
	Chain     string
	Fold      string // hash of the folded state
	Pending   int
	Incidents map[alerts.IncidentID]Incident
}

// Incident is a matter as a station shows it to those who see it in full.
type Incident struct {
	Client      string // the client's id, read back from the note
	Provisional bool
	Status      alerts.Status
	Rings       []float64 // metres, of its waves in order
	Lines       []Line
}

// Line is one event of an incident's history.
type Line struct {
	Event   alerts.Hash
	Index   uint64 // 0: not on the record
	Kind    alerts.Kind
	Verdict alerts.Code
	Lost    alerts.Hash // the decision that it was refused for; zero: none
	By      alerts.PersonID
	Station alerts.StationID // that signed it
	Client  string           // of a decision: the deed it came from; it stands in the decision's words
}

func (i Incident) line(event alerts.Hash) (Line, bool) {
	for _, l := range i.Lines {
		if l.Event == event {
			return l, true
		}
	}
	return Line{}, false
}

// Violation is a promise that was broken.
type Violation struct {
	Check string
	What  string
}

func (v Violation) String() string { return v.Check + ": " + v.What }

// finding gathers the violations of one check.
type finding struct {
	check string
	list  []Violation
}

func (f *finding) add(format string, a ...any) {
	f.list = append(f.list, Violation{Check: f.check, What: fmt.Sprintf(format, a...)})
}
