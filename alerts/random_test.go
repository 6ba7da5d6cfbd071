package alerts

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// randomEvent makes one of many kinds, often nonsense: the rules must stand it.
func randomEvent(s *story, rng *rand.Rand) Event {
	due := s.clock.Add(time.Hour)
	ratings := []Satisfaction{Satisfied, Partly, Unsatisfied, NoOpinion}
	bodies := []Body{
		&Registered{}, &Graded{Grade: Grade(1 + rng.IntN(4))}, &Waved{Number: 2 + rng.IntN(3), Ring: 3000}, &Responded{Step: KindAccepted},
		&Responded{Step: KindDeclined}, &Responded{Step: KindReleased}, &Clue{Seen: true}, &Assigned{Person: "officer"}, &Note{Words: "x"},
		&CancelRequested{}, &Resolved{Code: "found"}, &Cancelled{Reason: "x"}, &StoodDown{}, &SupportRequested{}, &Receipts{Wave: 1, Sent: rng.IntN(9)},
		&CardUpdated{Card: Card{What: fmt.Sprint(rng.IntN(9))}}, &EmergencyCalled{Service: "110"},
		&Asked{Answers: map[string]string{"where": "in"}}, &Returned{Reason: "x"}, &LevelChanged{Level: LevelCounty, Reason: "x"},
		&Feedback{Words: "x", Done: "unfounded"}, &Stepped{Step: "inspect", Evidence: []Evidence{words}}, &Stepped{Step: "order", Due: &due},
		&Wished{At: due}, &Appointed{At: due}, &Supervised{Reason: "x"}, &Supervised{Lifted: true, Reason: "x"},
		&Verified{Passed: rng.IntN(3) > 0, Words: "x"}, &FollowedUp{Reached: rng.IntN(2) > 0}, &FollowedUp{GivenUp: true}, &Affected{Party: "a"},
		&Rated{Party: ReporterParty, Satisfaction: ratings[rng.IntN(len(ratings))]}, &Rated{Party: "a", Satisfaction: Partly}, &Judged{},
		&Reopened{Reason: "x"}, &Archived{}, &Merged{Into: inc2}, &Unmerged{Reason: "x"},
		// What goes furthest, more often than chance would have it.
		&Resolved{Code: "unfounded", Words: "x"}, &Resolved{Code: "unfounded", Words: "x"}, &Verified{Passed: true}, &FollowedUp{Reached: true}, &Judged{},
	}
	actors := []PersonID{"li", "zhao", "officer", "vol", "grid", "caller", "qi", "kiosk:village", "nobody", ""}
	stations := []StationID{"post", "village"}
	e := s.event(stations[rng.IntN(2)], actors[rng.IntN(len(actors))], bodies[rng.IntN(len(bodies))])
	if rng.IntN(4) == 0 {
		e.Saw = Hash{byte(rng.IntN(3))}
	}
	return e
}

// Whatever happens: no published incident changes, a fork never leaks, a duplicate changes nothing, the
// order in which pending events are listed does not matter, and a refold gives the same state.
func TestFoldHoldsWhateverHappens(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 7))
		s := newStory(t)
		s.raise("abduction")
		for range 40 {
			published := s.now()
			before, _ := json.Marshal(published)
			stateBefore := s.state.Hash()

			pending := []Event{randomEvent(s, rng), randomEvent(s, rng), randomEvent(s, rng)}
			one := s.look(pending...)
			rng.Shuffle(len(pending), func(a, b int) { pending[a], pending[b] = pending[b], pending[a] })
			if diff := cmp.Diff(one, s.look(pending...)); diff != "" {
				t.Fatalf("seed %d: the listing's order shows: %s", seed, diff)
			}
			fork := s.state.Fork()
			for _, e := range pending {
				by := standingOf(e)
				fork.Apply(Entry{Epoch: 1, Index: fork.Index + 1, Event: e, Verdict: s.rules.Judge(fork, e, by, s.clock), At: s.clock, By: by})
			}
			if s.state.Hash() != stateBefore {
				t.Fatalf("seed %d: a fork leaked", seed)
			}
			s.record(pending[0])
			if after, _ := json.Marshal(published); string(after) != string(before) {
				t.Fatalf("seed %d: a published incident changed", seed)
			}
			h := s.state.Hash()
			if c := s.state.Apply(Entry{Epoch: 1, Index: 99, Event: pending[0], Verdict: Verdict{Code: Accepted}}); c.Incident != nil || s.state.Hash() != h || s.state.Index == 99 {
				t.Fatalf("seed %d: a duplicate changed something", seed)
			}
		}
		again := NewState(cell)
		for _, e := range s.state.Entries() {
			again.Apply(e)
		}
		if again.Hash() != s.state.Hash() || again.Index != s.state.Index {
			t.Fatalf("seed %d: folded again it is another state", seed)
		}
	}
}

