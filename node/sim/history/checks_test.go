package history

import (
	"testing"
	"time"

	"hivemesh/alerts"
)

var (
	raisedBy = alerts.Hash{1}
	claimA   = alerts.Hash{2}
	claimB   = alerts.Hash{3}
)

// quiet is a county in which everything went as promised.
func quiet() (History, []Standing) {
	h := History{
		Raises: []Raise{{Client: "a1", Station: "east", Incident: "i1", Event: raisedBy, Told: Told{Here: true, Recorded: true, Index: 1}}},
		Deeds: []Deed{
			{Client: "li", Incident: "i1", Kind: alerts.KindAssigned, Event: claimA, Told: Told{Here: true, Recorded: true, Index: 2}, Won: true},
			{Client: "zhao", Incident: "i1", Kind: alerts.KindAssigned, Event: claimB, Told: Told{Here: true}, Refused: alerts.Stale, LostTo: "li"},
		},
		Sounds: []Sound{
			{Device: "p1", Incident: "i1", Wave: 1, Station: "east"}, {Device: "p2", Incident: "i1", Wave: 2, Station: "west"},
			{Device: "p1", Incident: "i1", Wave: 3, Continues: true, Station: "west", At: time.Unix(9, 0)},
		},
		Reads: []Read{{Device: "p1", Incident: "i1", Index: 1, Station: "east"}, {Device: "p1", Incident: "i1", Index: 3, Station: "west"}},
	}
	var at []Standing
	for _, id := range []alerts.StationID{"east", "west"} {
		at = append(at, Standing{Station: id, Index: 3, Chain: "c", Fold: "f", Incidents: map[alerts.IncidentID]Incident{"i1": {
			Client: "a1", Lines: []Line{
				{Event: raisedBy, Index: 1, Kind: alerts.KindRaised, Verdict: alerts.Accepted},
				{Event: claimA, Index: 2, Kind: alerts.KindAssigned, Verdict: alerts.Accepted},
				{Event: claimB, Index: 3, Kind: alerts.KindAssigned, Verdict: alerts.Stale},
			}}}})
	}
	return h, at
}

// change alters what west shows of i1.
func change(at []Standing, f func(i *Incident)) {
	i := at[1].Incidents["i1"]
	i.Lines = append([]Line(nil), i.Lines...)
	f(&i)
	at[1].Incidents["i1"] = i
}

// Each row breaks one promise, and exactly the check of that name sees it.
func TestEachCheckSeesItsBreach(t *testing.T) {
	for _, c := range []struct {
		check string
		spoil func(h *History, at []Standing)
	}{
		{"", func(*History, []Standing) {}},
		{"NoLostAck", func(h *History, at []Standing) {
			h.Raises = append(h.Raises, Raise{Client: "a2", Incident: "i2", Event: alerts.Hash{9}, Told: Told{Here: true}})
		}},
		{"", func(h *History, at []Standing) { h.Raises = append(h.Raises, Raise{Client: "a2", Incident: "i2"}) }}, // never promised
		{"NoLostAck", func(h *History, at []Standing) {
			change(at, func(i *Incident) {
				i.Lines = append(i.Lines, Line{Event: alerts.Hash{8}, Index: 3, Kind: alerts.KindRaised, Verdict: alerts.Accepted})
			})
		}},
		{"NoLostAck", func(h *History, at []Standing) {
			h.Deeds = append(h.Deeds, Deed{Client: "li2", Incident: "i1", Kind: alerts.KindNote, Event: alerts.Hash{7}, Told: Told{Near: 1}})
		}},
		{"NoPhantom", func(h *History, at []Standing) { at[1].Incidents["i9"] = Incident{Client: "nobody"} }},
		{"NoPhantom", func(h *History, at []Standing) { at[1].Incidents["i9"] = Incident{Client: "a1"} }}, // the same alert twice
		{"HonestAck", func(h *History, at []Standing) { h.Raises[0].Told.Index = 7 }},
		{"ShownOnce", func(h *History, at []Standing) {
			h.Sounds = append(h.Sounds, Sound{Device: "p1", Incident: "i1", Wave: 2, Station: "west"})
		}},
		{"ShownOnce", func(h *History, at []Standing) {
			h.Sounds = append(h.Sounds, Sound{Device: "p1", Incident: "i1", Wave: 3, Continues: true})
		}},
		{"OneClaim", func(h *History, at []Standing) {
			h.Deeds[1].Refused = ""
			change(at, func(i *Incident) { i.Lines[2].Verdict = alerts.Accepted })
		}},
		{"OneClaim", func(h *History, at []Standing) { h.Deeds[0].Refused = alerts.Stale }},
		{"OneClaim", func(h *History, at []Standing) { h.Deeds[1].Won = true }},
		{"SameFold", func(h *History, at []Standing) { at[1].Fold = "other" }},
		{"SameFold", func(h *History, at []Standing) { at[1].Chain = "other" }},
		{"SameFold", func(h *History, at []Standing) { at[1].Index++ }},
		{"SameFold", func(h *History, at []Standing) { at[1].Pending = 1 }},
		{"SameFold", func(h *History, at []Standing) { change(at, func(i *Incident) { i.Provisional = true }) }},
		{"Monotonic", func(h *History, at []Standing) {
			h.Reads = append(h.Reads, Read{Device: "p1", Incident: "i1", Index: 2, Station: "east"})
		}},
		{"Monotonic", func(h *History, at []Standing) {
			h.Reads = append(h.Reads, Read{Device: "p1", Incident: "i1", Index: 4, Closed: true}, Read{Device: "p1", Incident: "i1", Index: 4})
		}},
	} {
		h, at := quiet()
		c.spoil(&h, at)
		found := All(h, at)
		for _, v := range found {
			if v.Check != c.check {
				t.Errorf("want %q broken, found %v", c.check, v)
			}
		}
		if c.check != "" && len(found) == 0 {
			t.Errorf("a breach of %s was not seen", c.check)
		}
	}
}

func TestWhoWasDueAndNeverHeard(t *testing.T) {
	h, _ := quiet()
	if found := ReachAll(h, []Due{{"p1", "i1"}, {"p2", "i1"}}); len(found) > 0 {
		t.Errorf("all heard, found %v", found)
	}
	if found := ReachAll(h, []Due{{"p3", "i1"}}); len(found) != 1 {
		t.Errorf("p3 never heard, found %v", found)
	}
}
