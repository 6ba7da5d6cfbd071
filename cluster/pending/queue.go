package pending

import "hivemesh/alerts"

// maxWaiting bounds the bytes that wait for one peer: some thousand alarms, or half a minute of a slow uplink.
// Whoever is further behind than that is synced instead.
const maxWaiting = 4 << 20

// waiting is what waits to be written to one peer. The more waits, the fewer lanes still get in: statistics are
// thinned first, then positions, notes and decisions, alarms last; Sync brings what was left out of it.
type waiting struct {
	lanes [alerts.Lanes][]*parcel
	soft  map[string]*parcel // by topic
	size  int                // bytes in all lanes
}

// parcel is a frame for a peer: an event, or soft state of a topic.
type parcel struct {
	topic string
	frame []byte
}

func newWaiting() waiting { return waiting{soft: map[string]*parcel{}} }

// room is how much may wait in all before a lane is closed.
func room(l alerts.Lane) int { return maxWaiting / int(alerts.Lanes) * int(alerts.Lanes-l) }

// put queues a frame behind those of its lane; soft state takes the place of older state under its topic.
// false: too much waits for this lane.
func (w *waiting) put(l alerts.Lane, topic string, frame []byte) bool {
	if p := w.soft[topic]; p != nil {
		w.size += len(frame) - len(p.frame)
		p.frame = frame
		return true
	}
	if w.size+len(frame) > room(l) {
		return false
	}
	p := &parcel{topic, frame}
	if topic != "" {
		w.soft[topic] = p
	}
	w.lanes[l] = append(w.lanes[l], p)
	w.size += len(frame)
	return true
}

// next takes the most urgent frame; nil: none waits.
func (w *waiting) next() []byte {
	for l, list := range w.lanes {
		if len(list) == 0 {
			continue
		}
		p := list[0]
		list[0] = nil
		w.lanes[l] = list[1:]
		w.size -= len(p.frame)
		delete(w.soft, p.topic)
		return p.frame
	}
	return nil
}

// forget drops the events, which Sync will bring, and keeps soft state, which it does not know.
func (w *waiting) forget() {
	for l, list := range w.lanes {
		var keep []*parcel
		for _, p := range list {
			if p.topic != "" {
				keep = append(keep, p)
			} else {
				w.size -= len(p.frame)
			}
		}
		w.lanes[l] = keep
	}
}
