package alerts

import (
	"cmp"
	"slices"
	"time"
)

// Stamp is a time as the API writes it: RFC 3339 in UTC with milliseconds.
type Stamp time.Time

// MarshalJSON always writes three digits of milliseconds.
func (s Stamp) MarshalJSON() ([]byte, error) {
	return time.Time(s).UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`), nil
}

// UnmarshalJSON reads any RFC 3339 time.
func (s *Stamp) UnmarshalJSON(b []byte) error { return (*time.Time)(s).UnmarshalJSON(b) }

// Shown is an incident as one class of people may see it. What the class may not know is absent.
type Shown struct {
	ID          IncidentID  `json:"id"`
	Cell        CellID      `json:"cell" doc:"whose record it is in"`
	MovedTo     CellID      `json:"moved_to,omitempty" doc:"the cell it is going to, until that has it"`
	Category    string      `json:"category"`
	Grade       Grade       `json:"grade"`
	Status      Status      `json:"status"`
	Place       Place       `json:"place"`
	Card        Card        `json:"card"`
	Drill       bool        `json:"drill"`
	RaisedAt    Stamp       `json:"raised_at"`
	Provisional bool        `json:"provisional" doc:"something of what is shown is not yet in the record"`
	Alarm       ShownAlarm  `json:"alarm"`
	Waves       []ShownWave `json:"waves"`
	Wanted      int         `json:"wanted"`
	Coming      int         `json:"coming"`
	OnScene     int         `json:"on_scene"`
	Mine        *ShownMine  `json:"mine,omitempty" doc:"the viewer's own part in it"`

	*ShownFull   // people who work the matter; nil for the public side
	*ShownCourse // the same people, and in part whoever was sent to handle it
}

// ShownFull is what only those who work the matter see.
type ShownFull struct {
	Silent     bool              `json:"silent,omitempty"`
	Note       string            `json:"note,omitempty"`
	Source     Source            `json:"source,omitempty"`
	Outside    string            `json:"outside_number,omitempty"`
	RaisedBy   PersonID          `json:"raised_by,omitempty"`
	Station    StationID         `json:"station,omitempty"`
	Called     []EmergencyCalled `json:"called,omitempty"`
	Answers    []ShownAnswer     `json:"answers,omitempty"`
	Assigned   []ShownAssignment `json:"assigned,omitempty"`
	Support    []ShownSupport    `json:"support,omitempty"`
	CancelAsk  *ShownRef         `json:"cancel_asked,omitempty"`
	Continuing bool              `json:"end_refused,omitempty" doc:"an end was refused: the search continues"`
	Latest     map[Field]Hash    `json:"latest,omitempty" doc:"by field, the decision that the next one names in saw"`
	Timeline   []ShownLine       `json:"timeline,omitempty"`
}

// ShownAlarm says whether the incident is being announced, and what ended that.
type ShownAlarm struct {
	Open      bool   `json:"open"`
	EndedAt   *Stamp `json:"ended_at,omitempty"`
	EndedKind Kind   `json:"ended_by_kind,omitempty"`
}

// ShownWave is one widening; Ring in metres.
type ShownWave struct {
	Number      int     `json:"number"`
	Ring        float64 `json:"ring" doc:"metres"`
	At          Stamp   `json:"at"`
	Continues   bool    `json:"continues,omitempty"`
	Wide        bool    `json:"wide,omitempty"`
	Provisional bool    `json:"provisional,omitempty"`
}

// ShownMine is the viewer's own part: never anybody else's.
type ShownMine struct {
	Raised   bool   `json:"raised,omitempty"`
	Rated    bool   `json:"rated,omitempty" doc:"the viewer raised it, and his verdict is there"`
	Assigned bool   `json:"assigned,omitempty"`
	Step     Kind   `json:"step,omitempty" enum:"accepted,declined,en_route,on_scene,released"`
	Reason   string `json:"reason,omitempty"`
	At       *Stamp `json:"at,omitempty"`

	Note string `json:"note,omitempty" doc:"what was told, for whoever was sent to handle a matter of everyday"`

	Appointment *ShownAppointment `json:"appointment,omitempty"`
}

// ShownAnswer is one responder's latest step.
type ShownAnswer struct {
	Person      PersonID `json:"person"`
	Step        Kind     `json:"step" enum:"accepted,declined,en_route,on_scene,released"`
	Reason      string   `json:"reason,omitempty"`
	At          Stamp    `json:"at"`
	Provisional bool     `json:"provisional,omitempty"`
}

// ShownAssignment is one person sent.
type ShownAssignment struct {
	Person      PersonID `json:"person"`
	Words       string   `json:"words,omitempty"`
	By          PersonID `json:"by"`
	At          Stamp    `json:"at"`
	Provisional bool     `json:"provisional,omitempty"`
}

// ShownSupport is one call for support.
type ShownSupport struct {
	Event       Hash     `json:"event"`
	By          PersonID `json:"by"`
	Words       string   `json:"words,omitempty"`
	Place       *Place   `json:"place,omitempty"`
	At          Stamp    `json:"at"`
	Provisional bool     `json:"provisional,omitempty"`
}

// ShownRef points at an event.
type ShownRef struct {
	Event Hash     `json:"event"`
	By    PersonID `json:"by"`
	At    Stamp    `json:"at"`
	Kind  Kind     `json:"kind"`
}

// ShownLine is one line of the history.
type ShownLine struct {
	Event       Hash      `json:"event"`
	Index       uint64    `json:"index,omitempty" doc:"in the cell's record; absent while provisional"`
	From        CellID    `json:"from,omitempty" doc:"the cell whose record it was carried over from"`
	Kind        Kind      `json:"kind"`
	By          PersonID  `json:"by,omitempty" doc:"absent: the station itself"`
	Station     StationID `json:"station"`
	At          Stamp     `json:"at" doc:"the leader's time; while provisional the maker's"`
	ToldAt      Stamp     `json:"told_at" doc:"by the maker's clock"`
	Provisional bool      `json:"provisional,omitempty"`
	Verdict     Code      `json:"verdict"`
	Lost        *ShownRef `json:"lost,omitempty"`
	Missing     []string  `json:"missing,omitempty" doc:"lacking: what the category asks for"`
	Body        Body      `json:"body"`
}

// Redact is the one place that decides what who may see of i; false: not to know that it exists.
func (r *Rules) Redact(who Subject, i *Incident) (Shown, bool) {
	class := r.ClassOf(who, i)
	if class == classHidden {
		return Shown{}, false
	}
	s := Shown{
		ID: i.ID, Cell: i.Cell, MovedTo: i.MovedTo, Category: i.Raised.Category, Grade: i.Grade, Status: i.Status,
		Place: i.Raised.Place, Card: i.Card, Drill: i.Raised.Drill, RaisedAt: Stamp(i.RaisedAt),
		Provisional: i.Provisional(), Alarm: ShownAlarm{Open: i.AlarmOpen()}, Waves: []ShownWave{},
		Wanted: i.Raised.Wanted, Coming: i.Coming(), OnScene: i.OnScene(),
	}
	if i.Ended != nil {
		at := Stamp(i.Ended.At)
		s.Alarm.EndedAt, s.Alarm.EndedKind = &at, i.Ended.Kind
	}
	for _, w := range i.Waves {
		s.Waves = append(s.Waves, ShownWave{w.Number, w.Ring, Stamp(w.At), w.Continues, w.Wide, w.Provisional})
	}
	if Full(class) {
		s.ShownFull = i.full(class == classBlind)
		s.ShownCourse = r.course(i, class == classBlind)
	} else if class != classCard {
		s.Mine = i.mine(who.Person)
		if r.sent(who, i) {
			s.Mine.Note, s.ShownCourse = i.Raised.Note, r.course(i, true).forHandler()
		}
	}
	return s, true
}

func (i *Incident) mine(p PersonID) *ShownMine {
	m := ShownMine{Raised: i.RaisedBy == p, Appointment: i.Appointment.shown()}
	m.Rated = m.Raised && i.rated(ReporterParty) != nil
	m.Assigned = slices.ContainsFunc(i.Assigned, func(a Assignment) bool { return a.Person == p })
	if a, ok := i.Answers[p]; ok {
		at := Stamp(a.At)
		m.Step, m.Reason, m.At = a.Step, a.Reason, &at
	}
	return &m
}

func (i *Incident) full(blind bool) *ShownFull {
	f := &ShownFull{
		Silent: i.Raised.Silent, Note: i.Raised.Note, Source: i.Raised.Source, Outside: i.Raised.Outside,
		RaisedBy: i.RaisedBy, Station: i.Station, Called: i.Called, CancelAsk: i.CancelAsk.shown(),
		Continuing: len(i.Refused) > 0, Latest: map[Field]Hash{},
	}
	for field, ref := range i.Latest {
		f.Latest[field] = ref.Event
	}
	for who, a := range i.Answers {
		f.Answers = append(f.Answers, ShownAnswer{who, a.Step, a.Reason, Stamp(a.At), a.Provisional})
	}
	slices.SortFunc(f.Answers, func(a, b ShownAnswer) int {
		return cmp.Or(time.Time(a.At).Compare(time.Time(b.At)), cmp.Compare(a.Person, b.Person))
	})
	for _, a := range i.Assigned {
		f.Assigned = append(f.Assigned, ShownAssignment{a.Person, a.Words, a.By, Stamp(a.At), a.Provisional})
	}
	for _, c := range i.Support {
		f.Support = append(f.Support, ShownSupport{c.Event, c.By, c.Words, c.Place, Stamp(c.At), c.Provisional})
	}
	for _, l := range i.Log {
		if blind && i.uncounted(l.Event.ID) {
			continue
		}
		var from CellID
		if l.Origin != nil {
			from = l.Origin.Cell
		}
		f.Timeline = append(f.Timeline, ShownLine{
			From: from, Event: l.Event.ID, Index: l.Index, Kind: l.Event.Kind, By: l.Event.Actor, Station: l.Event.Station,
			At: Stamp(l.At), ToldAt: Stamp(l.Event.At), Provisional: l.Provisional,
			Verdict: l.Verdict.Code, Lost: l.Verdict.Lost.shown(), Missing: l.Verdict.Missing, Body: l.Event.Body,
		})
	}
	return f
}

func (r *Ref) shown() *ShownRef {
	if r == nil {
		return nil
	}
	return &ShownRef{r.Event, r.By, Stamp(r.At), r.Kind}
}
