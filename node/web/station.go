package web

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"hivemesh/alerts"
)

// Station is all that the HTTP API and the hub need of the station they stand in. Package node
// implements it. No method blocks longer than it says; incidents handed out are never changed.
type Station interface {
	// Self describes this station; Stations every station known, dead ones included, Self first.
	Self() StationInfo
	Stations() []StationInfo
	PlaceOf(alerts.StationID) *alerts.Point // where a station is, or was before it went for good; nil: not known
	Mesh() MeshInfo
	// Fold is the hash of what a cell's record folds to here; it takes a pass over all of the cell's matters.
	Fold(alerts.CellID) alerts.Hash

	// Rules, People and Person read the tables in force.
	Rules() *alerts.Rules
	People() []alerts.Person
	Person(alerts.PersonID) (alerts.Person, bool)
	// Locate turns a place given in words into one with a point and radius; *GridError lists the known grids.
	Locate(alerts.Place) (alerts.Place, error)
	// Territory is the schematic ground: grids and landmarks.
	Territory() Territory

	// Incident and Incidents are what this station shows: the record and, on top, what is pending.
	Incident(alerts.IncidentID) (*alerts.Incident, bool)
	Incidents() []*alerts.Incident
	// Cursor is the position of a cell's record that what Incidents returns includes.
	Cursor(alerts.CellID) Cursor
	// Cells are the cells this station follows.
	Cells() []alerts.CellID

	// CellViews are the county's cells by the directory, the home cell first.
	CellViews() []CellView
	// Govern makes a decision about the county itself; its errors are those of Do. What it decides begins when
	// it is recorded.
	Govern(ctx context.Context, by alerts.Subject, clientID string, b alerts.Body) (Taken, error)

	// Raise makes and keeps a raising event; Do any other. Both answer within KeepWait: what the fsync had
	// not finished by then is "not kept yet". A nil error means that the event is spreading. Errors:
	// *Refusal (the rules say no, with whom it lost to), ErrUnknownIncident, ErrNotKept (neither kept here
	// nor sent to anybody).
	Raise(ctx context.Context, by alerts.Subject, clientID string, r alerts.Raised) (Taken, error)
	Do(ctx context.Context, by alerts.Subject, in alerts.IncidentID, clientID string, saw *alerts.Hash, b alerts.Body) (Taken, error)
	// Kept says how an event is kept now; false when this station does not know it.
	Kept(alerts.Hash) (Kept, bool)

	// Watch calls f on every change, in order, until the returned stop is called. f must not block.
	Watch(f func(Change)) (stop func())
	// Reached counts devices at this station for a wave, cumulative: soft state for the receipts of all. Wave
	// 0 stands for the incident's calls for support. A device that was sent the alarm elsewhere and opened it
	// here counts as sent there and as opened here, so that sums over stations are right.
	Reached(in alerts.IncidentID, wave int, n Counts)
	// Receipts sums the counts of all stations for a wave.
	Receipts(in alerts.IncidentID, wave int) Counts
	// Moved says where a person on duty is (nil: nowhere any more). Soft state, sent to stations that watch.
	Moved(p alerts.PersonID, at *Position)
	// Positions are the latest known of people everywhere; Looking says whether anyone here wants them.
	Positions() []Position
	Looking(bool)

	// Sign and Verify make and check a session token that any station of the county accepts.
	Sign(payload []byte) (token string, err error)
	Verify(token string) (payload []byte, by alerts.StationID, err error)

	// Ready says why this station is not ready to serve, or nil.
	Ready() error
	// Warnings are what whoever watches this station should look into although it is ready.
	Warnings() []string
}

// KeepWait is how long a raise waits for the fsync before it answers "not kept yet" (400 ms, so
// that the whole answer stays under the promised 500).
const KeepWait = 400 * time.Millisecond

