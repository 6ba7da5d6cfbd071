package web

import (
	"cmp"
	"runtime"
	"slices"

	"hivemesh/alerts"
)

// encoded are the frames of one incident's present view, made once each.
type encoded struct {
	of       *alerts.Incident
	incident map[string]*frame   // by disclosure class
	alarm    map[alarmKey]*frame //
	stood    *item
}

type alarmKey struct {
	class   string
	wave    int
	support alerts.Hash
}

// maxClasses bounds the classes kept of one incident; a class with its own answer is one person's.
const maxClasses = 64

// encodedOf returns the frames of i, dropping those of an older view. Called with h.mu held.
func (h *hub) encodedOf(i *alerts.Incident) *encoded {
	e := h.frames[i.ID]
	if e == nil || e.of != i {
		e = &encoded{of: i, incident: map[string]*frame{}, alarm: map[alarmKey]*frame{}}
		h.frames[i.ID] = e
	}
	return e
}

// incidentFrame is i as w may see it; nil when w is not to know of it. This and alarmFrame are the only
// places where something about an incident becomes bytes for a socket, and both ask Redact.
func (h *hub) incidentFrame(w *who, class string, e *encoded) *frame {
	if f, ok := e.incident[class]; ok {
		return f
	}
	shown, ok := h.station.Rules().Redact(w.Subject, e.of)
	if !ok {
		return nil
	}
	f := cut("incident", IncidentFrame{Type: "incident", Cell: e.of.Cell, Incident: shown})
	f.about = string(e.of.ID)
	if len(e.incident) < maxClasses {
		e.incident[class] = f
	}
	return f
}

func (h *hub) alarmFrame(w *who, class string, e *encoded, a alerts.Alarm) *frame {
	key := alarmKey{class: class, wave: a.Wave}
	if a.Support != nil {
		key.support = a.Support.Event
	}
	if f, ok := e.alarm[key]; ok {
		return f
	}
	shown, ok := h.station.Rules().Redact(w.Subject, e.of)
	if !ok {
		return nil
	}
	f := AlarmFrame{
		Type: "alarm", Incident: e.of.ID, Wave: a.Wave, Card: shown.Card, Category: shown.Category, Grade: shown.Grade,
		Place: shown.Place, Provisional: a.Provisional, Drill: shown.Drill,
	}
	if a.Support != nil {
		f.Support = &a.Support.Event
		if a.Support.Place != nil {
			f.Place = *a.Support.Place
		}
	}
	for _, wave := range e.of.Waves {
		if wave.Number == a.Wave {
			f.Continues = wave.Continues
		}
	}
	out := cut("alarm", f)
	if len(e.alarm) < maxClasses {
		e.alarm[key] = out
	}
	return out
}

// delivery is what one socket gets of a batch: a stretch of spread.items.
type delivery struct {
	to        *socket
	from, end int
	near      float64 // metres to the nearest alarm in it; calls for support come before all
}

// spread is the scratch space of a fan-out, kept from one to the next.
type spread struct {
	sounding []delivery // with an alarm in it
	quiet    []delivery
	items    []item
}

// fan carries changed incidents to the sockets: alarms first and the nearest people first, then the new
// state of the matter. All that one socket gets of a batch it gets at once. Called with h.mu held.
func (h *hub) fan(changes []Change) {
	for _, c := range changes {
		h.follow(c.Incident)
		h.encodedOf(c.Incident)
		h.owners.learn(c.Incident)
	}
	sp := &h.spread
	tails := make([]string, len(changes))
	for n, c := range changes {
		tails[n] = cursorTail(c.Cursor)
	}
	for _, s := range h.socks {
		d := delivery{to: s, from: len(sp.items), near: farAway}
		alarms := 0
		for _, c := range changes {
			alarms += h.sound(s, c.Incident, &d)
		}
		for n, c := range changes {
			h.show(s, c, tails[n])
		}
		d.end = len(sp.items)
		if alarms > 0 {
			sp.sounding = append(sp.sounding, d)
		} else if d.end > d.from {
			sp.quiet = append(sp.quiet, d)
		}
	}
	nearestFirst(sp.sounding)
	h.deliver(sp.sounding)
	h.deliver(sp.quiet)
	h.metrics.delivered(sp.items)
	sp.sounding, sp.quiet = reset(sp.sounding), reset(sp.quiet)
	sp.items = reset(sp.items)
}

// nearestFirst: whoever can be there first hears first; calls for support before all.
func nearestFirst(list []delivery) {
	slices.SortFunc(list, func(a, b delivery) int { return cmp.Compare(a.near, b.near) })
}

// headStart is how many of the nearest are written to before the rest is even queued: on a machine of two
// cores their writers would otherwise wait behind thousands of others.
const headStart = 64

func (h *hub) deliver(list []delivery) {
	for n, d := range list {
		if n == headStart {
			runtime.Gosched()
		}
		d.to.push(h.spread.items[d.from:d.end]...)
	}
}

