//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"hivemesh/alerts"
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

// Run kills the leader n times while alerts flow between two stations that stay.
func (c failoverCmd) Run(ctx context.Context) error {
	f, err := newBridge(leastStations)
	if err != nil {
		return fmt.Errorf("wiring: %w", err)
	}
	co, err := found(ctx, f, leastStations, time.Hour)
	if err != nil {
		return fmt.Errorf("found the county: %w", err)
	}
	defer co.close()
	w := newWeather(co, defaultSeed)
	w.paused.Store(true) // the phone only listens
	phone := w.phones[0]
	phone.choice, phone.stay = []int{len(co.stations) - 2}, 0
	listening, stop := context.WithCancel(ctx)
	var g sync.WaitGroup
	defer g.Wait()
	defer stop()
	g.Go(func() { phone.live(listening) })
	var gaps, answers, alarms []time.Duration
	for n := range c.N {
		if _, err := w.whole(ctx, recoverWait); err != nil {
			return err
		}
		x, err := w.failover(ctx, n)
		if err != nil {
			return err
		}
		fmt.Printf("%3d  record accepts again after %4d ms; of %d alerts meanwhile the slowest was answered after %d ms, heard at another station after %d ms\n",
			n+1, x.gap.Milliseconds(), len(x.answers), x.answers.at(1).Milliseconds(), x.alarms.at(1).Milliseconds())
		gaps, answers, alarms = append(gaps, x.gap), append(answers, x.answers...), append(alarms, x.alarms...)
	}
	gap := sorted(gaps)
	fmt.Printf("\nrecord accepts again         %v\nalert answered meanwhile     %v\nalarm heard meanwhile        %v\n", gap, sorted(answers), sorted(alarms))
	for _, aim := range []struct{ of, was, most time.Duration }{{50, gap.at(.5), gapHalf}, {99, gap.at(.99), gapWorst}} {
		said := "reached"
		if aim.was > aim.most {
			said = "missed"
		}
		fmt.Printf("aim: %d %% within %v: %s\n", aim.of, aim.most, said)
	}
	return nil
}

// takeover is what one kill of a leader did.
type takeover struct {
	gap     time.Duration // from the kill until an alert raised after it is on the record
	answers latencies     // of the alerts raised meanwhile
	alarms  latencies     // from raising until it sounded at another station
}

// failover kills the leader and raises alerts at a station that has no vote until one of them is on the record.
func (w *weather) failover(ctx context.Context, n int) (x takeover, err error) {
	leader := w.county.leader(ctx)
	if leader == nil {
		return x, errors.New("nobody leads")
	}
	at := w.county.stations[len(w.county.stations)-1]
	token, err := at.signIn(ctx, map[string]any{"kiosk": true})
	if err != nil {
		return x, err
	}
	under, cancel := context.WithTimeout(ctx, gapMost)
	defer cancel()
	killed := time.Now()
	if err := leader.kill(); err != nil {
		return x, err
	}
	var (
		g       sync.WaitGroup
		mu      sync.Mutex
		errs    []error
		begun   = map[alerts.IncidentID]time.Time{}
		answers []time.Duration
		done    = make(chan struct{})
		once    sync.Once
	)
	probe := func(k int) {
		begin := time.Now()
		form := map[string]any{"id": fmt.Sprintf("failover-%d-%d", n, k), "category": "security"}
		var t web.Taken
		_, no := at.ask(under, "POST", "/v1/alerts", token, form, &t)
		mu.Lock()
		errs = append(errs, no)
		if no == nil {
			answers, begun[t.Incident] = append(answers, time.Since(begin)), begin
		}
		mu.Unlock()
		if no == nil && w.recorded(under, at, token, t) {
			once.Do(func() { x.gap = time.Since(killed); close(done) })
		}
	}
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for k, on := 0, true; on; k++ {
		g.Go(func() { probe(k) })
		select {
		case <-done:
			on = false
		case <-under.Done():
			on = false
		case <-tick.C:
		}
	}
	g.Wait()
	if err := errors.Join(errors.Join(errs...), under.Err()); err != nil {
		return x, fmt.Errorf("after %s was killed: %w", leader.id, err)
	}
	x.answers, x.alarms = sorted(answers), w.heard(ctx, begun)
	if len(x.alarms) < len(begun) {
		return x, fmt.Errorf("%d of %d alarms were not heard", len(begun)-len(x.alarms), len(begun))
	}
	return x, w.county.startAll(ctx, leader)
}

// heard is how long each alert took to sound at the phone, which is at another station; those that did not
// within gapMost are missing.
func (w *weather) heard(ctx context.Context, begun map[alerts.IncidentID]time.Time) latencies {
	for until := time.Now().Add(gapMost); ; {
		var took []time.Duration
		w.rec.mu.Lock()
		for in, begin := range begun {
			if s, ok := w.rec.first[in]; ok {
				took = append(took, s.At.Sub(begin))
			}
		}
		w.rec.mu.Unlock()
		if len(took) == len(begun) || time.Now().After(until) || !pause(ctx, pollEvery) {
			return sorted(took)
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
