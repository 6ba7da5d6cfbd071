package node

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
)

// A station that votes alone has a leader, itself, in a second: it is not ready before it has met anybody of those
// it is to look for, or has looked for long enough. Its alarms do not wait.
func TestNotReadyBeforeAnybodyWasMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		m.found(LinksLAN)
		defer m.end()
		m.votesAlone(post, m.configs[xinzhuang].Mesh)
		m.start(post)
		ready := func() (int, string) {
			status, out := m.call(post, "GET", "/readyz", "", nil)
			return status, fmt.Sprint(out)
		}
		time.Sleep(20 * time.Second)
		if status, said := ready(); status != http.StatusServiceUnavailable || !strings.Contains(said, "knows no other station yet") || strings.Contains(said, "leader") {
			t.Errorf("before anybody was met: %d %s", status, said)
		}
		dispatcher := m.screen("disp-li", post, nil)
		id, _, _ := m.raise(post, scene("abduction", "xinzhuang", "early"))
		dispatcher.hears(id, time.Second)

		time.Sleep(15 * time.Second)
		if status, said := ready(); status != http.StatusOK || !strings.Contains(said, "knows no other station yet") {
			t.Errorf("cut off for long: %d %s", status, said)
		}
		m.start(xinzhuang)
		m.eventually(time.Minute, "ready, and no warning once the other is there", func() bool {
			status, said := ready()
			return status == http.StatusOK && !strings.Contains(said, "knows no other")
		})
	})
}

// The first station of a county, whose only seed is itself, has nobody to wait for.
func TestAFirstStationIsReadyAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		m.found(LinksLAN)
		defer m.end()
		m.votesAlone(post, m.configs[post].Mesh)
		m.start(post)
		m.eventually(10*time.Second, "ready", func() bool {
			status, _ := m.call(post, "GET", "/readyz", "", nil)
			return status == http.StatusOK
		})
	})
}

// votesAlone makes a station the only founder of its cell, with one seed.
func (m *mesh) votesAlone(name, seed string) {
	m.t.Helper()
	cfg := m.configs[name]
	cell, err := loadCell(cfg.Dir)
	if err != nil {
		m.t.Fatal(err)
	}
	cell.Founders = []alerts.StationID{alerts.StationID(name)}
	b, err := json.Marshal(cell)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.Dir, cellFile), b, 0o600); err != nil {
		m.t.Fatal(err)
	}
	cfg.Seeds = []string{seed}
	m.configs[name] = cfg
}
