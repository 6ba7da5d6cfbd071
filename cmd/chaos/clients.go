//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"hivemesh/alerts"
	"hivemesh/node/sim/history"
	"hivemesh/node/web"
)

const (
	raiseEvery = 800 * time.Millisecond // of each kiosk, half of it and up to as much again
	retryEvery = 400 * time.Millisecond
	underWay   = 12 // alerts of one kiosk that wait for an answer; a bored child does no more
	deskEvery  = time.Second
	sendMost   = 2
	deskWait   = 2 * time.Second // how long a dispatcher waits to hear who won
	closeAfter = 6 * time.Second // about when a matter is done with
	roams      = 12 * time.Second
	acceptOdds = 0.15 // of a phone that rings
	decideOdds = 0.6  // of a desk that has a matter before it
)

// lab is a county, its people, and what they noted.
type lab struct {
	county  *county
	rec     *recorder
	seed    uint64
	kiosks  []*kiosk
	phones  []*device         // everybody's but the kiosks' own
	police  []alerts.PersonID // who can be sent
	desks   []*desk
	faults  func() string // what is going on now, for the latencies' sake
	paused  atomic.Bool   // no new alerts and decisions
	closing sync.WaitGroup
}

// kiosk raises alerts at its station, as villagers do: once and again until answered.
type kiosk struct {
	lab  *lab
	s    *station
	name string
	rng  *rand.Rand
	link *device
	n    int
	busy atomic.Int32
}

// categories that kiosks raise, by how often: alarms for everybody, for the police only, sealed, and none.
var categories = []string{"emergency", "abduction", "help", "security", "security", "panic", "domestic_violence", "dispute"}

func (k *kiosk) work(ctx context.Context) {
	var under sync.WaitGroup
	defer under.Wait()
	for {
		pause := raiseEvery/2 + time.Duration(k.rng.Int64N(int64(raiseEvery)))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if k.lab.paused.Load() || k.busy.Load() >= underWay {
			continue
		}
		k.n++
		client := fmt.Sprintf("%s-%d", k.name, k.n)
		category := categories[k.rng.IntN(len(categories))]
		if k.n%neglectEvery == 0 {
			category = neglectedCategory
		}
		k.busy.Add(1)
		under.Go(func() {
			defer k.busy.Add(-1)
			k.raise(ctx, client, category)
		})
	}
}

// raise tries until it is answered.
func (k *kiosk) raise(ctx context.Context, client, category string) {
	form := map[string]any{"id": client, "category": category, "note": noteMark + client}
	k.lab.rec.raising(client, category, k.s.id)
	for ctx.Err() == nil {
		if k.try(ctx, client, form) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryEvery):
		}
	}
}

// try is one request; true: the alert is answered for.
func (k *kiosk) try(ctx context.Context, client string, form map[string]any) bool {
	token, err := k.link.session(ctx, k.s)
	if err != nil {
		return false
	}
	var t web.Taken
	begin, under := time.Now(), k.lab.faults()
	_, err = k.s.ask(ctx, "POST", "/v1/alerts", token, form, &t)
	took := time.Since(begin)
	if ctx.Err() == nil && k.s.steady(begin) {
		k.lab.rec.tried(answer{station: k.s.id, at: begin, took: took, silent: err != nil && codeOf(err) == "", under: under})
	}
	if err != nil {
		return false
	}
	k.lab.rec.raised(client, t)
	return true
}

// answerAlarm: some of those who hear an alarm go.
func (l *lab) answerAlarm(ctx context.Context, d *device, s *station, in alerts.IncidentID, category string) {
	if d.rng.Float64() > acceptOdds || l.paused.Load() || category == neglectedCategory {
		return
	}
	client := fmt.Sprintf("%s-goes-%s", d.name, in)
	l.closing.Go(func() { _ = l.do(ctx, d, s, client, in, alerts.KindAccepted, alerts.Hash{}, 0, nil) }) // a phone does not insist
}

// do makes a deed and notes what was said of it.
func (l *lab) do(ctx context.Context, d *device, s *station, client string, in alerts.IncidentID, kind alerts.Kind, saw alerts.Hash, wait time.Duration, fields map[string]any) error {
	form := map[string]any{"kind": kind, "id": clientID(client)}
	for k, v := range fields {
		form[k] = v
	}
	was := history.Deed{Began: time.Now(), Client: client, Incident: in, Kind: kind, Saw: saw}
	if alerts.FieldOf(kind) != "" {
		form["saw"] = saw // empty where nothing was seen: left out, the station would fill in what it knows
	}
	noted := l.rec.doing(was)
	token, err := d.session(ctx, s)
	if err != nil {
		return err
	}
	var t web.Taken
	header, err := s.send(ctx, askWait, wait, "POST", "/v1/incidents/"+string(in)+"/events", token, form, &t)
	if no, ok := err.(*refused); ok {
		l.rec.change(func() {
			noted.Refused, noted.Settled = alerts.Code(no.Code), time.Now()
			if no.Lost != nil {
				noted.LostTo = no.Lost.By
			}
		})
		return err
	}
	if err != nil {
		return err
	}
	l.rec.change(func() {
		noted.Event = t.Event
		if noted.Won = header.Get("Preference-Applied") != "" && t.Kept.Counts(); noted.Won {
			noted.Settled = time.Now()
		}
	})
	l.rec.kept(t.Event, t.Kept)
	return nil
}

// clientID fits what the API takes.
func clientID(s string) string {
	const most = 64
	if len(s) > most {
		return s[len(s)-most:]
	}
	return s
}

// desk is a dispatcher: sends somebody, and ends what is done. All of them look at the same matters.
type desk struct {
	*device
	n int
}

func (k *desk) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(time.Now().Truncate(deskEvery).Add(deskEvery))): // all at once: they compete
		}
		k.mu.Lock()
		s := k.lab.county.stations[k.where]
		k.mu.Unlock()
		open, err := k.open(ctx, s)
		if err != nil || k.lab.paused.Load() {
			continue
		}
		k.decide(ctx, s, open)
	}
}

// look lists the open matters, newest first.
func (k *desk) open(ctx context.Context, s *station) ([]shownIncident, error) {
	token, err := k.session(ctx, s)
	if err != nil {
		return nil, err
	}
	var page struct{ Incidents []shownIncident }
	_, err = s.ask(ctx, "GET", "/v1/incidents?open=true&limit=200", token, nil, &page)
	return page.Incidents, err
}

// decide sends somebody to the newest matters that have nobody, and ends those that are old enough.
func (k *desk) decide(ctx context.Context, s *station, open []shownIncident) {
	var g sync.WaitGroup
	for n, i := range open {
		age := time.Since(time.Time(i.RaisedAt))
		if k.rng.Float64() > decideOdds || i.Category == neglectedCategory && len(i.Waves) < 2 {
			continue
		}
		k.n++
		client := fmt.Sprintf("%s-%d", k.name, k.n)
		switch {
		case age > closeAfter:
			g.Go(func() {
				_ = k.lab.do(ctx, k.device, s, client, i.ID, alerts.KindResolved, i.Latest[alerts.FieldOutcome], 0, map[string]any{"code": "unfounded", "words": client})
			})
		case n < sendMost && len(i.Assigned) == 0:
			who := k.lab.police[k.rng.IntN(len(k.lab.police))]
			g.Go(func() {
				_ = k.lab.do(ctx, k.device, s, client, i.ID, alerts.KindAssigned, i.Latest[alerts.FieldAssignment], deskWait, map[string]any{"person": who, "words": client})
			})
		}
	}
	g.Wait()
}
