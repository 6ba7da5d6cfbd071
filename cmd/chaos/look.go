//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"hivemesh/alerts"
	"hivemesh/node/sim/history"
	"hivemesh/node/web"
)

const (
	healBy   = 30 * time.Second // the promise: whole again, without a hand
	healMost = 90 * time.Second // after that nothing more is to be learned
	lastTry  = 5 * time.Second  // for clients to get their last answers once all is mended
	reachBy  = 10 * time.Second // a device that is connected so long has every alarm that it is due
	pageSize = 500
)

// whole waits until every station answers, believes every other one alive, and stands at the same entry
// with nothing pending. It returns how long that took, or what was lacking.
func (w *weather) whole(ctx context.Context, most time.Duration) (time.Duration, error) {
	begin := time.Now()
	for {
		why := w.lacking(ctx)
		if why == "" {
			return time.Since(begin), nil
		}
		if time.Since(begin) > healBy/2 {
			w.lacked = why
		}
		if time.Since(begin) > most {
			return 0, fmt.Errorf("after %v %s", most, why)
		}
		if !pause(ctx, pollEvery*4) {
			return 0, ctx.Err()
		}
	}
}

// lacking says what keeps the county from being whole; empty: nothing.
func (w *weather) lacking(ctx context.Context) string {
	var first *web.MeshCell
	var why []string
	for _, s := range w.county.stations {
		m, err := s.look(ctx, false)
		if err != nil {
			return fmt.Sprintf("%s does not answer: %v", s.id, err)
		}
		if len(m.Members) < len(w.county.stations) {
			why = append(why, fmt.Sprintf("%s knows %d stations", s.id, len(m.Members)))
		}
		for _, x := range m.Members {
			if !x.Alive {
				why = append(why, fmt.Sprintf("%s believes %s dead", s.id, x.Station))
			}
		}
		c := m.Cells[0]
		if c.Leader == "" || c.Error != "" || c.Pending > 0 {
			why = append(why, fmt.Sprintf("%s at %d: leader %q, %d pending, %s", s.id, c.Index, c.Leader, c.Pending, c.Error))
		}
		if first == nil {
			first = &c
		}
		if c.Epoch != first.Epoch || c.Index != first.Index || c.Chain != first.Chain {
			why = append(why, fmt.Sprintf("%s stands at %d.%d, %s at %d.%d", s.id, c.Epoch, c.Index, w.county.stations[0].id, first.Epoch, first.Index))
		}
	}
	return strings.Join(why, "; ")
}

// heal waits until the county is whole again, and checks what was done in this round.
func (w *weather) heal(ctx context.Context, since time.Time) error {
	mended := time.Now()
	w.paused.Store(true)
	took, err := w.whole(ctx, healMost)
	if err != nil && ctx.Err() == nil {
		w.note(history.Violation{Check: "Heals", What: err.Error()})
		// What does not heal by itself is restarted, as somebody would do in the end: there is more to see.
		w.county.stopAll()
		if err = w.county.startAll(ctx, w.county.stations...); err == nil {
			_, err = w.whole(ctx, healMost)
		}
	}
	if err != nil {
		return err
	}
	if took > healBy {
		w.note(history.Violation{Check: "Heals", What: fmt.Sprintf("whole again only after %v; at the end %s", took, w.lacked)})
	}
	w.mu.Lock()
	w.heals = append(w.heals, took)
	w.mu.Unlock()
	// Clients still try what was not answered; then all is quiet.
	if !pause(ctx, max(lastTry, reachBy-time.Since(mended))) {
		return ctx.Err()
	}
	at, err := w.standings(ctx, since)
	if err != nil {
		return err
	}
	h := w.rec.history(since)
	w.note(w.judge(h, at)...)
	w.note(history.ReachAll(h, w.due(ctx))...)
	w.note(w.neglected(ctx)...)
	fmt.Printf("%5.0f s           whole after %.1f s; %d alerts so far, %d checked now\n", time.Since(w.begun).Seconds(), took.Seconds(), len(w.rec.order), len(h.Raises))
	return nil
}

// judge runs the checks that simulation and harness share.
func (w *weather) judge(h history.History, at []history.Standing) []history.Violation {
	return slices.Concat(history.All(h, at), history.LegalMove(at, w.table()))
}

