package node

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
	"hivemesh/configs"
)

// A county of ten stations in three townships and a centre. West and east touch: w2 and e2 are 860 m apart.
const (
	home, west, east = alerts.CellID("yongqing"), alerts.CellID("west"), alerts.CellID("east")

	bigStations = `name: yongqing
title: 永清县
note: invented
cells: [yongqing]
stations:
  - {id: centre, name: 县指挥中心, kind: county_centre, cell: yongqing, township: 北乡, place: {lon: 116.50, lat: 39.40}}
  - {id: n-post, name: 北乡派出所, kind: police_post, cell: yongqing, township: 北乡, place: {lon: 116.51, lat: 39.40}}
  - {id: n1, name: 北一, kind: village, cell: yongqing, township: 北乡, place: {lon: 116.52, lat: 39.40}}
  - {id: n2, name: 北二, kind: village, cell: yongqing, township: 北乡, place: {lon: 116.53, lat: 39.40}}
  - {id: w-post, name: 西乡派出所, kind: police_post, cell: yongqing, township: 西乡, place: {lon: 116.50, lat: 39.30}}
  - {id: w1, name: 西一, kind: village, cell: yongqing, township: 西乡, place: {lon: 116.52, lat: 39.30}}
  - {id: w2, name: 西二, kind: village, cell: yongqing, township: 西乡, place: {lon: 116.545, lat: 39.30}}
  - {id: e-post, name: 东乡派出所, kind: police_post, cell: yongqing, township: 东乡, place: {lon: 116.60, lat: 39.30}}
  - {id: e1, name: 东一, kind: village, cell: yongqing, township: 东乡, place: {lon: 116.58, lat: 39.30}}
  - {id: e2, name: 东二, kind: village, cell: yongqing, township: 东乡, place: {lon: 116.555, lat: 39.30}}
`
)

var bigCounty = strings.Fields("centre n-post n1 n2 w-post w1 w2 e-post e1 e2")

// bigData is the county's data: a grid around each station, two people at each, and an admin.
func bigData() []byte {
	var b strings.Builder
	b.WriteString(bigStations + "grids:\n")
	for _, line := range strings.Split(bigStations, "\n") {
		if rest, ok := strings.CutPrefix(line, "  - {id: "); ok {
			id, rest, _ := strings.Cut(rest, ",")
			_, rest, _ = strings.Cut(rest, "township")
			fmt.Fprintf(&b, "  - {id: %s, name: %s, township%s\n", id, id, strings.TrimSuffix(rest, "}")+", radius: 300}")
		}
	}
	b.WriteString("people:\n  - {id: chief, name: 局长, roles: [admin], home: n-post}\n")
	for _, s := range bigCounty {
		fmt.Fprintf(&b, "  - {id: disp-%s, name: 调度, roles: [dispatcher], home: %s}\n  - {id: vol-%s, name: 志愿, roles: [volunteer], home: %s}\n", s, s, s, s)
	}
	return []byte(b.String())
}

// inBigCounty runs f with the ten stations up, all in the home cell still.
func inBigCounty(t *testing.T, f func(m *mesh)) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		made, err := MakeCounty(t.TempDir(), 8080, Tables{County: bigData(), Rules: configs.Rules})
		if err != nil {
			t.Fatal(err)
		}
		seed := m.net.Host(bigCounty[0]).Addr(7000)
		for _, cfg := range made {
			name := filepath.Base(cfg.Dir)
			host := m.net.Host(name)
			cfg.HTTP, cfg.Mesh, cfg.Seeds = host.Addr(80), host.Addr(7000), []string{seed}
			cfg.County = filepath.Join(cfg.Dir, countyFile)
			m.configs[name] = cfg
		}
		defer m.end()
		for _, s := range bigCounty {
			m.start(s)
		}
		m.eventually(30*time.Second, "every station follows a leader", m.settled)
		f(m)
	})
}

// inThreeCells runs f when west and east are cells of their own.
func inThreeCells(t *testing.T, f func(m *mesh)) {
	inBigCounty(t, func(m *mesh) {
		m.govern("n-post", "/v1/cells", map[string]any{"cell": west, "townships": []string{"西乡"}})
		m.govern("n-post", "/v1/cells", map[string]any{"cell": east, "townships": []string{"东乡"}})
		m.eventually(30*time.Second, "three cells work", func() bool { return m.settled() && m.follow() })
		f(m)
	})
}

