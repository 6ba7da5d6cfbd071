package node_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hivemesh/alerts"
	"hivemesh/configs"
	"hivemesh/node"
)

func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryShippedExampleLoads(t *testing.T) {
	want := node.Config{
		Dir: "./county/xinzhuang", HTTP: "127.0.0.1:8081", Mesh: "127.0.0.1:9081", Seeds: []string{"127.0.0.1:9080"},
		Demo: true, Links: node.LinksLAN, Power: node.PowerMains, Log: "info",
	}
	got, err := node.LoadConfig("../configs/station.yaml")
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("station.yaml: %v\n%s", err, diff)
	}
	for _, path := range []string{"", "../configs/rules.yaml"} {
		if _, err := node.LoadRules(path); err != nil {
			t.Error(err)
		}
	}
	for _, path := range []string{"", "../configs/county.yaml"} {
		if _, err := node.LoadCounty(path); err != nil {
			t.Error(err)
		}
	}
}

// The demo shows every part that a person can play, at stations that exist, and says what is not real.
func TestTheDemoCountyIsComplete(t *testing.T) {
	c, err := node.LoadCounty("")
	if err != nil {
		t.Fatal(err)
	}
	roles := map[alerts.Role]int{}
	for _, p := range c.People {
		if _, ok := c.Station(p.Home); !ok {
			t.Errorf("%s is at home at %s, which is no station", p.ID, p.Home)
		}
		for _, r := range p.Roles {
			roles[r]++
		}
	}
	for _, r := range []alerts.Role{
		alerts.Dispatcher, alerts.Officer, alerts.AuxiliaryPolice, alerts.GridLeader, alerts.GridWorker, alerts.Informant,
		alerts.Volunteer, alerts.VillageCadre, alerts.Mediator, alerts.Guard, alerts.EnterpriseMgr, alerts.Reporter, alerts.Auditor, alerts.Admin,
	} {
		if roles[r] == 0 {
			t.Errorf("nobody is %s", r)
		}
	}
	if roles[alerts.Dispatcher] < 2 {
		t.Error("one dispatcher alone can disagree with nobody")
	}
	if !strings.Contains(c.Note, "schematic") {
		t.Errorf("the note does not say that positions are schematic: %q", c.Note)
	}
	towns := map[string]bool{}
	for _, s := range c.Stations {
		towns[s.Township] = true
	}
	if len(c.Stations) != 5 || len(towns) != 2 {
		t.Errorf("%d stations in %d townships, want 5 in 2", len(c.Stations), len(towns))
	}
}

func TestMistakesInAConfigAreShownWithTheirLine(t *testing.T) {
	for _, c := range []struct {
		name, text string
		says       []string
	}{
		{"an unknown key", "dir: d\nhtpp: 127.0.0.1:80\n", []string{"htpp", ">  2 |", "^"}},
		{"a wrong type", "dir: d\ndemo: perhaps\n", []string{">  2 |", "^"}},
		{"a key twice", "dir: d\ndir: e\n", []string{">  2 |", "^"}},
		{"no directory", "http: 127.0.0.1:8080\n", []string{"dir: missing"}},
		{"no port", "dir: d\nmesh: 127.0.0.1\n", []string{`mesh: "127.0.0.1" is not host:port`}},
		{"a port too high", "dir: d\nhttp: 127.0.0.1:70000\n", []string{"http", "0 to 65535"}},
		{"a seed that is none", "dir: d\nseeds: [there]\n", []string{"seeds[0]"}},
		{"unknown power", "dir: d\npower: sun\n", []string{"power", "mains", "battery"}},
		{"unknown links", "dir: d\nlinks: smoke\n", []string{"links", "lan", "mixed"}},
		{"an unknown log level", "dir: d\nlog: loud\n", []string{"log", "debug"}},
		{"a demo for everybody", "dir: d\ndemo: true\nhttp: 0.0.0.0:8080\n", []string{"demo", "loopback", "127.0.0.1:8080"}},
		{"a demo on all addresses", "dir: d\ndemo: true\nhttp: :8080\n", []string{"demo", "loopback"}},
		{"two mistakes at once", "links: smoke\n", []string{"dir: missing", "links"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := node.LoadConfig(written(t, "station.yaml", c.text))
			if err == nil {
				t.Fatal("was taken")
			}
			for _, want := range append(c.says, "station.yaml") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("does not say %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestAConfigComesBackAsSaved(t *testing.T) {
	want := node.Config{
		Dir: "d", HTTP: "127.0.0.1:8080", Mesh: "0.0.0.0:9080", Seeds: []string{"10.0.0.1:9080"},
		Demo: true, Links: node.LinksMixed, Power: node.PowerBattery, County: "c.yaml", Rules: "r.yaml", Log: "warn",
	}
	path := filepath.Join(t.TempDir(), "station.yaml")
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := node.LoadConfig(path)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestMistakesInACountyAreNamed(t *testing.T) {
	for _, c := range []struct{ name, old, new, says string }{
		{"an unknown key", "title:", "titel:", "titel"},
		{"a station twice", "{id: zhangyong, name: 张永村站", "{id: xinzhuang, name: 张永村站", "xinzhuang"},
		{"a station off the Earth", "lat: 39.32811}}", "lat: 99}}", "hancun-post"},
		{"a cell that is not there", "kind: enterprise, cell: yongqing", "kind: enterprise, cell: other", "other"},
		{"a grid without extent", "radius: 600", "radius: 0", "hancun"},
		{"a person without a role", "roles: [admin]", "roles: []", "admin-yu"},
		{"a role that is none", "roles: [admin]", "roles: [boss]", "boss"},
		{"a kind that is none", "kind: enterprise, cell", "kind: castle, cell", "castle"},
		{"a home that is none", "roles: [admin], home: hancun-post", "roles: [admin], home: nowhere", "nowhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := bytes.Replace(slices.Clone(configs.County), []byte(c.old), []byte(c.new), 1)
			if bytes.Equal(text, configs.County) {
				t.Fatalf("the shipped county does not hold %q", c.old)
			}
			_, err := node.LoadCounty(written(t, "county.yaml", string(text)))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want it to name %s", err, c.says)
			}
		})
	}
}