// standings asks every station for all matters raised since, until all stand at the same entry.
func (w *weather) standings(ctx context.Context, since time.Time) (at []history.Standing, err error) {
	for begin := time.Now(); ; {
		at = make([]history.Standing, len(w.county.stations))
		errs := make([]error, len(at))
		var g sync.WaitGroup
		for k, s := range w.county.stations {
			g.Go(func() { at[k], errs[k] = w.standing(ctx, s, since) })
		}
		g.Wait()
		for _, e := range errs {
			if e != nil {
				err = e
			}
		}
		// A wave that falls due meanwhile moves the record: look again.
		if err == nil && len(history.SameFold(at)) == 0 || time.Since(begin) > healBy || ctx.Err() != nil {
			return at, err
		}
		err = nil
		pause(ctx, time.Second)
	}
}

// standing is what one station shows to a dispatcher.
func (w *weather) standing(ctx context.Context, s *station, since time.Time) (history.Standing, error) {
	st := history.Standing{Station: s.id, Incidents: map[alerts.IncidentID]history.Incident{}}
	token, err := w.desks[0].session(ctx, s)
	if err != nil {
		return st, err
	}
	for before, more := alerts.IncidentID(""), true; more; {
		var page struct {
			Incidents []shownIncident
			More      bool
		}
		path := fmt.Sprintf("/v1/incidents?limit=%d", pageSize)
		if before != "" {
			path += "&before=" + string(before)
		}
		if _, err := s.send(ctx, healBy, 0, "GET", path, token, nil, &page); err != nil {
			return st, fmt.Errorf("list the matters at %s: %w", s.id, err)
		}
		young := false
		for _, i := range page.Incidents {
			before = i.ID
			st.Incidents[i.ID] = w.asShown(i)
			// Clocks are the same here; what was tried before the round began may be recorded in it.
			young = young || time.Time(i.RaisedAt).After(since.Add(-healBy))
		}
		more = page.More && young // a station lists as it saw: what was late anywhere stands among the newer
	}
	m, err := s.look(ctx, true)
	if err != nil {
		return st, err
	}
	c := m.Cells[0]
	st.Epoch, st.Index, st.Chain, st.Fold, st.Pending = c.Epoch, c.Index, c.Chain, c.Fold, c.Pending
	// Matters of earlier rounds were judged then; those that nobody raised are kept, to be judged.
	for id, i := range st.Incidents {
		if w.rec.before(i.Client, since) {
			delete(st.Incidents, id)
		}
	}
	return st, nil
}

func (w *weather) asShown(i shownIncident) history.Incident {
	x := history.Incident{Client: strings.TrimPrefix(i.Note, noteMark), Provisional: i.Provisional, Status: i.Status}
	for _, wave := range i.Waves {
		x.Rings = append(x.Rings, wave.Ring)
	}
	for _, l := range i.Timeline {
		x.Lines = append(x.Lines, history.Line{
			Event: l.Event, Index: l.Index, Kind: l.Kind, Verdict: l.Verdict, Lost: l.Lost.Event, By: l.By, Station: l.Station, Client: l.Body.Words,
		})
	}
	return x
}

// before reports whether the alert was raised by a client, and earlier.
func (r *recorder) before(client string, since time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.raises[client]
	return x != nil && x.Began.Before(since)
}

// due lists who has to have sounded for the alarms that are open now.
func (w *weather) due(ctx context.Context) (due []history.Due) {
	open, err := w.desks[0].open(ctx, w.county.stations[0])
	if err != nil {
		return nil
	}
	for _, i := range open {
		if !i.Alarm.Open || time.Since(time.Time(i.RaisedAt)) < reachBy {
			continue
		}
		answered := map[alerts.PersonID]bool{}
		for _, a := range i.Answers {
			answered[a.Person] = true
		}
		for _, d := range w.phones {
			since, on := d.connectedSince()
			if on && time.Since(since) > reachBy && d.called(i) && !answered[d.person.ID] {
				due = append(due, history.Due{Device: d.name, Incident: i.ID})
			}
		}
	}
	return due
}

// lastLook judges everything once more, from the first alert on.
func (w *weather) lastLook(ctx context.Context) (broken []history.Violation) {
	at, err := w.standings(ctx, w.begun)
	if err != nil {
		return []history.Violation{{Check: "SameFold", What: err.Error()}}
	}
	broken = w.judge(w.rec.history(w.begun), at)
	broken = append(broken, w.watch.bounded()...)
	broken = append(broken, w.wiretap.found()...)
	for _, leak := range w.rec.leaks {
		broken = append(broken, history.Violation{Check: "OnlyEligible", What: leak})
	}
	return append(broken, w.alarmAlways()...)
}
