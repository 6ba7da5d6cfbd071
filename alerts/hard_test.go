package alerts

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Two halves of a county decided apart: on one side the matter was declared void and its people went home,
// on the other it was taken on. The record takes one; who was silenced hears that the search continues.
func TestRefusedVoidMakesTheSearchContinue(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	void := s.event("post", "zhao", &Registered{Void: true, Reason: "a prank"})
	if apart := s.look(void); apart.AlarmOpen() || apart.Status != StatusVoid {
		t.Fatal("on its own side it is over")
	}
	s.tell(Accepted, "post", "li", &Registered{})
	if v := s.record(void); v.Code != Stale || v.Lost.By != "li" {
		t.Fatalf("%+v", v)
	}
	w, due := s.rules.Due(s.now(), 0)
	if !due || !w.Continues {
		t.Fatalf("nobody says that the search continues: due %v: %+v", due, w)
	}
	if !AlarmLane(KindRegistered) {
		t.Error("void ends an alarm, and stations of other cells would not hear of it")
	}
}

// An end that was refused when the alarm was over anyway silenced nobody who should not be.
func TestRefusedEndOfWhatHasEndedIsQuiet(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	late := s.event("post", "zhao", &Cancelled{Reason: "x"})
	s.tell(Accepted, "post", "li", &Resolved{Code: "found"})
	if v := s.record(late); v.Code != Stale {
		t.Fatal(v.Code)
	}
	if len(s.now().Refused) > 0 {
		t.Error("counts as having silenced somebody")
	}
}

// What nobody had the right to end was refused in every view at once: a stolen box cannot make devices
// sound again by ending what it may not.
func TestForbiddenEndSoundsNothing(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	s.tell(Forbidden, "village", "li", &Cancelled{Reason: "x"})
	if _, due := s.rules.Due(s.now(), 0); due {
		t.Error("a forged end makes a wave")
	}
}

func TestWhatAStationsOwnWaveMayBe(t *testing.T) {
	for _, c := range []struct {
		name string
		wave Waved
		want Code
	}{
		{"the next", Waved{Number: 2, Ring: 3000}, Accepted},
		{"one ahead, the one between still on its way", Waved{Number: 3, Ring: 8000}, Accepted},
		{"the public called to a police matter", Waved{Number: 2, Ring: 3000, Wide: true}, Forbidden},
		{"a search continued that nobody ended", Waved{Number: 2, Ring: 1000, Continues: true}, Forbidden},
		{"the last number used up", Waved{Number: 99, Ring: 3000}, Forbidden},
	} {
		s := newStory(t)
		s.raise("abduction")
		if v := s.record(s.event("village", "", &c.wave)); v.Code != c.want {
			t.Errorf("%s: %s, want %s", c.name, v.Code, c.want)
		}
		if c.want == Forbidden && c.wave.Number > 0 {
			s.tell(Accepted, "post", "li", &c.wave) // on a dispatcher's word
		}
	}
	s := newStory(t)
	s.raise("dispute")
	s.tell(Forbidden, "village", "", &Waved{Number: 2, Ring: 1000})
	s.tell(Accepted, "post", "li", &Waved{Number: 2, Ring: 1000, Wide: true})
	if got := s.hears(s.now(), at("vol", 100, Volunteer), 0); !cmp.Equal(got, []int{2}) {
		t.Errorf("a dispatcher calls for help with a quarrel: %v", got)
	}
	s.tell(Accepted, "village", "", &Waved{Number: 3, Ring: 3000, Wide: true}) // lifted already
}

// The same tap went over two stations; what builds on the copy builds on the deed.
func TestDecisionUponTheSameDeedElsewhere(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	first := s.event("post", "li", &Assigned{Person: "officer"})
	first.Client = "tap-7"
	copied := first
	copied.ID, copied.Station = Hash{7}, "post2"
	next := s.event("post", "li", &Assigned{Person: "vol"})
	next.Saw = copied.ID
	s.record(first)
	if v := s.record(copied); v.Code != Same {
		t.Fatal(v.Code)
	}
	if v := s.record(next); !v.Accepted() {
		t.Fatalf("%+v", v)
	}
}

// Two stations may hold tables of different versions: what a person said once stays one alert.
func TestSameAlertUnderOtherTables(t *testing.T) {
	s := newStory(t)
	first := s.raise("abduction")
	b := *first.Body.(*Raised)
	point := *b.Place.Point
	b.Place.Point, b.Ring, b.Wanted, b.Card = &point, 2000, 9, Card{What: "a newer text"}
	again := first
	again.ID, again.Body, again.Station = Hash{1}, &b, "post"
	if v := s.record(again); v.Code != Same {
		t.Fatal(v.Code)
	}
	again.ID, again.Actor = Hash{2}, "vol"
	if v := s.record(again); v.Code != Conflict {
		t.Fatalf("by somebody else: %s", v.Code)
	}
}