// StationInfo is one station as GET /v1/stations shows it.
type StationInfo struct {
	ID       alerts.StationID   `json:"id"`
	Name     string             `json:"name"`
	Kind     alerts.StationKind `json:"kind"`
	Cell     alerts.CellID      `json:"cell"`
	Township string             `json:"township"`
	Place    *alerts.Point      `json:"place,omitempty"`
	URL      string             `json:"url"` // where its pages and API are, e.g. http://127.0.0.1:8081
	Alive    bool               `json:"alive"`
	Self     bool               `json:"self"`
	SeenAt   time.Time          `json:"seen_at"` // when gossip last changed its mind
}

// MeshInfo is the state of the mesh as this station sees it.
type MeshInfo struct {
	Station alerts.StationID `json:"station"`
	Version string           `json:"version"`
	PID     int              `json:"pid"`
	Members []MeshMember     `json:"members"`
	Cells   []MeshCell       `json:"cells"`
	Disk    MeshDisk         `json:"disk"`
	Gone    []MeshGone       `json:"gone"` // stations that are of the county no longer
	Key     MeshKey          `json:"gossip_key"`
	Traffic []MeshTraffic    `json:"traffic"` // over the mesh port, by protocol
}

// MeshDisk is how this station's disk stands.
type MeshDisk struct {
	Level   string `json:"level"`           // roomy, low, shed (positions and small log lines go), yielding (it leads no record)
	Free    uint64 `json:"free"`            // bytes
	Ballast bool   `json:"ballast"`         // there is still something to throw out
	Failed  uint64 `json:"failed"`          // writes that failed since the start
	Error   string `json:"error,omitempty"` // why what is raised here does not reach the disk now
}

// MeshGone is a station that nobody is to meet any more.
type MeshGone struct {
	Station alerts.StationID `json:"station"`
	Name    string           `json:"name"`
	Why     string           `json:"why" enum:"expelled,replaced,left"`
	At      alerts.Stamp     `json:"at" doc:"by the clock of whoever said so"`
	Entry   uint64           `json:"entry,omitempty" doc:"of the home cell's record, where an expulsion is noted; absent: not yet"`
}

// MeshKey is the generation of the key that gossip is encrypted with, as this station has it.
type MeshKey struct {
	Generation uint64 `json:"generation"`
	Entry      uint64 `json:"entry,omitempty" doc:"of the home cell's record, where the change is noted; absent for the first, or not yet"`
}

// MeshTraffic is what one protocol takes of the station's links: TLS included, TCP's and IP's headers not.
type MeshTraffic struct {
	Protocol string  `json:"protocol"`
	In       uint64  `json:"in"`   // bytes since the station started
	Out      uint64  `json:"out"`  // likewise
	Rate     float64 `json:"rate"` // bytes a second, both directions, over the last minute
}

// MeshMember is one station in the gossip pool.
type MeshMember struct {
	Station alerts.StationID `json:"station"`
	Name    string           `json:"name"`
	Alive   bool             `json:"alive"`
	Mesh    string           `json:"mesh"` // host:port of the mesh port
	HTTP    string           `json:"http"`
	PID     int              `json:"pid"`
}

// MeshCell is one cell's record at this station.
type MeshCell struct {
	Cell    alerts.CellID      `json:"cell"`
	Role    string             `json:"role"` // leader, voter or follower
	Leader  alerts.StationID   `json:"leader"`
	Voters  []alerts.StationID `json:"voters"`
	Epoch   uint64             `json:"epoch"`
	Index   uint64             `json:"index"`
	Chain   string             `json:"chain"` // hash of the chain's head, hex
	Lag     uint64             `json:"lag"`   // entries behind the highest index heard of
	Source  alerts.StationID   `json:"source,omitempty"`
	Depth   int                `json:"depth"` // stations between here and the leader, this one included; -1: no leader feeds it
	Feeds   int                `json:"feeds"` // stations that follow this one
	Pending int                `json:"pending"`
	Fold    string             `json:"fold,omitempty"`  // hash of the folded state, hex; only when asked for
	Error   string             `json:"error,omitempty"` // why the record stands still here
}