func reset[T any](s []T) []T {
	clear(s)
	return s[:0]
}

// sound adds the alarms of i that s has not heard and, when i's alarm ended, the stand-down.
func (h *hub) sound(s *socket, i *alerts.Incident, d *delivery) int {
	if i.Ended != nil || i.Status.Closed() {
		h.standDown(s, i)
		return 0
	}
	delete(s.stood, i.ID)
	list := h.station.Rules().AlarmsFor(i, s.listener(), s.heard)
	if len(list) == 0 || !h.newest(s) {
		return 0
	}
	class := h.station.Rules().ClassOf(s.who.Subject, i)
	e := h.encodedOf(i)
	for _, a := range list {
		f := h.alarmFrame(s.who, class, e, a)
		if f == nil {
			continue
		}
		place := i.Raised.Place.Point
		if a.Support != nil && a.Support.Place != nil && a.Support.Place.Point != nil {
			place = a.Support.Place.Point
		}
		tail, metres := alarmTail(s.where(), place)
		if a.Support != nil {
			metres = -1
		}
		d.near = min(d.near, metres)
		h.spread.items = append(h.spread.items, item{f, tail})
		s.hear(i.ID, a.Wave, a.Support)
		h.count(s, i.ID, a.Wave, markSent)
	}
	return len(list)
}

// standDown tells a device that heard i's alarm that it ended. Once.
func (h *hub) standDown(s *socket, i *alerts.Incident) {
	if _, heard := s.heard.Waves[i.ID]; !heard || s.stood[i.ID] {
		return
	}
	if h.station.Rules().ClassOf(s.who.Subject, i) == "" {
		return
	}
	e := h.encodedOf(i)
	if e.stood == nil {
		f := StoodDownFrame{Type: "stood_down", Incident: i.ID}
		if i.Ended != nil {
			f.Kind, f.Provisional = i.Ended.Kind, pendingEvent(i, i.Ended.Event)
		}
		it := whole("stood_down", f)
		e.stood = &it
	}
	if s.stood == nil {
		s.stood = map[alerts.IncidentID]bool{}
	}
	s.stood[i.ID] = true
	h.spread.items = append(h.spread.items, *e.stood)
}

func pendingEvent(i *alerts.Incident, event alerts.Hash) bool {
	for n := len(i.Log) - 1; n >= 0 && i.Log[n].Provisional; n-- {
		if i.Log[n].Event.ID == event {
			return true
		}
	}
	return false
}

// show adds the new state of the matter, if s may know of it.
func (h *hub) show(s *socket, c Change, tail string) {
	i := c.Incident
	if s.hidesSilent(i) {
		return
	}
	class := h.station.Rules().ClassOf(s.who.Subject, i)
	if class == "" {
		return
	}
	if known, ok := s.behind[i.Cell]; ok {
		if c.Cursor.before(known) {
			return
		}
		delete(s.behind, i.Cell)
		h.spread.items = append(h.spread.items, h.past(s, i.Cell, known)...)
	}
	if f := h.incidentFrame(s.who, class, h.encodedOf(i)); f != nil {
		h.spread.items = append(h.spread.items, item{f, tail})
	}
}

// hidesSilent: a silent matter (coercion) makes no sound or light at the station that raised it.
func (s *socket) hidesSilent(i *alerts.Incident) bool {
	return i.Raised.Silent && s.who.kiosk && s.who.Station == i.Station
}

// newest: of several sockets of one device only the newest sounds, so that the device sounds once.
func (h *hub) newest(s *socket) bool {
	list := s.device.socks
	return len(list) > 0 && list[len(list)-1] == s
}

func (s *socket) where() *alerts.Point {
	if s.at != nil {
		return s.at
	}
	return s.home
}

func (s *socket) listener() alerts.Listener {
	return alerts.Listener{Subject: s.who.Subject, At: s.where(), Duty: s.duty}
}

// hear notes what the device is about to sound for.
func (s *socket) hear(in alerts.IncidentID, wave int, support *alerts.Support) {
	if s.heard.Waves == nil {
		s.heard.Waves = map[alerts.IncidentID]int{}
	}
	if support != nil {
		if s.heard.Support == nil {
			s.heard.Support = map[alerts.Hash]bool{}
		}
		s.heard.Support[support.Event] = true
	}
	s.heard.Waves[in] = max(s.heard.Waves[in], wave)
}

// offer sounds what is open and unheard for one socket: after a move, a change of duty or of role, or when
// the device's newer socket went. Called with h.mu held.
func (h *hub) offer(s *socket) {
	d := delivery{from: len(h.spread.items), near: farAway}
	for _, i := range h.alarming {
		h.sound(s, i, &d)
	}
	items := h.spread.items[d.from:]
	s.push(items...)
	h.metrics.delivered(items)
	clear(items)
	h.spread.items = h.spread.items[:d.from]
}
