package sim

import (
	"slices"
	"testing"
	"time"

	"hivemesh/alerts"
	"hivemesh/node"
	"hivemesh/node/sim/history"
)

// The people and stations of the honest history.
const (
	post, village, far = alerts.StationID("post"), alerts.StationID("village"), alerts.StationID("far")
	matterID           = alerts.IncidentID("matter")
	lostID             = alerts.IncidentID("lost")
	sealedID           = alerts.IncidentID("sealed")
)

func named(b byte) alerts.Hash { return alerts.Hash{b} }

// honest is a small history in which every promise was kept: an alert raised at the village, heard by a volunteer
// there and by the dispatcher, graded by one, assigned by him, and a sealed one that the officer heard.
func honest(t *testing.T) *History {
	rules, err := node.LoadRules("")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Date(2000, 1, 1, 0, 0, 10, 0, time.UTC)
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	p := &Plan{Seed: 1, Links: node.LinksLAN, Kinds: []Kind{Cut}, County: County{
		Cell: "c",
		Stations: []Station{
			{post, alerts.PolicePost, alerts.Point{Lon: 116.50, Lat: 39.30}, innerTownship, ""},
			{village, alerts.Village, alerts.Point{Lon: 116.52, Lat: 39.30}, innerTownship, ""},
			{far, alerts.Village, alerts.Point{Lon: 116.70, Lat: 39.40}, innerTownship, ""},
		},
		People: []alerts.Person{
			{ID: "disp", Roles: []alerts.Role{alerts.Dispatcher}, Home: post},
			{ID: "off", Roles: []alerts.Role{alerts.Officer}, Home: post},
			{ID: "vol", Roles: []alerts.Role{alerts.Volunteer}, Home: village},
			{ID: "away", Roles: []alerts.Role{alerts.Volunteer}, Home: far},
		},
	}}
	h := &History{Plan: p, Rules: rules, Began: began, Healed: at(100), Agreed: at(105), Ended: at(300), Final: map[alerts.StationID]Final{}, Carried: 1000}
	raise := func(b byte, in alerts.IncidentID, category, client string) alerts.Event {
		c := rules.Categories[category]
		where := p.County.Stations[1].At
		return alerts.Event{
			ID: named(b), Station: village, Cell: "c", Incident: in, Actor: "kiosk:village", Kind: alerts.KindRaised, Client: client,
			Body: &alerts.Raised{Category: category, Grade: c.Grade, Place: alerts.Place{Point: &where, Radius: 450}, Ring: c.Rings[0], Wanted: c.Wanted, Card: c.Card},
		}
	}
	entries := []alerts.Entry{
		{Event: raise(1, matterID, "abduction", "r1")},
		{Event: alerts.Event{ID: named(2), Station: post, Cell: "c", Incident: matterID, Actor: "disp", Kind: alerts.KindGraded, Client: "g1", Body: &alerts.Graded{Grade: 1}}},
		{Event: alerts.Event{ID: named(3), Station: post, Cell: "c", Incident: matterID, Actor: "disp", Kind: alerts.KindAssigned, Client: "a1", Body: &alerts.Assigned{Person: "off"}}},
		{Event: alerts.Event{ID: named(4), Station: village, Cell: "c", Incident: matterID, Kind: alerts.KindWave, Body: &alerts.Waved{Number: 2, Ring: 3000}}},
		{Event: raise(5, sealedID, "domestic_violence", "r2")},
		{Event: alerts.Event{ID: named(6), Station: post, Cell: "c", Incident: matterID, Actor: "disp", Kind: alerts.KindStoodDown, Client: "s1", Body: &alerts.StoodDown{}}},
	}
	for k := range entries {
		e := &entries[k]
		e.Epoch, e.Index, e.Chain, e.At = 1, uint64(k+1), named(byte(100+k)), at(10*(k+1))
		e.Verdict = alerts.Verdict{Code: alerts.Accepted}
	}
	h.Final = map[alerts.StationID]Final{}
	for _, s := range p.County.Stations {
		h.Final[s.ID] = Final{Cells: map[alerts.CellID]Held{"c": {Entries: append([]alerts.Entry(nil), entries...)}}}
		for k := range entries {
			h.Samples = append(h.Samples, Sample{
				At: entries[k].At, Station: s.ID, Cell: "c", Alive: []alerts.StationID{post, village, far},
				Epoch: 1, Index: uint64(k + 1), Chain: entries[k].Chain.String(), Hash: named(byte(200 + k)),
			})
		}
	}
	deed := func(k int, person alerts.PersonID, d Deed) {
		e := entries[k]
		d.Client, d.Person, d.Station, d.Kind, d.Incident = e.Event.Client, person, e.Event.Station, e.Event.Kind, e.Event.Incident
		d.Event, d.Status, d.Kept = e.Event.ID, 202, Kept{Here: true, Near: 2, Recorded: true, Index: e.Index}
		d.From, d.To, d.Begin, d.End, d.Settled = e.At.Add(-time.Second), e.At.Add(-time.Second), Seq(10*k+1), Seq(10*k+2), Seq(10*k+2)
		h.Deeds = append(h.Deeds, d)
	}
	deed(0, "kiosk:village", Deed{Category: "abduction"})
	deed(1, "disp", Deed{})
	deed(2, "disp", Deed{})
	deed(4, "kiosk:village", Deed{Category: "domestic_violence"})
	deed(5, "disp", Deed{})
	for _, who := range []struct {
		id alerts.PersonID
		at alerts.StationID
	}{{"disp", post}, {"off", post}, {"vol", village}, {"away", far}} {
		h.Links = append(h.Links, Link{Device: string(who.id), Person: who.id, Station: who.at, From: began})
	}
	push := func(s int, who alerts.PersonID, station alerts.StationID, p Push) {
		p.At, p.Device, p.Person, p.Station, p.Seq = at(s), string(who), who, station, Seq(len(h.Pushes)+1000)
		h.Pushes = append(h.Pushes, p)
	}
	card := []string{"type", "incident", "wave", "card", "category", "grade", "place"}
	push(10, "vol", village, Push{Type: "alarm", Incident: matterID, Wave: 1, Fields: card})
	push(10, "vol", village, Push{Type: "incident", Incident: matterID, Cell: "c", Status: alerts.StatusReported, Fields: slices.Clone(history.CardFields[:8])})
	push(10, "disp", post, Push{Type: "alarm", Incident: matterID, Wave: 1, Fields: card})
	push(41, "off", post, Push{Type: "alarm", Incident: matterID, Wave: 2, Fields: card})
	push(50, "off", post, Push{Type: "alarm", Incident: sealedID, Wave: 1, Fields: card})
	push(50, "disp", post, Push{Type: "alarm", Incident: sealedID, Wave: 1, Fields: card})
	push(51, "disp", post, Push{Type: "incident", Incident: matterID, Cell: "c", Status: alerts.StatusDispatched, Lines: []uint64{1, 2, 3}, Secret: true})
	push(52, "disp", post, Push{Type: "receipts", Incident: matterID, Wave: 1, Counts: alerts.Receipts{Sent: 2, Reached: 2}})
	for _, who := range []alerts.PersonID{"vol", "disp", "off"} {
		push(60, who, post, Push{Type: "stood_down", Incident: matterID})
	}
	return h
}

