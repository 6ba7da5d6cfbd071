//go:build linux

package main

import (
	"slices"
	"sync"
	"time"

	"hivemesh/alerts"
	"hivemesh/node/sim/history"
	"hivemesh/node/web"
)

// recorder keeps what the clients did, saw and were told.
type recorder struct {
	mu     sync.Mutex
	raises map[string]*raise
	order  []*raise
	deeds  map[string]*history.Deed
	did    []*history.Deed
	told   map[alerts.Hash]history.Told
	no     map[alerts.Hash]web.RefusedFrame
	sounds []history.Sound
	reads  []history.Read
	first  map[alerts.IncidentID]history.Sound // the first alarm at another station than the raising one
	leaks  []string

	neglects int                       // alarms that nobody answered, looked at when their second wave was due
	onced    map[alerts.Hash]time.Time // when the maker was told "on the record"
	lost     map[alerts.Hash]time.Time // when he was told that it does not count

	answers []answer
}

type raise struct {
	history.Raise
	category  string
	answered  time.Time
	neglected bool // looked at as one that nobody answers
}

// answer is one try of a raise at a station that was there all the while.
type answer struct {
	station alerts.StationID
	at      time.Time
	took    time.Duration
	silent  bool // no answer at all within askWait
	under   string
}

func newRecorder() *recorder {
	return &recorder{
		raises: map[string]*raise{}, deeds: map[string]*history.Deed{}, told: map[alerts.Hash]history.Told{},
		no: map[alerts.Hash]web.RefusedFrame{}, first: map[alerts.IncidentID]history.Sound{}, onced: map[alerts.Hash]time.Time{}, lost: map[alerts.Hash]time.Time{},
	}
}

// raising notes the first try of an alert.
func (r *recorder) raising(client, category string, at alerts.StationID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := &raise{category: category, Raise: history.Raise{Client: client, Station: at, Began: time.Now()}}
	r.raises[client] = x
	r.order = append(r.order, x)
}

// raised notes the answer to an alert.
func (r *recorder) raised(client string, t web.Taken) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.raises[client]
	x.Incident, x.Event, x.answered = t.Incident, t.Event, time.Now()
	r.hear(t.Event, t.Kept)
}

// tried notes how long a station took to answer one try.
func (r *recorder) tried(a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = append(r.answers, a)
}

// doing notes a deed before it is sent; did is what came of it.
func (r *recorder) doing(d history.Deed) *history.Deed {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := &d
	r.deeds[d.Client] = x
	r.did = append(r.did, x)
	return x
}

func (r *recorder) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// kept notes what a frame said of an event.
func (r *recorder) kept(event alerts.Hash, k web.Kept) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hear(event, k)
}

// hear keeps the highest claim. Called with r.mu held.
func (r *recorder) hear(event alerts.Hash, k web.Kept) {
	t := r.told[event]
	t.Here, t.Near = t.Here || k.Here, max(t.Near, k.Near)
	if k.Recorded {
		t.Recorded, t.Index = true, k.Index
		if _, ok := r.onced[event]; !ok {
			r.onced[event] = time.Now()
		}
	}
	r.told[event] = t
}

func (r *recorder) refused(f web.RefusedFrame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.no[f.Event] = f
	if _, told := r.lost[f.Event]; !told {
		r.lost[f.Event] = time.Now()
	}
}

func (r *recorder) sounded(s history.Sound) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sounds = append(r.sounds, s)
	if _, ok := r.first[s.Incident]; !ok {
		r.first[s.Incident] = s
	}
}

func (r *recorder) read(x history.Read) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads = append(r.reads, x)
}

func (r *recorder) leaked(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leaks = append(r.leaks, what)
}

// history is all of it so far, from the alerts that began at or after since.
func (r *recorder) history(since time.Time) history.History {
	r.mu.Lock()
	defer r.mu.Unlock()
	var h history.History
	of := map[alerts.IncidentID]bool{}
	for _, x := range r.order {
		if x.Began.Before(since) {
			continue
		}
		y := x.Raise
		y.Told = r.told[x.Event]
		h.Raises = append(h.Raises, y)
		of[x.Incident] = true
	}
	for _, d := range r.did {
		if !of[d.Incident] {
			continue
		}
		y := *d
		y.Told = r.told[d.Event]
		if no, ok := r.no[d.Event]; ok && y.Refused == "" {
			y.Refused, y.LostTo = no.Code, no.By
		}
		for _, told := range []time.Time{r.onced[d.Event], r.lost[d.Event]} {
			if d.Event != (alerts.Hash{}) && !told.IsZero() && (y.Settled.IsZero() || told.Before(y.Settled)) {
				y.Settled = told
			}
		}
		h.Deeds = append(h.Deeds, y)
	}
	h.Sounds, h.Reads = slices.Clone(r.sounds), slices.Clone(r.reads)
	return h
}
