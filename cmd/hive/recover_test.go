package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hivemesh/node/web"
)

// Two of the three voters' processes are killed while alerts flow. An operator lets the survivors go on; then
// the two start again with what they had.
func TestRecoverAfterTwoOfThreeVotersAreKilled(t *testing.T) {
	s := startSeparate(t)
	raised := map[string]time.Time{}
	kiosk := s.signIn("caojiawu-works", map[string]any{"kiosk": true})
	raise := func() {
		t.Helper()
		var taken web.Taken
		alert := map[string]any{"category": "abduction", "id": fmt.Sprint("lost-", len(raised)), "place": map[string]any{"grid": "zhangyong"}}
		if status := s.ask("POST", s.url("caojiawu-works")+"/v1/alerts", kiosk, alert, &taken); status != http.StatusAccepted || !taken.Kept.Here {
			t.Fatalf("alert: %d %+v", status, taken)
		}
		raised[string(taken.Incident)] = time.Now()
	}
	for range 5 {
		raise()
	}
	survivor := "hancun-post"
	var burnt []string
	until(t, 20*time.Second, "three vote", func() bool {
		burnt = nil
		for _, v := range s.mesh("zhangyong").Cells[0].Voters {
			if string(v) != survivor {
				burnt = append(burnt, string(v))
			}
		}
		return len(burnt) == 2
	})
	slices.Sort(burnt)
	for _, b := range burnt {
		s.kill(b)
		raise()
	}
	dir := s.stations[survivor].Dir
	voters := survivor + ",zhangyong"
	until(t, 20*time.Second, "no leader is known", func() bool { return s.mesh(survivor).Cells[0].Leader == "" })
	resp, err := http.Post(s.url(survivor)+"/control/recover", "application/json", strings.NewReader(`{"cell":"","stations":["`+survivor+`"]}`))
	if err != nil || resp.StatusCode != http.StatusForbidden {
		t.Fatalf("without the secret of the directory: %v, %v", resp, err)
	}
	resp.Body.Close()
	out, err := hive(t, "recover", "--dir", dir, "--voters", voters)
	if err == nil || !strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(out, "zhangyong") {
		t.Errorf("without the operator's word: %v\n%s", err, out)
	}
	if _, err := hive(t, "recover", "--dir", dir, "--voters", survivor+","+burnt[0], "--yes-the-others-are-gone"); err == nil || !strings.Contains(err.Error(), burnt[0]) {
		t.Errorf("with a survivor that is gone: %v", err)
	}
	if _, err := hive(t, "recover", "--dir", s.stations[burnt[0]].Dir, "--voters", burnt[0]); err == nil || !strings.Contains(err.Error(), "no station runs") {
		t.Errorf("at a station that does not run: %v", err)
	}
	out, err = hive(t, "recover", "--dir", dir, "--voters", voters, "--yes-the-others-are-gone")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	same := func(names ...string) func() bool {
		return func() bool {
			heads := map[string]bool{}
			for _, name := range names {
				c := s.mesh(name).Cells[0]
				heads[fmt.Sprint(c.Epoch, c.Index, c.Chain, c.Pending)] = true
			}
			c := s.mesh(names[0]).Cells[0]
			return len(heads) == 1 && c.Pending == 0 && c.Epoch == 2
		}
	}
	until(t, 30*time.Second, "the survivors record in a new epoch", same(survivor, "zhangyong", "caojiawu-works"))
	raise()
	for _, b := range burnt {
		s.start(b)
	}
	until(t, 30*time.Second, "the two answer again", func() bool {
		for _, b := range burnt {
			resp, err := http.Get(s.url(b) + "/healthz")
			if err != nil {
				return false
			}
			resp.Body.Close()
		}
		return true
	})
	var all []string
	for name := range s.stations {
		all = append(all, name)
	}
	until(t, 30*time.Second, "all five stand at one entry of the new epoch", same(all...))
	for _, name := range all {
		s.recordedOnce(name, raised)
	}
	s.snapshots(dir, filepath.Join(t.TempDir(), "county.snapshot"))
}

// All three voters' processes are killed; a village's and an enterprise's are left, whose word nobody would take. An
// operator has the county's authority in a locked file.
func TestRecoverByTheAuthorityAfterAllVotersAreKilled(t *testing.T) {
	s := startSeparate(t)
	dir := s.stations["zhangyong"].Dir
	var voters []string
	until(t, 20*time.Second, "three vote, and the others have the record", func() bool {
		voters = nil
		for _, v := range s.mesh("zhangyong").Cells[0].Voters {
			voters = append(voters, string(v))
		}
		return len(voters) == 3
	})
	if slices.Contains(voters, "zhangyong") || slices.Contains(voters, "caojiawu-works") {
		t.Fatalf("%v vote: this shows nothing", voters)
	}
	safe, words, wrong := filepath.Join(t.TempDir(), "authority"), filepath.Join(t.TempDir(), "words"), filepath.Join(t.TempDir(), "wrong")
	for path, text := range map[string]string{words: "under the mulberry tree", wrong: "under the apple tree"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := hive(t, "authority", "export", "--dir", s.stations["hancun-post"].Dir, "--to", safe, "--passphrase-file", words); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, v := range voters {
		s.kill(v)
	}
	until(t, 20*time.Second, "no leader is known", func() bool {
		return s.mesh("zhangyong").Cells[0].Leader == "" && s.mesh("caojiawu-works").Cells[0].Leader == ""
	})
	args := []string{"recover", "--dir", dir, "--voters", "zhangyong,caojiawu-works", "--yes-the-others-are-gone"}
	if _, err := hive(t, args...); err == nil || !strings.Contains(err.Error(), "with the county's authority") {
		t.Errorf("by its own word: %v", err)
	}
	if _, err := hive(t, append(args, "--authority", safe)...); err == nil || !strings.Contains(err.Error(), "passphrase") {
		t.Errorf("without the passphrase: %v", err)
	}
	if _, err := hive(t, append(args, "--authority", safe, "--passphrase-file", wrong)...); err == nil || !strings.Contains(err.Error(), "passphrase is wrong") {
		t.Errorf("with another passphrase: %v", err)
	}
	if _, err := hive(t, append(args, "--authority", dir)...); err == nil || !strings.Contains(err.Error(), "holds no authority") {
		t.Errorf("with a directory without it: %v", err)
	}
	if out, err := hive(t, append(args, "--authority", safe, "--passphrase-file", words)...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	until(t, 30*time.Second, "the two record in a new epoch", func() bool {
		for _, name := range []string{"zhangyong", "caojiawu-works"} {
			if c := s.mesh(name).Cells[0]; c.Epoch != 2 || c.Leader == "" || c.Pending > 0 {
				return false
			}
		}
		return true
	})
}

// snapshots saves, inspects, spoils and does not restore one of a running station.
func (s *separate) snapshots(dir, file string) {
	t := s.t
	t.Helper()
	if out, err := hive(t, "snapshot", "save", "--dir", dir, file); err != nil || !strings.Contains(out, "No key is inside") {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := hive(t, "snapshot", "inspect", file); err != nil || !strings.Contains(out, "whole: hash and signature are right") || strings.Contains(out, "NO") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := hive(t, "snapshot", "restore", "--dir", dir, file); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("without the operator's word: %v", err)
	}
	if _, err := hive(t, "snapshot", "restore", "--dir", dir, "--yes-the-others-are-gone", file); err == nil || !strings.Contains(err.Error(), "is taken by") {
		t.Errorf("over a station that runs: %v", err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 4
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := hive(t, "snapshot", "inspect", file); err == nil {
		t.Error("a flipped bit is not seen")
	}
}
