//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"hivemesh/node/web"
)

type failoverCmd struct {
	N int `short:"n" default:"20" help:"How often the leader is killed."`
}

const (
	probeEvery  = 20 * time.Millisecond // between alerts while a leader is missing
	gapMost     = 20 * time.Second
	gapHalf     = 500 * time.Millisecond // the aim for the middle one
	gapWorst    = time.Second            // the aim for the slowest of 100
	recoverWait = 60 * time.Second
)

// Run kills the leader n times while alerts flow at a station that stays.
func (c failoverCmd) Run(ctx context.Context) error {
	f, err := newBridge(leastStations)
	if err != nil {
		return fmt.Errorf("wiring: %w", err)
	}
	co, err := found(ctx, f, leastStations, time.Hour)
	if err != nil {
		return fmt.Errorf("found the county: %w", err)
	}
	defer co.stopAll()
	w := newWeather(co, defaultSeed)
	var gaps, alarms []time.Duration
	for n := range c.N {
		if _, err := w.whole(ctx, recoverWait); err != nil {
			return err
		}
		gap, slowest, err := w.failover(ctx, n)
		if err != nil {
			return err
		}
		fmt.Printf("%3d  record accepts again after %4d ms; slowest alert meanwhile answered after %d ms\n", n+1, gap.Milliseconds(), slowest.Milliseconds())
		gaps, alarms = append(gaps, gap), append(alarms, slowest)
	}
	g := sorted(gaps)
	fmt.Printf("\nrecord accepts again     %v\nslowest alert meanwhile  %v\n", g, sorted(alarms))
	for _, aim := range []struct {
		of        float64
		was, most time.Duration
	}{{.5, g.at(.5), gapHalf}, {.99, g.at(.99), gapWorst}} {
		said := "reached"
		if aim.was > aim.most {
			said = "missed"
		}
		fmt.Printf("aim: %.0f %% within %v: %s\n", 100*aim.of, aim.most, said)
	}
	return nil
}

// failover kills the leader and raises alerts at a follower until one is on the record. It returns the time
// from the kill to the first "on the record" of an alert raised after it, and the slowest answer.
func (w *weather) failover(ctx context.Context, n int) (gap, slowest time.Duration, err error) {
	leader := w.county.leader(ctx)
	if leader == nil {
		return 0, 0, errors.New("nobody leads")
	}
	at := w.county.stations[len(w.county.stations)-1] // no voter
	token, err := at.signIn(ctx, map[string]any{"kiosk": true})
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, gapMost)
	defer cancel()
	killed := time.Now()
	if err := leader.kill(); err != nil {
		return 0, 0, err
	}
	var (
		g    sync.WaitGroup
		mu   sync.Mutex
		done = make(chan struct{})
		once sync.Once
	)
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for k := 0; ; k++ {
		g.Go(func() {
			begin := time.Now()
			form := map[string]any{"id": fmt.Sprintf("failover-%d-%d", n, k), "category": "dispute"}
			var t web.Taken
			if _, no := at.ask(ctx, "POST", "/v1/alerts", token, form, &t); no != nil {
				mu.Lock()
				err = errors.Join(err, no)
				mu.Unlock()
				return
			}
			mu.Lock()
			slowest = max(slowest, time.Since(begin))
			mu.Unlock()
			if w.recorded(ctx, at, token, t) {
				once.Do(func() { gap = time.Since(killed); close(done) })
			}
		})
		select {
		case <-done:
			cancelled := ctx.Err()
			g.Wait()
			return gap, slowest, errors.Join(err, cancelled, w.county.startAll(context.WithoutCancel(ctx), leader))
		case <-ctx.Done():
			g.Wait()
			return 0, 0, fmt.Errorf("nothing on the record %v after %s was killed: %w", gapMost, leader.id, errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
	}
}

// recorded asks how the event is kept until it is on the record.
func (w *weather) recorded(ctx context.Context, s *station, token string, t web.Taken) bool {
	for ctx.Err() == nil {
		var e struct{ Kept web.Kept }
		if _, err := s.ask(ctx, "GET", "/v1/events/"+t.Event.String(), token, nil, &e); err == nil && e.Kept.Recorded {
			return true
		}
		pause(ctx, 5*time.Millisecond)
	}
	return false
}
