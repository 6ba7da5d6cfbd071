package alerts

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLifecycleMovesForwardOnly(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	step := func(want Status, station StationID, actor PersonID, b Body) {
		t.Helper()
		s.tell(Accepted, station, actor, b)
		if got := s.now().Status; got != want {
			t.Fatalf("after %s: %s, want %s", b.Kind(), got, want)
		}
	}
	step(StatusRegistered, "post", "li", &Registered{})
	step(StatusGraded, "post", "li", &Graded{Grade: Grade2})
	step(StatusDispatched, "post", "li", &Assigned{Person: "officer"})
	step(StatusHandling, "post", "officer", &Responded{Step: KindAccepted})
	step(StatusHandling, "post", "li", &Graded{Grade: Grade1})
	step(StatusResolved, "post", "li", &Resolved{Code: "found"})
	step(StatusResolved, "village", "vol", &Responded{Step: KindOnScene}) // a fact is never refused for the state
	if s.now().AlarmOpen() {
		t.Error("a resolved matter still sounds")
	}
	s.tell(Ended, "post", "li", &Graded{Grade: Grade4})
}

func TestDecisionsHaveOneWinner(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	one := s.event("post", "li", &Assigned{Person: "officer"})
	two := s.event("post", "zhao", &Assigned{Person: "vol"})
	upon := s.event("post", "zhao", &Assigned{Person: "grid"})
	upon.Saw = two.ID
	if v := s.record(one); !v.Accepted() {
		t.Fatal(v)
	}
	v := s.record(two)
	if v.Code != Stale || v.Lost == nil || v.Lost.By != "li" || v.Lost.Event != one.ID || v.Lost.At.IsZero() {
		t.Fatalf("the loser is told %+v", v)
	}
	if v := s.record(upon); v.Code != Followed {
		t.Fatalf("what was decided upon a refused decision: %s", v.Code)
	}
	if v := s.record(one); v.Code != Duplicate {
		t.Fatalf("the same event again: %s", v.Code)
	}
	if got := len(s.now().Assigned); got != 1 {
		t.Fatalf("%d assigned", got)
	}
}

func TestNobodyIsSentToTwoPlaces(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	s.tell(Accepted, "post", "li", &Assigned{Person: "officer"})
	other := func(b Body) Event {
		e := s.event("post", "zhao", b)
		e.Incident, e.Prev, e.Saw = inc2, nil, Hash{}
		return e
	}
	point := scene
	s.record(other(&Raised{Category: "panic", Grade: Grade1, Place: Place{Point: &point}, Ring: 8000, Wanted: 1, Card: Card{What: "x"}}))
	if v := s.record(other(&Assigned{Person: "officer"})); v.Code != Busy || v.Lost.By != "li" {
		t.Fatalf("%+v", v)
	}
	s.tell(Accepted, "post", "officer", &Responded{Step: KindReleased})
	if v := s.record(other(&Assigned{Person: "officer"})); !v.Accepted() {
		t.Fatalf("released, and still %s", v.Code)
	}
}

func TestWhoMayDoWhatWhere(t *testing.T) {
	for _, c := range []struct {
		station StationID
		actor   PersonID
		body    Body
		want    Code
	}{
		{"village", "li", &Resolved{Code: "found"}, Forbidden}, // a stolen village box cannot end a search
		{"post", "vol", &Resolved{Code: "found"}, Forbidden},
		{"post", "officer", &Resolved{Code: "found"}, Accepted},
		{"village", "vol", &Responded{Step: KindAccepted}, Accepted},
		{"village", "vol", &Note{Words: "x"}, Forbidden},
		{"village", "kiosk:village", &Note{Words: "x"}, Accepted}, // its own matter
		{"village", "kiosk:village", &CancelRequested{}, Accepted},
		{"village", "vol", &CancelRequested{}, Forbidden},
		{"village", "", &Waved{Number: 2, Ring: 3000}, Accepted},
		{"village", "", &Resolved{Code: "found"}, Forbidden}, // a station decides nothing by itself
		{"village", "nobody", &Clue{Seen: true}, Forbidden},
		{"post", "li", &Foreign{Name: "teleported"}, Unknown},
	} {
		t.Run(fmt.Sprintf("%s by %s at %s", c.body.Kind(), c.actor, c.station), func(t *testing.T) {
			s := newStory(t)
			s.raise("abduction")
			s.tell(c.want, c.station, c.actor, c.body)
		})
	}
}

