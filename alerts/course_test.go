package alerts

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	photo = Evidence{Kind: EvidencePhoto, SHA256: &Hash{1}}
	words = Evidence{Kind: EvidenceWords, Words: "看过"}
)

// lacks tells something that the category asks more for, and says what.
func (s *story) lacks(station StationID, actor PersonID, b Body, want ...string) {
	s.t.Helper()
	e := s.event(station, actor, b)
	v := s.record(e)
	if v.Code != Lacking || !slices.Equal(v.Missing, want) {
		s.t.Fatalf("%s: %s %q, want lacking %q", e.Kind, v.Code, v.Missing, want)
	}
	if why := s.rules.Why(e, v); !strings.Contains(why, want[0]) {
		s.t.Errorf("said as %q", why)
	}
}

func (s *story) status(want Status) {
	s.t.Helper()
	if got := s.now().Status; got != want {
		s.t.Fatalf("status %s, want %s", got, want)
	}
}

// rectified takes a hazard to resolved by its template.
func (s *story) rectified() {
	s.t.Helper()
	due := s.clock.Add(72 * time.Hour)
	s.tell(Accepted, "post", "li", &Registered{})
	s.tell(Accepted, "post", "li", &Graded{Grade: Grade4})
	s.tell(Accepted, "post", "li", &Assigned{Person: "grid"})
	s.status(StatusDispatched)
	s.tell(Accepted, "village", "grid", &Stepped{Step: "inspect", Words: "楼道堆物"})
	s.status(StatusHandling)
	s.tell(Accepted, "village", "grid", &Stepped{Step: "order", Due: &due})
	s.tell(Accepted, "village", "grid", &Stepped{Step: "recheck", Result: "done", Evidence: []Evidence{photo, words}})
	s.tell(Accepted, "village", "grid", &Feedback{Words: "已清理", Done: "rectified"})
	s.tell(Accepted, "post", "li", &Resolved{Code: "rectified"})
	s.status(StatusResolved)
}

func TestTheWholeLoop(t *testing.T) {
	s := newStory(t)
	s.raise("hazard")
	s.status(StatusReported)
	s.rectified()
	s.tell(Accepted, "post", "qi", &Feedback{Words: "部门已交办"})
	s.tell(Involved, "post", "li", &Verified{Passed: true}) // who resolved it
	s.tell(NotOpen, "post", "caller", &FollowedUp{Reached: true})
	s.tell(Accepted, "post", "zhao", &Verified{Passed: true, Words: "现场看过"})
	s.status(StatusVerified)
	s.tell(Involved, "post", "qi", &FollowedUp{Reached: true}) // who had a hand in it
	s.tell(Accepted, "post", "caller", &FollowedUp{})          // nobody answers the telephone
	s.status(StatusVerified)
	s.tell(Accepted, "post", "caller", &FollowedUp{Reached: true})
	s.status(StatusFollowedUp)
	s.lacks("post", "caller", &Judged{}, "verdict: reporter")
	s.tell(Accepted, "post", "caller", &Affected{Party: "东邻"})
	s.lacks("post", "caller", &Rated{Party: "西邻", Satisfaction: Satisfied}, "party: 西邻 was not named as affected")
	s.tell(Accepted, "post", "caller", &Rated{Party: "东邻", Satisfaction: Partly, Words: "慢了些"})
	s.tell(Stands, "post", "zhao", &Rated{Party: "东邻", Satisfaction: Unsatisfied})
	s.tell(Accepted, "village", "kiosk:village", &Rated{Party: ReporterParty, Satisfaction: Satisfied})
	s.tell(Forbidden, "post", "grid", &Rated{Party: ReporterParty, Satisfaction: Satisfied})
	s.tell(Involved, "post", "qi", &Judged{})
	s.tell(Accepted, "post", "caller", &Judged{})
	s.status(StatusJudged)
	s.tell(Accepted, "post", "li", &Archived{})
	s.status(StatusArchived)
	s.tell(NotOpen, "post", "caller", &Judged{})
	want := &Judgement{Satisfied: 1, Partly: 1, Ref: s.now().Judgement.Ref}
	if diff := cmp.Diff(want, s.now().Judgement); diff != "" {
		t.Error(diff)
	}
}