// govern decides something about the county as its admin, and waits for the record.
func (m *mesh) govern(at, path string, body map[string]any) {
	m.t.Helper()
	token := m.signIn(at, map[string]any{"person": "chief"})
	status, out := m.call(at, "POST", path, token, body)
	if status != http.StatusAccepted {
		m.t.Fatalf("%s %v: %d %v", path, body, status, out)
	}
	event := out["event"].(string)
	m.eventually(20*time.Second, path+" is recorded", func() bool {
		_, out := m.call(at, "GET", "/v1/events/"+event, token, nil)
		kept, _ := out["kept"].(map[string]any)
		return kept["recorded"] == true
	})
}

// follow: every running station follows what the directory says, with a leader for each.
func (m *mesh) follow() bool {
	for _, n := range m.nodes {
		want := map[alerts.CellID]bool{home: true, n.county.Own(): true}
		if n.identity.Kind == alerts.CountyOffice {
			for _, c := range n.CellViews() {
				want[c.Cell] = true
			}
		}
		for _, c := range n.CellViews() {
			if c.Into != "" && n.county.Directory().Present(c.Cell) == n.county.Own() {
				want[c.Cell] = true
			}
		}
		if got := n.Cells(); len(got) != len(want) {
			return false
		}
	}
	return true
}

// where is the one cell that has the incident as its own now, by the records of all running stations; empty
// where none has, or several.
func (m *mesh) where(id string) alerts.CellID {
	homes := map[alerts.CellID]bool{}
	for _, n := range m.nodes {
		for _, cell := range n.Cells() {
			n.county.Read(cell, func(s *alerts.State) {
				if i, ok := s.Incident(incidentID(id)); ok && i.Moved == nil {
					homes[cell] = true
				}
			})
		}
	}
	if len(homes) != 1 {
		return ""
	}
	for cell := range homes {
		return cell
	}
	return ""
}

// agree: at every running station nothing is pending in a cell that it follows or on its way between two, and
// the records of one cell are one.
func (m *mesh) agree() bool {
	heads := map[alerts.CellID]string{}
	for _, n := range m.nodes {
		for _, cell := range n.Cells() {
			underway := 0
			n.county.Read(cell, func(s *alerts.State) { underway = len(s.Departing()) })
			if underway > 0 {
				return false
			}
		}
		for _, c := range n.Mesh().Cells {
			head := fmt.Sprint(c.Index, c.Chain, n.Fold(c.Cell))
			if c.Pending > 0 || heads[c.Cell] != "" && heads[c.Cell] != head {
				return false
			}
			heads[c.Cell] = head
		}
	}
	return true
}

// homeIs waits until the incident is of one cell, in one record everywhere.
func (m *mesh) homeIs(want alerts.CellID, ids ...string) {
	m.t.Helper()
	defer func() {
		if m.t.Failed() {
			m.report(ids)
		}
	}()
	m.eventually(2*time.Minute, fmt.Sprint(len(ids), " matters are ", want, "'s, everywhere alike"), func() bool {
		for _, id := range ids {
			if m.where(id) != want {
				return false
			}
		}
		return m.agree()
	})
	for name, n := range m.nodes {
		for _, id := range ids {
			m.eventually(time.Minute, name+" shows "+id+" as "+string(want)+"'s", func() bool {
				i, ok := n.Incident(incidentID(id))
				return !ok || i.Cell == want
			})
		}
	}
}

