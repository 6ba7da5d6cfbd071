package web

import (
	"errors"
	"slices"
	"time"

	"hivemesh/alerts"
)

// receipt takes what became of an alarm on a device.
func (h *hub) receipt(s *socket, f ReceiptFrame) (string, error) {
	mark, ok := map[string]mark{"reached": markReached, "opened": markOpened, "released": markReleased}[f.State]
	if !ok {
		return "unknown_state", errors.New("state is reached, opened or released")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.slot < 0 {
		return "", nil
	}
	if f.Support != nil && !s.heard.Support[*f.Support] || f.Support == nil && (f.Wave < 1 || f.Wave > s.heard.Waves[f.Incident]) {
		return "not_heard", errors.New("this device was not sent that alarm")
	}
	wave := f.Wave
	var support *alerts.Support
	if f.Support != nil {
		wave, support = 0, &alerts.Support{Event: *f.Support}
	}
	for _, other := range s.device.socks { // the device has it, whichever of its pages shows it
		other.hear(f.Incident, wave, support)
	}
	h.count(s, f.Incident, wave, mark)
	return "", nil
}

// count notes what became of a wave on the socket's device, and has it reported.
func (h *hub) count(s *socket, in alerts.IncidentID, wave int, m mark) {
	if !h.tallyOf(in, wave).note(s.device, m) {
		return
	}
	select {
	case h.counted <- struct{}{}:
	default:
	}
}

// mark is what became of one wave on one device.
type mark uint8

const (
	markSent mark = 1 << iota
	markReached
	markOpened
	markReleased
)

// tally counts devices for one wave at this station, each state of each device once.
type tally struct {
	marks   map[*device]mark
	n       Counts
	news    bool
	endedAt time.Time
}

func (h *hub) tallyOf(in alerts.IncidentID, wave int) *tally {
	key := waveKey{in, wave}
	t := h.tallies[key]
	if t == nil {
		t = &tally{marks: map[*device]mark{}}
		h.tallies[key] = t
	}
	return t
}

// note counts m once, and reports whether it was new. Opened says that it was reached as well; a device that was sent the alarm by another
// station was counted there.
func (t *tally) note(of *device, m mark) bool {
	had := t.marks[of]
	add := m
	if m == markOpened {
		add |= markReached
	}
	add &^= had
	if add == 0 {
		return false
	}
	t.marks[of] = had | add
	one := func(bit mark) int {
		if add&bit != 0 {
			return 1
		}
		return 0
	}
	t.n.Sent += one(markSent)
	t.n.Reached += one(markReached)
	t.n.Opened += one(markOpened)
	t.n.Released += one(markReleased)
	t.news = true
	return true
}

// report tells the station the counts that changed.
func (h *hub) report() {
	type news struct {
		key waveKey
		n   Counts
	}
	var list []news
	h.mu.Lock()
	for key, t := range h.tallies {
		if t.news {
			t.news = false
			list = append(list, news{key, t.n})
		}
	}
	h.mu.Unlock()
	slices.SortFunc(list, func(a, b news) int { return a.key.compare(b.key) })
	for _, n := range list {
		h.station.Reached(n.key.incident, n.key.wave, n.n)
	}
}

// tallyLife is how long the receipts of an ended alarm are still taken.
const tallyLife = 10 * time.Minute

// forget drops what belongs to matters long at their end. Called with h.mu held.
func (h *hub) forget(now time.Time) {
	for key, t := range h.tallies {
		switch _, open := h.alarming[key.incident]; {
		case open:
			t.endedAt = time.Time{}
		case t.endedAt.IsZero():
			t.endedAt = now
		case now.Sub(t.endedAt) > tallyLife:
			delete(h.tallies, key)
		}
	}
	h.sweep()
	for id, e := range h.frames {
		if e.of.Status.Closed() {
			delete(h.frames, id)
		}
	}
}

// sweep drops devices that are neither connected nor counted any more, once a minute.
func (h *hub) sweep() {
	if h.beats%60 != 0 {
		return
	}
	for _, t := range h.tallies {
		for d := range t.marks {
			d.seen = true
		}
	}
	for key, d := range h.devices {
		if !d.seen && len(d.socks) == 0 {
			delete(h.devices, key)
		}
		d.seen = false
	}
}