func TestChainOfRefused(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	win := s.event("post", "li", &Graded{Grade: Grade2})
	lose := s.event("post", "zhao", &Graded{Grade: Grade3})
	upon := s.event("post", "zhao", &Graded{Grade: Grade4})
	upon.Saw, upon.Prev = lose.ID, []Hash{lose.ID}
	further := s.event("post", "zhao", &Graded{Grade: Grade1})
	further.Saw, further.Prev = upon.ID, []Hash{upon.ID}
	s.record(win)
	i := s.look(further, lose, upon) // listed in any order
	var got []Code
	for _, l := range i.Log[2:] {
		got = append(got, l.Verdict.Code)
	}
	if diff := cmp.Diff([]Code{Stale, Followed, Followed}, got); diff != "" {
		t.Error(diff)
	}
	if i.Grade != Grade2 || !i.Provisional() || s.now().Provisional() {
		t.Errorf("grade %d, provisional %v", i.Grade, i.Provisional())
	}
	if last := i.Log[4].Verdict.Lost; last == nil || last.Event != upon.ID {
		t.Errorf("the last is told it followed %+v", last)
	}
}

func TestWhatClosedTheMatterIsWhatTheLateAreTold(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	s.tell(Accepted, "post", "zhao", &StoodDown{})
	closed := s.tell(Accepted, "post", "li", &Resolved{Code: "found"})
	v := s.record(s.event("post", "zhao", &Graded{Grade: Grade4}))
	if v.Code != Ended || v.Lost.Event != closed.ID || v.Lost.By != "li" {
		t.Errorf("%+v", v)
	}
	s.tell(Ended, "post", "zhao", &Assigned{Person: "officer"})
	s.tell(Accepted, "village", "kiosk:village", &CancelRequested{}) // a fact, and moot
	if s.now().CancelAsk != nil {
		t.Error("a closed matter waits for an answer to a request")
	}
}

// Who came back to the first matter by himself, and was then freed by its end, is still bound by the second.
func TestBoundByTwo(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	s.tell(Accepted, "post", "li", &Assigned{Person: "officer"})
	s.tell(Accepted, "post", "officer", &Responded{Step: KindReleased})
	elsewhere := func(in IncidentID, b Body) Verdict {
		e := s.event("post", "zhao", b)
		e.Incident, e.Prev, e.Saw = in, nil, Hash{}
		return s.record(e)
	}
	point := scene
	raise := func() Body {
		return &Raised{Category: "panic", Grade: Grade1, Place: Place{Point: &point}, Ring: 8000, Wanted: 1, Card: Card{What: "x"}}
	}
	const inc3 = IncidentID("6f0ac9f5-4a5e-5f3a-9e0f-6d1f3f7f2a13")
	elsewhere(inc2, raise())
	elsewhere(inc3, raise())
	if v := elsewhere(inc2, &Assigned{Person: "officer"}); !v.Accepted() {
		t.Fatal(v)
	}
	s.tell(Accepted, "post", "officer", &Responded{Step: KindAccepted})
	s.tell(Accepted, "post", "li", &Resolved{Code: "found"})
	if v := elsewhere(inc3, &Assigned{Person: "officer"}); v.Code != Busy {
		t.Errorf("sent to two places: %s", v.Code)
	}
	fork := s.state.Fork()
	if diff := cmp.Diff(s.state.Incidents(), fork.Incidents()); diff != "" || len(fork.Incidents()) != 3 {
		t.Errorf("a fork shows other incidents: %s", diff)
	}
}

// A fork of a fork remembers refused raises too.
func TestForkOfAFork(t *testing.T) {
	s := newStory(t)
	e := s.event("village", "nobody", &Raised{Category: "abduction", Grade: Grade1, Place: Place{Point: &scene}})
	if v := s.record(e); v.Code != Forbidden {
		t.Fatal(v.Code)
	}
	if v := s.rules.Judge(s.state.Fork().Fork(), e, standingOf(e), s.clock); v.Code != Duplicate {
		t.Errorf("judged again: %s", v.Code)
	}
}

// Widening counts rings, not waves: a wave that only says "continues" takes no ring away.
func TestWideningAfterContinues(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	bad := s.event("post", "zhao", &Resolved{Code: "found"})
	bad.Saw = Hash{9}
	s.record(bad)
	w, _ := s.rules.Due(s.now(), 0)
	s.tell(Accepted, "village", "", w)
	s.tell(Accepted, "post", "li", &Registered{}) // a dispatcher is there
	w, due := s.rules.Due(s.now(), WidenAfter)
	if !due || w.Number != 3 || w.Ring != 3000 || w.Continues {
		t.Errorf("due %v: %+v", due, w)
	}
}

