package alerts

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// govern makes and records an event of the directory as the admin at the post.
func (s *story) govern(code Code, b Body) Event {
	s.t.Helper()
	s.n++
	e := Event{
		ID: sha256.Sum256(fmt.Append(nil, "county", s.n)), Station: "post", Cell: s.state.Cell, Incident: DirectoryID,
		Actor: "chief", Kind: b.Kind(), At: s.clock, Body: b, Saw: s.state.Directory().Last(FieldOf(b.Kind())),
	}
	if err := e.Check(); err != nil {
		s.t.Fatal(err)
	}
	if v := s.record(e); v.Code != code {
		s.t.Fatalf("%s: verdict %s, want %s", e.Kind, v.Code, code)
	}
	return e
}

func TestTheDirectorySaysWhoseATownshipIs(t *testing.T) {
	s := newStory(t)
	none := s.state.Directory()
	if at, ok := none.Home("东乡"); ok || none.CellOf("a", "east", cell) != cell {
		t.Errorf("a county that recorded nothing has %q for a township", at)
	}
	s.govern(Accepted, &CellChanged{Cell: "east", Townships: []string{"东乡"}, Stations: []StationID{"e1", "e2"}, Founders: []StationID{"e1"}})
	s.govern(Accepted, &CellChanged{Cell: "west", Townships: []string{"西乡", "南乡"}, Stations: []StationID{"w1"}, Founders: []StationID{"w1"}})
	s.govern(Accepted, &CellChanged{Cell: "east", Townships: []string{"南乡"}, Stations: []StationID{"w2"}, Voters: 5})
	d := s.state.Directory()
	for township, want := range map[string]CellID{"东乡": "east", "南乡": "east", "西乡": "west"} {
		if got, _ := d.Home(township); got != want {
			t.Errorf("%s is of %s, want %s", township, got, want)
		}
	}
	s.govern(Accepted, &CellChanged{Cell: "west", Into: "east"})
	d = s.state.Directory()
	if got, _ := d.Home("西乡"); got != "east" || d.CellOf("w1", "west", cell) != "east" || d.CellOf("w9", "west", cell) != "east" {
		t.Errorf("what was merged away is not its successor's: %+v", d)
	}
	if c, _ := d.Cell("east"); c.Voters != 5 || c.Epoch != 3 {
		t.Errorf("east is %+v", c)
	}
	s.govern(Accepted, &StationPlaced{Station: "e2", Cell: cell})
	if d := s.state.Directory(); d.CellOf("e2", "east", cell) != cell || d.CellOf("stranger", "nowhere", cell) != cell {
		t.Error("a placed station, or one whose certificate names no cell, is not in the home cell")
	}
}

func TestDecisionsOfTheDirectoryExcludeEachOther(t *testing.T) {
	s := newStory(t)
	east := &CellChanged{Cell: "east", Townships: []string{"东乡"}, Founders: []StationID{"e1"}}
	first := s.govern(Accepted, east)
	late := first
	late.ID, late.Body = Hash{9}, &CellChanged{Cell: "west", Townships: []string{"东乡"}, Founders: []StationID{"w1"}}
	if v := s.record(late); v.Code != Stale || v.Lost == nil || v.Lost.Event != first.ID {
		t.Errorf("a change that saw less: %+v", v)
	}
	village := first
	village.ID, village.Station, village.Saw = Hash{10}, "village", first.ID
	if v := s.record(village); v.Code != Forbidden {
		t.Errorf("signed at a village box: %+v", v)
	}
	s.govern(NotOpen, &CellChanged{Cell: "empty", Townships: []string{"东乡"}})  // nobody founds it
	s.govern(NotOpen, &CellChanged{Cell: "east", Founders: []StationID{"e2"}}) // it was founded
	s.govern(NotOpen, &CellChanged{Cell: cell, Into: "east"})                  // every station follows the home cell
	s.govern(NotOpen, &CellChanged{Cell: "east", Into: "nowhere"})             // no such successor
	s.govern(NotOpen, &StationPlaced{Station: "e1", Cell: "nowhere"})          //
	s.govern(Accepted, &CellChanged{Cell: "east", Into: cell})                 //
	s.govern(Ended, &CellChanged{Cell: "east", Townships: []string{"南乡"}})     // it is no more
}

