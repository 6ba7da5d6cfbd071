package web

import (
	"cmp"
	"strconv"
	"sync"
	"sync/atomic"

	"hivemesh/alerts"
)

// inbox takes changes from the station without ever blocking it. Only the latest of each thing waits, at
// the place of its latest change, so it is bounded by the number of things and not by their changes, and
// cursors never overtake what they stand for.
type inbox struct {
	wake    chan struct{}
	version atomic.Uint64 // grows with every change of an incident

	mu        sync.Mutex
	incidents lane
	urgent    map[string]bool // those of the incidents that may sound
	rest      lane            // how events are kept, and why they do not count
	counts    lane            // of receipts, and the stations: after all else
}

func newInbox() *inbox {
	return &inbox{wake: make(chan struct{}, 1), incidents: newLane(), urgent: map[string]bool{}, rest: newLane(), counts: newLane()}
}

// lane is a queue in which a newer change of the same thing takes the place of the older one.
type lane struct {
	latest map[string]waiting
	order  []ticket
	seq    uint64
}

type waiting struct {
	change Change
	seq    uint64
}

type ticket struct {
	key string
	seq uint64
}

func newLane() lane { return lane{latest: map[string]waiting{}} }

func (l *lane) put(key string, c Change) {
	l.seq++
	l.latest[key] = waiting{c, l.seq}
	l.order = append(l.order, ticket{key, l.seq})
	if len(l.order) > 2*len(l.latest)+64 {
		l.compact()
	}
}

func (l *lane) compact() {
	keep := l.order[:0]
	for _, t := range l.order {
		if l.latest[t.key].seq == t.seq {
			keep = append(keep, t)
		}
	}
	l.order = keep
}

// take appends up to n waiting changes to dst, oldest first.
func (l *lane) take(dst []Change, n int) []Change {
	used := 0
	for _, t := range l.order {
		if n == 0 {
			break
		}
		used++
		if w, ok := l.latest[t.key]; ok && w.seq == t.seq {
			dst = append(dst, w.change)
			delete(l.latest, t.key)
			n--
		}
	}
	l.order = l.order[:copy(l.order, l.order[used:])]
	return dst
}

// put is what Station.Watch calls.
func (b *inbox) put(c Change) {
	b.mu.Lock()
	switch {
	case c.Incident != nil:
		b.incidents.put(string(c.Incident.ID), c)
		if c.Urgent {
			b.urgent[string(c.Incident.ID)] = true
		}
		b.version.Add(1)
	case c.Refused != nil:
		b.rest.put("r"+string(c.Refused.Event[:]), c)
	case !c.Event.IsZero():
		b.rest.put("k"+string(c.Event[:]), c)
	case c.Counted != "":
		b.counts.put("c"+strconv.Itoa(c.Wave)+"/"+string(c.Counted), c)
	case c.Stations:
		b.counts.put("s", c)
	}
	b.mu.Unlock()
	b.signal()
}

func (b *inbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Batch sizes: enough to share a socket's write among many changes, few enough that the first alarm of a
// storm does not wait for the last.
const (
	batchIncidents = 64
	batchRest      = 256
)

// take returns the next changes of incidents and of everything else, and whether more wait. early are incidents
// that may sound and whose changes are not among those: no alarm waits for its turn.
func (b *inbox) take() (incidents []Change, early []*alerts.Incident, rest []Change, more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	incidents = b.incidents.take(nil, batchIncidents)
	for _, c := range incidents {
		delete(b.urgent, string(c.Incident.ID))
	}
	for _, id := range sortedKeys(b.urgent) {
		early = append(early, b.incidents.latest[id].change.Incident)
	}
	clear(b.urgent)
	rest = b.rest.take(nil, batchRest)
	rest = b.counts.take(rest, batchRest-len(rest))
	return incidents, early, rest, len(b.incidents.latest)+len(b.rest.latest)+len(b.counts.latest) > 0
}

// waveKey names a wave; wave 0 stands for the calls for support.
type waveKey struct {
	incident alerts.IncidentID
	wave     int
}

func (k waveKey) compare(o waveKey) int {
	return cmp.Or(cmp.Compare(k.incident, o.incident), cmp.Compare(k.wave, o.wave))
}
