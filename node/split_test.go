//go:build !race

package node

import (
	"testing"
	"time"
)

// A day apart, and nobody lays a hand on anything: the county is one again. Outside the race detector's
// run for its length alone.
func TestADaySplitHealsByItself(t *testing.T) {
	inCounty(t, LinksMixed, func(m *mesh) {
		m.net.Split([]string{post, xinzhuang}, []string{caojiawu, zhangyong, works})
		a, _, _ := m.raise(xinzhuang, scene("abduction", "xinzhuang", "west"))
		b, _, _ := m.raise(zhangyong, scene("fire", "zhangyong", "east"))
		time.Sleep(24 * time.Hour)
		m.net.Heal()
		m.eventually(2*time.Minute, "one pool", m.settled)
		m.eventually(2*time.Minute, "one record everywhere", m.agreed)
		m.recordedOnce(a)
		m.recordedOnce(b)
	})
}
