package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hivemesh/node"
)

// buffer is a console's end that several goroutines write to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// hive runs one command to its end.
func hive(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out buffer
	err := run(t.Context(), args, console{&out, &out})
	return out.String(), err
}

func TestCommandsThatNeedNoCounty(t *testing.T) {
	for _, c := range []struct {
		args []string
		out  string // in what is printed
		err  string // in the error; empty: none
	}{
		{nil, "hive demo", ""},
		{[]string{"--help"}, "Play a scenario", ""},
		{[]string{"init", "--help"}, "--voters", ""},
		{[]string{"version"}, "hive ", ""},
		{[]string{"nonsense"}, "", "hive --help"},
		{[]string{"status", "--url", "http://127.0.0.1:1"}, "", "does a station run there?"},
		{[]string{"cells", "--url", "http://127.0.0.1:1"}, "", "does a station run there?"},
		{[]string{"cells", "--help"}, "hive cells form", ""},
		{[]string{"cells", "form", "east"}, "", "--township"},
		{[]string{"cells", "move", "--to", "east"}, "", "--township"},
		{[]string{"cells", "merge", "east", "--into", "west"}, "", "--as"},
		{[]string{"serve", "--config", "/no/such/file"}, "", "/no/such/file"},
		{[]string{"demo", "--port", "65000"}, "", "ports 65000 to 66004"},
		{[]string{"replay", "nothing"}, "", "xinzhuang"},
		{[]string{"replay", "--speed", "0"}, "", "--speed"},
		{[]string{"replay", "--url", "http://127.0.0.1:1"}, "", "no demo county"},
	} {
		out, err := hive(t, c.args...)
		if !strings.Contains(out, c.out) {
			t.Errorf("%v printed %q, without %q", c.args, out, c.out)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%v: %v, want %q", c.args, err, c.err)
		}
	}
}

func TestInitSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	if _, err := hive(t, "init", "--dir", dir, "--station", "elsewhere"); err == nil || !strings.Contains(err.Error(), "--name, --kind") {
		t.Errorf("an unlisted station without name and kind: %v", err)
	}
	if _, err := hive(t, "init", "--dir", dir, "--station", "xinzhuang", "--voters", "zhangyong"); err == nil || !strings.Contains(err.Error(), "xinzhuang itself") {
		t.Errorf("a first station that does not vote: %v", err)
	}
	if _, err := hive(t, "init", "--dir", dir, "--station", "xinzhuang", "--mesh", "127.0.0.1:9081"); err != nil {
		t.Fatal(err)
	}
	if _, err := node.LoadConfig(filepath.Join(dir, node.ConfigFile)); err != nil {
		t.Errorf("the config that init wrote: %v", err)
	}
	if out, err := hive(t, "token", "--dir", dir, "--station", "zhangyong"); err != nil || !strings.HasPrefix(out, "hive1-") {
		t.Errorf("token: %q %v", out, err)
	}
	if _, err := hive(t, "init", "--dir", dir, "--station", "xinzhuang"); err == nil {
		t.Error("init ran twice in one directory")
	}
	if _, err := hive(t, "join", "hive1-x", "--dir", dir); err == nil || !strings.Contains(err.Error(), "holds a station already") {
		t.Errorf("join over a station: %v", err)
	}
}

func TestTokenWantsAnAddressThatCanBeDialled(t *testing.T) {
	dir := t.TempDir()
	if _, err := hive(t, "init", "--dir", dir, "--station", "xinzhuang"); err != nil {
		t.Fatal(err)
	}
	if _, err := hive(t, "token", "--dir", dir, "--station", "zhangyong"); err == nil || !strings.Contains(err.Error(), "--addr") {
		t.Errorf("a token to 0.0.0.0: %v", err)
	}
	if _, err := hive(t, "token", "--dir", dir, "--station", "zhangyong", "--addr", "10.0.0.1:9080"); err != nil {
		t.Error(err)
	}
}

func TestADirectoryIsForOneProcess(t *testing.T) {
	dir := t.TempDir()
	first, err := lockDir(dir, "the first")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDir(dir, "the second"); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d (the first)", os.Getpid())) {
		t.Errorf("a taken directory: %v", err)
	}
	if err := first.release(); err != nil {
		t.Fatal(err)
	}
	again, err := lockDir(dir, "the third")
	if err != nil {
		t.Fatal(err)
	}
	if err := again.release(); err != nil {
		t.Error(err)
	}
}

func TestProbeNamesEveryTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // somebody who does not speak HTTP
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	taken := l.Addr().String()
	err = probe(node.Config{HTTP: taken, Mesh: taken})
	for _, want := range []string{"http port " + taken, "mesh port " + taken, "another program"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("probe: %v, want %q", err, want)
		}
	}
	if err := probe(node.Config{HTTP: "127.0.0.1:0", Mesh: "127.0.0.1:0"}); err != nil {
		t.Errorf("free ports: %v", err)
	}
}

func TestChineseTakesTwoColumns(t *testing.T) {
	var out bytes.Buffer
	table(&out, [][]string{{"辛屯村站", "x"}, {"ab", "y"}})
	if want := "  辛屯村站  x\n  ab        y\n"; out.String() != want {
		t.Errorf("table %q, want %q", out.String(), want)
	}
}

// freePorts finds room for the demo county.
func freePorts(t *testing.T) int {
	t.Helper()
	for range 50 {
		port, free := 20_000+10*rand.IntN(1000), true
		for k := range 5 {
			at := func(n int) string { return fmt.Sprintf("127.0.0.1:%d", n) }
			free = free && probe(node.Config{HTTP: at(port + k), Mesh: at(port + k + meshPortGap)}) == nil
		}
		if free {
			return port
		}
	}
	t.Fatal("no free ports")
	return 0
}

// TestTheFoundingCase plays the shipped scenario against the demo county, real in every part, twice: what
// the first matter left behind does not stand in the way of the second, and survives a restart.
func TestTheFoundingCase(t *testing.T) {
	port, dir := freePorts(t), t.TempDir()
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	for round := range 2 {
		ctx, stop := context.WithCancel(t.Context())
		var console1 buffer
		ended := make(chan error, 1)
		go func() {
			ended <- run(ctx, []string{"demo", "--port", fmt.Sprint(port), "--dir", dir}, console{&console1, &console1})
		}()
		awaitLeader(t, url)
		if round == 0 {
			if _, err := hive(t, "demo", "--port", fmt.Sprint(port), "--dir", dir); err == nil || !strings.Contains(err.Error(), "is taken by process") {
				t.Errorf("a second demo in the same directory: %v", err)
			}
			if _, err := hive(t, "demo", "--port", fmt.Sprint(port), "--dir", t.TempDir()); err == nil || !strings.Contains(err.Error(), "is taken by HiveMesh station xinzhuang") {
				t.Errorf("a second demo on the same ports: %v", err)
			}
		}
		if out, err := hive(t, "replay", "--url", url, "--speed", "1500"); err != nil {
			t.Errorf("replay: %v\n%s", err, out)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("demo: %v", err)
		}
		for _, want := range []string{url + "/kiosk", "辛屯村站", "disp-li 李静"} {
			if !strings.Contains(console1.String(), want) {
				t.Errorf("demo did not print %q:\n%s", want, console1.String())
			}
		}
	}
}

// TestAFailedExpectationFailsTheReplay: whoever reads the exit code must be able to trust it.
func TestAFailedExpectationFailsTheReplay(t *testing.T) {
	port := freePorts(t)
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	ctx, stop := context.WithCancel(t.Context())
	var quiet buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"demo", "--port", fmt.Sprint(port), "--dir", t.TempDir()}, console{&quiet, &quiet})
	}()
	awaitLeader(t, url)
	file := filepath.Join(t.TempDir(), "wrong.yaml")
	wrong := `title: t
places: {here: {grid: xinzhuang}}
steps:
  - {at: "00:00:00", by: kiosk, station: xinzhuang, do: alert, place: here, body: {category: help}, expect: {heard_by: [guard-luo], silent: [vol-lin], within: 300ms}}
  - {at: "00:00:01", by: vol-lin, station: xinzhuang, do: accepted, expect: {refused: forbidden}}
  - {at: "00:00:02", by: vol-lin, station: xinzhuang, do: cancelled, body: {reason: x}}
`
	if err := os.WriteFile(file, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := hive(t, "replay", file, "--url", url, "--speed", "10")
	if err == nil {
		t.Fatalf("a replay with wrong expectations ended well:\n%s", out)
	}
	for _, want := range []string{"4 of what was expected", "罗刚", "林晓@辛屯村站 sounded", "should have been refused", "step 3: refused, forbidden"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("demo: %v", err)
	}
}

func awaitLeader(t *testing.T, url string) {
	t.Helper()
	until(t, 30*time.Second, "the demo county has a leader", func() bool {
		out, err := hive(t, "status", "--url", url)
		return err == nil && !strings.Contains(out, "none") && strings.Count(out, "alive") == 5
	})
}
