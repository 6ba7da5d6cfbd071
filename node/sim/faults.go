package sim

import (
	"time"

	"hivemesh/alerts"
)

// strike is a fault taking place.
type strike struct {
	w    *world
	f    Fault
	span int // of h.Struck
	base uint64
}

func (w *world) strike(f Fault) *strike { return &strike{w: w, f: f, span: -1} }

// links are the directions that a cut stops.
func (f Fault) links() [][2]alerts.StationID {
	var out [][2]alerts.StationID
	for _, a := range f.Some {
		for _, b := range f.Others {
			if a == b {
				continue
			}
			out = append(out, [2]alerts.StationID{a, b})
			if f.Kind != OneWay {
				out = append(out, [2]alerts.StationID{b, a})
			}
		}
	}
	return out
}

// count is how much the fault has met so far.
func (s *strike) count() uint64 {
	stats := s.w.net.Stats()
	switch s.f.Kind {
	case Cut, OneWay, Flap:
		var n uint64
		for _, l := range s.f.links() {
			n += s.w.net.Stopped(string(l[0]), string(l[1]))
		}
		return n
	case Delay:
		return stats.Delayed
	case Loss:
		return stats.Lost
	}
	return 0
}

func (s *strike) begin() {
	s.base = s.count()
	for _, id := range s.f.Some {
		switch s.f.Kind {
		case Delay:
			s.w.net.Delay(string(id), s.f.Delay)
		case Loss:
			s.w.net.Loss(string(id), s.f.Share)
		case Restart:
			s.w.stop(id)
		case Crash:
			s.w.crash(id)
		}
	}
	s.cut()
	h := s.w.h
	h.mu.Lock()
	defer h.mu.Unlock()
	s.span = len(h.Struck)
	h.Struck = append(h.Struck, Span{Kind: s.f.Kind, Stations: s.f.Some, Others: s.f.Others, Share: s.f.Share, From: time.Now()})
	if s.f.Kind == Late {
		h.Struck[s.span].From = time.Time{}
	}
}

func (s *strike) cut() {
	switch s.f.Kind {
	case Cut, OneWay, Flap:
		for _, l := range s.f.links() {
			s.w.net.CutOneWay(string(l[0]), string(l[1]))
		}
	}
}

func (s *strike) mend() {
	for _, l := range s.f.links() {
		s.w.net.Mend(string(l[0]), string(l[1]))
	}
}

// flap makes a flapping link whole, or cuts it again.
func (s *strike) flap(whole bool) {
	if whole {
		s.mend()
	} else {
		s.cut()
	}
}

func (s *strike) end() {
	bites := s.count() - s.base
	for _, id := range s.f.Some {
		switch s.f.Kind {
		case Delay:
			s.w.net.Delay(string(id), 0)
		case Loss:
			s.w.net.Loss(string(id), 0)
		case Restart, Crash, Late:
			s.w.start(id)
			if s.w.node(id) != nil {
				bites = 1
			}
		}
	}
	switch s.f.Kind {
	case Cut, OneWay, Flap:
		s.mend()
	}
	h := s.w.h
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Struck[s.span].To, h.Struck[s.span].Bites = time.Now(), bites
}
