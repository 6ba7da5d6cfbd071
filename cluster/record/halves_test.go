package record

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
)

// All voters burn, and two village stations are left that never voted: nobody would believe their own word, so
// the county's authority gives its own. The three come back later with a copy of the old epoch.
func TestVillageFollowersGoOnByTheAuthoritysWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three, "zhangyong", "works")
		c.leader()
		for range 20 {
			c.raise("zhangyong")
		}
		c.eventually(30*time.Second, "all recorded", c.allRecorded(all...))
		left := []alerts.StationID{"zhangyong", "works"}
		for _, s := range three {
			c.stop(s)
		}
		for range 5 {
			c.raiseAmong("works", left...)
		}
		cell := c.up["zhangyong"].cell
		if err := cell.Recover(t.Context(), left); !errors.Is(err, ErrSurvivors) {
			t.Fatalf("by its own word: %v", err)
		}
		warrant, err := cell.Warrant(t.Context(), left)
		if err != nil {
			t.Fatal(err)
		}
		if err := cell.RecoverWith(t.Context(), left, c.ids["zhangyong"].SignBytes(warrant)); !errors.Is(err, trust.ErrSignature) {
			t.Fatalf("signed by a station: %v", err)
		}
		sig := c.root.SignBytes(warrant)
		if err := cell.RecoverWith(t.Context(), left[:1], sig); !errors.Is(err, trust.ErrSignature) {
			t.Fatalf("signed for other voters: %v", err)
		}
		if err := cell.RecoverWith(t.Context(), left, sig); err != nil {
			t.Fatal(err)
		}
		c.eventually(20*time.Second, "the two record again", func() bool {
			for _, s := range left {
				if st := c.up[s].cell.Status(); st.Epoch != 2 || st.Index != 25 || len(c.up[s].list()) > 0 {
					return false
				}
			}
			return true
		})
		for _, s := range three {
			c.start(s)
		}
		c.eventually(time.Minute, "those of before believe it", c.allRecorded(all...))
		c.checkRecords()
		c.end()
	})
}

// One of five voters burns and the others are cut in two. Both halves are recovered, each on its own, and record.
// When they meet, one of the two epochs counts everywhere, and what the other half recorded stands in it too.
func TestTwoHalvesRecoveredApart(t *testing.T) {
	for name, again := range map[string]bool{"both in epoch 2": false, "one of them twice": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { recoverHalves(t, again) })
		})
	}
}

func recoverHalves(t *testing.T, again bool) {
	halves := [][]alerts.StationID{{"post", "zhangyong"}, {"xinzhuang", "caojiawu"}}
	c := newCounty(t, all)
	c.leader()
	for range 10 {
		c.raise("zhangyong")
	}
	c.eventually(30*time.Second, "all recorded", c.allRecorded(all...))
	c.stop("works")
	c.net.Split([]string{"post", "zhangyong"}, []string{"xinzhuang", "caojiawu"})
	last := map[string]uint64{}
	for k, half := range halves {
		begin := c.up[half[0]].cell
		c.eventually(time.Minute, "it has no leader, and begins anew", func() bool {
			err := begin.Recover(t.Context(), half)
			return err == nil
		})
		for range 5 + k {
			c.raiseAmong(half[0], half...)
		}
		c.eventually(20*time.Second, "a half records for itself", func() bool {
			return begin.Status().Index == uint64(15+k) && len(c.up[half[1]].list()) == 0
		})
		last[string(half[0])] = begin.Status().Index
	}
	wins, loses := "post", "xinzhuang"
	if again { // caojiawu burns as well: its half goes on with one, in epoch 3
		c.stop("caojiawu")
		x := c.up["xinzhuang"].cell
		c.eventually(time.Minute, "it goes on alone", func() bool { return x.Recover(t.Context(), []alerts.StationID{"xinzhuang"}) == nil })
		c.raiseAmong("xinzhuang", "xinzhuang")
		c.eventually(20*time.Second, "it records alone", func() bool { return x.Status().Index == last["xinzhuang"]+1 })
		wins, loses = loses, wins
	} else if c.up["xinzhuang"].cell.fold.Era().newer(c.up["post"].cell.fold.Era()) {
		wins, loses = loses, wins
	}
	want := c.up[alerts.StationID(wins)].cell.fold.Era()
	c.net.Heal() // works was dead and comes back after all
	for _, s := range all {
		if c.up[s] == nil {
			c.start(s)
		}
	}
	c.eventually(time.Minute, "everybody has everything, in one epoch", func() bool {
		for _, b := range c.up {
			for _, e := range b.list() { // sync
				for _, o := range c.up {
					o.put(e)
				}
			}
		}
		return c.allRecorded(all...)()
	})
	c.checkRecords()
	for s, b := range c.up {
		if got := b.cell.fold.Era(); got.mark != want.mark {
			t.Errorf("%s is in epoch %d of %s, want %d of %s", s, got.Epoch, got.By, want.Epoch, want.By)
		}
	}
	if c.up[alerts.StationID(loses)].resets == 0 || slices.Contains(want.Voters, alerts.StationID(loses)) {
		t.Errorf("%s lost and was not made anew", loses)
	}
	c.end()
}
