package alerts

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"
)

// story is a cell's record that a test tells line by line.
type story struct {
	t     testing.TB
	rules *Rules
	state *State
	clock time.Time
	n     int
}

const (
	cell = CellID("yongqing")
	inc  = IncidentID("6f0ac9f5-4a5e-5f3a-9e0f-6d1f3f7f2a11")
	inc2 = IncidentID("6f0ac9f5-4a5e-5f3a-9e0f-6d1f3f7f2a12")
)

var scene = Point{Lon: 116.50, Lat: 39.32}

// Who signs and acts in the stories: the first letter of a station's name tells its kind.
func standingOf(e Event) Standing {
	kind := Village
	if e.Station == "post" {
		kind = PolicePost
	}
	roles := map[PersonID][]Role{
		"villager": {Reporter}, "vol": {Volunteer}, "vol2": {Volunteer}, "grid": {GridWorker}, "officer": {Officer},
		"li": {Dispatcher}, "zhao": {Dispatcher}, "kiosk:village": {KioskRole}, "chief": {Admin}, "caller": {FollowUpCaller}, "qi": {TownshipCentre},
	}[e.Actor]
	return Standing{Roles: roles, Kind: kind, Version: 1}
}

func testRules() *Rules {
	police := []Role{AuxiliaryPolice, Officer}
	desk := []Role{Dispatcher, TownshipCentre, CountyCentre}
	public := []Role{Reporter, Volunteer, GridWorker, KioskRole}
	all := append(append(append([]Role{}, police...), desk...), public...)
	trusted := []StationKind{PolicePost, TownshipOffice, CountyOffice}
	facts := Move{By: all}
	decidesAnywhere := Move{By: append([]Role{FollowUpCaller}, desk...)}
	decides, governs := Move{By: desk, At: trusted}, Move{By: []Role{Admin}, At: trusted}
	return &Rules{
		Version: 1,
		Categories: map[string]Category{
			"abduction": {Name: Text{"疑似拐骗", "abduction"}, Grade: Grade1, Wanted: 2, Rings: []float64{1000, 3000, 8000, CountyRing}, Wakes: all[:len(all):len(all)], Card: Card{What: "x"}},
			"panic":     {Name: Text{"紧急求助", "panic"}, Grade: Grade1, Wanted: 1, Rings: []float64{8000, CountyRing}, Wakes: append(police, desk...), Card: Card{What: "x"}},
			"domestic":  {Name: Text{"家庭暴力", "domestic"}, Grade: Grade2, Wanted: 1, Rings: []float64{8000}, Wakes: append(police, desk...), Sealed: true, Card: Card{What: "x"}},
			"dispute":   {Name: Text{"矛盾纠纷", "dispute"}, Grade: Grade4},
			"hazard": {Name: Text{"隐患", "hazard"}, Grade: Grade4, Template: Template{
				Level: LevelVillage, Handles: []Role{GridWorker, Officer},
				Asks:     []Question{{ID: "where", Name: Text{"在哪", "where"}, Choices: []Coded{{"in", Text{"里", "in"}}, {"out", Text{"外", "out"}}}}},
				Codes:    []Outcome{{Coded: Coded{"rectified", Text{"已整改", "put right"}}, Needs: []string{"recheck"}}, {Coded: Coded{"unfounded", Text{"无", "none"}}}},
				Evidence: []EvidenceKind{EvidenceWords},
				Steps: []StepRow{
					{ID: "inspect", Name: Text{"查看", "look"}, Needed: true},
					{ID: "order", Name: Text{"责令", "order"}, After: "inspect", Dated: true},
					{ID: "recheck", Name: Text{"复查", "check"}, By: []Role{GridWorker}, After: "order", Evidence: []EvidenceKind{EvidencePhoto},
						Results: []Coded{{"done", Text{"完", "done"}}, {"not_yet", Text{"未", "not yet"}}}, Passes: []string{"done"}},
				},
				Clocks: Clocks{Close: 15 * 24 * time.Hour},
			}},
		},
		Calls: 2, Archive: 30 * 24 * time.Hour,
		Clocked: map[Grade]Clocks{
			Grade1: {Answer: 15 * time.Second, Dispatch: time.Minute, Arrive: 5 * time.Minute, Feedback: 30 * time.Minute, Close: 24 * time.Hour, Verify: 24 * time.Hour, FollowUp: 24 * time.Hour},
			Grade4: {Answer: 4 * time.Hour, Dispatch: 24 * time.Hour, Close: 7 * 24 * time.Hour, Verify: 24 * time.Hour, FollowUp: 24 * time.Hour},
		},
		Moves: map[Kind]Move{
			KindRaised: facts, KindEmergencyCalled: {By: all, Own: true}, KindAccepted: facts, KindDeclined: facts, KindEnRoute: facts,
			KindOnScene: facts, KindReleased: facts, KindClue: facts, KindSupportRequested: facts,
			KindNote: {By: append(police, desk...), Own: true}, KindCancelRequested: {By: desk, Own: true},
			KindRegistered: decides, KindGraded: decides, KindWave: decides, KindCardUpdated: decides, KindAssigned: decides,
			KindResolved: {By: append(desk, Officer), At: trusted}, KindCancelled: decides, KindStoodDown: decides, KindTransferred: decides,
			KindAsked: facts, KindWished: facts, KindReturned: facts, KindFeedback: facts, KindStepped: facts, KindAffected: decidesAnywhere,
			KindRated: {By: append([]Role{FollowUpCaller, KioskRole}, desk...), Own: true}, KindLevelChanged: decides, KindAppointed: decides,
			KindSupervised: decides, KindMerged: decides, KindUnmerged: {By: desk, At: trusted, From: []Status{StatusMerged}}, KindReopened: decides, KindArchived: decides,
			KindVerified:    {By: append(desk, Officer), At: trusted, From: []Status{StatusResolved}},
			KindFollowedUp:  {By: []Role{FollowUpCaller, TownshipCentre}, At: trusted, From: []Status{StatusVerified}},
			KindJudged:      {By: []Role{FollowUpCaller, TownshipCentre}, At: trusted, From: []Status{StatusFollowedUp}},
			KindCellChanged: governs, KindStationPlaced: governs,
		},
	}
}