// What the county's authority decided is noted by posts and centres, each once, whoever notes it; a person or a
// village box cannot.
func TestTheAuthoritysWordIsNotedOnce(t *testing.T) {
	s := newStory(t)
	note := func(code Code, station StationID, actor PersonID, b Body) uint64 {
		t.Helper()
		e := s.event(station, actor, b)
		e.Incident, e.Prev, e.Saw = DirectoryID, nil, Hash{}
		if err := e.Check(); err != nil {
			t.Fatal(err)
		}
		if v := s.record(e); v.Code != code {
			t.Fatalf("%s by %q at %s: verdict %s, want %s", e.Kind, actor, station, v.Code, code)
		}
		return s.state.Index
	}
	word := []byte("signed word")
	expelled := &StationExpelled{Station: "e7", Revocation: word}
	note(Forbidden, "village", "", expelled)
	note(Forbidden, "post", "admin", expelled)
	if s.state.Directory().Expulsion("e7", word) != 0 {
		t.Error("what was refused is taken for noted")
	}
	at := note(Accepted, "post", "", expelled)
	note(Same, "post", "", expelled)
	key := note(Accepted, "post", "", &KeyChanged{Generation: 3})
	note(Same, "post", "", &KeyChanged{Generation: 3})
	note(NotOpen, "post", "", &KeyChanged{Generation: 2}) // only forward
	note(Accepted, "post", "", &KeyChanged{Generation: 4})
	d := s.state.Directory()
	if d.Expulsion("e7", word) != at || d.Expulsion("e7", []byte("another")) != 0 || d.Expulsion("e8", word) != 0 {
		t.Errorf("the expulsion is entry %d, want %d", d.Expulsion("e7", word), at)
	}
	if d.KeyEntry(3) != key || d.KeyEntry(2) != 0 || d.Key.Generation != 4 {
		t.Errorf("key 3 is entry %d, want %d; the newest is %+v", d.KeyEntry(3), key, d.Key)
	}
}

func TestTheDirectoryIsPartOfTheFold(t *testing.T) {
	s := newStory(t)
	before := s.state.Hash()
	fork := s.state.Fork()
	e := s.govern(Accepted, &CellChanged{Cell: "east", Townships: []string{"东乡"}, Founders: []StationID{"e1"}})
	if fork.Directory() != nil {
		t.Error("what was recorded after shows in a fork")
	}
	if s.state.Hash() == before || !s.state.Has(DirectoryID, e.ID) {
		t.Error("the hash is blind to the directory, or the entry is not found")
	}
	again := NewState(cell)
	for _, e := range s.state.Entries() {
		again.Apply(e)
	}
	if diff := cmp.Diff(s.state.Directory(), again.Directory()); diff != "" || again.Hash() != s.state.Hash() {
		t.Errorf("folded again it differs: %s", diff)
	}
}

// other is another cell's story, with the same rules.
func (s *story) other(id CellID) *story {
	return &story{t: s.t, rules: s.rules, state: NewState(id), clock: s.clock, n: 1000 * len(id)}
}

// carry wraps what the old cell has of the incident beyond what the new one took.
func (s *story) carry(from *story) []Event {
	var out []Event
	prior := uint64(0)
	old, _ := from.state.Incident(inc)
	for _, l := range old.Log {
		s.n++
		out = append(out, Event{
			ID: sha256.Sum256(fmt.Append(nil, "carried", s.n, s.state.Cell)), Station: "post", Cell: s.state.Cell, Incident: inc, Kind: KindCarried, At: s.clock,
			Body: &Carried{From: from.state.Cell, Index: l.Index, Prior: prior, Event: l.Event, Verdict: l.Verdict, At: l.At, By: l.By},
		})
		prior = l.Index
	}
	return out
}

func (s *story) transfer(to CellID) Event {
	return s.tell(Accepted, "post", "li", &Transferred{To: to, Reason: "over the border"})
}