func TestSameAlertTwice(t *testing.T) {
	s := newStory(t)
	first := s.raise("abduction")
	again := first
	again.ID, again.Station, again.At = Hash{1}, "post", s.clock
	if v := s.record(again); v.Code != Same || v.Lost.Event != first.ID {
		t.Fatalf("the same alert at another station: %+v", v)
	}
	other := *first.Body.(*Raised)
	other.Note = "another matter"
	again.ID, again.Body = Hash{2}, &other
	if v := s.record(again); v.Code != Conflict || v.Lost.Event != first.ID {
		t.Fatalf("another body under the same id: %+v", v)
	}
	deed := s.event("village", "vol", &Responded{Step: KindAccepted})
	deed.Client = "tap-1"
	s.record(deed)
	deed.ID, deed.Station = Hash{3}, "post"
	if v := s.record(deed); v.Code != Same {
		t.Fatalf("the same tap over another station: %s", v.Code)
	}
}

func TestParkedAndWrongCell(t *testing.T) {
	s := newStory(t)
	if v := s.record(s.event("post", "li", &Note{Words: "x"})); v.Code != Parked {
		t.Fatalf("without its raising event: %s", v.Code)
	}
	e := s.event("post", "li", &Note{Words: "x"})
	e.Cell = "elsewhere"
	if v := s.record(e); v.Code != WrongCell {
		t.Fatalf("of another cell: %s", v.Code)
	}
	if s.look(s.event("post", "li", &Note{Words: "x"})) != nil {
		t.Error("a parked event shows an incident")
	}
}

