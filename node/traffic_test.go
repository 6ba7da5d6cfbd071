package node

import (
	"testing"
	"time"
)

// A station on a metered link may take part in its county for little: under 1 KB a second while nothing happens.
func TestAnIdleFollowerCostsLittle(t *testing.T) {
	inCounty(t, LinksMixed, func(m *mesh) {
		m.raise(zhangyong, map[string]any{"category": "abduction", "place": map[string]any{"grid": "zhangyong"}})
		m.eventually(20*time.Second, "recorded everywhere", m.agreed)
		time.Sleep(5 * time.Minute)
		follower := ""
		for _, name := range allStations {
			if m.nodes[name].Mesh().Cells[0].Role == "follower" {
				follower = name
			}
		}
		if follower == "" {
			t.Fatal("nobody follows")
		}
		sum := 0.0
		for _, f := range m.nodes[follower].Mesh().Traffic {
			t.Logf("%s: %-16s %6.1f bytes/s (in %d, out %d)", follower, f.Protocol, f.Rate, f.In, f.Out)
			sum += f.Rate
		}
		if sum <= 0 || sum > 1000 {
			t.Errorf("%s takes %.0f bytes/s while nothing happens, want under 1000", follower, sum)
		}
	})
}