// entry changes one entry of every station's record.
func (h *History) entry(index int, change func(*alerts.Entry)) {
	for _, f := range h.Final {
		change(&f.Cells["c"].Entries[index-1])
	}
}

func (h *History) hold(s alerts.StationID, change func(*Held)) {
	held := h.Final[s].Cells["c"]
	change(&held)
	h.Final[s].Cells["c"] = held
}

// plants are violations of the honest history, by the check that must find them.
var plants = []struct {
	check, what string
	do          func(h *History)
}{
	{"Runs", "a station does not open", func(h *History) { h.Broken = []string{"open post: locked"} }},
	{"NoLostAck", "an acknowledged event is missing at one station", func(h *History) {
		h.hold(far, func(f *Held) { f.Entries = f.Entries[:len(f.Entries)-1] })
	}},
	{"NoLostAck", "an incident stands twice", func(h *History) {
		h.hold(far, func(f *Held) { f.Entries = append(f.Entries, f.Entries[0]) })
	}},
	{"NoLostAck", "what a frame called kept is nowhere", func(h *History) {
		h.Pushes = append(h.Pushes, Push{Type: "kept", Event: named(99), Kept: Kept{Here: true}, Device: "vol"})
	}},
	{"NoPhantom", "an event that nobody asked for", func(h *History) { h.entry(2, func(e *alerts.Entry) { e.Event.Client = "other" }) }},
	{"NoPhantom", "an event of another kind than asked for", func(h *History) { h.entry(2, func(e *alerts.Entry) { e.Event.Kind = alerts.KindNote }) }},
	{"NoPhantom", "a decision without a person", func(h *History) { h.entry(2, func(e *alerts.Entry) { e.Event.Actor = "" }) }},
	{"NoPhantom", "a signature that does not hold", func(h *History) { h.hold(far, func(f *Held) { f.Bad = []string{"entry 1: forged"} }) }},
	{"ShownOnce", "a wave sounds twice", func(h *History) { h.Pushes = append(h.Pushes, h.Pushes[0]) }},
	{"ShownOnce", "a further wave sounds at who heard the first", func(h *History) {
		p := h.Pushes[0]
		p.Wave = 2
		h.Pushes = append(h.Pushes, p)
	}},
	{"ShownOnce", "a call for support sounds twice", func(h *History) {
		p := Push{Type: "alarm", Incident: matterID, Support: "x", Device: "off", Person: "off"}
		h.Pushes = append(h.Pushes, p, p)
	}},
	{"ReachAll", "the dispatcher's device was silent", func(h *History) {
		h.Deeds = h.Deeds[:len(h.Deeds)-1] // nobody ended it
		h.Pushes[2].Type = "pong"
	}},
	{"ReachAll", "the officer never heard the second wave", func(h *History) {
		h.Deeds = h.Deeds[:len(h.Deeds)-1]
		h.Pushes[3].Type = "pong"
	}},
	{"OnlyEligible", "an alarm outside of its ring", func(h *History) {
		h.Pushes = append(h.Pushes, Push{Type: "alarm", Incident: matterID, Wave: 2, Device: "away", Person: "away", At: h.Ended})
	}},
	{"OnlyEligible", "an alarm for the police sounds at a volunteer's", func(h *History) {
		h.Pushes = append(h.Pushes, Push{Type: "alarm", Incident: sealedID, Wave: 1, Device: "vol", Person: "vol", At: h.Ended})
	}},
	{"OnlyEligible", "a sealed matter is shown to a volunteer", func(h *History) {
		h.Pushes = append(h.Pushes, Push{Type: "incident", Incident: sealedID, Device: "vol", Person: "vol"})
	}},
	{"OnlyEligible", "a volunteer is told who answered", func(h *History) { h.Pushes[1].Fields = append(h.Pushes[1].Fields, "answers") }},
	{"OnlyEligible", "a volunteer is told the note", func(h *History) { h.Pushes[1].Secret = true }},
	{"OnlyEligible", "a volunteer is told positions", func(h *History) {
		h.Pushes = append(h.Pushes, Push{Type: "positions", Device: "vol", Person: "vol"})
	}},
	{"OnlyEligible", "a volunteer is called to support", func(h *History) {
		h.Pushes = append(h.Pushes, Push{Type: "alarm", Support: "x", Incident: matterID, Device: "vol", Person: "vol"})
	}},
	{"HonestAck", "recorded, and it is not", func(h *History) { h.Deeds[0].Event = named(77) }},
	{"HonestAck", "recorded at another index", func(h *History) { h.Deeds[0].Kept.Index = 3 }},
	{"HonestAck", "called recorded before it is", func(h *History) {
		h.Pushes = append(h.Pushes, Push{
			Type: "kept", Event: h.Deeds[4].Event, Station: post, At: h.Began.Add(30 * time.Second), Kept: Kept{Here: true, Recorded: true},
		})
	}},
	{"HonestAck", "kept near by more stations than there are", func(h *History) { h.Deeds[0].Kept.Near = 3 }},
	{"HonestAck", "more devices reached than got it", func(h *History) { h.Pushes[7].Counts.Reached = 3 }},
	{"FullDiskSafe", "a full disk that keeps", func(h *History) {
		h.Struck = []Span{{Kind: Full, Stations: []alerts.StationID{village}, From: h.Deeds[0].From.Add(-time.Second), To: h.Healed}}
		h.Deeds[0].Kept = Kept{Here: true}
	}},
	{"FullDiskSafe", "a hung disk that keeps, told later", func(h *History) {
		h.Struck = []Span{{Kind: Hung, Stations: []alerts.StationID{village}, From: h.Deeds[0].From.Add(-time.Second), To: h.Healed}}
		h.Pushes = append(h.Pushes, Push{Type: "kept", Event: h.Deeds[0].Event, Station: village, Kept: Kept{Here: true}, At: h.Deeds[0].To})
	}},
	{"AlarmAlways", "not kept is told late", func(h *History) {
		h.Struck = []Span{{Kind: Full, Stations: []alerts.StationID{village}, From: h.Began, To: h.Healed}}
		h.Deeds[0].Status, h.Deeds[0].Code, h.Deeds[0].To = 503, notKept, h.Deeds[0].From.Add(time.Second)
	}},
	{"NoSilence", "a red alarm with one wave for ever", func(h *History) {
		h.Deeds = h.Deeds[:1]
		h.entry(4, func(e *alerts.Entry) { e.Event.Body = &alerts.Graded{} })
	}},
	{"AlarmAlways", "answered late", func(h *History) { h.Deeds[0].To = h.Deeds[0].From.Add(501 * time.Millisecond) }},
	{"AlarmAlways", "refused for the session, and not taken with a new one", func(h *History) { h.Deeds[0].Status = 401 }},
	{"AlarmAlways", "not taken", func(h *History) { h.Deeds[0].Status = 503 }},
	{"OneClaim", "two decisions upon the same one", func(h *History) {
		h.entry(3, func(e *alerts.Entry) { e.Event.Kind, e.Event.Body = alerts.KindGraded, &alerts.Graded{Grade: 2} })
	}},
	{"OneClaim", "one officer, two matters", func(h *History) {
		h.entry(6, func(e *alerts.Entry) {
			e.Event.Kind, e.Event.Incident, e.Event.Body = alerts.KindAssigned, sealedID, &alerts.Assigned{Person: "off"}
		})
	}},
	{"Linearizable", "a decision upon what was decided after it was told", func(h *History) {
		// The assignment, settled at once, was decided upon one that began only later.
		h.entry(3, func(e *alerts.Entry) { e.Event.Saw = named(6) })
		h.entry(6, func(e *alerts.Entry) {
			e.Event.Kind, e.Event.Body = alerts.KindAssigned, &alerts.Assigned{Person: "off"}
		})
		h.Deeds[4].Kind = alerts.KindAssigned
	}},
	{"SameFold", "two stations fold to different states", func(h *History) { h.Samples[5].Hash = named(9) }},
	{"SameFold", "two stations have different chains at one index", func(h *History) { h.Samples[5].Chain = "other" }},
	{"SyncedPrefix", "a station's entry is another", func(h *History) { h.hold(far, func(f *Held) { f.Entries[1].Chain = named(9) }) }},
	{"SyncedPrefix", "a station opened again with what nobody has", func(h *History) { h.Samples[2].Index = 60 }},
	{"SyncedPrefix", "a station stood on another chain", func(h *History) { h.Samples[2].Chain = "other" }},
	{"LegalMove", "a volunteer grades", func(h *History) { h.entry(2, func(e *alerts.Entry) { e.Event.Actor = "vol" }) }},
	{"LegalMove", "a village box stands down", func(h *History) { h.entry(6, func(e *alerts.Entry) { e.Event.Station = village }) }},
	{"LegalMove", "a closed matter is decided on", func(h *History) {
		h.entry(2, func(e *alerts.Entry) { e.Event.Kind, e.Event.Body = alerts.KindResolved, &alerts.Resolved{} })
	}},
	{"LegalMove", "a station shows another status", func(h *History) {
		f := h.Final[far]
		f.Shown = []*alerts.Incident{{ID: matterID, Status: alerts.StatusReported}}
		h.Final[far] = f
	}},
	{"MonotonicReads", "recorded lines are gone at another station", func(h *History) {
		p := h.Pushes[6]
		p.Lines = p.Lines[:2]
		h.Pushes = append(h.Pushes, p)
	}},
	{"MonotonicReads", "the status moves back", func(h *History) {
		p := h.Pushes[6]
		p.Status = alerts.StatusReported
		h.Pushes = append(h.Pushes, p)
	}},
	{"StoodDown", "a device is never told of the end", func(h *History) { h.Pushes = h.Pushes[:len(h.Pushes)-1] }},
	{"Outcast", "an alert at a stolen station is recorded", func(h *History) {
		h.Struck = []Span{{Kind: Expels, Stations: []alerts.StationID{village}, To: h.Began, Bites: 1}}
		h.Deeds[0].From = h.Healed.Add(lastHeard + time.Second)
		h.Pushes = nil
	}},
	{"Outcast", "an alert at a stolen station is heard elsewhere", func(h *History) {
		h.Struck = []Span{{Kind: Expels, Stations: []alerts.StationID{village}, To: h.Began, Bites: 1}}
		h.Deeds[0].From, h.Deeds[0].Event = h.Healed.Add(lastHeard+time.Second), named(99)
	}},
	{"NoLostAck", "what burnt with a station had been kept near", func(h *History) {
		h.Struck = []Span{{Kind: Replaces, Stations: []alerts.StationID{village}, From: h.Healed, To: h.Healed, Bites: 1}}
		h.Deeds[0].Event, h.Deeds[0].Kept = named(99), Kept{Here: true, Near: 1}
	}},
	{"NoLostAck", "what burnt with a station had been shown elsewhere", func(h *History) {
		h.Struck = []Span{{Kind: Replaces, Stations: []alerts.StationID{village}, From: h.Healed, To: h.Healed, Bites: 1}}
		h.Deeds[0].Event, h.Deeds[0].Kept = named(99), Kept{Here: true}
	}},
	{"Heals", "never one county", func(h *History) { h.Agreed, h.Apart = time.Time{}, "two leaders" }},
	{"Heals", "one county too late", func(h *History) { h.Agreed = h.Healed.Add(31 * time.Second) }},
	{"NoFalseDead", "a station behind a lossy link is called dead", func(h *History) {
		h.Struck = []Span{{Kind: Loss, Stations: []alerts.StationID{far}, Share: .1, From: h.Began, To: h.Healed}}
		h.Samples[1].Dead = []alerts.StationID{far}
	}},
	{"LossSeen", "a dead station is called alive", func(h *History) {
		h.Struck = []Span{{Kind: Crash, Stations: []alerts.StationID{far}, From: h.Samples[1].At.Add(-seenWithin), To: h.Healed.Add(time.Hour)}}
		h.Samples[1].At = h.Samples[1].At.Add(time.Second)
	}},
	{"Bounded", "goroutines", func(h *History) { h.Most.Goroutines = 5000 }},
	{"Bounded", "a goroutine for every hello there was", func(h *History) {
		h.Rest = Rest{Goroutines: map[string]int{hubPackage + "(*hub).hello.func1": 11}, Procs: 2}
	}},
	{"Bounded", "streams without end between stations", func(h *History) {
		h.Rest.Goroutines = map[string]int{"hivemesh/cluster/pending.(*link).run": 40}
	}},
	{"Bounded", "files", func(h *History) { h.Most.Files = 5000 }},
	{"Bounded", "bytes", func(h *History) { h.Most.Bytes = 1 << 30 }},
	{"NoPlaintext", "a note on the wire", func(h *History) { h.Leaked = 1 }},
}