func TestAMatterGoesToAnotherCellWhole(t *testing.T) {
	a := newStory(t)
	a.raise("abduction")
	a.tell(Accepted, "village", "vol", &Responded{Step: KindAccepted})
	seen := a.event("post", "zhao", &Graded{Grade: Grade2})
	a.tell(Accepted, "post", "li", &Graded{Grade: Grade3})
	a.record(seen) // stale
	a.transfer("east")
	forbidden := a.event("village", "", &Waved{Number: 2, Ring: 3000, Wide: true})
	a.record(forbidden) // judged by the new cell, and refused there: that too has to arrive
	late := a.event("village", "vol2", &Responded{Step: KindAccepted})
	if v := a.record(late); v.Code != Forwarded || a.now().Coming() != 1 {
		t.Fatalf("a latecomer: %+v", v)
	}
	if a.rules.Judge(a.state, a.event("village", "", &HandedOver{Index: 9}), Standing{Kind: Village}, a.clock).Code == Accepted {
		t.Error("a village box says that a matter was handed over")
	}

	b := a.other("east")
	events := b.carry(a)
	for k := len(events) - 1; k > 0; k-- {
		if v := b.record(events[k]); v.Code != Parked {
			t.Fatalf("entry %d came before its first: %+v", k, v)
		}
	}
	for k, e := range events {
		if i, ok := b.state.Incident(inc); ok && i.Arrived() != (k > 4) {
			t.Errorf("after %d entries it has arrived: %v", k, i.Arrived())
		}
		if v := b.record(e); v.Code != Accepted && (k != 5 || v.Code != Forbidden) {
			t.Fatalf("%d %s: %+v", k, e.Kind, v)
		}
	}
	for _, e := range b.carry(a) { // another station carries all of it too
		if v := b.record(e); v.Code != Same {
			t.Errorf("carried twice: %+v", v)
		}
	}
	was, is := a.now(), b.now()
	if is.Cell != "east" || is.MovedTo != "" || is.Grade != Grade3 || is.Coming() != 2 || !is.AlarmOpen() || was.MovedTo != "east" {
		t.Errorf("the matter arrived as %+v", is)
	}
	if len(is.Log) != len(was.Log) || is.Log[2].Verdict.Code != Accepted || is.Log[3].Verdict.Code != Stale {
		t.Errorf("its history has %d lines of %d", len(is.Log), len(was.Log))
	}
	if is.Log[4].Event.Kind != KindTransferred || is.Log[5].Verdict.Code != Forbidden || !is.Log[6].Verdict.Accepted() {
		t.Errorf("the latecomers were judged %+v, %+v", is.Log[5].Verdict, is.Log[6].Verdict)
	}
	if v := b.record(func() Event { e := late; e.ID, e.Cell = Hash{1}, "east"; return e }()); v.Code != Accepted {
		t.Errorf("what comes then: %+v", v)
	}
	if len(a.state.OpenAlarms()) != 0 || len(b.state.OpenAlarms()) != 1 {
		t.Error("it is announced in none, or in both")
	}
}

// A cell hands a matter over, loses its majority, and goes on from a survivor that lacks the last entries: what stands
// under their indices now is not taken for what was carried before.
func TestAMatterIsCarriedFromANewEpochToo(t *testing.T) {
	a := newStory(t)
	a.raise("abduction")
	a.transfer("east")
	survivor := NewState(cell)
	for _, e := range a.state.Entries() {
		survivor.Apply(e)
	}
	first := a.event("village", "vol", &Responded{Step: KindAccepted})
	a.record(first)
	b := a.other("east")
	for _, e := range b.carry(a) {
		b.record(e)
	}
	note := a.tell(Accepted, "post", "", &HandedOver{Index: a.now().LastToCarry(), Epoch: 1})
	if a.now().Departing() {
		t.Fatal("it is on its way still")
	}

	survivor.Epoch = 2
	a.state = survivor
	second := a.event("village", "vol2", &Responded{Step: KindAccepted})
	a.record(second) // under the index that the first one had
	a.record(note)   // it comes back out of the pending set
	if !a.now().Departing() {
		t.Error("what the new cell has by the old epoch's count is taken for what it has by the new one's")
	}
	a.record(first) // so does this
	for _, e := range b.carry(a) {
		b.record(e)
	}
	i := b.now()
	if i.Coming() != 2 {
		t.Errorf("%d are coming, want both", i.Coming())
	}
	seen := map[Hash]int{}
	for _, l := range i.Log {
		seen[l.Event.ID]++
	}
	if seen[first.ID] != 1 || seen[second.ID] != 1 {
		t.Errorf("the answers are there %d and %d times, want each once", seen[first.ID], seen[second.ID])
	}
}

