package record

import (
	"errors"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
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
		c.raise("zhangyong")
		c.eventually(20*time.Second, "all follow the leader", func() bool {
			l := c.leader()
			for s, b := range c.up {
				if s != l && b.cell.Status().Source != l {
					return false
				}
			}
			return true
		})
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

// What a station's own links do to it must never cost an event, a place in the order, or an agreement.
func TestAnyWeather(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			c := newCounty(t, three, "zhangyong", "works")
			dice := rand.New(rand.NewPCG(seed, 1))
			for range 25 {
				s := all[dice.IntN(len(all))]
				switch dice.IntN(5) {
				case 0:
					c.isolate(s)
				case 1:
					c.net.CutOneWay(string(s), string(all[dice.IntN(len(all))]))
				case 2:
					c.heal()
				case 3:
					if c.up[s] != nil {
						c.stop(s)
					}
				case 4:
					if c.up[s] == nil {
						c.start(s)
					}
				}
				for range dice.IntN(5) {
					by := all[dice.IntN(len(all))]
					if c.up[by] != nil {
						c.raise(by)
					}
				}
				time.Sleep(time.Duration(dice.IntN(3000)) * time.Millisecond)
			}
			for _, s := range all {
				if c.up[s] == nil {
					c.start(s)
				}
			}
			c.heal()
			c.eventually(2*time.Minute, "everybody has everything", c.allRecorded(all...))
			c.checkRecords()
			c.end()
		})
	}
}

func TestLeaderWhoseDiskFailsIsReplaced(t *testing.T) {
	for name, fault := range map[string]func(*disk.Trouble){
		"full":   func(d *disk.Trouble) { d.Fail(syscall.ENOSPC, disk.Writing("raft")) },
		"broken": func(d *disk.Trouble) { d.Fail(syscall.EIO, disk.Writing()) },
		"hangs":  func(d *disk.Trouble) { d.Hang(disk.Writing("raft", "vote")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCounty(t, three, "zhangyong")
				old := c.leader()
				c.raise("zhangyong")
				c.eventually(20*time.Second, "recorded", c.allRecorded("post", "xinzhuang", "caojiawu", "zhangyong"))
				fault(c.bad[old])
				start := time.Now()
				for range 5 {
					c.raise("zhangyong")
				}
				c.eventually(20*time.Second, "recorded under another leader, and heard of by the one with the bad disk",
					c.allRecorded("post", "xinzhuang", "caojiawu", "zhangyong"))
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
				c.eventually(10*time.Second, "the one with the bad disk says so, and who leads now", func() bool {
					s := c.up[old].cell.Status()
					return s.Err != nil && s.Role != Leader && s.Leader != old && s.Leader != ""
				})
				c.bad[old].Heal()
				c.eventually(2*longCure, "it votes again, without a restart", func() bool {
					s := c.up[old].cell.Status()
					return s.Err == nil && s.Role != Follower
				})
				c.stop(others(old)[0])
				c.raise("zhangyong")
				c.eventually(20*time.Second, "its vote counts", c.allRecorded(old, others(old)[1], "zhangyong"))
				c.checkRecords()
				c.end()
			})
		})
	}
}

func TestAStandingRecordHandsOverTheLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three)
		old := c.leader()
		c.up[old].cell.fold.Stop(errors.New("an entry that this version cannot read"))
		c.raise(old)
		var rest []alerts.StationID
		for _, s := range three {
			if s != old {
				rest = append(rest, s)
			}
		}
		c.eventually(20*time.Second, "recorded by the others", c.allRecorded(rest...))
		if s := c.up[old].cell.Status(); s.Index != 0 || s.Err == nil {
			t.Errorf("the standing one says %+v", s)
		}
		c.end()
	})
}