func TestEveryCheckFindsWhatIsPlanted(t *testing.T) {
	for _, v := range Judge(honest(t), nil) {
		t.Errorf("the honest history: %s: %s", v.Check, v.What)
	}
	found := map[string]bool{}
	for _, p := range plants {
		h := honest(t)
		p.do(h)
		if bad := Judge(h, []string{p.check}); len(bad) == 0 {
			t.Errorf("%s does not find that %s", p.check, p.what)
		}
		found[p.check] = true
	}
	for _, c := range Checks() {
		if !found[c.Name] {
			t.Errorf("nothing is planted for %s", c.Name)
		}
	}
}

// TestWhatBurntWithAStationIsNoLostPromise: nobody else had ever heard of it.
func TestWhatBurntWithAStationIsNoLostPromise(t *testing.T) {
	h := honest(t)
	h.Struck = []Span{{Kind: Replaces, Stations: []alerts.StationID{village}, From: h.Healed, To: h.Healed, Bites: 1}}
	d := h.Deeds[0]
	d.Event, d.Incident, d.Client, d.Kept = named(99), "alone", "alone", Kept{Here: true}
	h.Deeds = append(h.Deeds, d)
	for _, v := range Judge(h, []string{"NoLostAck"}) {
		t.Errorf("%s", v.What)
	}
	h.Struck = nil
	if len(Judge(h, []string{"NoLostAck"})) == 0 {
		t.Error("lost, and nothing burnt")
	}
}

