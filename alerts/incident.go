package alerts

import "time"

// Status is how far a matter has come.
type Status string

// The statuses, in their order. A fact or a decision moves an incident forward; only three things move it back:
// who was sent returns it, the check fails, the public is not satisfied.
const (
	StatusReported   Status = "reported"
	StatusRegistered Status = "registered"
	StatusGraded     Status = "graded"
	StatusReturned   Status = "returned" // to be dispatched anew
	StatusReopened   Status = "reopened" // to be dispatched anew, and checked by somebody else
	StatusDispatched Status = "dispatched"
	StatusHandling   Status = "handling"
	StatusResolved   Status = "resolved"
	StatusVoid       Status = "void"
	StatusCancelled  Status = "cancelled"
	StatusMerged     Status = "merged" // worked on as another matter
	StatusVerified   Status = "verified"
	StatusFollowedUp Status = "followed_up"
	StatusJudged     Status = "judged"
	StatusArchived   Status = "archived"
)

// rank orders the statuses; 0 is none.
func (s Status) rank() int {
	switch s {
	case StatusReported:
		return 1
	case StatusRegistered:
		return 2
	case StatusGraded, StatusReturned, StatusReopened:
		return 3
	case StatusDispatched:
		return 4
	case StatusHandling:
		return 5
	case StatusResolved, StatusVoid, StatusCancelled, StatusMerged:
		return closedRank
	case StatusVerified:
		return 7
	case StatusFollowedUp:
		return 8
	case StatusJudged:
		return 9
	case StatusArchived:
		return 10
	}
	return 0
}

const closedRank = 6

// Closed reports whether the work on the matter is over. Checking, calling and judging come after.
func (s Status) Closed() bool { return s.rank() >= closedRank }

// Incident is what the events about one matter add up to. Once published it is never changed: Apply and
// Look work on a copy, so any number of readers may hold one.
type Incident struct {
	ID       IncidentID
	Cell     CellID
	Station  StationID // that raised it
	RaisedBy PersonID
	RaisedAt time.Time // as told by the raising station's clock
	First    Hash      // the raising event
	Raised   Raised    // as raised; Grade and Card below are the present ones

	Status    Status
	Grade     Grade
	Card      Card
	Waves     []Wave // by number; wave 1 is the raising event
	Answers   map[PersonID]Answer
	Assigned  []Assignment
	Receipts  map[StationID]map[int]Receipts // by station and wave
	Support   []Support
	Called    []EmergencyCalled
	Latest    map[Field]Ref // the last accepted decision on each field: what the next one must have seen
	Ended     *Ref          // what ended the alarm: stood down, resolved, cancelled or void
	Refused   []Ref         // refused decisions that would have ended the alarm, until a wave "continues"
	CancelAsk *Ref          // an unanswered request to cancel
	MovedTo   CellID        `json:",omitempty"` // not empty: it is that cell's by now
	Moved     *Ref          `json:",omitempty"` // by this
	Heads     []Hash        // events that no other event names yet: the predecessors of the next one

	Course

	Carried    map[CellID]uint64 `json:",omitempty"` // how far other cells' entries of it were taken over
	HandedOver uint64            `json:",omitempty"` // how far the cell it moved to has it

	Log []Line // everything that happened, in order; provisional lines last
}

// Line is one step of an incident's history.
type Line struct {
	Entry               // Index 0 while it is not in the record
	Provisional bool    // pending: shown, not yet recorded
	Origin      *Origin `json:",omitempty"` // it was carried here from another cell
}

// Provisional reports whether any of what i shows is not yet in the record.
func (i *Incident) Provisional() bool { return len(i.Log) > 0 && i.Log[len(i.Log)-1].Provisional }

// Wave is one widening of an alarm.
type Wave struct {
	Number      int
	Ring        float64 // metres; CountyRing: everybody
	Continues   bool    // sounds again for all who heard an earlier one
	Wide        bool    // the category's police-only rule is lifted
	Event       Hash
	By          PersonID // empty: by a station's own rule
	At          time.Time
	Provisional bool
}

// Answer is the latest step of one responder.
type Answer struct {
	Step        Kind // accepted, declined, en_route, on_scene or released
	Reason      string
	At          time.Time
	Event       Hash
	Provisional bool
}

// Coming reports whether the responder counts towards the wanted number.
func (a Answer) Coming() bool {
	return a.Step == KindAccepted || a.Step == KindEnRoute || a.Step == KindOnScene
}

// Assignment is a person sent to the incident by a dispatcher.
type Assignment struct {
	Person      PersonID
	Words       string
	By          PersonID
	At          time.Time
	Event       Hash
	Provisional bool
}

// Support is a responder's call for help; it sounds above every alarm at all police roles and dispatch.
type Support struct {
	Event       Hash
	By          PersonID
	Words       string
	Place       *Place
	At          time.Time
	Provisional bool
}