func TestWavesRunOut(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	s.tell(Accepted, "post", "li", &Waved{Number: maxWave, Ring: 1000})
	if w, due := s.rules.Due(s.now(), WidenAfter); due {
		t.Errorf("a wave no station may take: %+v", w)
	}
}

// Waves that come out of order stand in order.
func TestWavesOutOfOrder(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	s.tell(Accepted, "village", "", &Waved{Number: 3, Ring: 8000})
	s.tell(Accepted, "village", "", &Waved{Number: 2, Ring: 3000})
	var got []int
	for _, w := range s.now().Waves {
		got = append(got, w.Number)
	}
	if diff := cmp.Diff([]int{1, 2, 3}, got); diff != "" {
		t.Error(diff)
	}
	if got := s.hears(s.now(), at("vol", 5000, Volunteer), 0); !cmp.Equal(got, []int{3}) {
		t.Errorf("in the third ring: %v", got)
	}
}

// Who answered is called once more only by what comes after the answer.
func TestContinuesAndAnswers(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	s.tell(Accepted, "village", "vol", &Responded{Step: KindAccepted})
	bad := s.event("post", "zhao", &StoodDown{})
	bad.Saw = Hash{9}
	s.record(bad)
	w, _ := s.rules.Due(s.now(), 0)
	s.tell(Accepted, "village", "", w)
	if got := s.hears(s.now(), at("vol", 500, Volunteer), 1); !cmp.Equal(got, []int{2}) {
		t.Errorf("who was sent home hears %v", got)
	}
	if got := s.hears(s.now(), at("vol2", 500, Volunteer), 0); !cmp.Equal(got, []int{2}) {
		t.Errorf("a device that heard nothing yet hears %v", got)
	}
	if got := s.hears(s.now(), at("vol", 500, Volunteer), 2); got != nil {
		t.Errorf("twice: %v", got)
	}
	s.tell(Accepted, "village", "vol", &Responded{Step: KindDeclined})
	if got := s.hears(s.now(), at("vol", 500, Volunteer), 0); got != nil {
		t.Errorf("after answering again, on another phone: %v", got)
	}
}

func TestSilentForWhoRaisedIt(t *testing.T) {
	s := newStory(t)
	point := scene
	s.tell(Accepted, "village", "grid", &Raised{Category: "abduction", Grade: Grade1, Place: Place{Point: &point}, Ring: 1000, Wanted: 2, Card: Card{What: "x"}, Silent: true})
	if got := s.hears(s.now(), at("grid", 0, GridWorker), 0); got != nil {
		t.Errorf("the phone of who is being coerced sounds: %v", got)
	}
	if got := s.hears(s.now(), at("vol", 0, Volunteer), 0); !cmp.Equal(got, []int{1}) {
		t.Errorf("a volunteer nearby hears %v", got)
	}
}

// A wide wave calls whoever is on the public side, also who is a mere reporter besides; never a reporter alone,
// and never to what is sealed.
func TestWhomAWideWaveCalls(t *testing.T) {
	s := newStory(t)
	s.raise("panic")
	s.tell(Accepted, "post", "li", &Waved{Number: 2, Ring: 8000, Wide: true})
	sealed := newStory(t)
	sealed.raise("domestic")
	sealed.tell(Accepted, "post", "li", &Waved{Number: 2, Ring: 8000, Wide: true})
	for _, c := range []struct {
		roles []Role
		want  []int
	}{
		{[]Role{Volunteer}, []int{2}}, {[]Role{Reporter, Volunteer}, []int{2}}, {[]Role{KioskRole}, []int{2}},
		{[]Role{Reporter}, nil}, {[]Role{Auditor}, nil}, {[]Role{FollowUpCaller}, nil},
	} {
		who := at("p", 100, c.roles...)
		if got := s.hears(s.now(), who, 0); !cmp.Equal(got, c.want) {
			t.Errorf("%v hears %v, want %v", c.roles, got, c.want)
		}
		if got := sealed.hears(sealed.now(), who, 0); got != nil {
			t.Errorf("%v hears of a sealed matter: %v", c.roles, got)
		}
		if class := sealed.rules.ClassOf(who.Subject, sealed.now()); !holds(c.roles, fullRoles) && class != classHidden {
			t.Errorf("%v may know of a sealed matter as %s", c.roles, class)
		}
	}
}

// An answer signed by any village box opens no sealed matter; being sent to it does.
func TestSealedOpensByAssignmentOnly(t *testing.T) {
	s := newStory(t)
	s.raise("domestic")
	vol := Subject{Person: "vol", Roles: []Role{Volunteer}, Kind: Village}
	s.tell(Accepted, "village", "vol", &Responded{Step: KindAccepted})
	if class := s.rules.ClassOf(vol, s.now()); class != classHidden {
		t.Fatalf("after answering: %q", class)
	}
	if err := s.rules.May(vol, Action(KindClue), s.now()); err == nil {
		t.Error("may act on what is hidden")
	}
	s.tell(Accepted, "post", "li", &Assigned{Person: "vol"})
	if class := s.rules.ClassOf(vol, s.now()); class != "card:vol" {
		t.Errorf("after being sent: %q", class)
	}
}