func TestAMatterComesBack(t *testing.T) {
	a := newStory(t)
	a.raise("abduction")
	a.transfer("east")
	a.record(a.event("village", "vol2", &Responded{Step: KindAccepted})) // forwarded
	b := a.other("east")
	for _, e := range b.carry(a) {
		b.record(e)
	}
	b.tell(Accepted, "post", "zhao", &Graded{Grade: Grade4})
	b.transfer(cell)
	for _, e := range a.carry(b) {
		if v := a.record(e); v.Code != Accepted && v.Code != Same {
			t.Fatalf("%s carried back: %+v", e.Body.(*Carried).Event.Kind, v)
		}
	}
	i := a.now()
	if i.MovedTo != "" || i.Grade != Grade4 || i.Coming() != 1 || i.Cell != cell {
		t.Errorf("it came back as %+v", i)
	}
	a.tell(Accepted, "post", "li", &Graded{Grade: Grade2})
}

func TestOnlyPostsCarry(t *testing.T) {
	a := newStory(t)
	a.raise("abduction")
	a.transfer("east")
	b := a.other("east")
	for _, e := range b.carry(a) {
		e.Station = "village"
		if v := b.record(e); v.Code != Forbidden {
			t.Errorf("a village box carried: %+v", v)
		}
	}
}

func TestASealedRecordHasEnded(t *testing.T) {
	a := newStory(t)
	a.raise("abduction")
	seal := func() Event {
		e := a.event("post", "", &Sealed{Into: "east"})
		e.Incident, e.Prev = DirectoryID, nil
		return e
	}
	if v := a.rules.Judge(a.state, seal(), Standing{Kind: PolicePost}, a.clock); v.Code != NotOpen {
		t.Errorf("sealed over an open matter: %+v", v)
	}
	a.transfer("east")
	if v := a.record(seal()); v.Code != Accepted {
		t.Fatalf("%+v", v)
	}
	late := a.event("village", "vol2", &Responded{Step: KindAccepted})
	if v := a.rules.Judge(a.state, late, standingOf(late), a.clock); v.Code != Parked {
		t.Errorf("after its end: %+v", v)
	}
	if into, ok := a.state.SealedInto(); !ok || into != "east" {
		t.Errorf("sealed into %q", into)
	}
	b := a.other("east")
	bare := Event{ID: Hash{7}, Station: "post", Cell: "east", Incident: inc, Kind: KindCarried, At: a.clock, Body: &Carried{From: cell, Event: late, At: a.clock, By: standingOf(late)}}
	if v := b.record(bare); v.Code != Parked {
		t.Errorf("before the matter itself: %+v", v)
	}
	for _, e := range b.carry(a) {
		b.record(e)
	}
	if v := b.record(bare); v.Code != Accepted || b.now().Coming() != 1 {
		t.Errorf("a latecomer to a sealed cell: %+v", v)
	}
	bare.ID = Hash{8}
	if v := b.record(bare); v.Code != Same || b.now().Coming() != 1 {
		t.Errorf("the same once more: %+v", v)
	}
}

// Of a cell that is not followed, only the alarm lane is known: it sounds, it ends, and a refused end is told
// by the wave that continues.
func TestTheAlarmLaneAlone(t *testing.T) {
	a := newStory(t)
	raised := a.raise("abduction")
	a.tell(Accepted, "post", "li", &Graded{Grade: Grade1}) // not in the lane
	wide := a.tell(Accepted, "post", "li", &Waved{Number: 2, Ring: 3000})
	far := func(held ...Event) *Incident { return a.rules.LookFar(cell, inc, held, standingOf) }
	if i := far(wide, raised); i == nil || !i.AlarmOpen() || len(i.Waves) != 2 {
		t.Fatalf("far away it is %+v", i)
	}
	if far(wide) != nil {
		t.Error("a wave without its alert is shown")
	}
	end := a.event("post", "zhao", &StoodDown{})
	if far(raised, wide, end).AlarmOpen() {
		t.Error("an ended alarm goes on far away")
	}
	a.tell(Accepted, "post", "li", &StoodDown{})
	continues := a.event("post", "", &Waved{Number: 3, Ring: 3000, Continues: true})
	continues.Prev = []Hash{end.ID}
	if i := far(raised, wide, end, continues); !i.AlarmOpen() || !i.Waves[len(i.Waves)-1].Continues {
		t.Errorf("a search that continues is over far away: %+v", i)
	}
}