func newStory(t testing.TB) *story {
	r := testRules()
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	return &story{t: t, rules: r, state: NewState(cell), clock: time.Date(2026, 3, 1, 15, 0, 0, 0, time.UTC)}
}

// event makes one, after everything recorded, seeing the last decision on its field.
func (s *story) event(station StationID, actor PersonID, b Body) Event {
	s.n++
	s.clock = s.clock.Add(time.Second)
	e := Event{
		ID: Hash(sha256.Sum256(fmt.Append(nil, s.n))), Station: station, Cell: s.state.Cell, Incident: inc,
		Actor: actor, Kind: b.Kind(), At: s.clock, Body: b,
	}
	if i, ok := s.state.Incident(inc); ok && e.Kind != KindRaised {
		e.Prev = i.Heads
		e.Saw = i.Latest[FieldOf(e.Kind)].Event
	}
	return e
}

// record judges and applies; it returns the verdict.
func (s *story) record(e Event) Verdict {
	by := standingOf(e)
	v := s.rules.Judge(s.state, e, by, s.clock)
	if v.Code != Duplicate && v.Code != Parked {
		s.state.Apply(Entry{Epoch: max(1, s.state.Epoch), Index: s.state.Index + 1, Event: e, Verdict: v, At: s.clock, By: by})
	}
	return v
}

// tell makes and records; the verdict must be code.
func (s *story) tell(code Code, station StationID, actor PersonID, b Body) Event {
	s.t.Helper()
	e := s.event(station, actor, b)
	if v := s.record(e); v.Code != code {
		s.t.Fatalf("%s by %s at %s: verdict %s, want %s", e.Kind, actor, station, v.Code, code)
	}
	return e
}

func (s *story) raise(category string) Event {
	c := s.rules.Categories[category]
	ring := 0.0
	if len(c.Rings) > 0 {
		ring = c.Rings[0]
	}
	at := scene
	return s.tell(Accepted, "village", "kiosk:village", &Raised{
		Category: category, Grade: c.Grade, Place: Place{Point: &at, Radius: 450}, Ring: ring, Wanted: c.Wanted,
		Card: c.Card, Note: "a name nobody but the police may read", Source: FromKiosk,
	})
}

func (s *story) now() *Incident {
	i, ok := s.state.Incident(inc)
	if !ok {
		s.t.Fatal("no incident")
	}
	return i
}

// look is the view with pending events on top.
func (s *story) look(pending ...Event) *Incident {
	return s.rules.Look(s.state, inc, pending, standingOf, s.clock)
}

// at is a listener with a role, so many metres east of the scene.
func at(p PersonID, metres float64, roles ...Role) Listener {
	point := Point{Lon: scene.Lon + metres/86100, Lat: scene.Lat}
	return Listener{Subject: Subject{Person: p, Roles: roles}, At: &point, Duty: true}
}

func (s *story) hears(i *Incident, who Listener, heard int) []int {
	var waves []int
	for _, a := range s.rules.AlarmsFor(i, who, Heard{Waves: map[IncidentID]int{inc: heard}}) {
		waves = append(waves, a.Wave)
	}
	return waves
}
