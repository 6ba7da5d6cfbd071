package pending

import (
	"errors"
	"maps"
	"sync"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

// Why something from a peer was dropped, as Stats.Bad counts it.
const (
	badMalformed = "malformed"      // not an event
	badSignature = "signature"      // not by who it says
	badExpelled  = "expelled"       // made by an expelled station, and new to who brings it
	badUnsound   = "unsound"        // signed, but makes no sense
	badOrigin    = "unknown_origin" // nobody had the maker's certificate, or too many waited for one
	badCert      = "certificate"    // not of this county
	badFrame     = "frame"          // the stream was not understood and closed
	badChain     = "other_record"   // nothing dropped: at the same index the peer's record is another one
	badCast      = "cast"           // soft state too long, or for nobody we know
)

// taker is the one way in for events from other stations, and counts.
type taker struct {
	ring     *trust.Ring
	set      *Set
	recorded func(alerts.CellID, alerts.IncidentID, alerts.Hash) bool
	ready    func()                      // waits until events may be taken; nil: they may
	refused  func(from alerts.StationID) // brought an expelled station's event; nil: nobody wants to know

	mu sync.Mutex
	n  Stats
}

func newTaker(ring *trust.Ring, set *Set, recorded func(alerts.CellID, alerts.IncidentID, alerts.Hash) bool) *taker {
	if recorded == nil {
		recorded = func(alerts.CellID, alerts.IncidentID, alerts.Hash) bool { return false }
	}
	return &taker{ring: ring, set: set, recorded: recorded, n: Stats{Bad: map[string]uint64{}}}
}

// taken is an event that came in well; kept delivers when it is on disk here.
type taken struct {
	e     alerts.Event
	kept  <-chan error
	added bool
}

// event checks and puts. unknown names the maker whose certificate is missing. ok false: dropped, counted.
func (t *taker) event(raw []byte, from alerts.StationID) (_ taken, unknown alerts.StationID, ok bool) {
	if t.ready != nil {
		t.ready()
	}
	e, err := t.ring.Admit(raw, from)
	var stranger *trust.UnknownOrigin
	switch {
	case err == nil:
	case errors.As(err, &stranger):
		return taken{}, stranger.Station, false
	case errors.Is(err, wire.ErrMalformed):
		t.bad(badMalformed)
		return taken{}, "", false
	case errors.Is(err, trust.ErrGone):
		t.bad(badExpelled)
		if t.refused != nil {
			t.refused(from)
		}
		return taken{}, "", false
	case errors.Is(err, trust.ErrSignature):
		t.bad(badSignature)
		return taken{}, "", false
	default:
		t.bad(badUnsound)
		return taken{}, "", false
	}
	k := taken{e: e}
	if t.recorded(e.Cell, e.Incident, e.ID) {
		done := make(chan error, 1)
		done <- nil
		k.kept = done
	} else if k.kept, k.added = t.set.Put(e); k.added && t.recorded(e.Cell, e.Incident, e.ID) {
		t.set.Remove(e.Cell, []alerts.Hash{e.ID}) // recorded between the two looks: nobody else would remove it
	}
	t.count(func(s *Stats) {
		s.Received++
		if !k.added {
			s.Again++
		}
	})
	return k, "", true
}

// cert takes in a certificate that was asked for.
func (t *taker) cert(of alerts.StationID, der []byte) bool {
	s, err := t.ring.Add(der)
	if (err != nil && !errors.Is(err, trust.ErrNotKept)) || s != of {
		t.bad(badCert)
		return false
	}
	return true
}

func (t *taker) bad(reason string) { t.count(func(s *Stats) { s.Bad[reason]++ }) }

func (t *taker) count(f func(*Stats)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.n)
}

func (t *taker) stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.n
	s.Bad = maps.Clone(s.Bad)
	return s
}

// maxHeld bounds how many events wait for certificates at once: a peer can make up any number of strangers.
const maxHeld = 64

// held are events of one conversation whose makers are not known yet.
type held struct {
	t    *taker
	by   map[alerts.StationID][][]byte
	size int
}

// hold keeps raw until its maker is known; ask: nobody was asked for the certificate yet.
func (h *held) hold(maker alerts.StationID, raw []byte) (ask bool) {
	if h.size >= maxHeld {
		h.t.bad(badOrigin)
		return false
	}
	if h.by == nil {
		h.by = map[alerts.StationID][][]byte{}
	}
	ask = h.by[maker] == nil
	h.by[maker] = append(h.by[maker], raw)
	h.size++
	return ask
}

// answer takes the certificate (none: not there either) and gives the events that can be checked again.
func (h *held) answer(maker alerts.StationID, der []byte) [][]byte {
	raws := h.by[maker]
	if raws == nil {
		return nil
	}
	delete(h.by, maker)
	h.size -= len(raws)
	if len(der) == 0 || !h.t.cert(maker, der) {
		for range raws {
			h.t.bad(badOrigin)
		}
		return nil
	}
	return raws
}
