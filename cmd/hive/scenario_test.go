package main

import (
	"strings"
	"testing"
	"time"
)

func TestShippedScenariosAreWellFormed(t *testing.T) {
	names := shippedScenarios()
	if len(names) == 0 {
		t.Fatal("no scenario is shipped")
	}
	for _, name := range names {
		s, err := loadScenario(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if last := time.Duration(s.Steps[len(s.Steps)-1].At); last >= 2*time.Hour {
			t.Errorf("%s takes %v", name, last)
		}
	}
}

func TestScenariosAreReadStrictly(t *testing.T) {
	const head = "title: t\nplaces: {p: {grid: g}, q: {lon: 1, lat: 2}}\nsteps:\n"
	raise := `  - {at: "00:00:00", by: kiosk, station: s, do: alert, place: p}` + "\n"
	for _, c := range []struct{ name, yaml, err string }{
		{"good", head + raise + `  - {at: "00:00:01", by: a, station: s, do: position, place: q}`, ""},
		{"empty", "", "EOF"},
		{"unknown key", head + `  - {att: "00:00:00"}`, "att"},
		{"no steps", "title: t\n", "title and steps"},
		{"bad offset", head + `  - {at: "3m", do: tell, say: x}`, "not a time like"},
		{"half a point", "title: t\nplaces: {p: {lon: 1}}\nsteps:\n" + raise, "belong together"},
		{"no point", "title: t\nplaces: {p: {words: x}}\nsteps:\n" + raise, "give lon and lat, or grid"},
		{"backwards", head + `  - {at: "00:01:00", do: tell, say: x}` + "\n" + raise, "earlier than"},
		{"unknown place", head + `  - {at: "00:00:00", by: a, station: s, do: alert, place: z}`, `"z" is not among`},
		{"unknown kind", head + raise + `  - {at: "00:00:00", by: a, station: s, do: dance}`, "dance"},
		{"a station's own kind", head + raise + `  - {at: "00:00:00", by: a, station: s, do: receipts}`, "receipts"},
		{"nobody", head + `  - {at: "00:00:00", do: alert}`, "by and station"},
		{"nothing raised", head + `  - {at: "00:00:00", by: a, station: s, do: accepted}`, "nothing was raised"},
		{"position of a grid", head + `  - {at: "00:00:00", by: a, station: s, do: position, place: p}`, "lon and lat"},
		{"silent story", head + `  - {at: "00:00:00", do: tell}`, "say"},
	} {
		_, err := parseScenario([]byte(c.yaml))
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
	}
}

func FuzzParseScenario(f *testing.F) {
	f.Add([]byte("title: t\nsteps:\n  - {at: \"00:00:00\", do: tell, say: x}\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = parseScenario(b) // must not panic
	})
}
