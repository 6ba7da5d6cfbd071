package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hivemesh/alerts"
	"hivemesh/node/web"
)

// TestReplayWaitsForStationsThatHaveJustStarted: a station answers before gossip told it of all the others.
func TestReplayWaitsForStationsThatHaveJustStarted(t *testing.T) {
	asked := 0
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/stations", func(w http.ResponseWriter, _ *http.Request) {
		known := []web.StationInfo{{ID: "xinzhuang", Self: true, Alive: true}}
		if asked++; asked > 2 {
			known = append(known, web.StationInfo{ID: "zhangyong", Alive: true, URL: "http://127.0.0.1:1"})
		}
		json.NewEncoder(w).Encode(map[string]any{"stations": known})
	})
	mux.HandleFunc("GET /v1/people", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"people": []web.PersonInfo{{ID: "vol-xu", Roles: []alerts.Role{alerts.Volunteer}}}})
	})
	county := httptest.NewServer(mux)
	defer county.Close()

	p := &player{scenario: &scenario{Steps: []step{{By: "vol-xu", Station: "zhangyong", Do: "accepted"}, {By: byKiosk, Station: "xinzhuang", Do: "alert"}}}}
	if err := p.meet(t.Context(), []string{county.URL}); err != nil {
		t.Fatal(err)
	}
	if len(p.stations) != 2 || p.stations["xinzhuang"].URL != county.URL || asked != 3 {
		t.Errorf("after %d answers it knows %+v", asked, p.stations)
	}
}

func TestReplayNamesWhatTheCountyLacksOnce(t *testing.T) {
	p := &player{scenario: &scenario{Steps: []step{{By: "nobody", Station: "nowhere"}, {By: "nobody", Station: "nowhere"}, {Do: doTell}}}}
	got := p.lacking()
	if want := "step 1: the county has no station \"nowhere\"\nstep 1: the county has no person \"nobody\""; got == nil || strings.TrimSpace(got.Error()) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
