package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hivemesh/alerts"
	"hivemesh/node"
	"hivemesh/node/web"
)

// On five processes: a station is expelled and the key changed by hand, while they run.
func TestExpelAndRotateOnARunningCounty(t *testing.T) {
	s := startSeparate(t)
	home := s.stations["hancun-post"].Dir
	if _, err := hive(t, "expel", "nobody", "--dir", home); err == nil || !strings.Contains(err.Error(), "no station of this id") {
		t.Errorf("expelled whom nobody knows: %v", err)
	}
	if _, err := hive(t, "expel", "caojiawu-works", "--dir", s.stations["xinzhuang"].Dir); err == nil || !strings.Contains(err.Error(), "holds no authority") {
		t.Errorf("expelled without the authority: %v", err)
	}
	if _, err := hive(t, "expel", "hancun-post", "--dir", home); err == nil || !strings.Contains(err.Error(), "this very station") {
		t.Errorf("the authority's own station expelled itself: %v", err)
	}
	out, err := hive(t, "expel", "caojiawu-works", "--dir", home)
	if err != nil || !strings.Contains(out, "hancun-post") || !strings.Contains(out, "zhangyong") {
		t.Fatalf("expel: %q %v", out, err)
	}
	for _, name := range []string{"zhangyong", "xinzhuang", "hancun-post", "caojiawu-post"} {
		until(t, 20*time.Second, name+" knows four", func() bool {
			alive := 0
			for _, m := range s.mesh(name).Members {
				if m.Alive {
					alive++
				}
				if m.Station == "caojiawu-works" {
					return false
				}
			}
			return alive == 4
		})
	}
	out, err = hive(t, "keys", "rotate", "--dir", home)
	if err != nil || !strings.Contains(out, "gossip key 3 is made") || !strings.Contains(out, "caojiawu-post") {
		t.Errorf("keys rotate: %q %v", out, err)
	}
}

