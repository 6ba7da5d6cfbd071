package pending

import (
	"crypto/sha256"
	"sync"

	"hivemesh/alerts"
)

const (
	// maxHops bounds through how many hands an alarm goes: in a county of 2,000 each has it after four or five. It
	// ends what a station would hand on again because it has forgotten that it did.
	maxHops = 16
	// seenMost is of how many alarms a station remembers that it handed them on: some minutes of a county's worst.
	seenMost = 4096
)

// seen is which envelopes came in lately and were good, by their sum.
type seen struct {
	mu       sync.Mutex
	now, old map[[sha256.Size]byte]struct{}
}

func newSeen() *seen { return &seen{now: map[[sha256.Size]byte]struct{}{}} }

func (s *seen) has(sum [sha256.Size]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hasLocked(sum)
}

func (s *seen) hasLocked(sum [sha256.Size]byte) bool {
	_, now := s.now[sum]
	_, old := s.old[sum]
	return now || old
}

// add notes one; false: it was there.
func (s *seen) add(sum [sha256.Size]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hasLocked(sum) {
		return false
	}
	if len(s.now) >= seenMost/2 {
		s.now, s.old = map[[sha256.Size]byte]struct{}{}, s.now
	}
	s.now[sum] = struct{}{}
	return true
}

// Relay hands on an alarm that came in some other way than over a stream, as by Sync after a cut: those beyond this
// station may still lack it.
func (l *Links) Relay(e alerts.Event, from alerts.StationID) {
	if e.AlarmLane() && l.seen.add(sha256.Sum256(e.Raw)) {
		l.relay(e, from, 0)
	}
}

// relay hands an alarm on, the first time it comes, to those who are not all met by its maker.
func (l *Links) relay(e alerts.Event, from alerts.StationID, hops uint64) {
	if hops >= maxHops {
		return
	}
	var b []byte
	l.mu.Lock()
	relays := l.relays
	l.mu.Unlock()
	for _, k := range relays {
		if k.peer == from || k.peer == e.Station {
			continue
		}
		if b == nil {
			var err error
			if b, err = encode(frame{Event: e.Raw, Hops: hops + 1}); err != nil {
				return // what came in fits a frame
			}
		}
		if k.push(e.Lane(), b) {
			l.take.count(func(s *Stats) { s.Relayed++ })
		}
	}
}