func TestWhatACategoryAsksFor(t *testing.T) {
	s := newStory(t)
	s.raise("hazard")
	s.lacks("village", "grid", &Asked{Answers: map[string]string{"where": "under", "who": "x"}}, "answer: where has no choice under", "question: who is none of the category's")
	s.tell(Accepted, "village", "villager", &Asked{Answers: map[string]string{"where": "in"}})
	s.lacks("village", "grid", &Stepped{Step: "order"}, "step: inspect", "due: by when")
	s.lacks("village", "grid", &Stepped{Step: "sweep"}, "step: sweep is none of the category's")
	s.tell(Forbidden, "village", "vol", &Stepped{Step: "inspect"}) // a volunteer handles no hazard
	s.lacks("post", "li", &Resolved{Code: "unfounded"}, "step: inspect", "evidence: words")
	s.tell(Accepted, "village", "grid", &Stepped{Step: "inspect"})
	s.lacks("post", "li", &Resolved{Code: "swept"}, "code: swept is none of the category's", "evidence: words")
	s.lacks("post", "li", &Resolved{Code: "rectified", Evidence: []Evidence{words}}, "step: recheck")
	due := s.clock.Add(time.Hour)
	s.tell(Accepted, "village", "grid", &Stepped{Step: "order", Due: &due})
	s.tell(Forbidden, "post", "officer", &Stepped{Step: "recheck", Result: "done", Evidence: []Evidence{photo}}) // by another role
	s.lacks("village", "grid", &Stepped{Step: "recheck", Result: "fine"}, "result: recheck has none called fine", "evidence: photo")
	s.tell(Accepted, "village", "grid", &Stepped{Step: "recheck", Result: "not_yet", Evidence: []Evidence{photo}})
	s.lacks("post", "li", &Resolved{Code: "rectified", Evidence: []Evidence{words}}, "step: recheck")
	s.lacks("village", "grid", &Feedback{Words: "好了", Done: "swept"}, "code: swept is none of the category's")
	s.tell(Accepted, "village", "grid", &Stepped{Step: "recheck", Result: "done", Evidence: []Evidence{photo}})
	if lacks := s.rules.Lacks(s.now()); !slices.Equal(lacks, []string{"evidence: words"}) {
		t.Errorf("still lacking %q", lacks)
	}
	s.tell(Accepted, "post", "li", &Resolved{Code: "rectified", Evidence: []Evidence{words}})
}

// Not satisfied, it begins anew: somebody is sent again, what was handed in proves nothing, another one checks.
func TestTheUnsatisfiedOpenItAgain(t *testing.T) {
	s := newStory(t)
	s.raise("hazard")
	s.rectified()
	s.tell(Accepted, "post", "zhao", &Verified{Passed: true})
	s.tell(Accepted, "post", "caller", &FollowedUp{Reached: true})
	s.tell(Accepted, "post", "caller", &Rated{Party: ReporterParty, Satisfaction: Unsatisfied})
	s.tell(Accepted, "post", "caller", &Judged{})
	s.status(StatusReopened)
	if i := s.now(); i.Status.Closed() || len(i.Assigned)+len(i.Evidence)+len(i.Steps)+len(i.Ratings) > 0 || len(i.Reopened) != 1 {
		t.Errorf("not begun anew: %+v", i.Course)
	}
	s.lacks("post", "li", &Resolved{Code: "rectified"}, "step: inspect", "step: recheck", "evidence: words")
	s.tell(Accepted, "village", "grid", &Stepped{Step: "inspect", Evidence: []Evidence{words}})
	s.tell(Accepted, "post", "li", &Resolved{Code: "unfounded"})
	s.tell(Involved, "post", "zhao", &Verified{Passed: true}) // checked it before
	s.tell(Accepted, "post", "officer", &Verified{Passed: false, Words: "还堆着"})
	s.status(StatusReopened)
	if got := len(s.now().Reopened); got != 2 {
		t.Errorf("opened again %d times", got)
	}
}

