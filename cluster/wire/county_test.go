package wire_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

// countyKinds are one event of each kind about the county itself and a matter's way between cells, every field
// of it filled.
func countyKinds(t *testing.T) map[string]alerts.Event {
	t.Helper()
	at := time.UnixMilli(1700000001000).UTC()
	inner, err := wire.DecodeEvent(sampleRaw(t))
	if err != nil {
		t.Fatal(err)
	}
	carried := alerts.Carried{
		From: "caojiawu", Index: 12, Prior: 9, Raw: inner.Raw, At: at, Event: inner,
		Verdict: alerts.Verdict{Code: alerts.Stale, Lost: &alerts.Ref{Event: alerts.Hash{9}, By: "wang", At: at, Kind: alerts.KindAssigned}},
		By:      alerts.Standing{Roles: []alerts.Role{alerts.GridWorker}, Kind: alerts.Village, Version: 3},
	}
	bodies := map[string]alerts.Body{
		"transferred": &alerts.Transferred{To: "caojiawu", Reason: "已过界"},
		"carried":     &carried,
		"handed_over": &alerts.HandedOver{Index: 12, Epoch: 2},
		"sealed":      &alerts.Sealed{Into: "yongqing", By: alerts.Hash{8}},
		"cell_changed": &alerts.CellChanged{
			Cell: "caojiawu", Townships: []string{"曹家务乡"}, Stations: []alerts.StationID{"c1"}, Voters: 3, Founders: []alerts.StationID{"c1"}, Into: "yongqing",
		},
		"station_placed":     &alerts.StationPlaced{Station: "c1", Cell: "caojiawu"},
		"station_expelled":   &alerts.StationExpelled{Station: "c1", Revocation: []byte("the authority's word")},
		"gossip_key_changed": &alerts.KeyChanged{Generation: 4},
	}
	out := map[string]alerts.Event{}
	for name, b := range bodies {
		e := alerts.Event{
			Station: "post", Cell: "yongqing", Incident: alerts.DirectoryID, Actor: "admin-yu", Client: "c-1", Kind: b.Kind(),
			Saw: alerts.Hash{7}, At: at, Body: b,
		}
		if !alerts.OfCounty(b.Kind()) {
			e.Incident, e.Actor, e.Client, e.Prev = inner.Incident, "", "", []alerts.Hash{{6}}
		}
		out[name] = e
	}
	return out
}

func TestFormsOfTheCountysOwnKindsStayAsTheyAre(t *testing.T) {
	for name, e := range countyKinds(t) {
		signed, err := wire.EncodeEvent(e)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		raw, err := wire.Seal(signed, make([]byte, 64), nil)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "county_"+name+".hex", raw)
		got, err := wire.DecodeEvent(raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		e.ID, e.Raw = wire.EventID(signed), raw
		if d := cmp.Diff(e, got); d != "" {
			t.Errorf("%s came back otherwise: %s", name, d)
		}
		if err := got.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