func TestAnAlertNearABorderSoundsOnBothSides(t *testing.T) {
	inThreeCells(t, func(m *mesh) {
		here, across, far := m.screen("vol-w2", "w2", nil), m.screen("vol-e2", "e2", nil), m.screen("vol-n1", "n1", nil)
		desk := m.screen("disp-centre", "centre", nil)
		id, _, _ := m.raise("w2", scene("abduction", "w2", "border"))
		here.hears(id, time.Second)
		across.hears(id, time.Second)
		desk.hears(id, time.Second)
		m.homeIs(west, id)

		// Who does not follow the cell answers it all the same, and knows that it was recorded.
		status, out := m.do("e2", "vol-e2", id, map[string]any{"kind": "accepted"})
		if status != http.StatusAccepted {
			t.Fatalf("accept across the border: %d %v", status, out)
		}
		event := out["event"].(string)
		m.eventually(time.Minute, "the answer is on the record", func() bool {
			kept, _ := m.nodes["e2"].Kept(hashOf(t, event))
			i, ok := m.nodes["w-post"].Incident(incidentID(id))
			return kept.Recorded && ok && i.Coming() == 1 && !i.Provisional()
		})
		// The end reaches who heard it, and an alarm after its own end does not sound.
		m.net.Isolate("e1")
		late := m.screen("vol-e1", "e1", []float64{116.55, 39.30})
		if status, out := m.do("w-post", "disp-w-post", id, map[string]any{"kind": "stood_down", "reason": "找到"}); status != http.StatusAccepted {
			t.Fatalf("stand down: %d %v", status, out)
		}
		m.eventually(2*time.Second, "stood down across the border", func() bool {
			across.mu.Lock()
			defer across.mu.Unlock()
			return across.ended[id] == 1
		})
		late.hears(id, time.Second) // it was on that station already
		m.net.Heal()
		m.eventually(time.Minute, "stood down at who was cut off", func() bool {
			late.mu.Lock()
			defer late.mu.Unlock()
			return late.ended[id] == 1
		})
		here.once(id)
		across.once(id)
		far.silent(id)
	})
}

func hashOf(t *testing.T, text string) (h alerts.Hash) {
	t.Helper()
	if err := h.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return h
}

// A station that was away for the whole life of another cell's alarm hears nothing of it, also where only
// stations that do not follow that cell tell it.
func TestAnotherCellsAlarmAfterItsOwnEnd(t *testing.T) {
	inThreeCells(t, func(m *mesh) {
		m.net.Isolate("e2")
		away := m.screen("vol-e2", "e2", nil)
		id, _, _ := m.raise("w2", scene("abduction", "w2", "over"))
		m.known("e1", id)
		m.do("w-post", "disp-w-post", id, map[string]any{"kind": "resolved", "code": "found_safe", "words": "checked"})
		time.Sleep(12 * time.Minute)
		if held := m.nodes["e1"].county.PendingOf(west); len(held) != 2 {
			t.Errorf("e1 holds %d events of an alarm long over, want its beginning and its end", len(held))
		}
		m.net.Heal()
		time.Sleep(2 * time.Minute)
		away.silent(id)
		m.homeIs(west, id)
	})
}

// What one station missed while it was cut off comes to it by whoever is there, of any cell.
func TestAnotherCellsOpenAlarmReachesWhoWasAway(t *testing.T) {
	inThreeCells(t, func(m *mesh) {
		m.net.Isolate("e2")
		away := m.screen("vol-e2", "e2", nil)
		id, _, _ := m.raise("w2", scene("abduction", "w2", "missed"))
		time.Sleep(time.Minute)
		away.silent(id)
		m.net.Heal()
		away.hears(id, time.Minute)
		away.once(id)
	})
}

func TestAnAlertRaisedInAnotherCellIsOfItsPlace(t *testing.T) {
	inThreeCells(t, func(m *mesh) {
		id, event, _ := m.raise("e1", scene("abduction", "w1", "abroad"))
		m.homeIs(west, id)
		m.eventually(time.Minute, "its maker knows that it was recorded", func() bool {
			kept, _ := m.nodes["e1"].Kept(hashOf(t, event))
			return kept.Recorded
		})
	})
}

// report logs where everything is, for who looks into a failure.
func (m *mesh) report(ids []string) {
	for _, id := range ids {
		m.t.Logf("%s is of %q", id, m.where(id))
	}
	for name, n := range m.nodes {
		for _, c := range n.Mesh().Cells {
			var departing, staying int
			var sealed alerts.CellID
			n.county.Read(c.Cell, func(s *alerts.State) {
				departing, staying = len(s.Departing()), len(s.Staying())
				sealed, _ = s.SealedInto()
			})
			m.t.Logf("%s in %s: %s of %s, voters %v, at %d %.8s, %d pending, %d departing, %d staying, sealed into %q %s",
				name, c.Cell, c.Role, c.Leader, c.Voters, c.Index, c.Chain, c.Pending, departing, staying, sealed, c.Error)
			for _, e := range n.county.PendingOf(c.Cell) {
				m.t.Logf("    %s of %s by %s %T", e.Name(), e.Incident, e.Station, e.Body)
			}
		}
	}
}
