package trust

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
)

const year = 365 * 24 * time.Hour

// In a synctest bubble it is the year 2000: what is said of clocks below is relative to that.
func TestTheTimeToCheckCertificatesBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wall := time.Now()
		own := &x509.Certificate{NotBefore: wall.Add(-year)}
		is := func(what string, c *clock, want time.Time) {
			t.Helper()
			if got := c.now(); got.Sub(want).Abs() > time.Minute {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		is("alone: the wall", newClock("", own, time.Now), wall)
		is("a box that begins in 1970: its own certificate", newClock("", &x509.Certificate{NotBefore: wall.Add(year)}, time.Now), wall.Add(year))

		behind := newClock("", own, time.Now)
		behind.heard("a", wall.Add(3*year))
		is("one peer against one box: the wall", behind, wall)
		behind.heard("b", wall.Add(3*year+time.Second))
		is("two peers agree that it is later", behind, wall.Add(3*year))
		if s := behind.skew(); (s + 3*year).Abs() > time.Minute {
			t.Errorf("this box's clock is said to be off by %s", s)
		}
		time.Sleep(48 * time.Hour)
		is("what has passed since counts", behind, wall.Add(3*year+48*time.Hour))

		ahead := newClock("", own, time.Now)
		ahead.heard("a", wall.Add(48*time.Hour-90*year))
		ahead.heard("b", wall.Add(48*time.Hour-90*year))
		is("nobody makes it earlier than the own certificate", ahead, own.NotBefore)

		liar := newClock("", own, time.Now)
		for _, s := range []string{"a", "b", "c"} {
			liar.heard(alerts.StationID("honest-"+s), time.Now())
		}
		liar.heard("liar", time.Now().Add(90*year))
		is("one liar among honest ones", liar, time.Now())
		if s := liar.skew(); s != 0 {
			t.Errorf("skew %s by a liar", s)
		}
	})
}

// Only a time that another station confirmed is kept, and it is never earlier after a restart.
func TestATimeThatWasAgreedUponIsKept(t *testing.T) {
	dir := t.TempDir()
	var agreed time.Time
	synctest.Test(t, func(t *testing.T) {
		own := &x509.Certificate{NotBefore: time.Now().Add(-year)}
		time.Sleep(20 * year) // this box's clock alone says so
		newClock(dir, own, time.Now).heard("a", time.Now().Add(-20*year))
		if _, err := os.Stat(filepath.Join(dir, clockFile)); err == nil {
			t.Error("a time that nobody confirmed was kept")
		}
		agreed = time.Now()
		newClock(dir, own, time.Now).heard("a", agreed)
	})
	synctest.Test(t, func(t *testing.T) { // and now its battery is empty
		c := newClock(dir, &x509.Certificate{NotBefore: time.Now().Add(-year)}, time.Now)
		if got := c.now(); got.Sub(agreed).Abs() > time.Minute {
			t.Errorf("after a restart it is %s, want %s", got, agreed)
		}
	})
}
