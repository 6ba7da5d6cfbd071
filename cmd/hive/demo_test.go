package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
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
