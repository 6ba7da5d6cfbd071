package record

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

// lose cuts two of the three voters off from everybody else, lets both sides go on, and burns the two.
func (c *county) lose() (survivor alerts.StationID, burnt []alerts.StationID) {
	c.t.Helper()
	c.leader()
	for range 20 {
		c.raise("zhangyong")
	}
	c.eventually(30*time.Second, "all recorded", c.allRecorded(all...))
	survivor, burnt = "post", []alerts.StationID{"xinzhuang", "caojiawu"}
	c.net.Split([]string{"xinzhuang", "caojiawu"}, []string{"post", "zhangyong", "works"})
	c.away["xinzhuang"], c.away["caojiawu"] = true, true
	c.eventually(20*time.Second, "the two have a leader of their own", func() bool {
		l := c.up["xinzhuang"].cell.raftLeader()
		return l != "" && l != "post" && l == c.up["caojiawu"].cell.raftLeader()
	})
	for range 10 {
		c.raiseAmong("xinzhuang", burnt...)
	}
	c.eventually(20*time.Second, "the two record without the others", func() bool {
		return c.up["xinzhuang"].cell.Status().Index == 30 && c.up["caojiawu"].cell.Status().Index == 30
	})
	for _, s := range burnt {
		c.stop(s)
	}
	for range 5 {
		c.raiseAmong("works", "post", "zhangyong", "works")
	}
	return survivor, burnt
}

// raiseAmong raises an alert that only some hear of.
func (c *county) raiseAmong(by alerts.StationID, some ...alerts.StationID) {
	e := c.unheard(by, len(c.made))
	c.made = append(c.made, e)
	for _, s := range some {
		c.up[s].put(e)
	}
}

// Two of three voters burn; the survivors go on in a new epoch. Then the two come back with a record of their
// own, begin to add to it, and are told.
func TestRecoveredFromOneVoterOfThree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three, "zhangyong", "works")
		c.leader()
		c.eventually(20*time.Second, "everybody knows the leader", func() bool { return c.up["works"].cell.Status().Depth == 1 })
		if err := c.up["post"].cell.Recover(t.Context(), all); !errors.Is(err, ErrHasLeader) {
			t.Errorf("a cell that has a leader: %v", err)
		}
		survivor, burnt := c.lose()
		time.Sleep(time.Minute)
		rest := []alerts.StationID{"post", "zhangyong", "works"}
		b := c.up[survivor]
		if s := b.cell.Status(); s.Index != 20 || s.Leader != "" {
			t.Fatalf("without a majority the survivor says %+v", s)
		}
		for _, wrong := range [][]alerts.StationID{{"zhangyong"}, {survivor, survivor}, {survivor, "nobody"}} {
			if err := b.cell.Recover(t.Context(), wrong); !errors.Is(err, ErrSurvivors) {
				t.Errorf("survivors %v: %v", wrong, err)
			}
		}
		if err := b.cell.Recover(t.Context(), []alerts.StationID{survivor, burnt[0]}); !errors.Is(err, ErrNotHeard) {
			t.Errorf("a survivor that does not answer: %v", err)
		}
		if err := c.up["works"].cell.Recover(t.Context(), []alerts.StationID{"works", survivor}); !errors.Is(err, ErrSurvivors) {
			t.Errorf("at one whom the others would not believe: %v", err)
		}
		if err := b.cell.Recover(t.Context(), []alerts.StationID{survivor, "zhangyong"}); err != nil {
			t.Fatal(err)
		}
		c.eventually(20*time.Second, "the survivors record again", func() bool {
			for _, s := range rest {
				if st := c.up[s].cell.Status(); st.Epoch != 2 || st.Index != 25 || len(c.up[s].list()) > 0 {
					return false
				}
			}
			return true
		})

		c.start(burnt[0])
		c.start(burnt[1])
		c.raiseAmong(burnt[0], burnt...)
		c.eventually(20*time.Second, "the two go on in the old epoch while nobody tells them", func() bool {
			return c.up[burnt[0]].cell.Status().Index == 31 && c.up[burnt[0]].cell.Epoch() == 1
		})
		c.net.Heal()
		clear(c.away)
		c.eventually(time.Minute, "everybody has everything, by what the stations have alone", func() bool {
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
			if b.cell.Epoch() != 2 || slices.Contains(burnt, s) != (b.resets > 0) {
				t.Errorf("%s is in epoch %d and was made anew %d times", s, b.cell.Epoch(), b.resets)
			}
		}
		// and a restart comes up in the new epoch
		c.stop(survivor)
		c.start(survivor).heard = nil
		c.raise("works")
		c.eventually(20*time.Second, "recorded after a restart", c.allRecorded(all...))
		c.checkRecords()
		c.end()
	})
}

