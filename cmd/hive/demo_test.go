package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"hivemesh/node"
)

// A demo in five processes that is killed with -9 leaves none of them behind.
func TestKilledDemoTakesItsStationsAlong(t *testing.T) {
	port := freePorts(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childArgs+"="+strings.Join([]string{"demo", "--separate", "--dir", t.TempDir(), "--port", fmt.Sprint(port)}, "\n"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answers := func() (n int) {
		for k := range 5 {
			resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", port+k))
			if err == nil {
				resp.Body.Close()
				n++
			}
		}
		return n
	}
	defer cmd.Process.Kill()
	until(t, 30*time.Second, "all five answer", func() bool { return answers() == 5 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	until(t, 30*time.Second, "none of them answers any more", func() bool { return answers() == 0 })
}

// Whoever opens one of the addresses as soon as they are printed finds a county that knows itself.
func TestTheDemoPrintsItsAddressesOnceAllHaveMet(t *testing.T) {
	port := freePorts(t)
	ctx, stop := context.WithCancel(t.Context())
	var said buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"demo", "--port", fmt.Sprint(port), "--dir", t.TempDir()}, console{&said, &said})
	}()
	until(t, 30*time.Second, "the addresses are printed", func() bool { return strings.Contains(said.String(), "/kiosk") })
	for k := range 5 {
		at := node.Config{Dir: fmt.Sprint(port + k), HTTP: fmt.Sprintf("127.0.0.1:%d", port+k)}
		if err := knows(ctx, at, 5); err != nil && !strings.Contains(said.String(), "Not all have met yet") {
			t.Errorf("the addresses were printed, and station %v of 5", err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("demo: %v", err)
	}
}

// A station that never comes holds the addresses back for a bounded time, and is named.
func TestTheDemoSaysWhoIsNotThere(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	gone := httptest.NewServer(http.NotFoundHandler())
	at := strings.TrimPrefix(gone.URL, "http://")
	gone.Close()
	if err := met(ctx, []node.Config{{Dir: "x/caojiawu-works", HTTP: at}}); err == nil || !strings.Contains(err.Error(), "caojiawu-works does not answer") {
		t.Errorf("a station that is not there: %v", err)
	}
}
