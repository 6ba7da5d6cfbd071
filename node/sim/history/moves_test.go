package history

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"hivemesh/alerts"
)

// duel is two dispatchers who decided the same at the same time, and a third who saw the winner.
func duel() (History, []Standing) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	h := History{Deeds: []Deed{
		{Client: "li", Incident: "i1", Kind: alerts.KindAssigned, Began: at(1), Settled: at(4)},
		{Client: "zhao", Incident: "i1", Kind: alerts.KindAssigned, Began: at(2), Settled: at(5)},
		{Client: "qi", Incident: "i1", Kind: alerts.KindAssigned, Saw: claimA, Began: at(6), Settled: at(7)},
	}}
	line := func(n uint64, event alerts.Hash, client string, verdict alerts.Code, lost alerts.Hash) Line {
		return Line{Event: event, Index: n, Kind: alerts.KindAssigned, Verdict: verdict, Lost: lost, By: alerts.PersonID(client), Station: "post", Client: client}
	}
	return h, []Standing{{Station: "post", Incidents: map[alerts.IncidentID]Incident{"i1": {Status: alerts.StatusDispatched, Rings: []float64{1000, 3000}, Lines: []Line{
		{Event: raisedBy, Index: 1, Kind: alerts.KindRaised, Verdict: alerts.Accepted, Station: "village"},
		line(2, claimA, "li", alerts.Accepted, alerts.Hash{}),
		line(3, claimB, "zhao", alerts.Stale, claimA),
		line(4, alerts.Hash{4}, "qi", alerts.Accepted, alerts.Hash{}),
	}}}}}
}

func TestDecisionsThatCannotHaveHappenedOneAfterTheOther(t *testing.T) {
	for _, c := range []struct {
		what  string
		found bool
		spoil func(h *History, lines []Line)
	}{
		{"as it was", false, func(*History, []Line) {}},
		{"the loser counts as well", true, func(_ *History, lines []Line) { lines[2].Verdict = alerts.Accepted }},
		{"the loser lost to one who had not asked yet", true, func(_ *History, lines []Line) { lines[2].Lost = alerts.Hash{4} }},
		{"the same, and he was told later", false, func(h *History, lines []Line) {
			lines[2].Lost, h.Deeds[1].Settled = alerts.Hash{4}, time.Unix(8, 0)
		}},
		{"the third saw what was not there", true, func(h *History, _ []Line) { h.Deeds[2].Saw = claimB }},
		{"the loser was told before the winner had asked", true, func(h *History, _ []Line) {
			h.Deeds[1].Began, h.Deeds[1].Settled = time.Unix(0, 0), time.Unix(0, 5)
		}},
		{"a loser is told nothing", false, func(h *History, _ []Line) { h.Deeds[1].Settled = time.Time{} }},
	} {
		h, at := duel()
		c.spoil(&h, at[0].Incidents["i1"].Lines)
		if found := Linearizable(h, at); len(found) > 0 != c.found {
			t.Errorf("%s: found %v", c.what, found)
		}
	}
}

func TestMovesThatTheTableForbids(t *testing.T) {
	table := Table{
		Moves: map[alerts.Kind]alerts.Move{
			alerts.KindRaised: {By: []alerts.Role{alerts.KioskRole}},
			alerts.KindAssigned: {By: []alerts.Role{alerts.Dispatcher}, At: []alerts.StationKind{alerts.PolicePost},
				From: []alerts.Status{alerts.StatusReported, alerts.StatusDispatched}},
			alerts.KindResolved: {By: []alerts.Role{alerts.Dispatcher}},
		},
		Roles: func(p alerts.PersonID) []alerts.Role {
			if p == "vol" {
				return []alerts.Role{alerts.Volunteer}
			}
			return []alerts.Role{alerts.Dispatcher}
		},
		KindOf: func(s alerts.StationID) alerts.StationKind {
			if s == "post" {
				return alerts.PolicePost
			}
			return alerts.Village
		},
	}
	for _, c := range []struct {
		what  string
		found bool
		spoil func(i *Incident)
	}{
		{"as it was", false, func(*Incident) {}},
		{"a volunteer sends somebody", true, func(i *Incident) { i.Lines[1].By = "vol" }},
		{"a village box signs it", true, func(i *Incident) { i.Lines[1].Station = "village" }},
		{"it is decided before anybody raised it", true, func(i *Incident) { i.Lines[0].Index = 9 }},
		{"it is decided after its end", true, func(i *Incident) { i.Lines[1].Kind = alerts.KindResolved }},
		{"another status is shown", true, func(i *Incident) { i.Status = alerts.StatusResolved }},
		{"a refused move moves nothing", false, func(i *Incident) {
			i.Lines[2].Kind, i.Lines[2].By = alerts.KindResolved, "vol"
		}},
	} {
		_, at := duel()
		i := at[0].Incidents["i1"]
		c.spoil(&i)
		at[0].Incidents["i1"] = i
		if found := LegalMove(at, table); len(found) > 0 != c.found {
			t.Errorf("%s: found %v", c.what, found)
		}
	}
}

func TestAnAlarmThatNobodyAnswersMustWiden(t *testing.T) {
	_, at := duel()
	due := []alerts.IncidentID{"i1"}
	if found := NoSilence(at, due); len(found) > 0 {
		t.Errorf("it has widened, found %v", found)
	}
	for _, rings := range [][]float64{{1000}, {1000, 1000}, nil} {
		at[0].Incidents["i1"] = Incident{Rings: rings}
		if len(NoSilence(at, due)) == 0 {
			t.Errorf("waves of %v m were taken for widening", rings)
		}
	}
	if delete(at[0].Incidents, "i1"); len(NoSilence(at, due)) == 0 {
		t.Error("an alarm that is not there was taken for one that widened")
	}
}

func TestFieldsBeyondTheCard(t *testing.T) {
	card := json.RawMessage(`{"id":"i1","card":{"what":"x","note":"y"},"raised_by":"ren"}`)
	if got := Beyond(Fields(card, 0), CardFields); !slices.Equal(got, []string{"raised_by"}) {
		t.Errorf("found %v in a matter", got)
	}
	if got := Beyond(Fields(card, 1), AlarmFields); !slices.Equal(got, []string{"card.note", "id", "raised_by"}) {
		t.Errorf("found %v in an alarm", got)
	}
}