func TestWhoHears(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	i := s.now()
	for _, c := range []struct {
		name  string
		who   Listener
		heard int
		want  []int
	}{
		{"in the ring", at("vol", 900, Volunteer), 0, []int{1}},
		{"within the place's radius of the ring", at("vol", 1400, Volunteer), 0, []int{1}},
		{"outside", at("vol", 1500, Volunteer), 0, nil},
		{"a dispatcher anywhere", at("li", 60000, Dispatcher), 0, []int{1}},
		{"who has heard it", at("vol", 100, Volunteer), 1, nil},
		{"a role that is not woken", at("m", 100, Mediator), 0, nil},
		{"nowhere known", Listener{Subject: Subject{Person: "vol", Roles: []Role{Volunteer}}, Duty: true}, 0, nil},
		{"off duty", Listener{Subject: Subject{Person: "vol", Roles: []Role{Volunteer}}, At: &scene}, 0, nil},
	} {
		if diff := cmp.Diff(c.want, s.hears(i, c.who, c.heard)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	// Walking into a wider ring is hearing it; who heard an earlier wave hears no wider one.
	s.tell(Accepted, "post", "", &Waved{Number: 2, Ring: 3000})
	if got := s.hears(s.now(), at("vol", 2500, Volunteer), 0); !cmp.Equal(got, []int{2}) {
		t.Errorf("in the second ring: %v", got)
	}
	if got := s.hears(s.now(), at("vol", 500, Volunteer), 1); got != nil {
		t.Errorf("a wave sounds again for who heard one: %v", got)
	}
	s.tell(Accepted, "village", "vol", &Responded{Step: KindDeclined})
	if got := s.hears(s.now(), at("vol", 500, Volunteer), 0); got != nil {
		t.Errorf("a new phone of who has answered sounds: %v", got)
	}
}

func TestPoliceOnlyUntilADispatcherSaysOtherwise(t *testing.T) {
	s := newStory(t)
	s.raise("panic")
	if got := s.hears(s.now(), at("vol", 100, Volunteer), 0); got != nil {
		t.Errorf("a volunteer is woken for panic: %v", got)
	}
	if s.rules.ClassOf(Subject{Person: "vol", Roles: []Role{Volunteer}}, s.now()) != "" {
		t.Error("and may know of it")
	}
	s.tell(Accepted, "post", "li", &Waved{Number: 2, Ring: 8000, Wide: true})
	if got := s.hears(s.now(), at("vol", 100, Volunteer), 0); !cmp.Equal(got, []int{2}) {
		t.Errorf("after a wide wave: %v", got)
	}
}

func TestAnAlarmEndsByAnEvent(t *testing.T) {
	s := newStory(t)
	raised := s.raise("abduction")
	down := s.event("post", "li", &StoodDown{})
	// The end arrives before or with the alarm, provisional: nobody sounds.
	fresh := newStory(t)
	i := fresh.look(down, raised)
	if i == nil || i.AlarmOpen() || fresh.hears(i, at("vol", 100, Volunteer), 0) != nil {
		t.Fatal("an alarm that comes with its own end sounds")
	}
	s.record(down)
	if s.hears(s.now(), at("vol", 100, Volunteer), 0) != nil {
		t.Error("sounds after its end")
	}
	if s.now().Status != StatusReported {
		t.Error("a stand-down ends the alarm, not the matter")
	}
}

func TestRefusedEndMakesTheSearchContinue(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	s.tell(Accepted, "post", "li", &Registered{})
	bad := s.event("post", "zhao", &Resolved{Code: "found"})
	bad.Saw = Hash{9} // decided upon something that never was
	if v := s.record(bad); v.Accepted() {
		t.Fatal(v)
	}
	w, due := s.rules.Due(s.now(), 0)
	if !due || !w.Continues || w.Number != 2 || w.Ring != 1000 {
		t.Fatalf("nobody says that the search continues: due %v: %+v", due, w)
	}
	s.tell(Accepted, "village", "", w)
	if got := s.hears(s.now(), at("vol", 500, Volunteer), 1); !cmp.Equal(got, []int{2}) {
		t.Errorf("who was silenced hears %v", got)
	}
	if _, due := s.rules.Due(s.now(), 0); due {
		t.Error("continues for ever")
	}
}

func TestWidening(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	due := func(after time.Duration) string {
		w, ok := s.rules.Due(s.now(), after)
		if !ok {
			return "none"
		}
		return fmt.Sprintf("%d at %v", w.Number, w.Ring)
	}
	expect := func(want, got string) {
		t.Helper()
		if got != want {
			t.Fatalf("due %s, want %s", got, want)
		}
	}
	expect("none", due(WidenAfter-1))
	expect("2 at 3000", due(WidenAfter))
	s.tell(Accepted, "village", "", &Waved{Number: 2, Ring: 3000})
	s.tell(Stands, "post", "", &Waved{Number: 2, Ring: 8000})
	expect("3 at 8000", due(WidenAfter))
	s.tell(Accepted, "post", "li", &Registered{})
	expect("none", due(time.Hour)) // a dispatcher is there: wider is his word
	s.tell(Accepted, "post", "li", &Waved{Number: 3, Ring: CountyRing})
	expect("none", due(time.Hour))

	s = newStory(t)
	s.raise("abduction")
	s.tell(Accepted, "village", "vol", &Responded{Step: KindAccepted})
	expect("2 at 3000", due(WidenAfter))
	s.tell(Accepted, "village", "vol2", &Responded{Step: KindEnRoute})
	expect("none", due(time.Hour)) // enough are coming
	s.tell(Accepted, "village", "vol2", &Responded{Step: KindDeclined})
	expect("2 at 3000", due(WidenAfter))
}

func TestSupportSoundsAtPoliceAboveAlarms(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	call := s.tell(Accepted, "village", "officer", &SupportRequested{Words: "two men"})
	got := s.rules.AlarmsFor(s.now(), at("other", 90000, Officer), Heard{})
	if len(got) != 1 || got[0].Support == nil || got[0].Support.Event != call.ID {
		t.Fatalf("a far officer gets %+v", got)
	}
	got = s.rules.AlarmsFor(s.now(), at("li", 90000, Dispatcher), Heard{})
	if len(got) != 2 || got[0].Support == nil || got[1].Wave != 1 {
		t.Fatalf("dispatch gets %+v", got)
	}
	if got := s.rules.AlarmsFor(s.now(), at("officer", 0, Officer), Heard{Waves: map[IncidentID]int{inc: 1}}); got != nil {
		t.Errorf("who asked hears himself: %+v", got)
	}
	if got := s.rules.AlarmsFor(s.now(), at("other", 0, Officer), Heard{Waves: map[IncidentID]int{inc: 1}, Support: map[Hash]bool{call.ID: true}}); got != nil {
		t.Errorf("heard, and again: %+v", got)
	}
	if got := s.hears(s.now(), at("vol", 100, Volunteer), 0); !cmp.Equal(got, []int{1}) {
		t.Errorf("a volunteer hears %v", got)
	}
}

func TestSilentModeAtTheRaisingStation(t *testing.T) {
	s := newStory(t)
	point := scene
	s.tell(Accepted, "village", "kiosk:village", &Raised{Category: "abduction", Grade: Grade1, Place: Place{Point: &point}, Ring: 1000, Wanted: 2, Card: Card{What: "x"}, Silent: true})
	here := at("kiosk:village", 0, KioskRole)
	here.Station = "village"
	if got := s.hears(s.now(), here, 0); got != nil {
		t.Errorf("sounds where somebody is being coerced: %v", got)
	}
	next := at("kiosk:next", 0, KioskRole)
	next.Station = "next"
	if got := s.hears(s.now(), next, 0); !cmp.Equal(got, []int{1}) {
		t.Errorf("the next kiosk hears %v", got)
	}
}

func TestLeastDisclosure(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	s.tell(Accepted, "village", "vol", &Responded{Step: KindAccepted, Reason: "on my way"})
	s.tell(Accepted, "post", "officer", &Note{Words: "her name is secret"})
	said := func(p PersonID, roles ...Role) string {
		shown, ok := s.rules.Redact(Subject{Person: p, Roles: roles}, s.now())
		if !ok {
			return ""
		}
		b, err := json.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, who := range []struct {
		p    PersonID
		role Role
	}{{"vol2", Volunteer}, {"grid", GridWorker}, {"kiosk:next", KioskRole}} {
		got := said(who.p, who.role)
		for _, secret := range []string{"a name nobody", "secret", "timeline", "raised_by", `"vol"`, "on my way", "mine"} {
			if strings.Contains(got, secret) {
				t.Errorf("%s sees %q in %s", who.role, secret, got)
			}
		}
		if !strings.Contains(got, `"card"`) || !strings.Contains(got, `"coming":1`) {
			t.Errorf("%s sees no card: %s", who.role, got)
		}
	}
	if got := said("vol", Volunteer); !strings.Contains(got, `"mine":{"step":"accepted"`) || strings.Contains(got, "secret") {
		t.Errorf("who answered sees %s", got)
	}
	if got := said("li", Dispatcher); !strings.Contains(got, "a name nobody") || !strings.Contains(got, "timeline") {
		t.Errorf("a dispatcher sees %s", got)
	}
	sealed := newStory(t)
	sealed.raise("domestic")
	if _, ok := sealed.rules.Redact(Subject{Person: "vol", Roles: []Role{Volunteer}}, sealed.now()); ok {
		t.Error("a volunteer learns of a sealed matter")
	}
	if shown, ok := sealed.rules.Redact(Subject{Person: "kiosk:village", Roles: []Role{KioskRole}}, sealed.now()); !ok || shown.Mine == nil || shown.ShownFull != nil {
		t.Error("who raised it cannot follow it")
	}
	dull := newStory(t)
	dull.raise("dispute")
	if _, ok := dull.rules.Redact(Subject{Person: "vol", Roles: []Role{Volunteer}}, dull.now()); ok {
		t.Error("a volunteer reads of the neighbours' quarrel")
	}
}

func TestMayNamesWhoCould(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	err := s.rules.May(Subject{Person: "vol", Roles: []Role{Volunteer}, Kind: Village}, Action(KindResolved), s.now())
	if err == nil || !strings.Contains(err.Error(), "officer") || !strings.Contains(err.Error(), "police_post") {
		t.Fatalf("%v", err)
	}
	if err := s.rules.May(Subject{Person: "li", Roles: []Role{Dispatcher}, Kind: PolicePost}, Action(KindResolved), s.now()); err != nil {
		t.Fatal(err)
	}
}

func TestEventCheckNamesTheField(t *testing.T) {
	s := newStory(t)
	good := s.raise("abduction")
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	far := Point{Lon: 200, Lat: 39}
	for field, change := range map[string]func(e *Event){
		"incident":     func(e *Event) { e.Incident = "x" },
		"cell":         func(e *Event) { e.Cell = "" },
		"predecessor":  func(e *Event) { e.Prev = []Hash{{1}} },
		"body":         func(e *Event) { e.Body = nil },
		"client":       func(e *Event) { e.Client = strings.Repeat("x", 200) },
		"grade":        func(e *Event) { b := *e.Body.(*Raised); b.Grade = 9; e.Body = &b },
		"lon 200":      func(e *Event) { b := *e.Body.(*Raised); b.Place.Point = &far; e.Body = &b },
		"note":         func(e *Event) { b := *e.Body.(*Raised); b.Note = strings.Repeat("长", 3000); e.Body = &b },
		"prev is empt": func(e *Event) { e.Kind, e.Body = KindNote, &Note{Words: "x"} },
	} {
		e := good
		change(&e)
		if err := e.Check(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestRulesCheckNamesTheRow(t *testing.T) {
	r := testRules()
	c := r.Categories["abduction"]
	c.Rings = []float64{3000, 1000}
	c.Wakes = append(slices.Clone(c.Wakes), "voluntear")
	r.Categories["abduction"] = c
	r.Moves["teleported"] = Move{}
	r.Moves[KindNote] = Move{By: []Role{"boss"}, At: []StationKind{"castle"}}
	err := r.Check()
	for _, row := range []string{"categories.abduction.rings", `categories.abduction.wakes: there is no role "voluntear"`, "moves.teleported",
		`moves.note.by: there is no role "boss"`, `moves.note.at: there is no kind "castle"`} {
		if err == nil || !strings.Contains(err.Error(), row) {
			t.Errorf("does not name %s: %v", row, err)
		}
	}
}
