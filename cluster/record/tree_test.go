package record

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
)

// grove watches a cell's followers: whom each follows, how deep, how many each feeds.
type grove struct {
	c     *county
	wrong map[alerts.StationID]time.Time // since when a station follows one that is as deep as itself, or deeper
}

// look fails when a station feeds too many, or follows somebody deeper for longer than news of it takes.
func (g *grove) look() {
	g.c.t.Helper()
	for s, b := range g.c.up {
		st := b.cell.Status()
		if st.Feeds > fanOut {
			g.c.t.Fatalf("%s feeds %d", s, st.Feeds)
		}
		from := g.c.up[st.Source]
		if from == nil || st.Depth < 0 {
			delete(g.wrong, s)
			continue
		}
		up := from.cell.Status()
		if up.Depth >= 0 && up.Depth < st.Depth {
			delete(g.wrong, s)
			continue
		}
		if since, known := g.wrong[s]; !known {
			g.wrong[s] = time.Now()
		} else if time.Since(since) > time.Duration(st.Depth+2)*beat {
			g.c.t.Fatalf("%s, %d deep, follows %s, %d deep", s, st.Depth, st.Source, up.Depth)
		}
	}
}

// fed: every station but the leader is in the tree, none deeper than most.
func (g *grove) fed(most int) func() bool {
	return func() bool {
		g.look()
		for _, b := range g.c.up {
			if st := b.cell.Status(); st.Role != Leader && (st.Depth < 1 || st.Depth > most || st.Source == "") {
				return false
			}
		}
		return true
	}
}

func TestFollowersMakeATree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var many []alerts.StationID
		for k := range 30 {
			many = append(many, alerts.StationID(fmt.Sprintf("village-%02d", k)))
		}
		c := newCounty(t, three, many...)
		g := &grove{c: c, wrong: map[alerts.StationID]time.Time{}}
		l := c.leader()
		c.eventually(2*time.Minute, "everybody is fed, two or three steps from the leader", g.fed(3))
		c.eventually(time.Minute, "voters follow the leader itself", func() bool {
			return !slices.ContainsFunc(others(l), func(s alerts.StationID) bool { return c.up[s].cell.Status().Source != l })
		})
		c.eventually(time.Minute, "the leader feeds as many as it may", func() bool { return c.up[l].cell.Status().Feeds >= fanOut-1 })
		e := c.raise("village-07")
		start := time.Now()
		c.eventually(time.Second, "everybody has it", func() bool {
			for _, b := range c.up {
				if !b.has(e) {
					return false
				}
			}
			return true
		})
		if d := time.Since(start); d > 100*time.Millisecond {
			t.Errorf("down the tree it took %s", d)
		}

		// the middle station that feeds most dies; then the leader
		middle := many[0]
		for _, s := range many {
			if c.up[s].cell.Status().Feeds > c.up[middle].cell.Status().Feeds {
				middle = s
			}
		}
		orphans := c.up[middle].cell.Status().Feeds
		if orphans == 0 {
			t.Fatal("nobody hangs on a follower: this is no tree")
		}
		c.stop(middle)
		for range 20 {
			c.raise("village-07")
			time.Sleep(100 * time.Millisecond)
			g.look()
		}
		c.eventually(time.Minute, "its followers are fed by others", g.fed(4))
		c.stop(l)
		c.raise("post")
		c.eventually(time.Minute, "everybody is fed under the new leader", g.fed(5))
		c.start(l).heard = nil
		c.start(middle).heard = nil
		c.eventually(time.Minute, "everybody has everything", c.allRecorded(append(many, three...)...))
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			g.look()
		}
		c.checkRecords()
		c.end()
	})
}

// A follower that takes nothing is left; it holds no memory but one frame, and nobody waits for it.
func TestAFollowerThatTakesNothingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, []alerts.StationID{"post"}, "works")
		c.leader()
		c.stop("works")
		ring, err := trust.NewRing(c.ids["works"].Root, "")
		if err != nil {
			t.Fatal(err)
		}
		port, err := trust.OpenPort(c.net.Host("works"), ":7000", c.ids["works"], ring, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		mute, err := (&Cell{cfg: Config{Cell: cellID, Port: port, Addr: func(to alerts.StationID) (string, bool) { return c.addr("works", to) }}}).dial(t.Context(), "post", opening{Purpose: forFollow})
		if err != nil {
			t.Fatal(err)
		}
		if n := c.up["post"].cell.Status().Feeds; n != 1 {
			t.Fatalf("feeds %d", n)
		}
		c.eventually(time.Minute, "what is raised is recorded all the same, and the mute one is left", func() bool {
			c.raise("post")
			s := c.up["post"].cell.Status()
			return s.Feeds == 0 && s.Index > 0
		})
		c.eventually(time.Minute, "recorded", c.allRecorded("post"))
		mute.conn.Close()
		port.Close()
		c.end()
	})
}
