package gossip_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/gossip"
	"hivemesh/cluster/trust"
)

// rotate makes a new key and hands it to some stations, as their mesh ports would.
func (m *mesh) rotate(urgent bool, to ...alerts.StationID) (signed []byte) {
	m.t.Helper()
	signed, _, err := m.a.RotateKey(urgent)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, s := range to {
		m.hand(s, signed)
	}
	return signed
}

func (m *mesh) hand(s alerts.StationID, signed []byte) {
	m.t.Helper()
	if _, err := m.keys[s].Take(signed); err != nil {
		m.t.Fatal(err)
	}
	if g := m.on[s]; g != nil {
		generation, _, _ := m.keys[s].Latest()
		g.SetStanding(0, generation)
	}
}

// A change of key that comes to the stations one by one, one of them restarted in its midst: nobody loses sight
// of anybody, and in the end the key before opens nothing.
func TestTheKeyChangesAndNobodyIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		defer m.stopAll()
		m.five(nil)
		m.see(5, time.Minute)
		var lost []alerts.StationID
		m.on["zhangyong"].OnChange(func(x gossip.Member) {
			if !x.Alive && x.Station != "xinzhuang" {
				lost = append(lost, x.Station)
			}
		})
		first := m.a.GossipKey
		signed := m.rotate(false)
		for _, s := range names[:4] {
			m.hand(s, signed)
			time.Sleep(30 * time.Second)
		}
		if m.keys["hancun-post"].Before() == nil {
			t.Error("the key before was dropped while one needs it")
		}
		m.stop("xinzhuang")
		m.start("xinzhuang", nil, "hancun-post")
		m.see(5, time.Minute)
		m.hand("enterprise", signed)
		time.Sleep(15 * time.Minute)
		m.see(5, time.Second)
		if len(lost) > 0 {
			t.Errorf("lost sight of %v", lost)
		}
		for _, s := range names {
			if m.keys[s].Before() != nil {
				t.Errorf("%s still takes the key before", s)
			}
		}
		if bytes.Equal(first, m.a.GossipKey) {
			t.Fatal("the key did not change")
		}
		// With the key before one hears nothing and is not heard, and with the county's certificate alone.
		old := m.start("thief", func(c *gossip.Config) {
			id := *m.ids["thief"]
			id.GossipKey = first
			var err error
			if c.Keys, err = trust.OpenKeys(&id, ""); err != nil {
				t.Fatal(err)
			}
		}, "hancun-post")
		time.Sleep(2 * time.Minute)
		if got := alive(old); len(got) != 1 {
			t.Errorf("with the key before it sees %v", got)
		}
	})
}

// An expelled station is forgotten at once by those who know, whatever it goes on sending; after the urgent
// change of key it is deaf, while one that was off all the time gets the key when it knocks.
func TestAStolenStationIsDeafAndNobodyElseIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		defer m.stopAll()
		gone := false // said to all at once, as far as this test goes
		var signed []byte
		with := func(s alerts.StationID) func(*gossip.Config) {
			return func(c *gossip.Config) {
				c.Gone = func(x alerts.StationID) bool { return gone && x == "thief" && s != "thief" }
				c.Meet = func(context.Context, string) error {
					if signed != nil && s != "thief" {
						m.hand(s, signed)
					}
					return nil
				}
			}
		}
		for _, s := range append(slices.Clone(names), "thief") {
			m.start(s, with(s), "hancun-post")
		}
		m.see(6, time.Minute)
		m.stop("enterprise")
		time.Sleep(20 * time.Second)

		gone = true
		signed = m.rotate(true, names[:4]...)
		for _, s := range names[:4] {
			m.on[s].Forget()
		}
		for _, s := range names[:4] {
			if _, known := m.on[s].Member("thief"); known {
				t.Errorf("%s still knows the thief", s)
			}
		}
		time.Sleep(3 * time.Minute)
		if got := alive(m.on["thief"]); len(got) != 1 {
			t.Errorf("the thief still hears %v", got)
		}
		for _, s := range names[:4] {
			if got := alive(m.on[s]); len(got) != 4 {
				t.Errorf("%s sees %v", s, got)
			}
			if _, known := m.on[s].Member("thief"); known {
				t.Errorf("%s has met the thief again", s)
			}
		}
		m.start("enterprise", with("enterprise"), "hancun-post")
		time.Sleep(20 * time.Second)
		for _, s := range names {
			if got := alive(m.on[s]); len(got) != 5 {
				t.Errorf("%s sees %v", s, got)
			}
		}
	})
}

// A station that stops just after it had something to tell does not wait until it is told.
func TestClosingDoesNotWaitForHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		defer m.stopAll()
		m.five(nil)
		m.see(5, time.Minute)
		for k := range 20 {
			m.on["zhangyong"].SetStanding(uint64(k+1), 1)
			time.Sleep(50 * time.Millisecond)
			begin := time.Now()
			m.stop("zhangyong")
			if took := time.Since(begin); took > time.Second {
				t.Fatalf("round %d: closed after %v", k, took)
			}
			m.start("zhangyong", nil, "hancun-post")
			m.see(5, time.Minute)
		}
	})
}