// What a burnt leader had committed and told of, and the survivor knows from raft's log only, stays where it was.
func TestRecoverTakesInWhatRaftsLogHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three)
		c.leader()
		c.raise("post")
		c.eventually(20*time.Second, "recorded", c.allRecorded(three...))
		head := c.up["post"].cell.fold.Head()
		c.stopAll()
		told, loose := c.unheard("xinzhuang", 77), c.unheard("xinzhuang", 78)
		c.logged("post", head, told)
		c.logged("post", Head{Index: 7}, loose) // judged by a leader that had lost its place
		b := c.start("post")
		time.Sleep(time.Minute)
		if b.has(told) {
			t.Fatal("recorded without a majority")
		}
		if err := b.cell.Recover(t.Context(), []alerts.StationID{"post"}); err != nil {
			t.Fatal(err)
		}
		if s := b.cell.Status(); s.Epoch != 2 || s.Index < 2 || !b.has(told) {
			t.Errorf("what raft's log held is not in the record: %+v", s)
		}
		c.eventually(20*time.Second, "what was passed over is recorded anew", func() bool { return b.has(loose) })
		c.end()
	})
}

// logged adds a batch of one event to a stopped voter's raft log, as a leader would that has burnt since.
func (c *county) logged(s alerts.StationID, upon Head, e alerts.Event) {
	c.t.Helper()
	_, raw, err := stamp(alerts.Entry{Epoch: firstEpoch, Index: upon.Index + 1, Event: e, At: e.At, Verdict: alerts.Verdict{Code: alerts.Accepted}})
	if err != nil {
		c.t.Fatal(err)
	}
	data, err := batch{Version: batchVersion, Base: upon.Index, Chain: upon.Chain, Entries: [][]byte{raw}}.encode()
	if err != nil {
		c.t.Fatal(err)
	}
	dir := filepath.Join(c.dir, string(s))
	logs, err := openLogStore(nil, cellID, dir, mark(dir+".first.voter"), func(err error) { c.t.Error(err) })
	if err != nil {
		c.t.Fatal(err)
	}
	last, err := logs.LastIndex()
	if err != nil {
		c.t.Fatal(err)
	}
	var l raft.Log
	if err := logs.GetLog(last, &l); err != nil {
		c.t.Fatal(err)
	}
	if err := errors.Join(logs.StoreLog(&raft.Log{Index: last + 1, Term: l.Term, Type: raft.LogCommand, Data: data}), logs.Close()); err != nil {
		c.t.Fatal(err)
	}
}

// An epoch counts only by the word of somebody who may begin one.
func TestAnEpochIsNotBelievedFromJustAnybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three, "zhangyong")
		c.leader()
		c.raise("post")
		c.eventually(20*time.Second, "recorded", c.allRecorded("post", "zhangyong"))
		cell := c.up["post"].cell
		head := cell.fold.Head()
		forged := func(by *trust.Identity, voters ...alerts.StationID) []byte {
			e, err := newEra(by, cellID, 9, head, voters)
			if err != nil {
				t.Fatal(err)
			}
			return e.raw
		}
		if err := cell.learn(forged(c.ids["zhangyong"], "zhangyong")); !errors.Is(err, errEra) {
			t.Errorf("by one that does not vote: %v", err)
		}
		if err := cell.learn(forged(c.ids["xinzhuang"], "zhangyong")); !errors.Is(err, errEra) {
			t.Errorf("by one that names others only: %v", err)
		}
		other := *c.ids["zhangyong"]
		other.Station = "xinzhuang"
		if err := cell.learn(forged(&other, "xinzhuang")); !errors.Is(err, trust.ErrSignature) {
			t.Errorf("with another's signature: %v", err)
		}
		if cell.Epoch() != 1 || cell.Err() != nil {
			t.Errorf("epoch %d, %v", cell.Epoch(), cell.Err())
		}
		c.end()
	})
}

func FuzzEra(f *testing.F) {
	a, err := trust.NewAuthority("yongqing", f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	id, err := a.NewStation(trust.Who{Cell: cellID, Kind: alerts.Village, Station: "post", Name: "post"})
	if err != nil {
		f.Fatal(err)
	}
	ring, err := trust.NewRing(id.Root, "")
	if err != nil {
		f.Fatal(err)
	}
	if _, err := ring.Add(id.Cert.Raw); err != nil {
		f.Fatal(err)
	}
	e, err := newEra(id, cellID, 2, Head{Index: 7, Chain: alerts.Hash{7}}, three)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(e.raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := readEra(cellID, raw)
		switch {
		case err != nil && !errors.Is(err, wire.ErrMalformed):
			t.Fatalf("unnamed error: %v", err)
		case err == nil && len(raw) > 0 && got.verify(ring) == nil && got.mark != e.mark:
			t.Fatal("an epoch that nobody signed was believed")
		case err == nil && got.newer(got):
			t.Fatal("an epoch is newer than itself")
		}
	})
}
