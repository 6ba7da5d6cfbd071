package sim

import (
	"sync"
	"time"

	"hivemesh/alerts"
)

// Seq orders what clients saw: of two moments of the same virtual time the one that was first has the lower.
type Seq int64

// History is all that was seen of a county from outside while it ran, and what its stations held in the end.
// The checks read nothing else.
type History struct {
	Plan  *Plan
	Rules *alerts.Rules

	mu  sync.Mutex
	seq Seq

	Deeds   []Deed
	Pushes  []Push
	Links   []Link
	Walks   []Walk
	Samples []Sample
	Stops   []Span // stations that were not running
	Struck  []Span // faults as they took place

	Began  time.Time // the chaos
	Healed time.Time // everything whole and running
	Agreed time.Time // one record everywhere; zero: never
	Apart  string    // why not, while it was not so
	Ended  time.Time

	Final   map[alerts.StationID]Final
	Broken  []string // stations that could not be opened or closed, and why
	Leaked  int      // pieces on the wire between stations in which an alert's text could be read
	Carried int      // pieces that went between stations
	Most    Usage
	Rest    Rest
}

// Rest is what there is when all is quiet again.
type Rest struct {
	Goroutines map[string]int // by the function that each began with
	Procs      int            // how many run at once
	Devices    int            // that are connected
}

// Usage is the most that was seen of what must stay bounded.
type Usage struct {
	Goroutines, Files int
	Bytes             int64 // of one station's directory
}

// Span is something that lasted.
type Span struct {
	Kind     Kind
	Shape    string
	Stations []alerts.StationID
	Others   []alerts.StationID
	Share    float64
	From, To time.Time
	Bites    uint64 // how often it met something
}

func (s Span) over(from, to time.Time) bool { return s.From.Before(to) && from.Before(s.To) }

// Deed is one request of a client: a raise or any other.
type Deed struct {
	Client   string // the id its device gave it
	Person   alerts.PersonID
	Station  alerts.StationID
	Kind     alerts.Kind
	Incident alerts.IncidentID // of a raise: as answered
	Category string            // of a raise
	Place    alerts.Point      // of a raise: the centre of its grid
	Saw      *alerts.Hash

	From, To     time.Time
	Begin, End   Seq
	Died         bool // the station went down meanwhile
	Status       int  // 0: no answer
	Event        alerts.Hash
	Kept         Kept
	Code, Detail string // of a refusal
	Settled      Seq    // when the client knew what became of it in the record; 0: never told
}

// Kept is a claim of how an event is kept.
type Kept struct {
	Here     bool   `json:"here"`
	Near     int    `json:"near"`
	Recorded bool   `json:"recorded"`
	Index    uint64 `json:"index"`
}

// Promised reports whether the claim is one that obliges.
func (k Kept) Promised() bool { return k.Here || k.Near > 0 || k.Recorded }

// Push is one frame that a device got.
type Push struct {
	At       time.Time
	Seq      Seq
	Device   string
	Person   alerts.PersonID
	Station  alerts.StationID
	Type     string
	Incident alerts.IncidentID
	Wave     int
	Support  string
	Again    bool // a wave that sounds again: "search continues"
	Cell     alerts.CellID
	Cursor   string
	Status   alerts.Status
	Pending  bool     // the matter is shown as provisional
	Lines    []uint64 // recorded lines of the timeline, by index
	Fields   []string // what the frame tells of a matter
	Secret   bool     // the frame holds the note of an alert
	Event    alerts.Hash
	Kept     Kept
	Counts   alerts.Receipts
	Code     string
}

// Link is a device's connection to a station, from its welcome on.
type Link struct {
	Device  string
	Person  alerts.PersonID
	Station alerts.StationID
	From    time.Time
	To      time.Time // zero: to the end
}

// Walk is a person going to another place; before the first a person counts at home.
type Walk struct {
	Person alerts.PersonID
	At     time.Time
	To     alerts.Point
}

// Sample is what one station said of itself and the others.
type Sample struct {
	At      time.Time
	Station alerts.StationID
	Cell    alerts.CellID
	Fresh   bool // just opened
	Alive   []alerts.StationID
	Dead    []alerts.StationID
	Leader  alerts.StationID
	Leads   bool
	Epoch   uint64
	Index   uint64
	Chain   string
	Hash    alerts.Hash // of the fold; zero: not taken
}

// Final is what a station held in the end.
type Final struct {
	Cells map[alerts.CellID]Held
	Shown []*alerts.Incident
}

// Held is a cell's record at one station.
type Held struct {
	Entries []alerts.Entry
	Pending int
	Hash    alerts.Hash
	Bad     []string // entries whose signature does not hold, and why
}

// next is called with mu held.
func (h *History) next() Seq { h.seq++; return h.seq }

func (h *History) tick() Seq {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next()
}

func (h *History) deed(d Deed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Deeds = append(h.Deeds, d)
}

func (h *History) push(p Push) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.Seq = h.next()
	h.Pushes = append(h.Pushes, p)
	if p.Type == "kept" && p.Kept.Recorded || p.Type == "refused" {
		h.settle(p.Event, p.Seq)
	}
}

// settle notes when a client first knew what the record made of its event.
func (h *History) settle(event alerts.Hash, at Seq) {
	for k := range h.Deeds {
		if d := &h.Deeds[k]; d.Event == event && d.Settled == 0 {
			d.Settled = at
		}
	}
}

// raised is the incident of the n-th raise, if it is known by now.
func (h *History) raised(client string) (alerts.IncidentID, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.Deeds {
		if d.Client == client && d.Incident != "" {
			return d.Incident, true
		}
	}
	return "", false
}
