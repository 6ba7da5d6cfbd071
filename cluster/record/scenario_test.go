package record

import (
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
)

var (
	three = []alerts.StationID{"post", "xinzhuang", "caojiawu"}
	all   = []alerts.StationID{"post", "xinzhuang", "caojiawu", "zhangyong", "works"}
)

func TestLoneVoterShowsEverythingAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, []alerts.StationID{"post"})
		c.leader()
		for range 300 {
			c.raise("post")
		}
		c.eventually(time.Minute, "all recorded", c.allRecorded("post"))
		c.stop("post")
		b := c.start("post")
		if got := b.cell.Status().Index; got != 300 {
			t.Errorf("shows %d entries at once, want 300", got)
		}
		c.leader()
		c.raise("post")
		c.eventually(time.Minute, "recorded after the restart", c.allRecorded("post"))
		b.heard = nil
		c.checkRecords()
		c.end()
	})
}

func TestLeaderCutOffEachEventOnceAndChainsEqual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three, "zhangyong", "works")
		old := c.leader()
		for range 20 {
			c.raise("zhangyong")
		}
		c.eventually(30*time.Second, "all recorded", c.allRecorded(all...))

		c.isolate(old)
		lost := c.raise(old) // in the old leader's log, perhaps, and in nobody else's
		var rest []alerts.StationID
		for _, s := range all {
			if s != old {
				rest = append(rest, s)
			}
		}
		c.eventually(20*time.Second, "another leader", func() bool { l := c.leader(old); return l != old })
		for range 20 {
			c.raise("works")
		}
		c.eventually(30*time.Second, "the others record without it", func() bool {
			for _, s := range rest {
				if c.up[s].cell.Status().Index != 40 {
					return false
				}
			}
			return true
		})
		if in := c.up[old].cell.Status(); in.Index != 20 || in.Leader != "" {
			t.Errorf("the one cut off is at %d under %q", in.Index, in.Leader)
		}

		c.heal()
		c.eventually(time.Minute, "everybody has everything", c.allRecorded(all...))
		c.checkRecords()
		if !c.up["works"].has(lost) {
			t.Error("what the old leader had alone is lost")
		}
		c.end()
	})
}

func (b *box) has(e alerts.Event) (yes bool) {
	b.cell.Read(func(s *alerts.State) { yes = s.Has(e.Incident, e.ID) })
	return yes
}

func TestFollowersHearOfACommitAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three, "zhangyong")
		c.leader()
		c.raise("zhangyong")
		c.eventually(20*time.Second, "the follower follows", c.allRecorded("zhangyong"))
		// heartbeats of raft carry the commit 50 ms late; the stream does not
		for range 10 {
			e := c.raise("zhangyong")
			start := time.Now()
			c.eventually(time.Second, "recorded at all", func() bool {
				for _, b := range c.up {
					if !b.has(e) {
						return false
					}
				}
				return true
			})
			if d := time.Since(start); d > 40*time.Millisecond {
				t.Errorf("everybody has it after %s", d)
			}
			time.Sleep(300 * time.Millisecond)
		}
		c.end()
	})
}

func TestALateStationCatchesUpAndALoneFounderGetsVoters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, []alerts.StationID{"post"}, "xinzhuang", "caojiawu", "zhangyong")
		c.leader()
		c.eventually(time.Minute, "three vote", func() bool { return len(c.up["post"].cell.Status().Voters) == 3 })
		time.Sleep(time.Minute)
		if v := c.up["post"].cell.Status().Voters; len(v) != 3 {
			t.Errorf("%v vote, want three", v)
		}
		c.stop("zhangyong")
		for range 700 { // more than one page and one batch
			c.raise("post")
		}
		c.eventually(time.Minute, "recorded", c.allRecorded("post", "xinzhuang", "caojiawu"))
		c.start("zhangyong")
		c.eventually(time.Minute, "caught up", c.allRecorded("zhangyong"))
		// the leader goes for good: the new voters carry on, and the follower finds another source
		c.stop(c.leader())
		c.raise("zhangyong")
		c.eventually(time.Minute, "recorded without the founder", c.allRecorded("zhangyong"))
		c.checkRecords()
		c.end()
	})
}

func TestAnEventWaitsForItsPredecessorButNoAlarmDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, []alerts.StationID{"post"})
		b := c.up["post"]
		c.leader()
		r := c.raise("post")
		c.eventually(10*time.Second, "raised", c.allRecorded("post"))
		first := c.sign("post", alerts.Event{Incident: r.Incident, Prev: []alerts.Hash{r.ID}, Kind: alerts.KindNote, Body: &alerts.Note{Words: "一"}})
		second := c.sign("post", alerts.Event{Incident: r.Incident, Prev: []alerts.Hash{first.ID}, Kind: alerts.KindNote, Body: &alerts.Note{Words: "二"}})
		wave := c.sign("post", alerts.Event{Incident: r.Incident, Prev: []alerts.Hash{first.ID}, Kind: alerts.KindWave, Body: &alerts.Waved{Number: 2, Ring: 3000}})
		b.put(second)
		b.put(wave)
		c.eventually(time.Second, "the alarm lane is not held back", func() bool { return b.has(wave) })
		time.Sleep(3 * time.Second)
		if b.has(second) {
			t.Error("recorded before its predecessor had time to come")
		}
		b.put(first)
		c.eventually(time.Second, "both", func() bool { return b.has(first) && b.has(second) })
		lonely := c.sign("post", alerts.Event{Incident: r.Incident, Prev: []alerts.Hash{{9}}, Kind: alerts.KindNote, Body: &alerts.Note{Words: "三"}})
		b.put(lonely)
		start := time.Now()
		c.eventually(10*time.Second, "recorded without it in the end", func() bool { return b.has(lonely) })
		if d := time.Since(start); d < prevWait-time.Second {
			t.Errorf("waited %s only", d)
		}
		orphan := c.sign("post", alerts.Event{Incident: "00000000-0000-5000-8000-00000000ffff", Prev: []alerts.Hash{{9}}, Kind: alerts.KindNote, Body: &alerts.Note{Words: "四"}})
		b.put(orphan)
		time.Sleep(time.Minute)
		if b.has(orphan) || len(b.list()) != 1 {
			t.Error("an event whose raising event is missing is to stay pending")
		}
		c.end()
	})
}