// TestAVoidRunIsNotGreen: faults that met nothing, or a county in which nothing went on, show nothing.
func TestAVoidRunIsNotGreen(t *testing.T) {
	h := honest(t)
	h.Struck = []Span{{Kind: Cut, Bites: 7}}
	if r := ReportOf(h, nil, 0); r.Green() != 0 || r.Void[1] == "" {
		t.Errorf("two alerts are no traffic: %d green, void %v", r.Green(), r.Void)
	}
	for range 20 {
		h.Deeds = append(h.Deeds, h.Deeds[0])
		h.Pushes = append(h.Pushes, Push{Type: "alarm", Device: "vol"})
	}
	if r := ReportOf(h, []string{"Heals"}, 0); r.Green() != 1 {
		t.Errorf("real traffic and a cut that bit: void %v, failed %v", r.Void, r.Violations)
	}
	h.Struck[0].Bites = 0
	if r := ReportOf(h, []string{"Heals"}, 0); r.Green() != 0 || r.Void[1] == "" {
		t.Error("a cut that stopped nothing counts")
	}
}

// TestTooManyVoidSeedsFailTheRun: a few may show nothing, not many, and not all of a few.
func TestTooManyVoidSeedsFailTheRun(t *testing.T) {
	for _, run := range []struct {
		seeds, void int
		red         bool
	}{{300, 9, false}, {300, 10, true}, {20, 1, false}, {20, 2, true}, {2, 2, true}, {1, 1, true}, {1, 0, false}} {
		r := NewReport()
		r.Seeds = run.seeds
		for seed := range run.void {
			r.Void[uint64(seed)] = "a cut did not bite"
		}
		if r.TooVoid() != run.red {
			t.Errorf("%d of %d seeds void: red %v", run.void, run.seeds, r.TooVoid())
		}
	}
}

