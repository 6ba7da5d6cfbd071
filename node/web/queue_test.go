package web

import (
	"fmt"
	"slices"
	"testing"

	"hivemesh/alerts"
)

// TestInboxKeepsTheLatestAtItsPlace: a newer view of a matter takes the older one's place in value and goes
// behind what changed in between, so that no cursor overtakes a change that it stands for.
func TestInboxKeepsTheLatestAtItsPlace(t *testing.T) {
	b := newInbox()
	at := func(id string, index uint64) Change {
		return Change{Incident: &alerts.Incident{ID: alerts.IncidentID(id)}, Cursor: Cursor{Epoch: 1, Index: index}}
	}
	b.put(Change{Event: alerts.Hash{1}, Kept: Kept{Here: true}})
	for n := range 1000 {
		b.put(at("x", uint64(2*n)))
		b.put(at("y", uint64(2*n+1)))
	}
	b.put(at("x", 5000))
	b.put(Change{Event: alerts.Hash{1}, Kept: Kept{Here: true, Recorded: true}})
	b.put(Change{Event: alerts.Hash{1}, Refused: &Refusal{Event: alerts.Hash{1}}})
	b.put(Change{Stations: true})
	if n := len(b.incidents.order); n > 100 {
		t.Errorf("%d tickets wait for two things", n)
	}
	incidents, _, rest, more := b.take()
	if len(incidents) != 2 || incidents[0].Incident.ID != "y" || incidents[1].Cursor.Index != 5000 || more {
		t.Errorf("incidents %+v, more %v", incidents, more)
	}
	if len(rest) != 3 || !rest[0].Kept.Recorded || rest[1].Refused == nil || !rest[2].Stations {
		t.Errorf("rest %+v", rest)
	}
	for n := range batchIncidents + 1 {
		b.put(at(fmt.Sprint(n), 1))
	}
	if incidents, _, _, more = b.take(); len(incidents) != batchIncidents || !more {
		t.Errorf("%d incidents, more %v", len(incidents), more)
	}
}

// TestInboxLetsAlarmsThrough: what may sound is handed out at once, however much waits, and once more in its
// turn; statistics come after all else.
func TestInboxLetsAlarmsThrough(t *testing.T) {
	b := newInbox()
	change := func(id string, urgent bool) Change {
		return Change{Incident: &alerts.Incident{ID: alerts.IncidentID(id)}, Urgent: urgent}
	}
	b.put(Change{Counted: "x", Wave: 1})
	b.put(Change{Event: alerts.Hash{1}})
	for n := range batchIncidents {
		b.put(change(fmt.Sprint(n), n == 0))
	}
	b.put(change("alarm", true))
	b.put(change("alarm", false)) // a note, right behind it
	incidents, early, rest, more := b.take()
	if len(incidents) != batchIncidents || len(early) != 1 || early[0].ID != "alarm" || !more {
		t.Errorf("%d incidents, early %v, more %v; want a batch, and the alarm before its turn", len(incidents), early, more)
	}
	if len(rest) != 2 || rest[0].Event.IsZero() || rest[1].Counted != "x" {
		t.Errorf("rest %+v: counts come last", rest)
	}
	if incidents, early, _, more = b.take(); len(incidents) != 1 || incidents[0].Incident.ID != "alarm" || len(early) != 0 || more {
		t.Errorf("in its turn: %v, early %v, more %v", incidents, early, more)
	}
}

func TestNearestHearFirstAndSupportBeforeAll(t *testing.T) {
	list := []delivery{{near: 800}, {near: farAway}, {near: 20}, {near: -1}, {near: 300}}
	slices.SortFunc(list, nearestFirst)
	var got []float64
	for _, d := range list {
		got = append(got, d.near)
	}
	if want := []float64{-1, 20, 300, 800, farAway}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

// TestShrinkDropsOnlyWhatIsReplaced: alarms, stand-downs and receipts stay; of a matter's states the last.
func TestShrinkDropsOnlyWhatIsReplaced(t *testing.T) {
	it := func(kind, about, body string) item {
		return item{f: &frame{op: opText, kind: kind, about: about, body: []byte(body)}}
	}
	s := &socket{queue: []item{
		it("incident", "x", "1"), it("alarm", "", "2"), it("incident", "y", "3"), it("incident", "x", "4"), pingItem, it("stood_down", "", "5"), pingItem,
	}}
	s.shrink()
	var got string
	for _, q := range s.queue {
		got += string(q.f.body) + q.f.kind[:1] + " "
	}
	if want := "2a 3i 4i 5s p "; got != want {
		t.Errorf("left %q, want %q", got, want)
	}
}

// TestFrameHeaders: lengths at the edges of RFC 6455's three forms.
func TestFrameHeaders(t *testing.T) {
	for n, want := range map[int][]byte{
		0: {0x81, 0}, 125: {0x81, 125}, 126: {0x81, 126, 0, 126}, 65535: {0x81, 126, 0xff, 0xff}, 65536: {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0},
	} {
		b := item{f: &frame{op: opText, body: make([]byte, n)}}.appendTo(nil)
		if len(b) != n+len(want) || !slices.Equal(b[:len(want)], want) {
			t.Errorf("length %d: header % x", n, b[:len(want)])
		}
	}
}