func TestGivingUpTheCall(t *testing.T) {
	s := newStory(t)
	s.raise("hazard")
	s.rectified()
	s.tell(Accepted, "post", "zhao", &Verified{Passed: true})
	s.lacks("post", "caller", &FollowedUp{GivenUp: true}, "calls: 0 of 2 made before giving up")
	s.tell(Accepted, "post", "caller", &FollowedUp{})
	s.tell(Accepted, "post", "caller", &FollowedUp{})
	s.tell(Accepted, "post", "caller", &FollowedUp{GivenUp: true})
	s.tell(Accepted, "post", "caller", &Judged{}) // nobody was reached, so nobody's verdict is waited for
	s.status(StatusJudged)
}

func TestReturned(t *testing.T) {
	s := newStory(t)
	s.raise("hazard")
	s.tell(Accepted, "post", "li", &Assigned{Person: "grid"})
	s.tell(Accepted, "post", "li", &Assigned{Person: "officer"})
	s.tell(Accepted, "village", "grid", &Returned{Reason: "不是本网格"})
	s.status(StatusDispatched) // the officer still goes
	s.tell(Accepted, "post", "officer", &Returned{Reason: "归消防"})
	s.status(StatusReturned)
	s.tell(Accepted, "post", "li", &LevelChanged{Level: LevelCounty, Reason: "需部门处理"})
	if level := s.rules.LevelOf(s.now()); level != LevelCounty {
		t.Error(level)
	}
	s.tell(Accepted, "post", "li", &Assigned{Person: "grid"})
	s.status(StatusDispatched)
}

// Two witnesses, one matter: neither loses anything, and no circle of duplicates can be made.
func TestMerged(t *testing.T) {
	s := newStory(t)
	s.raise("abduction")
	other := s.event("village", "villager", &Raised{Category: "abduction", Grade: Grade1, Place: Place{Point: &scene}, Ring: 1000, Wanted: 2, Card: Card{What: "x"}, Source: FromPatrol})
	other.Incident, other.Prev = inc2, nil
	s.record(other)
	s.lacks("post", "li", &Merged{Into: inc}, "into: "+string(inc)+" is this matter, or was merged into it")
	s.tell(Accepted, "post", "li", &Merged{Into: inc2, Reason: "同一辆三轮车"})
	if i := s.now(); i.AlarmOpen() || i.MergedInto != inc2 {
		t.Errorf("alarm open %v, merged into %s", i.AlarmOpen(), i.MergedInto)
	}
	back := s.event("post", "li", &Merged{Into: inc})
	back.Incident = inc2
	back.Prev, back.Saw = []Hash{other.ID}, Hash{}
	if v := s.record(back); v.Code != Lacking {
		t.Errorf("a circle: %s", v.Code)
	}
	s.tell(Ended, "post", "li", &Resolved{Code: "found"}) // decided where it was merged into
	s.tell(Accepted, "village", "vol", &Clue{Seen: true, Place: Place{Point: &scene}, SeenAt: s.clock})
	s.tell(Accepted, "post", "li", &Unmerged{Reason: "两辆车"})
	s.tell(NotOpen, "post", "li", &Unmerged{Reason: "再来"})
	s.tell(Accepted, "post", "li", &Resolved{Code: "found"})
}

// Whoever handled a matter learns what is said of it when all is said, and not before, by no frame at all.
func TestVerdictsAreUnseenUntilCounted(t *testing.T) {
	s := newStory(t)
	s.raise("hazard")
	s.rectified()
	s.tell(Accepted, "post", "zhao", &Verified{Passed: true})
	s.tell(Accepted, "post", "caller", &FollowedUp{Reached: true})
	s.tell(Accepted, "post", "caller", &Rated{Party: ReporterParty, Satisfaction: Partly, Words: "拖得太久"})
	sees := func(p PersonID) bool {
		shown, ok := s.rules.Redact(Subject{Person: p, Roles: []Role{Dispatcher}, Kind: PolicePost}, s.now())
		b, err := json.Marshal(shown)
		if err != nil || !ok {
			t.Fatal(err, ok)
		}
		return strings.Contains(string(b), "拖得太久") || strings.Contains(string(b), string(Partly))
	}
	if sees("li") || !sees("zhao") {
		t.Errorf("uncounted: its handler sees it %v, its checker %v", sees("li"), sees("zhao"))
	}
	s.tell(Accepted, "post", "caller", &Judged{})
	if !sees("li") {
		t.Error("counted, its handler does not see it")
	}
}

