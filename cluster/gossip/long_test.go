//go:build !race

package gossip_test

import (
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/cluster/gossip"
)

// A day of split: memberlist alone would stay apart for ever (its dead are forgotten after a minute).
// Outside the race detector's run for its length.
func TestSplitOfADayHealsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		defer m.stopAll()
		m.five(func(c *gossip.Config) { c.WAN = true })
		m.see(5, 3*time.Minute)
		m.net.Split([]string{"hancun-post", "xinzhuang"}, []string{"zhangyong", "caojiawu-post", "enterprise"})
		time.Sleep(24 * time.Hour)
		if a, b := len(alive(m.on["xinzhuang"])), len(alive(m.on["enterprise"])); a != 2 || b != 3 {
			t.Errorf("while split, one half sees %d, the other %d", a, b)
		}
		m.net.Heal()
		m.see(5, time.Minute)
	})
}
