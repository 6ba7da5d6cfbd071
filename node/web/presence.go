package web

import (
	"errors"
	"time"

	"hivemesh/alerts"
)

// positionKey tells whether a position is the one that was sent.
type positionKey struct {
	at   int64
	step alerts.Kind
}

// look decides whether a socket sees positions: dispatch roles do. Called with h.mu held.
func (h *hub) look(s *socket) {
	sees := s.who.dispatch()
	s.staff = sees || s.who.has(alerts.Officer, alerts.AuxiliaryPolice, alerts.Auditor, alerts.Admin)
	if sees == s.sees {
		return
	}
	s.sees, s.patchy = sees, sees
	if sees {
		h.lookers++
	} else {
		h.lookers--
	}
	h.watched()
}

// watched tells the station when the first dispatcher comes and the last one goes: positions travel only to
// where somebody looks.
func (h *hub) watched() {
	if looking := h.lookers > 0; looking != h.looking {
		h.looking = looking
		h.station.Looking(looking)
	}
}

// moved takes a person's new position: it may bring them into a ring.
func (h *hub) moved(s *socket, p *alerts.Point) (string, error) {
	if s.who.kiosk {
		return "fixed", errors.New("a kiosk is where its station is")
	}
	now := time.Now()
	if now.Sub(s.movedAt) < moveEvery {
		s.later.Store(p)
		return "", nil
	}
	s.movedAt = now
	s.later.Store(nil)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.move(s, p)
	return "", nil
}

// moveEvery is how often a socket's position is taken at most. One that comes sooner waits for the next tick,
// and the latest counts: what a position sets off, being called, is worth no more than one look a second, and
// a flood of them must not stand in the hub's way.
const moveEvery = tick / 2

// move takes a position. Called with h.mu held.
func (h *hub) move(s *socket, p *alerts.Point) {
	if s.slot < 0 {
		return
	}
	s.at = p
	h.offer(s)
	h.shareLocked(s)
}

// catchUp takes what came too soon after the one before. Called with h.mu held, once a second.
func (h *hub) catchUp(s *socket) {
	if p := s.later.Swap(nil); p != nil {
		h.move(s, p)
	}
	if on := s.willing.Swap(nil); on != nil {
		h.duty(s, *on)
	}
}

// shareLocked passes a position on, but only while the person is on duty or between accept and release.
// Called with h.mu held.
func (h *hub) shareLocked(s *socket) {
	step := h.step(s.who.Person)
	if s.who.kiosk || s.at == nil || !s.duty && !(alerts.Answer{Step: step}).Coming() {
		return
	}
	h.station.Moved(s.who.Person, &Position{Person: s.who.Person, Point: *s.at, At: time.Now(), Step: step})
}

// step is the person's latest answer to the open matter they work on.
func (h *hub) step(p alerts.PersonID) alerts.Kind {
	var last alerts.Answer
	for _, i := range h.alarming {
		if a, ok := i.Answers[p]; ok && (last.Step == "" || a.At.After(last.At)) {
			last = a
		}
	}
	return last.Step
}

// turned takes whether a person is on duty. Like a position it sets off a look at all open alarms, so one that
// comes too soon waits for the next tick, and the latest counts.
func (h *hub) turned(s *socket, on bool) {
	now := time.Now()
	if now.Sub(s.turnedAt) < moveEvery {
		s.willing.Store(&on)
		return
	}
	s.turnedAt = now
	s.willing.Store(nil)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.duty(s, on)
}

// duty takes whether a person is on duty or willing. Off duty nobody is called, and nobody is shown where
// they are unless they are on their way to somebody. Called with h.mu held.
func (h *hub) duty(s *socket, on bool) {
	if s.slot < 0 {
		return
	}
	s.duty = on
	if on {
		h.offer(s)
		h.shareLocked(s)
		return
	}
	if !(alerts.Answer{Step: h.step(s.who.Person)}).Coming() {
		h.station.Moved(s.who.Person, nil)
	}
}

// positions sends what moved since the last round to those who look. Called with h.mu held, once a second.
func (h *hub) positions() {
	if h.lookers == 0 {
		h.lastPos = nil
		return
	}
	if h.writers.behind() { // alarms and matters wait to be written: positions are the first to be thinned
		for _, s := range h.socks {
			s.patchy = s.patchy || s.sees
		}
		return
	}
	now := map[alerts.PersonID]positionKey{}
	all := h.station.Positions()
	var news, entire []PositionView
	for _, p := range all {
		key := positionKey{p.At.UnixMilli(), p.Step}
		now[p.Person] = key
		point := p.Point
		view := PositionView{Person: p.Person, Place: &point, At: alerts.Stamp(p.At), Step: p.Step}
		entire = append(entire, view)
		if h.lastPos[p.Person] != key {
			news = append(news, view)
		}
	}
	for _, p := range sortedKeys(h.lastPos) {
		if _, ok := now[p]; !ok {
			news = append(news, PositionView{Person: p, At: alerts.Stamp(time.Now()), Gone: true})
		}
	}
	h.lastPos = now
	delta := whole("positions", PositionsFrame{Type: "positions", Positions: notNil(news)})
	full := whole("positions", PositionsFrame{Type: "positions", Positions: notNil(entire)})
	for _, s := range h.socks {
		switch {
		case !s.sees:
		case s.waits("positions"):
			s.patchy = true // too slow for one a second: it gets the whole picture when it has caught up
		case s.patchy:
			s.patchy = false
			s.push(full)
		case len(news) > 0:
			s.push(delta)
		}
	}
}
