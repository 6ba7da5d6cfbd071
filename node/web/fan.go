package web

import (
	"cmp"
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

// delivery is one socket that is to sound, and for what: a stretch of spread.alarms.
type delivery struct {
	to        *socket
	from, end int
	near      float64 // metres to the nearest alarm in it; calls for support come before all
}

// spread is the scratch space of a fan-out, kept from one to the next.
type spread struct {
	rings    []*alerts.Incident // what changed and may sound, or stop
	alarms   []alerts.Alarm
	sounding []delivery
	quiet    []*socket
	near     []float64
	items    []item
	ready    [2][]*socket // with frames queued, by line of the writers
	frames   map[string]int
}

// fan carries changed incidents to the sockets: alarms first and the nearest people first, then the new
// state of the matter. All that one socket gets of a batch it gets at once. Of early ones, whose turn has not
// come, only what sounds or ends a sounding. Called with h.mu held.
func (h *hub) fan(changes []Change, early []*alerts.Incident) {
	for _, c := range changes {
		early = append(early, c.Incident)
	}
	for _, i := range early {
		h.follow(i)
		h.encodedOf(i)
		h.owners.learn(i)
	}
	sp := &h.spread
	sp.rings = early
	for _, s := range h.socks {
		if d, ok := h.sounds(s); ok {
			sp.sounding = append(sp.sounding, d)
		} else {
			sp.quiet = append(sp.quiet, s)
		}
	}
	lead, rest := h.nearest(sp.sounding)
	h.lead(lead)
	for _, d := range lead {
		sp.quiet = append(sp.quiet, d.to) // what else there is comes with everybody's
	}
	tails := make([]string, len(changes))
	for n, c := range changes {
		tails[n] = cursorTail(c.Cursor)
	}
	slices.SortFunc(rest, nearestFirst)
	h.deliver(rest, changes, tails)
	for _, s := range sp.quiet {
		h.ready(s, h.news(s, changes, tails, sp.items[:0]))
	}
	h.hand()
	h.metrics.delivered(sp.frames)
	sp.rings, sp.alarms, sp.sounding, sp.quiet = nil, reset(sp.alarms), reset(sp.sounding), reset(sp.quiet)
}

// sounds lists what s is to sound for among what changed.
func (h *hub) sounds(s *socket) (d delivery, ok bool) {
	sp := &h.spread
	d = delivery{to: s, from: len(sp.alarms), near: farAway}
	for _, i := range sp.rings {
		for _, a := range h.unheard(s, i) {
			sp.alarms = append(sp.alarms, a)
			d.near = min(d.near, metres(s, a))
		}
	}
	d.end = len(sp.alarms)
	return d, d.end > d.from
}

// nearestFirst: whoever can be there first hears first; calls for support before all.
func nearestFirst(a, b delivery) int { return cmp.Compare(a.near, b.near) }

// headStart is how many of the nearest are written to before anything is made ready for the others: more than
// are wanted anywhere, few enough to be written in half a millisecond.
const headStart = 50

// nearest splits off those who get a head start, in order; the rest is in any order.
func (h *hub) nearest(list []delivery) (lead, rest []delivery) {
	if len(list) > headStart {
		near := h.spread.near[:0] // the headStart smallest so far, ascending
		for _, d := range list {
			if len(near) == headStart && d.near >= near[headStart-1] {
				continue
			}
			at, _ := slices.BinarySearch(near, d.near)
			near = slices.Insert(near, at, d.near)
			near = near[:min(len(near), headStart)]
		}
		h.spread.near = near
		n := 0
		for k := range list {
			if list[k].near <= near[headStart-1] {
				list[n], list[k] = list[k], list[n]
				n++
			}
		}
		list, rest = list[:n], list[n:]
	}
	slices.SortFunc(list, nearestFirst)
	return list, rest
}

// lead writes the alarms of the nearest, here and now: no goroutine is to be woken first, and nothing that
// can be said later is made ready first.
func (h *hub) lead(list []delivery) {
	for _, d := range list {
		items := h.spread.items[:0]
		for _, a := range h.spread.alarms[d.from:d.end] {
			items = h.alarm(d.to, a, items)
		}
		h.ready(d.to, items)
	}
	for at, list := range h.spread.ready {
		for _, s := range list {
			h.pen.serve(s, at)
		}
		h.spread.ready[at] = reset(list)
	}
}

// deliver queues for each socket its alarms and the state of the matters, and hands them to the writers a few
// at a time, so that the first are written while the last are made ready.
func (h *hub) deliver(list []delivery, changes []Change, tails []string) {
	for n, d := range list {
		items := h.spread.items[:0]
		for _, a := range h.spread.alarms[d.from:d.end] {
			items = h.alarm(d.to, a, items)
		}
		h.ready(d.to, h.news(d.to, changes, tails, items))
		if n%headStart == headStart-1 {
			h.hand()
		}
	}
}

// ready queues items for a socket and notes that it has to be written to.
func (h *hub) ready(s *socket, items []item) {
	h.spread.items = items
	if at, ok := s.put(items...); ok {
		h.spread.ready[at] = append(h.spread.ready[at], s)
	}
	for _, it := range items {
		h.spread.frames[it.f.kind]++
	}
}

// hand gives the sockets that have something queued to the writers.
func (h *hub) hand() {
	for at, list := range h.spread.ready {
		if len(list) > 0 {
			h.writers.add(at, list...)
			h.spread.ready[at] = reset(list)
		}
	}
}

func reset[T any](s []T) []T {
	clear(s)
	return s[:0]
}

// unheard lists the alarms of i that s has to sound for.
func (h *hub) unheard(s *socket, i *alerts.Incident) []alerts.Alarm {
	if i.Ended != nil || i.Status.Closed() {
		return nil
	}
	delete(s.stood, i.ID)
	if list := h.station.Rules().AlarmsFor(i, s.listener(), s.heard); len(list) > 0 && h.newest(s) {
		return list
	}
	return nil
}

// placeOf is where an alarm calls to; nil: not known.
func placeOf(a alerts.Alarm) *alerts.Point {
	if a.Support != nil && a.Support.Place != nil && a.Support.Place.Point != nil {
		return a.Support.Place.Point
	}
	return a.Incident.Raised.Place.Point
}

// metres is how far s is from where the alarm calls to. A call for support comes before everything.
func metres(s *socket, a alerts.Alarm) float64 {
	from, to := s.where(), placeOf(a)
	switch {
	case a.Support != nil:
		return -1
	case from == nil || to == nil:
		return farAway
	}
	return from.Distance(*to)
}

// alarm adds the frame of one alarm, which s then has heard.
func (h *hub) alarm(s *socket, a alerts.Alarm, items []item) []item {
	i := a.Incident
	f := h.alarmFrame(s.who, h.station.Rules().ClassOf(s.who.Subject, i), h.encodedOf(i), a)
	if f == nil {
		return items
	}
	s.hear(i.ID, a.Wave, a.Support)
	h.count(s, i.ID, a.Wave, markSent)
	return append(items, item{f, alarmTail(s.where(), placeOf(a))})
}

// standDown tells a device that heard i's alarm that it ended. Once.
func (h *hub) standDown(s *socket, i *alerts.Incident, items []item) []item {
	if _, heard := s.heard.Waves[i.ID]; !heard || s.stood[i.ID] {
		return items
	}
	if h.station.Rules().ClassOf(s.who.Subject, i) == "" {
		return items
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
	return append(items, *e.stood)
}

func pendingEvent(i *alerts.Incident, event alerts.Hash) bool {
	for n := len(i.Log) - 1; n >= 0 && i.Log[n].Provisional; n-- {
		if i.Log[n].Event.ID == event {
			return true
		}
	}
	return false
}

// news adds the end of alarms and the new state of matters.
func (h *hub) news(s *socket, changes []Change, tails []string, items []item) []item {
	for _, i := range h.spread.rings {
		if i.Ended != nil || i.Status.Closed() {
			items = h.standDown(s, i, items)
		}
	}
	for n, c := range changes {
		items = h.show(s, c, tails[n], items)
	}
	return items
}

// show adds the new state of the matter, if s may know of it.
func (h *hub) show(s *socket, c Change, tail string, items []item) []item {
	i := c.Incident
	if s.owed != nil || s.hidesSilent(i) {
		return items // its history, which is still to come, will have this
	}
	class := h.station.Rules().ClassOf(s.who.Subject, i)
	if class == "" {
		return items
	}
	if known, ok := s.behind[i.Cell]; ok {
		if c.Cursor.Before(known.Furthest()) {
			return items
		}
		delete(s.behind, i.Cell)
		items = append(items, h.past(s, i.Cell, known)...)
	}
	if f := h.incidentFrame(s.who, class, h.encodedOf(i)); f != nil {
		items = append(items, item{f, tail})
	}
	return items
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
	items := h.spread.items[:0]
	for _, i := range h.alarming {
		if i.Ended != nil {
			items = h.standDown(s, i, items)
		}
		for _, a := range h.unheard(s, i) {
			items = h.alarm(s, a, items)
		}
	}
	h.pass(s, items)
}

// pass queues items for one socket, and counts them.
func (h *hub) pass(s *socket, items []item) {
	h.ready(s, items)
	h.hand()
	h.metrics.delivered(h.spread.frames)
}