// Cursor is a place in one cell's record: up to it everything is shown. Matters that were made anew before others
// may have shown more already, up to the entry Seen; 0: they have not.
type Cursor struct {
	Epoch, Index uint64
	Seen         uint64
}

// Kept says which guarantee holds for an event now.
type Kept struct {
	Here     bool   `json:"here"`     // fsynced at this station
	Near     int    `json:"near"`     // other stations that said they fsynced it
	Recorded bool   `json:"recorded"` // in the cell's record
	Index    uint64 `json:"index,omitempty"`

	Refused alerts.Code `json:"refused,omitempty" doc:"on the record, and does not count: why"`
}

// Counts reports whether the event is on the record and counts there.
func (k Kept) Counts() bool { return k.Recorded && k.Refused == "" }

// Taken is the answer to a raise or a deed.
type Taken struct {
	Incident alerts.IncidentID `json:"incident"`
	Event    alerts.Hash       `json:"event"`
	Kept     Kept              `json:"kept"`
	Sent     int               `json:"sent"`  // stations it was sent to so far
	Again    bool              `json:"again"` // the same client id before: nothing new was made
}

// Counts are devices by receipt state, each including the ones after it.
type Counts struct {
	Sent     int `json:"sent"`
	Reached  int `json:"reached"`
	Opened   int `json:"opened"`
	Released int `json:"released"`
}

// Position is where a person is.
type Position struct {
	Person alerts.PersonID `json:"person"`
	Point  alerts.Point    `json:"place"`
	At     time.Time       `json:"at"`
	Step   alerts.Kind     `json:"step,omitempty"` // latest answer to the open matter the person works on
}

// Change is one thing that happened at this station. Exactly one field group is set.
type Change struct {
	Incident *alerts.Incident // its new view; Cursor is where the record stood
	Cursor   Cursor
	Urgent   bool // the alarm lane changed it: it may sound, and goes before what waits

	Event alerts.Hash // how this event is kept changed
	Kept  Kept

	Refused *Refusal // an event made here lost; Event names it

	Wave     int // receipts of this wave of Incident (only its ID is set) changed
	Counts   Counts
	Counted  alerts.IncidentID
	Stations bool // the list of stations changed
}

// Refusal tells why an event does not count, and to whom it lost.
type Refusal struct {
	Event    alerts.Hash
	Incident alerts.IncidentID
	Code     alerts.Code
	Lost     *alerts.Ref
	Reason   string // which rule, who could do it, what is missing
	Missing  []string
}

func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Reason }

// ErrUnknownIncident says that this station does not know the incident (yet).
var ErrUnknownIncident = errors.New("this station knows no such incident")

// ErrLeaving says that the station is in its last seconds: nothing that is made here now would reach the others.
var ErrLeaving = errors.New("this station is leaving its county for good and takes nothing any more")

// ErrNotKept says that an event was neither kept here nor sent to anybody: the one case in which a raise
// fails for reasons of the station itself.
var ErrNotKept = errors.New("neither kept here nor sent to any other station")

// GridError refuses a place in words that names no known grid.
type GridError struct {
	Grid  string
	Known []string // ids of the grids there are
}

func (e *GridError) Error() string {
	return fmt.Sprintf("no grid %q; known are %s", e.Grid, strings.Join(e.Known, ", "))
}

// Territory is the schematic ground that the maps draw.
type Territory struct {
	Grids     []Grid     `json:"grids"`
	Landmarks []Landmark `json:"landmarks"`
	Note      string     `json:"note"` // says that positions are schematic
}

// Grid is one grid (网格) of a township: a centre and a radius in metres.
type Grid struct {
	ID       string       `json:"id"`
	Name     string       `json:"name"`
	Township string       `json:"township"`
	Place    alerts.Point `json:"place"`
	Radius   float64      `json:"radius"`
}

// Landmark is a named spot that people use to say where something is.
type Landmark struct {
	Name  string       `json:"name"`
	Kind  string       `json:"kind,omitempty"` // school, road, bridge …
	Place alerts.Point `json:"place"`
}