// TestALostAlertMayHaveSounded: an alert whose station went down before it could answer is in no record, and yet
// those whom it called may have heard it there, in that moment. Nobody else may.
func TestALostAlertMayHaveSounded(t *testing.T) {
	for _, heard := range []struct {
		who  alerts.PersonID
		at   int // seconds of the run
		fine bool
	}{{"disp", 70, true}, {"vol", 70, false}, {"disp", 90, false}} {
		h := honest(t)
		at := func(s int) time.Time { return h.Began.Add(time.Duration(s) * time.Second) }
		h.Deeds = append(h.Deeds, Deed{
			Client: "lost", Person: "kiosk:far", Station: far, Kind: alerts.KindRaised, Category: "abduction",
			Place: h.Plan.County.station(far).At, From: at(70), To: at(71), Begin: 900, End: 901, Died: true,
		})
		h.Pushes = append(h.Pushes, Push{
			At: at(heard.at), Device: string(heard.who), Person: heard.who, Station: far, Type: "alarm", Incident: lostID, Wave: 1, Seq: 2000,
		})
		if bad := Judge(h, []string{"OnlyEligible"}); (len(bad) == 0) != heard.fine {
			t.Errorf("heard by %s after %d s: %v", heard.who, heard.at, bad)
		}
	}
}
