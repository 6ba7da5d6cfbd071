package trust

import (
	"crypto/x509"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
)

// A disk that hangs holds nobody up: a station that is met then is believed at once, its certificate is written when the
// disk goes on, and closing waits for that no longer than for any disk.
func TestAHungDiskDoesNotHoldUpBelieving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := NewAuthority("yongqing", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewRing(a.Root, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		goesOn, written := make(chan struct{}), 0
		r.write = func(path string, der []byte) error {
			<-goesOn
			written++
			return writeCert(path, der)
		}
		met := func(s alerts.StationID) *x509.Certificate {
			id, err := a.NewStation(Who{Cell: "yongqing", Kind: alerts.Village, Station: s})
			if err != nil {
				t.Fatal(err)
			}
			return id.Cert
		}
		start := time.Now()
		if _, err := r.Add(met("xinzhuang").Raw); !errors.Is(err, ErrNotKept) || time.Since(start) > certPatience {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if !r.Has("xinzhuang") {
			t.Error("it is not believed")
		}
		start = time.Now()
		if err := r.Close(); !errors.Is(err, disk.ErrHangs) || time.Since(start) > disk.ClosePatience {
			t.Errorf("closed after %v: %v", time.Since(start), err)
		}
		close(goesOn)
		if err := r.Close(); err != nil || written != 1 {
			t.Errorf("when the disk goes on: %d written, %v", written, err)
		}
		again, err := NewRing(a.Root, r.dir)
		if err != nil || !again.Has("xinzhuang") {
			t.Errorf("after a restart it is a stranger: %v", err)
		}
	})
}