// A voter that was away while the log it needs was dropped is sent a snapshot.
func TestVoterComesBackBehindTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three)
		l := c.leader()
		var away alerts.StationID
		for _, s := range three {
			if s != l {
				away = s
			}
		}
		c.stop(away)
		for range 40 {
			c.raise(l)
			time.Sleep(50 * time.Millisecond) // a raft log each
		}
		c.eventually(20*time.Second, "recorded", c.allRecorded(l))
		r := c.up[l].cell.council().raft
		conf := r.ReloadableConfig()
		conf.TrailingLogs = 1
		if err := r.ReloadConfig(conf); err != nil {
			t.Fatal(err)
		}
		if err := r.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
		b := c.start(away)
		c.eventually(20*time.Second, "voter is back", c.allRecorded(three...))
		c.eventually(20*time.Second, "by a snapshot", func() bool { return b.cell.council().raft.Stats()["last_snapshot_index"] != "0" })
		c.raise(away)
		c.eventually(20*time.Second, "and goes on", func() bool {
			return b.cell.council().raft.AppliedIndex() == r.AppliedIndex() && c.allRecorded(three...)()
		})
		c.checkRecords()
		// and comes up from its own snapshot as well
		c.stop(away)
		c.start(away)
		c.raise(away)
		c.eventually(20*time.Second, "once more", c.allRecorded(three...))
		c.checkRecords()
		c.end()
	})
}

// TestALeaderThatGossipHasNotMet: a follower that cannot reach whom the others name follows them in peace.
func TestALeaderThatGossipHasNotMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three, "works")
		c.blind["works"] = c.leader()
		c.stop("works")
		pieces := 0
		c.net.Tap(func(_, _ net.Addr, _ []byte) {
			if pieces++; pieces > 100_000 {
				panic("stations meet each other again and again, without a pause")
			}
		})
		c.start("works")
		c.raise("post")
		c.eventually(30*time.Second, "recorded at works", c.allRecorded("works"))
		c.end()
	})
}

// A leader whose disk is nearly full asks another to lead, while it still can.
func TestALeaderWithLittleRoomYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three)
		old := c.leader()
		c.bad[old].Leave(func() uint64 { return disk.YieldBelow - 1 })
		c.raise(old)
		c.eventually(10*time.Second, "another leads", func() bool {
			l := c.up[others(old)[0]].cell.Status().Leader
			return l != "" && l != old
		})
		c.raise(old)
		c.eventually(20*time.Second, "recorded everywhere", c.allRecorded(three...))
		for _, s := range three { // nobody has room: all the same there is a leader
			c.bad[s].Leave(func() uint64 { return 0 })
		}
		for range 5 {
			c.raise("post")
			c.eventually(20*time.Second, "recorded everywhere", c.allRecorded(three...))
			time.Sleep(yieldEvery / 2)
		}
		c.checkRecords()
		c.end()
	})
}

// TestAClockThatJumpsHoldsNothingUp: how long an event waits for the one before it is not counted by the wall.
func TestAClockThatJumpsHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, []alerts.StationID{"post"})
		c.leader()
		r := c.raise("post")
		c.eventually(30*time.Second, "recorded", c.allRecorded("post"))
		lonely := c.sign("post", alerts.Event{Incident: r.Incident, Prev: []alerts.Hash{{9}}, Kind: alerts.KindNote, Body: &alerts.Note{Words: "三"}})
		c.made = append(c.made, lonely)
		c.flash("post", lonely)
		time.Sleep(prevWait / 2)
		c.net.Jump("post", -10*365*24*time.Hour)
		c.eventually(2*prevWait, "recorded after its wait", c.allRecorded("post"))
		c.end()
	})
}

// TestAStoreThatCouldNotBeReadGoesOn: a head that a leader vouches for, or entries that are here already, are
// compared with a store that does not answer just then: that says nothing against the record.
func TestAStoreThatCouldNotBeReadGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three, "works")
		c.leader()
		for range 5 {
			c.raise("post")
		}
		c.eventually(time.Minute, "recorded at works", c.allRecorded("works"))
		c.bad["works"].Fail(syscall.EIO, func(op disk.Op) bool { return op.Store == "record" })
		c.raise("post")
		f := c.up["works"].cell.fold
		c.eventually(time.Minute, "the store fails", func() bool { return f.store.Err() != nil })
		if err := f.Verify(Head{Epoch: f.Head().Epoch, Index: 2}); !errors.Is(err, errBehind) {
			t.Errorf("a head is compared with a store that does not answer: %v", err)
		}
		if err := f.Err(); err != nil {
			t.Errorf("the record stands still: %v", err)
		}
		c.bad["works"].Heal()
		c.raise("post")
		c.eventually(time.Minute, "recorded at works again", c.allRecorded("works"))
		c.end()
	})
}
