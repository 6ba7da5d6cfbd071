package sim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"hivemesh/alerts"
	"hivemesh/node/web"
)

// people brings everybody to their station: a device for each person, and a kiosk for every other station.
func (w *world) people() {
	for _, p := range w.plan.County.People {
		w.devices[p.ID] = newDevice(w, p, false)
	}
	for k, s := range w.plan.County.all() {
		if k%2 == 1 || k >= len(w.plan.County.Stations) {
			id := web.KioskPerson(s.ID)
			w.devices[id] = newDevice(w, alerts.Person{ID: id, Roles: []alerts.Role{alerts.KioskRole}, Home: s.ID}, true)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(w.devices)) {
		w.crowd.Go(w.devices[id].run)
	}
}

// do carries out one piece of work; it may take as long as it takes.
func (w *world) do(k Work) {
	switch k.Do {
	case "raise":
		w.raiseAtKiosk(k)
	case "twice":
		w.raiseTwice(k)
	case "move":
		w.devices[k.Who].move(w.now(k.Station), time.Duration(k.Number%5)*offStep)
	case "walk":
		w.devices[k.Who].walk(w.plan.County.station(k.Station).At)
	case "decide":
		d := w.devices[k.Who]
		if in, ok := d.openMatter(k.Number); ok {
			w.decide(d, in, k)
		}
	case "duel":
		in, ok := w.h.raised(raiseID(k.Number))
		if !ok {
			return
		}
		w.crowd.Go(func() { w.decide(w.devices[k.Rival], in, Work{Kind: k.rivals(), Number: k.Number + 1}) })
		w.decide(w.devices[k.Who], in, k)
	}
}

// rivals is what the other dispatcher decides in a duel: the same, or, where one closes the matter, at times to
// send somebody to it, which is another field.
func (k Work) rivals() alerts.Kind {
	if k.Kind == alerts.KindResolved && k.Number%2 == 0 {
		return alerts.KindAssigned
	}
	return k.Kind
}

// offStep is what the times on the way to another station, in which a phone misses what happens, differ by: from
// none to four times as long.
const offStep = 6 * time.Second

func raiseID(n int) string { return fmt.Sprintf("raise-%d", n) }

func (w *world) raiseAtKiosk(k Work) {
	token, err := w.signIn(k.Station, "")
	if err != nil {
		return // a station that does not run: nobody stands at it
	}
	w.raise(k, web.KioskPerson(k.Station), k.Station, token)
}

// raiseTwice is one alert sent to two stations, because the first seemed not to answer.
func (w *world) raiseTwice(k Work) {
	d := w.devices[k.Who]
	token, err := d.session(k.Station)
	if err != nil {
		return
	}
	w.crowd.Go(func() { w.raise(k, k.Who, k.Second, token) })
	w.raise(k, k.Who, k.Station, token)
}

func (w *world) raise(k Work, who alerts.PersonID, at alerts.StationID, token string) {
	grid := w.plan.County.station(k.Station)
	deed := Deed{
		Client: raiseID(k.Number), Person: who, Station: at, Kind: alerts.KindRaised, Category: k.Category, Place: grid.At,
	}
	body := map[string]any{
		"id": raiseID(k.Number), "category": k.Category, "place": map[string]any{"grid": grid.grid()},
		"note": fmt.Sprintf("%s-%d", secret, k.Number),
	}
	done := w.post(deed, "/v1/alerts", token, "", body)
	if d := w.devices[who]; done.Status == http.StatusUnauthorized && d != nil && !d.kiosk {
		// The session ran out, by the clock of this station: as the pages do, once more with a new one.
		if token, err := w.signIn(at, who); err == nil {
			w.post(deed, "/v1/alerts", token, "", body)
		}
	}
}

// openMatter picks one of the matters that the device shows as open: the newest, or one before it.
func (d *device) openMatter(n int) (alerts.IncidentID, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var open []alerts.IncidentID
	for _, id := range slices.Backward(d.order) {
		if !d.shown[id].Status.Closed() {
			open = append(open, id)
		}
	}
	if len(open) == 0 {
		return "", false
	}
	return open[n%min(3, len(open))], true
}

// decide makes one decision upon what the person's own screen shows. Every other one waits for the record.
func (w *world) decide(d *device, in alerts.IncidentID, k Work) {
	body := map[string]any{"kind": k.Kind}
	switch k.Kind {
	case alerts.KindAssigned:
		officers := w.plan.County.with(alerts.Officer)
		body["person"] = officers[k.Number%len(officers)].ID
	case alerts.KindGraded:
		body["grade"] = 1 + k.Number%4
	case alerts.KindRegistered:
		if k.Number%3 == 0 {
			body["void"], body["reason"] = true, "not ours"
		}
	case alerts.KindCancelled:
		body["reason"] = "false alarm"
	case alerts.KindResolved:
		body["code"], body["words"] = "unfounded", "looked at" // a code that every alarm may end with
	case alerts.KindWave:
		body["ring"] = alerts.CountyRing
		body["wide"] = k.Number%2 == 0
	case alerts.KindNote:
		body["words"] = secret
	}
	d.mu.Lock()
	if latest := d.shown[in].Latest[alerts.FieldOf(k.Kind)]; latest != nil {
		body["saw"] = latest
	}
	d.mu.Unlock()
	prefer := ""
	if k.Number%2 == 0 {
		prefer = "wait=10"
	}
	d.act(in, k.Kind, prefer, body)
}

// act does a deed at the station where the device is.
func (d *device) act(in alerts.IncidentID, kind alerts.Kind, prefer string, body map[string]any) Deed {
	d.mu.Lock()
	at := d.at
	d.acts++
	id := fmt.Sprintf("%s.%d", d.name, d.acts)
	d.mu.Unlock()
	token, err := d.session(at)
	if err != nil {
		return Deed{}
	}
	body = maps.Clone(body)
	body["id"] = id
	deed := Deed{Client: id, Person: d.who(), Station: at, Kind: kind, Incident: in}
	if saw, ok := body["saw"].(*alerts.Hash); ok {
		deed.Saw = saw
	}
	path := "/v1/incidents/" + string(in) + "/events"
	done := d.w.post(deed, path, token, prefer, body)
	if done.Status != http.StatusUnauthorized {
		return done
	}
	d.signOut()
	if token, err = d.session(at); err != nil {
		return done
	}
	return d.w.post(deed, path, token, prefer, body)
}

// receipts tells what became of an alarm, as the pages do. Of some phones two pages are open, and both tell.
func (d *device) receipts(r map[string]any) {
	for range 1 + d.chance(fmt.Sprint("pages", r["incident"]), 2) {
		for _, state := range []string{"reached", "opened"} {
			r["state"] = state
			d.send(r)
		}
	}
}

// react is what a person does about an alarm: receipts always, an answer by half of them.
func (d *device) react(p Push) {
	receipt := map[string]any{"type": "receipt", "incident": p.Incident, "wave": p.Wave}
	if p.Support != "" {
		receipt["support"] = p.Support
		delete(receipt, "wave")
	}
	d.receipts(receipt)
	pause := func(what string) bool {
		select {
		case <-time.After(time.Second + time.Duration(d.chance(what+string(p.Incident), 6000))*time.Millisecond):
			return d.here()
		case <-d.w.ending.Done():
			return false
		}
	}
	if d.kiosk || p.Support != "" || len(d.person.Roles) == 0 || d.person.Has(alerts.Dispatcher) {
		return
	}
	mood := d.chance("answer"+string(p.Incident), 10)
	if mood >= 6 || !pause("first") {
		return
	}
	if mood >= 3 {
		d.act(p.Incident, alerts.KindDeclined, "", map[string]any{"kind": alerts.KindDeclined, "reason": "away"})
		return
	}
	d.act(p.Incident, alerts.KindAccepted, "", map[string]any{"kind": alerts.KindAccepted})
	if !pause("second") {
		return
	}
	d.act(p.Incident, alerts.KindOnScene, "", map[string]any{"kind": alerts.KindOnScene})
	switch mood {
	case 0:
		place := map[string]any{"grid": d.person.Home}
		d.act(p.Incident, alerts.KindClue, "", map[string]any{"kind": alerts.KindClue, "seen": true, "place": place, "words": "seen"})
	case 1:
		d.act(p.Incident, alerts.KindSupportRequested, "", map[string]any{"kind": alerts.KindSupportRequested, "words": "help"})
	}
}