// People of one class see the same, byte for byte: a frame is made once a class.
func TestOneClassSeesTheSame(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	s.tell(Accepted, "post", "officer", &Responded{Step: KindAccepted})
	s.tell(Accepted, "village", "vol", &Responded{Step: KindAccepted})
	seen := map[string]string{}
	for _, who := range []Subject{
		{Person: "a", Roles: []Role{Volunteer}}, {Person: "b", Roles: []Role{GridWorker, Reporter}}, {Person: "kiosk:x", Roles: []Role{KioskRole}},
		{Person: "vol", Roles: []Role{Volunteer}}, {Person: "li", Roles: []Role{Dispatcher}}, {Person: "officer", Roles: []Role{Officer}},
		{Person: "aud", Roles: []Role{Auditor}}, {Person: "kiosk:village", Roles: []Role{KioskRole}}, {Person: "m", Roles: []Role{Mediator}},
	} {
		class := s.rules.ClassOf(who, s.now())
		shown, ok := s.rules.Redact(who, s.now())
		if ok != (class != classHidden) {
			t.Fatalf("%s: class %q, shown %v", who.Person, class, ok)
		}
		b, err := json.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		if before, there := seen[class]; there && before != string(b) {
			t.Errorf("class %q sees two things:\n%s\n%s", class, before, b)
		}
		seen[class] = string(b)
	}
	if len(seen) != 5 { // hidden, card, two with a part of their own, full
		t.Errorf("classes %v", seen)
	}
}

// Whoever raised it keeps rights of his own, at any station, and no others.
func TestOwnRights(t *testing.T) {
	s := newStory(t)
	s.raise("dispute")
	kiosk := Subject{Person: "kiosk:village", Roles: []Role{KioskRole}, Kind: Village}
	for kind, want := range map[Kind]bool{
		KindNote: true, KindCancelRequested: true, KindEmergencyCalled: true, KindCancelled: false, KindResolved: false, KindStoodDown: false,
		KindReceipts: false, KindWave: false, KindCardUpdated: false,
	} {
		if err := s.rules.May(kiosk, Action(kind), s.now()); (err == nil) != want {
			t.Errorf("%s: %v", kind, err)
		}
	}
	shown, ok := s.rules.Redact(kiosk, s.now())
	if !ok || !shown.Mine.Raised || shown.ShownFull != nil {
		t.Errorf("of its own matter it sees %+v", shown)
	}
	if err := s.rules.May(Subject{Person: "kiosk:next", Roles: []Role{KioskRole}}, Action(KindNote), s.now()); err == nil {
		t.Error("another kiosk may too")
	}
}

// Everybody may write at once after a split; what comes next still fits its envelope.
func TestHeadsAreBounded(t *testing.T) {
	s := newStory(t)
	raised := s.raise("abduction")
	for k := range 3 * maxPrev {
		e := s.event(StationID(fmt.Sprint("village-", k)), "", &Receipts{Wave: 1, Sent: k})
		e.Prev = []Hash{raised.ID}
		s.record(e)
	}
	next := s.event("post", "li", &Note{Words: "x"})
	if err := next.Check(); err != nil {
		t.Error(err)
	}
	if got := next.Prev[len(next.Prev)-1]; got != s.now().Log[len(s.now().Log)-1].Event.ID {
		t.Error("the newest is not among its predecessors")
	}
}

func TestCheckRefusesWhatCannotBeShown(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	far := time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)
	for want, change := range map[string]func(*Event){
		"seen_at is in the year 12000": func(e *Event) { e.Body.(*Clue).SeenAt = far },
		"at is in the year 12000":      func(e *Event) { e.At = far },
		"the body that of":             func(e *Event) { e.Kind = KindNote },
		"seen_at is missing":           func(e *Event) { e.Body.(*Clue).SeenAt = time.Time{} },
		"heading":                      func(e *Event) { e.Body.(*Clue).Heading = "up" },
		"place.radius NaN":             func(e *Event) { e.Body.(*Clue).Place.Radius = math.NaN() },
		"lon NaN":                      func(e *Event) { e.Body.(*Clue).Place.Point = &Point{Lon: math.NaN()} },
		"place is empty":               func(e *Event) { e.Body.(*Clue).Place = Place{} },
	} {
		e := s.event("village", "vol", &Clue{Place: Place{Grid: "x"}, SeenAt: s.clock})
		if err := e.Check(); err != nil {
			t.Fatal(err)
		}
		change(&e)
		if err := e.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
