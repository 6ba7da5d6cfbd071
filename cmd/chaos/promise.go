//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"hivemesh/alerts"
	"hivemesh/node/sim/history"
)

const (
	// neglectedCategory is of the red alarms that nobody in this county answers or ends before they have widened.
	neglectedCategory = "fire"
	neglectEvery      = 32              // alerts of a kiosk
	decideStep        = 5 * time.Second // between the stations that decide a wave when the one before did not
	decideMore        = 5 * time.Second // for looking, and for the record
)

// table is what the county's rules say of moves.
func (w *weather) table() history.Table {
	return history.Table{
		Moves: w.county.rules.Moves,
		Roles: func(id alerts.PersonID) []alerts.Role {
			for _, p := range w.county.people {
				if p.ID == id {
					return p.Roles
				}
			}
			return []alerts.Role{alerts.KioskRole} // they sign in without a name
		},
		KindOf: func(id alerts.StationID) alerts.StationKind {
			for _, s := range w.county.stations {
				if s.id == id {
					return s.kind
				}
			}
			return ""
		},
	}
}

// neglected checks NoSilence on the red alarms whose second wave is due by now, each once.
func (w *weather) neglected(ctx context.Context) []history.Violation {
	within := alerts.WidenAfter + decideStep*time.Duration(2+len(w.county.stations)) + decideMore
	due := w.rec.unanswered(time.Now().Add(-within))
	at := make([]history.Standing, len(w.county.stations))
	for k, s := range w.county.stations {
		at[k] = history.Standing{Station: s.id, Incidents: map[alerts.IncidentID]history.Incident{}}
		token, err := w.desks[0].session(ctx, s)
		if err != nil {
			return []history.Violation{{Check: "NoSilence", What: err.Error()}}
		}
		for _, id := range due {
			var i shownIncident
			if _, err := s.ask(ctx, "GET", "/v1/incidents/"+string(id), token, nil, &i); err == nil { // else it has no waves
				at[k].Incidents[id] = w.asShown(i)
			}
		}
	}
	return history.NoSilence(at, due)
}

// unanswered are the neglected alarms that began before then, those that were not named yet.
func (r *recorder) unanswered(before time.Time) (due []alerts.IncidentID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range r.order {
		if x.category == neglectedCategory && x.Incident != "" && !x.neglected && x.answered.Before(before) {
			x.neglected = true
			r.neglects++
			due = append(due, x.Incident)
		}
	}
	return due
}

// dispatches reports whether a person hears every alarm, wherever it is.
func dispatches(p alerts.Person) bool { return p.Has(alerts.Dispatcher, alerts.TownshipCentre) }

// reaches reports whether a ring around a place holds where the device's person counts: where it says it is,
// or else at home.
func (d *device) reaches(lon, lat, metres float64) bool {
	at := d.at
	if at == nil {
		at = &d.home
	}
	return at.Distance(alerts.Point{Lon: lon, Lat: lat}) <= metres
}

// eligible checks OnlyEligible on one frame, field by field: an alarm only to whom its wave calls by role and
// place, and of a matter to the public side no more than the card.
func (d *device) eligible(s *station, f frame, raw []byte) {
	say := func(format string, a ...any) {
		d.lab.rec.leaked(fmt.Sprintf("%s (%v) at %s ", d.name, d.person.Roles, s.id) + fmt.Sprintf(format, a...))
	}
	switch f.Type {
	case "alarm":
		if beyond := history.Beyond(history.Fields(raw, 1), history.AlarmFields); len(beyond) > 0 {
			say("was told %v with the alarm of a matter", beyond)
		}
		category := d.lab.county.rules.Categories[f.Category]
		switch ring := ringOf(category, f.Wave); {
		case f.Support != alerts.Hash{}:
		case !d.person.Has(category.Wakes...):
			say("was woken for %s", f.Category)
		case !dispatches(d.person) && !d.reaches(f.Place.Lon, f.Place.Lat, ring+f.Place.Radius):
			say("was woken by wave %d for %s, which reaches %.0f m", f.Wave, f.Category, ring)
		}
	case "incident":
		if d.works {
			return
		}
		if beyond := history.Beyond(history.Fields(f.Incident, 0), history.CardFields); len(beyond) > 0 {
			say("was told %v of a matter", beyond)
		}
		var i struct {
			Category string
			Mine     *struct{ Raised bool }
		}
		_ = json.Unmarshal(f.Incident, &i) // what cannot be read has no category that wakes anybody
		if !d.person.Has(d.lab.county.rules.Categories[i.Category].Wakes...) {
			say("was shown a matter of %s", i.Category)
		}
	case "positions":
		if !d.works {
			say("was told positions")
		}
	}
}

// ringOf is how far a wave reaches, in metres; the stations widen ring by ring.
func ringOf(c alerts.Category, wave int) float64 {
	if len(c.Rings) == 0 || wave < 1 {
		return 0
	}
	return c.Rings[min(wave, len(c.Rings))-1]
}

// called reports whether an alarm has to have sounded at the device: a wave that is old enough is for its person.
func (d *device) called(i shownIncident) bool {
	if !d.person.Has(d.lab.county.rules.Categories[i.Category].Wakes...) {
		return false
	}
	if dispatches(d.person) {
		return true
	}
	return slices.ContainsFunc(i.Waves, func(w alerts.ShownWave) bool {
		return time.Since(time.Time(w.At)) > reachBy && d.reaches(i.Place.Lon, i.Place.Lat, w.Ring+i.Place.Radius)
	})
}
