package record

import (
	"bufio"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

// liar is a station that was carried off: it says to lead, and feeds whoever follows it what it likes.
type liar struct {
	c    *county
	id   alerts.StationID
	port *trust.Port
	fed  atomic.Int32
}

// turn makes a station a liar; next makes what it answers who stands somewhere with.
func (c *county) turn(s alerts.StationID, next func(o opening, n int) *more) *liar {
	c.t.Helper()
	c.stop(s)
	l := &liar{c: c, id: s}
	ring, err := trust.NewRing(c.ids[s].Root, "")
	if err != nil {
		c.t.Fatal(err)
	}
	if l.port, err = trust.OpenPort(c.net.Host(string(s)), ":7000", c.ids[s], ring, zap.NewNop()); err != nil {
		c.t.Fatal(err)
	}
	l.port.Handle(trust.ProtoRecord, func(_ alerts.StationID, conn net.Conn) {
		defer conn.Close()
		r := bufio.NewReader(conn)
		var o opening
		if wire.ReadFrameMax(r, &o, openLimit) != nil {
			return
		}
		a := answer{Says: welcome, Standing: &Standing{Station: s, Epoch: firstEpoch, Index: 1 << 20, Leader: s, Whole: true}, Place: samePlace}
		if wire.WriteFrame(conn, a) != nil || o.Purpose != forFollow {
			return
		}
		for n := 0; ; n++ {
			f := frame{Index: 1 << 20, News: &news{Leader: s, Voters: []alerts.StationID{s}, Path: []alerts.StationID{s}}, More: next(o, n)}
			if wire.WriteFrame(conn, f) != nil {
				return
			}
			l.fed.Add(1)
			time.Sleep(beat)
		}
	})
	return l
}

// forged are entries that nobody judged, upon a head.
func (c *county) forged(upon Head, by alerts.StationID, n int) *more {
	m := &more{Base: upon.Index, Chain: upon.Chain}
	for k := range n {
		e := c.unheard(by, 5000+k)
		_, raw, err := stamp(alerts.Entry{Epoch: firstEpoch, Index: upon.Index + uint64(k) + 1, Event: e, At: e.At, Verdict: alerts.Verdict{Code: alerts.Accepted}})
		if err != nil {
			c.t.Fatal(err)
		}
		m.Entries = append(m.Entries, raw)
	}
	return m
}

// A follower's parent lies: with a record of its own, with entries nobody can read, or with some that stand upon
// another record. It says nothing of what voters signed. The follower is right again within a minute of when it can
// reach a voter, also when the liar has gone by then, and has not stood still for a moment.
func TestAParentThatLiesIsFoundOut(t *testing.T) {
	nonsense := [][]byte{[]byte("nonsense")}
	for name, next := range map[string]func(c *county, upon Head) func(o opening, n int) *more{
		"a record of its own": func(c *county, upon Head) func(opening, int) *more {
			all := c.forged(upon, "works", 7)
			return func(_ opening, n int) *more {
				if n == 0 {
					return all
				}
				return nil
			}
		},
		"a little at a time": func(c *county, upon Head) func(opening, int) *more {
			all := c.forged(upon, "works", 200)
			at := upon
			return func(_ opening, n int) *more {
				if n >= len(all.Entries) {
					return nil
				}
				m := &more{Base: at.Index, Chain: at.Chain, Entries: all.Entries[n : n+1]}
				at = Head{Index: at.Index + 1, Chain: wire.Chain(at.Chain, all.Entries[n])}
				return m
			}
		},
		"nonsense": func(*county, Head) func(opening, int) *more {
			return func(o opening, _ int) *more { return &more{Base: o.Index, Chain: o.Chain, Entries: nonsense} }
		},
		"upon another record": func(c *county, upon Head) func(opening, int) *more {
			all := c.forged(upon, "works", 1)
			return func(o opening, _ int) *more { return &more{Base: o.Index, Chain: alerts.Hash{9}, Entries: all.Entries} }
		},
	} {
		for gone, when := range map[bool]string{false: ", and goes on", true: ", and is gone"} {
			t.Run(name+when, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { parentLies(t, next, gone) }) })
		}
	}
}

func parentLies(t *testing.T, next func(*county, Head) func(opening, int) *more, gone bool) {
	c := newCounty(t, three, "zhangyong", "works")
	c.leader()
	for range 20 {
		c.raise("zhangyong")
	}
	c.eventually(30*time.Second, "all recorded", c.allRecorded(all...))
	victim := c.up["zhangyong"]
	c.net.Split([]string{"zhangyong", "works"}, []string{"post", "xinzhuang", "caojiawu"})
	c.away["zhangyong"], c.away["works"] = true, true
	l := c.turn("works", next(c, victim.cell.fold.Head()))
	c.eventually(time.Minute, "the liar is followed", func() bool { return l.fed.Load() > 0 })
	for range 10 {
		c.raise("post")
	}
	time.Sleep(3 * time.Second)
	if gone {
		l.port.Close()
	}
	c.net.Heal()
	clear(c.away)
	begin := time.Now()
	c.eventually(time.Minute, "its copy is the cell's", func() bool {
		if err := victim.cell.Err(); err != nil {
			t.Fatalf("it stands still: %v", err)
		}
		mine, theirs := victim.cell.Status(), c.up["post"].cell.Status()
		return mine.Index == 30 && mine.Index == theirs.Index && mine.Chain == theirs.Chain && victim.cell.fold.doubted().IsZero()
	})
	t.Logf("right again after %s", time.Since(begin))
	c.raise("post")
	c.eventually(20*time.Second, "it goes on", func() bool { return victim.cell.Status().Index >= 31 })
	l.port.Close()
	c.end()
}

// Nobody asks a voter anything while signed heads come along.
func TestNobodyAsksWhileHeadsComeAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three, "zhangyong")
		c.leader()
		for range 60 {
			c.raise("zhangyong")
			time.Sleep(time.Second)
			p := func() proof {
				cell := c.up["zhangyong"].cell
				cell.mu.Lock()
				defer cell.mu.Unlock()
				return cell.proof
			}()
			if p.asking || !p.since.IsZero() && time.Since(p.since) > proveWithin/2 {
				t.Fatalf("%+v", p)
			}
		}
		c.end()
	})
}
