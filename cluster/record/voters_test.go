package record

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
)

func (c *county) voters() []alerts.StationID {
	c.t.Helper()
	return slices.Sorted(slices.Values(c.up[c.leader()].cell.Status().Voters))
}

// down stops a station, and gossip notices.
func (c *county) down(s alerts.StationID) {
	c.t.Helper()
	c.stop(s)
	c.sees(9, s)
}

func (c *county) back(s alerts.StationID) {
	c.t.Helper()
	c.start(s)
	c.sees(0, s)
}

func (c *county) votersBecome(within time.Duration, want ...alerts.StationID) {
	c.t.Helper()
	slices.Sort(want)
	c.eventually(within, fmt.Sprint("voters become ", want), func() bool { return slices.Equal(c.voters(), want) })
}

// A post goes for good: after five minutes a station that has been there all the time takes its place, and
// the record goes on through the next loss. Back from the dead, it follows, and its vote is not missed.
func TestAVoterThatDiesForEverIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := foundCounty(t, Mixed, three, "zhangyong", "works")
		c.leader()
		time.Sleep(stableFor)
		if v := c.voters(); !slices.Equal(v, slices.Sorted(slices.Values(three))) {
			t.Fatalf("without any need %v vote", v)
		}
		c.down("caojiawu")
		died := time.Now()
		time.Sleep(deadAfter - 15*time.Second)
		if v := c.voters(); !slices.Contains(v, "caojiawu") {
			t.Errorf("replaced after %s only", time.Since(died))
		}
		c.votersBecome(2*time.Minute, "post", "works", "xinzhuang")
		c.raise("zhangyong")
		c.eventually(time.Minute, "recorded by the new three", c.allRecorded("post", "xinzhuang", "works", "zhangyong"))

		c.back("caojiawu")
		time.Sleep(3 * time.Minute)
		if s := c.up["caojiawu"].cell.Status(); s.Role != Follower || s.Leader == "" {
			t.Errorf("back again it is %s under %q", s.Role, s.Leader)
		}
		c.heal()
		c.eventually(time.Minute, "all is there too", c.allRecorded("caojiawu"))
		c.down("post")
		c.raise("works")
		c.eventually(time.Minute, "recorded by two of the new three", c.allRecorded("xinzhuang", "works", "zhangyong"))
		c.checkRecords()
		c.end()
	})
}

// Raft's silence decides, not gossip's: a voter out of gossip's sight that still answers keeps its vote.
func TestGossipAloneTakesNoVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := foundCounty(t, Mixed, three, "zhangyong", "works")
		l := c.leader()
		time.Sleep(stableFor)
		for _, s := range three {
			if s != l {
				c.sees(9, s)
				break
			}
		}
		time.Sleep(3 * deadAfter)
		if v := c.voters(); !slices.Equal(v, slices.Sorted(slices.Values(three))) {
			t.Errorf("%v vote now", v)
		}
		c.end()
	})
}

// One that comes and goes every few minutes is never given a vote.
func TestAFlappingStationDoesNotVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := foundCounty(t, Mixed, three, "zhangyong")
		c.leader()
		c.down("caojiawu")
		for range 8 {
			c.down("zhangyong")
			time.Sleep(time.Minute)
			c.back("zhangyong")
			time.Sleep(stableFor - time.Minute)
			if v := c.voters(); slices.Contains(v, "zhangyong") {
				t.Fatalf("%v vote", v)
			}
		}
		c.votersBecome(2*time.Minute, "post", "xinzhuang", "zhangyong")
		c.end()
	})
}

// A cut through the county: the side with the majority makes itself whole, the other changes nothing, and
// afterwards there is one record and one set of voters.
func TestOnlyOneSideOfACutChangesVoters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := foundCounty(t, Mixed, three, "zhangyong", "works", "school")
		l := c.leader()
		time.Sleep(stableFor)
		small := []alerts.StationID{l, "zhangyong", "works"}
		var big []alerts.StationID
		for s := range c.ids {
			if !slices.Contains(small, s) {
				big = append(big, s)
			}
		}
		c.net.Split(names(small), names(big))
		c.sees(1, small...)
		time.Sleep(4 * stableFor)
		for _, s := range small {
			if v := c.up[s].cell.Status(); v.Leader != "" || len(v.Voters) > 0 && !slices.Equal(slices.Sorted(slices.Values(v.Voters)), slices.Sorted(slices.Values(three))) {
				t.Errorf("%s on the small side: leader %q, voters %v", s, v.Leader, v.Voters)
			}
		}
		if v := c.up[c.leader()].cell.Status().Voters; !slices.Equal(slices.Sorted(slices.Values(v)), slices.Sorted(slices.Values(big))) {
			t.Errorf("on the big side %v vote, want %v", v, big)
		}
		c.sees(0, small...)
		c.heal()
		c.raise("zhangyong")
		c.raise(l)
		c.heal()
		c.eventually(time.Minute, "one record", c.allRecorded(slices.Collect(maps.Keys(c.ids))...))
		c.checkRecords()
		c.end()
	})
}

func names(list []alerts.StationID) (out []string) {
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}

// From 15 stations up five vote, and the record survives the loss of two at once.
func TestFiveVoteFromFifteenStations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var others []alerts.StationID
		for k := range 12 {
			others = append(others, alerts.StationID(fmt.Sprintf("v%02d", k)))
		}
		c := foundCounty(t, Mixed, three, others...)
		c.sees(9, "v11") // before anybody has looked around
		c.leader()
		time.Sleep(stableFor + time.Minute)
		if v := c.voters(); len(v) != 3 {
			t.Errorf("of 14 stations %v vote", v)
		}
		c.sees(0, "v11")
		c.eventually(stableFor+time.Minute, "five vote", func() bool { return len(c.voters()) == 5 })
		for range 2 {
			c.down(c.leader())
		}
		c.raise("v05")
		c.eventually(time.Minute, "recorded by three of five", c.allRecorded("v05"))
		c.end()
	})
}

// Ctrl-C at the leader: the lead is with another voter before it is gone.
func TestALeaderThatStopsHandsOverTheLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := foundCounty(t, Mixed, three)
		for range 3 {
			l := c.leader()
			time.Sleep(10 * time.Second)
			c.stop(l)
			start := time.Now()
			e := c.raise(c.leader(l))
			c.eventually(time.Minute, "recorded", func() bool { return c.up[c.leader(l)].has(e) })
			if took := time.Since(start); took > 500*time.Millisecond { // an election takes two seconds and more on such links
				t.Errorf("the record stood still for %s", took)
			}
			c.start(l)
			time.Sleep(10 * time.Second)
			c.heal()
		}
		c.end()
	})
}
