package gossip_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// A station says whom it looks for until it has met anybody, and then never again: a cut is not a start.
func TestAStationAwaitsItsSeedsUntilItHasMetSomebody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		defer m.stopAll()
		village := m.start("xinzhuang", nil, "hancun-post", "xinzhuang")
		time.Sleep(time.Minute)
		if seeds := village.Awaits(); len(seeds) != 1 || seeds[0] != m.net.Host("hancun-post").Addr(9080) {
			t.Errorf("a station whose seed does not answer awaits %v", seeds)
		}
		if seeds := m.start("zhangyong", nil).Awaits(); seeds != nil {
			t.Errorf("a first station, without seeds, awaits %v", seeds)
		}
		m.start("hancun-post", nil, "zhangyong")
		m.see(3, time.Minute)
		m.net.Isolate("xinzhuang")
		m.stop("hancun-post")
		time.Sleep(5 * time.Minute)
		if seeds := village.Awaits(); seeds != nil || len(alive(village)) != 1 {
			t.Errorf("a station that was cut off later awaits %v, sees %v", seeds, alive(village))
		}
		m.net.Heal()
	})
}