func FuzzPlace(f *testing.F) {
	f.Add(`{"lon":116.5,"lat":39.3}`)
	f.Add(`{"grid":"xinzhuang","words":"村西头"}`)
	f.Add(`{"lon":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		var p, again Place
		if json.Unmarshal([]byte(text), &p) != nil {
			return
		}
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &again); err != nil || !cmp.Equal(p, again) {
			t.Fatalf("%s became %s: %v", text, b, err)
		}
	})
}

// FuzzFold drives judge, fold, view, alarms and disclosure with whatever sequence the fuzzer finds.
func FuzzFold(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5})
	f.Fuzz(func(t *testing.T, seed []byte) {
		s := newStory(t)
		s.raise("abduction")
		for k, b := range seed[:min(len(seed), 60)] {
			e := randomEvent(s, rand.New(rand.NewPCG(uint64(b), uint64(k%3))))
			i := s.look(e)
			s.rules.AlarmsFor(i, at("vol", 100, Volunteer), Heard{})
			s.rules.Redact(Subject{Person: "li", Roles: []Role{Dispatcher}}, i)
			s.rules.Due(i, time.Hour)
			v := s.record(e)
			if i := s.now(); v.Accepted() && i.Status.Closed() && i.AlarmOpen() {
				t.Fatal("a closed matter sounds")
			}
		}
	})
}

// FuzzEventCheck: what Check lets in can be folded, shown and hashed by every station, whatever it says.
func FuzzEventCheck(f *testing.F) {
	f.Add("note", "words", 1.0, 2, int64(0))
	f.Add("raised", "abduction", 116.5, 1, int64(1700000000))
	f.Add("clue", "去向南", 39.3, 0, int64(1)<<60)
	f.Add("receipts", "", -1.0, -5, int64(-1)<<62)
	f.Add("wave", "\xff", 3000.0, 99, int64(0))
	f.Fuzz(func(t *testing.T, kind, text string, x float64, n int, seconds int64) {
		s := newStory(t)
		s.raise("abduction")
		body, ok := NewBody(Kind(kind))
		if !ok {
			body = &Foreign{Name: Kind(kind), Raw: []byte(text)}
		}
		at, when := Place{Point: &Point{Lon: x, Lat: -x}, Words: text, Radius: x}, time.Unix(seconds, 0)
		switch b := body.(type) {
		case *Raised:
			*b = Raised{Category: text, Grade: Grade(n), Place: at, Ring: x, Wanted: n}
		case *Clue:
			*b = Clue{Place: at, SeenAt: when, Words: text}
		case *Waved:
			*b = Waved{Number: n, Ring: x, Reason: text}
		case *Receipts:
			*b = Receipts{Wave: n, Sent: n}
		case *Note:
			b.Words = text
		case *SupportRequested:
			*b = SupportRequested{Words: text, Place: &at}
		case *Assigned:
			*b = Assigned{Person: PersonID(text), Words: text}
		}
		e := s.event("post", "li", body)
		e.At, e.Client = when, text
		if e.Check() != nil {
			return
		}
		s.record(e)
		s.state.Hash()
		shown, _ := s.rules.Redact(Subject{Person: "li", Roles: []Role{Dispatcher}}, s.now())
		if _, err := json.Marshal(shown); err != nil {
			t.Fatalf("let in, and it cannot be shown: %v", err)
		}
	})
}

func BenchmarkApplyAndLook(b *testing.B) {
	s := newStory(b)
	s.raise("abduction")
	for range 60 {
		s.tell(Accepted, "village", "vol", &Clue{Seen: true, Place: Place{Grid: "x"}, SeenAt: s.clock})
	}
	pending := s.event("village", "vol", &Responded{Step: KindAccepted})
	b.ReportAllocs()
	for b.Loop() {
		s.look(pending)
	}
}

func BenchmarkAlarmsFor(b *testing.B) {
	s := newStory(b)
	s.raise("abduction")
	i, who := s.now(), at("vol", 900, Volunteer)
	b.ReportAllocs()
	for b.Loop() {
		s.rules.AlarmsFor(i, who, Heard{})
	}
}

// Whatever is tried, in whatever order and by whom: what counts is a step that the course knows from there, made by
// somebody who may; nobody passes judgement on his own work; and no clock of a matter that is over goes on.
func TestTheCourseHoldsWhateverIsTried(t *testing.T) {
	next := map[Kind][]Status{ // written down once more, apart from the tables
		KindVerified: {StatusResolved}, KindFollowedUp: {StatusVerified}, KindJudged: {StatusFollowedUp}, KindUnmerged: {StatusMerged},
	}
	onwards := map[Status]func(*story) Event{
		StatusResolved: func(s *story) Event { return s.event("post", "zhao", &Verified{Passed: true}) },
		StatusVerified: func(s *story) Event { return s.event("post", "caller", &FollowedUp{Reached: true}) },
		StatusFollowedUp: func(s *story) Event {
			if s.now().rated(ReporterParty) == nil {
				return s.event("village", "kiosk:village", &Rated{Party: ReporterParty, Satisfaction: Partly})
			}
			return s.event("post", "caller", &Judged{})
		},
	}
	reached := map[Status]int{}
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 11))
		s := newStory(t)
		s.raise([]string{"hazard", "abduction", "dispute"}[seed%3])
		worked := map[PersonID]bool{}
		for range 120 {
			before, e := s.now(), randomEvent(s, rng)
			if far := onwards[before.Status]; far != nil && rng.IntN(3) == 0 { // by chance alone few get far
				e = far(s)
			}
			e.Saw = before.Latest[FieldOf(e.Kind)].Event
			v := s.record(e)
			after := s.now()
			reached[after.Status]++
			if !v.Accepted() {
				if after.Status != before.Status {
					t.Fatalf("seed %d: a refused %s made %s of %s", seed, e.Kind, after.Status, before.Status)
				}
				continue
			}
			if from := next[e.Kind]; len(from) > 0 && !slices.Contains(from, before.Status) {
				t.Fatalf("seed %d: %s counted upon %s", seed, e.Kind, before.Status)
			}
			switch b := e.Body.(type) {
			case *Verified, *FollowedUp, *Judged:
				if worked[e.Actor] {
					t.Fatalf("seed %d: %s, who handled it, did %s", seed, e.Actor, e.Kind)
				}
			case *Feedback, *Stepped, *Resolved:
				worked[e.Actor] = true
			case *Responded:
				worked[e.Actor] = worked[e.Actor] || b.Step == KindAccepted
			}
			if over := after.Status; over == StatusArchived || over == StatusCancelled || over == StatusVoid || over == StatusMerged {
				for _, c := range s.rules.Clocks(after) {
					if c.Stopped == nil {
						t.Fatalf("seed %d: %s goes on in a matter that is %s", seed, c.Name, over)
					}
				}
			}
			if after.Status.Closed() && after.AlarmOpen() {
				t.Fatalf("seed %d: a matter that is %s sounds", seed, after.Status)
			}
		}
	}
	for _, want := range []Status{StatusReturned, StatusReopened, StatusResolved, StatusVerified, StatusFollowedUp, StatusJudged, StatusArchived, StatusCancelled} {
		if reached[want] == 0 {
			t.Errorf("no try led to %s: this shows nothing of it (%v)", want, reached)
		}
	}
}
