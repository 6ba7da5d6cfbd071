//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"hivemesh/alerts"
	"hivemesh/node/sim/history"
	"hivemesh/node/web"
)

const (
	watchEvery = 500 * time.Millisecond
	// lossBy is when every station has to know that another one is dead; seenEvery is how late the watch may
	// be to notice.
	lossBy = 20 * time.Second
)

// watch looks at every station all the time: who leads, and who believes whom alive.
type watch struct {
	c *county

	mu      sync.Mutex
	looks   []look
	leader  alerts.StationID
	changes int
	top     map[alerts.StationID]usage
}

// look is what one station said at one time of who is not alive.
type look struct {
	at   time.Time
	by   alerts.StationID
	dead map[alerts.StationID]bool
}

func newWatch(c *county) *watch { return &watch{c: c, top: map[alerts.StationID]usage{}} }

func (w *watch) run(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var g sync.WaitGroup
		for _, s := range w.c.stations {
			if !s.is(up) {
				continue
			}
			g.Go(func() {
				if m, err := s.look(ctx, false); err == nil {
					w.saw(s, m)
				}
				if n%usageEvery == 0 {
					w.used(ctx, s)
				}
			})
		}
		g.Wait()
	}
}

func (w *watch) saw(s *station, m web.MeshInfo) {
	l := look{at: time.Now(), by: s.id, dead: map[alerts.StationID]bool{}}
	for _, x := range m.Members {
		if !x.Alive {
			l.dead[x.Station] = true
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks = append(w.looks, l)
	for _, c := range m.Cells {
		if c.Role == "leader" && w.leader != s.id {
			if w.leader != "" {
				w.changes++
			}
			w.leader = s.id
		}
	}
}

// since are the looks from begin until end.
func (w *watch) between(begin, end time.Time) (out []look) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.looks {
		if !l.at.Before(begin) && !l.at.After(end) {
			out = append(out, l)
		}
	}
	return out
}

// lossSeen checks LossSeen: a station that died at begin is reported by every other one in time. It was the
// only trouble.
func (w *watch) lossSeen(dead string, begin, end time.Time) (broken []history.Violation) {
	seen, asked := map[alerts.StationID]bool{}, map[alerts.StationID]bool{}
	for _, l := range w.between(begin, end) {
		late := l.at.Sub(begin) > lossBy+watchEvery
		if l.dead[alerts.StationID(dead)] && !late {
			seen[l.by] = true
		}
		asked[l.by] = asked[l.by] || late
	}
	for by := range asked {
		if asked[by] && !seen[by] {
			broken = append(broken, history.Violation{Check: "LossSeen", What: fmt.Sprintf("%s did not report within %v that %s is dead", by, lossBy, dead)})
		}
	}
	return broken
}

// falseDead checks NoFalseDead: nobody was believed dead from begin until end, a time of a tenth of all
// frames lost and no other trouble.
func (w *watch) falseDead(begin, end time.Time) (broken []history.Violation) {
	for _, l := range w.between(begin, end) {
		for dead := range l.dead {
			return []history.Violation{{Check: "NoFalseDead", What: fmt.Sprintf("%s believed %s dead %v into 10 %% loss", l.by, dead, l.at.Sub(begin))}}
		}
	}
	return nil
}