func TestTheAuthorityCanBeMoved(t *testing.T) {
	home, other := t.TempDir(), t.TempDir()
	if _, err := hive(t, "init", "--dir", home, "--station", "xinzhuang", "--mesh", "127.0.0.1:9081"); err != nil {
		t.Fatal(err)
	}
	file, secret := filepath.Join(t.TempDir(), "authority"), filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(secret, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := hive(t, "authority", "export", "--dir", home, "--to", file, "--passphrase-file", secret)
	if err != nil || strings.Contains(out, "NOT locked") {
		t.Fatalf("export: %q %v", out, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the export is readable by others: %v %v", info.Mode(), err)
	}
	if _, err := hive(t, "authority", "export", "--dir", home, "--to", file); err == nil {
		t.Error("an export overwrote another")
	}
	if out, err := hive(t, "authority", "export", "--dir", home, "--to", file+"2"); err != nil || !strings.Contains(out, "NOT locked") {
		t.Errorf("an open export does not say so: %q %v", out, err)
	}
	if _, err := hive(t, "authority", "restore", "--from", file, "--dir", other); err == nil || !strings.Contains(err.Error(), "passphrase") {
		t.Errorf("restored without its passphrase: %v", err)
	}
	if out, err = hive(t, "authority", "restore", "--from", file, "--dir", other, "--passphrase-file", secret); err != nil || !strings.Contains(out, "yongqing") {
		t.Fatalf("restore: %q %v", out, err)
	}
	if _, err := hive(t, "authority", "restore", "--from", file, "--dir", other, "--passphrase-file", secret); err == nil {
		t.Error("restored over an authority")
	}
	// A station of another county does not take it.
	alien := t.TempDir()
	if _, err := hive(t, "init", "--dir", alien, "--station", "xinzhuang"); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(alien, "authority")); err != nil {
		t.Fatal(err)
	}
	if _, err := node.RestoreAuthority(file, alien, "correct horse"); err == nil || !strings.Contains(err.Error(), "another county") {
		t.Errorf("a foreign authority was put beside a station: %v", err)
	}
}

// A running voter leaves by hand while alerts are raised at it: its process ends, and every alert that it answered
// is on the record of the others.
func TestARunningStationLeaves(t *testing.T) {
	s := startSeparate(t)
	if _, err := hive(t, "leave", "--config", filepath.Join(s.stations["hancun-post"].Dir, node.ConfigFile)); err == nil || !strings.Contains(err.Error(), "authority lies here") {
		t.Errorf("the authority's station left: %v", err)
	}
	leaves := "xinzhuang"
	until(t, 20*time.Second, "it votes", func() bool {
		return slices.Contains(s.mesh("zhangyong").Cells[0].Voters, alerts.StationID(leaves))
	})
	kiosk := s.signIn(leaves, map[string]any{"kiosk": true})
	raised, stop, done := map[string]time.Time{}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond) // as people do, and well below what one session may ask
		defer tick.Stop()
		for k := 0; ; k++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			body := strings.NewReader(fmt.Sprintf(`{"category":"abduction","id":"going-%d","place":{"grid":"zhangyong"}}`, k))
			req, err := http.NewRequest("POST", s.url(leaves)+"/v1/alerts", body)
			if err != nil {
				return
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+kiosk)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return // it has ended
			}
			var taken web.Taken
			err = json.NewDecoder(resp.Body).Decode(&taken)
			resp.Body.Close()
			if err == nil && resp.StatusCode == http.StatusAccepted && taken.Kept.Here {
				raised[string(taken.Incident)] = time.Now()
			}
		}
	}()
	ended := make(chan error, 1)
	go func(c *exec.Cmd) { ended <- c.Wait() }(s.running[leaves])
	delete(s.running, leaves)
	out, err := hive(t, "leave", "--config", filepath.Join(s.stations[leaves].Dir, node.ConfigFile))
	close(stop)
	<-done
	if err != nil || !strings.Contains(out, "has left the county for good") {
		t.Fatalf("leave: %q %v", out, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("its process ended with %v", err)
	}
	if len(raised) == 0 {
		t.Fatal("it took no alert meanwhile: this shows nothing")
	}
	t.Logf("%d alerts meanwhile", len(raised))
	for _, name := range []string{"zhangyong", "hancun-post"} {
		until(t, 20*time.Second, name+" knows four", func() bool { return len(s.mesh(name).Members) == 4 })
		until(t, 20*time.Second, name+" has recorded all", func() bool { c := s.mesh(name).Cells[0]; return c.Pending == 0 && c.Leader != "" })
		if v := s.mesh(name).Cells[0].Voters; slices.Contains(v, alerts.StationID(leaves)) {
			t.Errorf("%v vote", v)
		}
		s.recordedOnce(name, raised)
	}
}

// A stopped station leaves by hand, and cannot come back under its id.
func TestLeaveByHand(t *testing.T) {
	s := startSeparate(t)
	config := filepath.Join(s.stations["caojiawu-works"].Dir, node.ConfigFile)
	if err := s.running["caojiawu-works"].Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.running["caojiawu-works"].Wait()
	delete(s.running, "caojiawu-works")
	if out, err := hive(t, "leave", "--config", config); err != nil || !strings.Contains(out, "has left the county for good") {
		t.Fatalf("leave: %q %v", out, err)
	}
	for _, name := range []string{"zhangyong", "hancun-post"} {
		until(t, 20*time.Second, name+" knows four", func() bool { return len(s.mesh(name).Members) == 4 })
	}
	if _, err := hive(t, "serve", "--config", config); err == nil || !strings.Contains(err.Error(), "left the county for good") {
		t.Errorf("it was started again: %v", err)
	}
	// The disk of another is gone: its place is given to a newcomer.
	home := s.stations["hancun-post"].Dir
	s.kill("zhangyong")
	out, err := hive(t, "token", "--dir", home, "--replaces", "zhangyong")
	if err != nil || !strings.Contains(out, "zhangyong-2 takes its place") || !strings.Contains(out, "hive1-") {
		t.Fatalf("token --replaces: %q %v", out, err)
	}
	until(t, 20*time.Second, "the post knows three", func() bool { return len(s.mesh("hancun-post").Members) == 3 })
	if _, err := hive(t, "token", "--dir", home, "--replaces", "xinzhuang", "--station", "xinzhuang"); err == nil || !strings.Contains(err.Error(), "one key for life") {
		t.Errorf("an id for a second key: %v", err)
	}
}
