package alerts

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func asText(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What was handed out stays as it was, whatever is looked at, judged or recorded afterwards: views, forks and
// the record share memory, and none may write where another reads.
func TestWhatWasHandedOutStays(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	note := func() Event { return s.event("post", "li", &Note{Words: fmt.Sprint("note ", s.n)}) }
	for range 20 {
		s.record(note())
		one := s.look(note(), note())
		oneText := asText(t, one)
		fork := s.state.Fork()
		e := note()
		fork.Apply(Entry{Epoch: 1, Index: fork.Index + 1, Event: e, Verdict: Verdict{Code: Accepted}, At: s.clock, By: standingOf(e)})
		forked, _ := fork.Incident(inc)
		forkText := asText(t, forked)
		s.look(note(), note())
		s.record(note())
		if asText(t, one) != oneText {
			t.Fatal("a view changed after it was shown")
		}
		if asText(t, forked) != forkText {
			t.Fatal("a fork's incident changed after it was made")
		}
	}
}

func TestWavesOfTwoViews(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	for k := 2; k < 9; k++ {
		s.tell(Accepted, "village", "", &Waved{Number: k, Ring: 1000})
		one := s.look(s.event("village", "", &Waved{Number: k + 1, Ring: 3000}))
		text := asText(t, one)
		s.look(s.event("village", "", &Waved{Number: k + 1, Ring: 8000}))
		if asText(t, one) != text {
			t.Fatalf("at wave %d another view's wave is in this one", k+1)
		}
	}
}

func TestSentAnewAfterDeclining(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	s.tell(Accepted, "post", "li", &Assigned{Person: "officer"})
	s.tell(Accepted, "post", "officer", &Responded{Step: KindDeclined})
	if s.now().binds("officer") {
		t.Error("bound after declining")
	}
	s.tell(Accepted, "post", "li", &Assigned{Person: "officer", Words: "nobody else is left"})
	if !s.now().binds("officer") {
		t.Error("free although sent anew")
	}
}

func TestStoodDownTwice(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	first := s.tell(Accepted, "post", "li", &StoodDown{})
	v := s.record(s.event("post", "zhao", &StoodDown{})) // zhao saw the first
	if v.Code != Ended || v.Lost.Event != first.ID {
		t.Errorf("%+v", v)
	}
	shown, _ := s.rules.Redact(Subject{Person: "vol", Roles: []Role{Volunteer}}, s.now())
	if shown.Alarm.Open || shown.Alarm.EndedKind != KindStoodDown || !time.Time(*shown.Alarm.EndedAt).Equal(s.now().Ended.At) {
		t.Errorf("shown as %+v", shown.Alarm)
	}
}

func TestVoidIsWhatTheLateAreTold(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	s.tell(Accepted, "post", "zhao", &StoodDown{})
	void := s.tell(Accepted, "post", "li", &Registered{Void: true, Reason: "a prank"})
	if v := s.record(s.event("post", "zhao", &Graded{Grade: Grade4})); v.Code != Ended || v.Lost.Event != void.ID {
		t.Errorf("%+v", v)
	}
}

func TestLookTakesItsOwnIncidentOnly(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	other, foreign := s.event("post", "li", &Note{Words: "x"}), s.event("post", "li", &Note{Words: "x"})
	other.Incident, foreign.Cell = inc2, "elsewhere"
	if got := s.look(other, foreign); len(got.Log) != 1 {
		t.Errorf("%d lines", len(got.Log))
	}
}

func TestSupportEndsWithTheMatter(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	s.tell(Accepted, "village", "officer", &SupportRequested{})
	s.tell(Accepted, "post", "li", &StoodDown{})
	hears := func() int { return len(s.rules.AlarmsFor(s.now(), at("other", 0, Officer), Heard{})) }
	if hears() != 1 {
		t.Error("the public was stood down, and the colleague who calls for help with it")
	}
	s.tell(Accepted, "post", "li", &Resolved{Code: "found"})
	if hears() != 0 {
		t.Error("sounds for a closed matter")
	}
}

// A matter without an alarm is nobody's on the public side, also where its category could wake them.
func TestNoAlarmNoCard(t *testing.T) {
	s := newStory(t)
	point := scene
	s.tell(Accepted, "village", "kiosk:village", &Raised{Category: "abduction", Grade: Grade4, Place: Place{Point: &point}})
	if class := s.rules.ClassOf(Subject{Person: "vol", Roles: []Role{Volunteer}}, s.now()); class != classHidden {
		t.Errorf("class %q", class)
	}
}

func TestWhatCountsAsADispatchersAnswer(t *testing.T) {
	s := newStory(t)
	point := scene
	s.tell(Accepted, "post", "li", &Raised{Category: "abduction", Grade: Grade1, Place: Place{Point: &point}, Ring: 1000, Wanted: 2, Card: Card{What: "x"}, Source: FromPhone})
	s.tell(Accepted, "village", "", &Waved{Number: 2, Ring: 3000})
	due := func() bool { _, ok := s.rules.Due(s.now(), WidenAfter); return ok }
	if !due() {
		t.Error("who took the call and left counts as an answer")
	}
	bad := s.event("post", "li", &Graded{Grade: Grade1})
	bad.Saw = Hash{9}
	s.record(bad)
	if !due() {
		t.Error("a refused decision counts as an answer")
	}
	s.tell(Accepted, "post", "li", &Graded{Grade: Grade1})
	if due() {
		t.Error("a dispatcher is there, and it widens by itself")
	}
}

func TestWhatWidens(t *testing.T) {
	s := newStory(t)
	s.raise("panic")
	s.tell(Accepted, "post", "li", &Waved{Number: 2, Ring: 8000, Wide: true})
	w, due := s.rules.Due(s.now(), WidenAfter)
	if !due || !w.Wide || w.Ring != CountyRing {
		t.Errorf("after a wide wave: due %v %+v", due, w)
	}
	s.tell(Accepted, "post", "li", &Graded{Grade: Grade2})
	if w, due := s.rules.Due(s.now(), time.Hour); due {
		t.Errorf("no longer red, and it widens: %+v", w)
	}
}

// Entries that belong to no incident count too: the hash tells two records of different length apart.
func TestHashCountsEntries(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	before := s.state.Hash()
	e := s.event("village", "nobody", &Raised{Category: "abduction", Grade: Grade1, Place: Place{Point: &scene}})
	e.Incident = inc2
	if v := s.record(e); v.Code != Forbidden {
		t.Fatal(v.Code)
	}
	if s.state.Hash() == before {
		t.Error("a longer record has the same hash")
	}
}

func TestFromTable(t *testing.T) {
	s := newStory(t)
	m := s.rules.Moves[KindRegistered]
	m.From = []Status{StatusReported}
	s.rules.Moves[KindRegistered] = m
	s.raise("abduction")
	s.tell(Accepted, "post", "li", &Graded{Grade: Grade2})
	s.tell(NotOpen, "post", "li", &Registered{})
	if why := s.rules.Why(s.event("post", "li", &Registered{}), Verdict{Code: NotOpen}); why == "" {
		t.Error("and is not told why")
	}
}

// Concurrent events stand in the order of their names at every station, causes before what they caused.
func TestPendingOrder(t *testing.T) {
	s := newStory(t)
	raised := s.raise("abduction")
	a, b, c := s.event("post", "li", &Note{Words: "a"}), s.event("post", "li", &Note{Words: "b"}), s.event("post", "li", &Note{Words: "c"})
	a.ID, b.ID, c.ID = Hash{3}, Hash{2}, Hash{1}
	c.Prev = []Hash{a.ID} // least by name, and still after its cause
	var got []Hash
	for _, l := range s.look(c, a, b).Log {
		got = append(got, l.Event.ID)
	}
	if diff := cmp.Diff([]Hash{raised.ID, b.ID, a.ID, c.ID}, got); diff != "" {
		t.Errorf("pending events do not stand in the order (step, name): %s", diff)
	}
	if heads := s.look(c, a, b).Heads; !cmp.Equal(heads, []Hash{b.ID, c.ID}) {
		t.Errorf("heads %v", heads)
	}
}

func TestPlaceIsStrict(t *testing.T) {
	for _, text := range []string{`{"lon":1,"lat":2,"alt":3}`, `{"point":{"lon":1,"lat":2}}`, `{"lat":2}`, `{"lon":"1","lat":2}`, `[1,2]`} {
		var p Place
		if err := json.Unmarshal([]byte(text), &p); err == nil {
			t.Errorf("took %s as %+v", text, p)
		}
	}
}

func TestEveryKindIsInOneTable(t *testing.T) {
	for _, k := range allKinds {
		b, ok := NewBody(k)
		if !ok || b.Kind() != k {
			t.Errorf("%s: body %T", k, b)
		}
	}
	if _, ok := NewBody("teleported"); ok || FieldOf("teleported") != "" || AlarmLane("teleported") {
		t.Error("a kind nobody knows is known")
	}
}

// Every refusal is told in words, and every code that a maker can meet has some.
func TestWhyHasWords(t *testing.T) {
	r := testRules()
	e := Event{ID: sha256.Sum256(nil), Kind: KindGraded, Body: &Graded{}}
	for _, c := range []Code{Stale, Followed, Stands, Busy, Ended, NotOpen, Forbidden, WrongCell, Forwarded, Conflict, Same, Unknown} {
		if r.Why(e, Verdict{Code: c}) == "" {
			t.Errorf("%s: no words", c)
		}
	}
	if r.Why(e, Verdict{Code: Accepted}) != "" {
		t.Error("words for what counts")
	}
}

// Who is sent somewhere in a batch that never came about is free.
func TestForkBindsNobody(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	e := s.event("post", "li", &Assigned{Person: "officer"})
	fork := s.state.Fork()
	fork.Apply(Entry{Epoch: 1, Index: fork.Index + 1, Event: e, Verdict: Verdict{Code: Accepted}, At: s.clock, By: standingOf(e)})
	if fork.boundElsewhere("officer", inc2) == nil || s.state.boundElsewhere("officer", inc2) != nil {
		t.Error("a fork's assignments leak, or are not there")
	}
}