func TestClocks(t *testing.T) {
	running := func(s *story) (names []ClockName) {
		for _, c := range s.rules.Clocks(s.now()) {
			if c.Stopped == nil {
				names = append(names, c.Name)
			}
		}
		return names
	}
	s := newStory(t)
	want := func(names ...ClockName) {
		t.Helper()
		if diff := cmp.Diff(names, running(s)); diff != "" {
			t.Errorf("running: %s", diff)
		}
	}
	s.raise("abduction")
	want(ClockAnswer, ClockDispatch)
	s.clock = s.clock.Add(20 * time.Second)
	if c := s.rules.Overdue(s.now(), s.clock); c == nil || c.Name != ClockAnswer || c.Took(s.clock) != 20*time.Second {
		t.Errorf("overdue: %+v", c)
	}
	s.tell(Accepted, "post", "li", &Registered{})
	want(ClockDispatch, ClockClose)
	s.tell(Accepted, "post", "li", &Graded{Grade: Grade1})
	s.tell(Accepted, "village", "vol", &Responded{Step: KindAccepted})
	want(ClockArrive, ClockFeedback, ClockClose)
	s.tell(Accepted, "village", "vol", &Responded{Step: KindOnScene})
	s.tell(Accepted, "village", "vol", &Feedback{Words: "到了"})
	want(ClockClose)
	s.tell(Accepted, "post", "li", &Resolved{Code: "found"})
	want(ClockVerify)
	s.tell(Accepted, "post", "zhao", &Verified{Passed: true})
	want(ClockFollowUp)
	s.tell(Accepted, "post", "li", &Reopened{Reason: "又有人看到"})
	want(ClockDispatch, ClockClose)
	s.tell(Accepted, "post", "li", &Cancelled{Reason: "误报"})
	want()
	if c := s.rules.Overdue(s.now(), s.clock.Add(1000*time.Hour)); c != nil {
		t.Errorf("a cancelled matter is overdue: %+v", c)
	}
	// A clock that was stopped too late stays late, and took as long as it took.
	for _, c := range s.rules.Clocks(s.now()) {
		if c.Took(s.clock.Add(time.Hour)) != c.Took(s.clock) {
			t.Errorf("%s goes on", c.Name)
		}
	}
}

// Whoever was sent to settle a dull matter knows what it is about, and nobody's part in it; who was not sent, and
// whoever is called to an alarm, does not.
func TestWhoHandlesKnowsWhatItIsAbout(t *testing.T) {
	s := newStory(t)
	s.raise("hazard")
	sees := func(p PersonID, roles ...Role) (Shown, string) {
		shown, ok := s.rules.Redact(Subject{Person: p, Roles: roles, Kind: Village}, s.now())
		b, err := json.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return shown, ""
		}
		return shown, string(b)
	}
	if _, text := sees("grid", GridWorker); text != "" {
		t.Errorf("before he was sent: %s", text)
	}
	s.tell(Accepted, "post", "li", &Assigned{Person: "grid"})
	s.tell(Accepted, "post", "officer", &Stepped{Step: "inspect"})
	shown, text := sees("grid", GridWorker)
	if shown.ShownCourse == nil || shown.ShownFull != nil || len(shown.Steps) != 1 || shown.Mine.Note == "" {
		t.Errorf("sent, he sees %s", text)
	}
	if strings.Contains(text, "officer") || strings.Contains(text, "kiosk:village") {
		t.Errorf("he sees who else is in it: %s", text)
	}
	if _, text := sees("caller", FollowUpCaller); text != "" {
		t.Errorf("the caller sees a matter that is worked on: %s", text)
	}
	a := newStory(t)
	a.raise("abduction")
	a.tell(Accepted, "post", "li", &Assigned{Person: "vol"})
	if shown, _ := a.rules.Redact(Subject{Person: "vol", Roles: []Role{Volunteer}}, a.now()); shown.Mine == nil || shown.Mine.Note != "" || shown.ShownCourse != nil {
		t.Errorf("a volunteer who is sent sees more than the card: %+v", shown)
	}
}
