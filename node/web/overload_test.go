package web

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"hivemesh/alerts"
)

// stillHub is a hub of which nothing runs: what it queues stays where it is, to be looked at.
func stillHub(c *county) *hub {
	ss := &sessions{now: time.Now, station: c.at("xinzhuang"), out: map[tokenKey]time.Time{}, good: map[tokenKey]verified{}}
	h := newHub(c.at("xinzhuang"), ss, newAllowances(), zap.NewNop())
	h.writers.close()
	h.writers = &writers{}
	h.writers.some = sync.NewCond(&h.writers.mu)
	h.metrics = newMetrics(prometheus.NewRegistry(), h)
	return h
}

// comes is a person who opens a socket and says hello.
func comes(h *hub, person alerts.PersonID, role alerts.Role) *socket {
	w := &who{home: "xinzhuang", expires: time.Now().Add(time.Hour)}
	w.Person, w.Roles, w.Station = person, []alerts.Role{role}, "xinzhuang"
	s := &socket{hub: h, conn: swallow{}, slot: -1}
	h.mu.Lock()
	h.fresh[s] = struct{}{}
	h.mu.Unlock()
	h.welcome(s, w, &HelloFrame{Type: "hello", Device: "d"})
	return s
}

func (s *socket) waiting() (kinds map[string]int, first string) {
	kinds = map[string]int{}
	for _, it := range s.queue {
		kinds[it.f.kind]++
	}
	if len(s.queue) > 1 {
		first = s.queue[0].f.kind + " " + s.queue[1].f.kind
	}
	return kinds, first
}

func (c *county) raised(n int) alerts.IncidentID {
	at, id := xinzhuang, alerts.IncidentID(fmt.Sprintf("11111111-1111-5111-8111-%012d", n))
	c.put(alerts.Event{Station: "xinzhuang", Incident: id, Actor: "villager", Body: &alerts.Raised{
		Category: "abduction", Grade: 1, Place: alerts.Place{Point: &at}, Source: alerts.FromKiosk, Ring: 1000, Wanted: 3, Card: alerts.Card{What: "x"}}})
	return id
}

// TestAllComeBackAtOnce: after a power cut everybody hears the open alarms before anybody gets the past; what
// changes meanwhile is in the past that they get, once.
func TestAllComeBackAtOnce(t *testing.T) {
	const crowd = 3 * payAtOnce
	c := newCounty()
	h := stillHub(c)
	const open = 5
	for n := range open {
		c.raised(n)
	}
	h.mu.Lock()
	for _, i := range h.station.Incidents() {
		h.follow(i)
	}
	h.mu.Unlock()
	var all []*socket
	for n := range crowd {
		all = append(all, comes(h, alerts.PersonID(fmt.Sprint("v", n)), alerts.Volunteer))
	}
	for _, s := range all {
		if kinds, first := s.waiting(); first != "welcome alarm" || kinds["alarm"] != open || kinds["incident"] != 0 {
			t.Fatalf("before any history: %v, first %q", kinds, first)
		}
	}
	h.mu.Lock()
	i, _ := h.station.Incident(c.raised(open))
	h.fan([]Change{{Incident: i, Urgent: true}}, nil)
	h.mu.Unlock()
	for paid := 0; paid < crowd; paid += payAtOnce {
		h.pay()
	}
	for n, s := range all {
		if kinds, _ := s.waiting(); kinds["alarm"] != open+1 || kinds["incident"] != open+1 {
			t.Errorf("socket %d in the end: %v, want %d alarms and as many matters", n, kinds, open+1)
		}
	}
	if h.owing != nil {
		t.Errorf("%d histories are still owed", len(h.owing))
	}
}

// TestPositionsAreThinnedFirst: while sockets wait to be written to no positions are made ready; then whoever
// looks gets the whole picture.
func TestPositionsAreThinnedFirst(t *testing.T) {
	c := newCounty()
	h := stillHub(c)
	desk := comes(h, "dispatcher", alerts.Dispatcher)
	h.pay()
	c.at("xinzhuang").Moved("officer", &Position{Person: "officer", Point: xinzhuang, At: time.Now()})
	round := func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.positions()
		kinds, _ := desk.waiting()
		return kinds["positions"]
	}
	if !h.writers.behind() {
		t.Fatal("nobody waits to be written to: this test shows nothing")
	}
	if n := round(); n != 0 {
		t.Errorf("%d frames of positions were made beside what waits", n)
	}
	desk.queue = nil
	for h.writers.behind() {
		h.writers.next()
	}
	if n := round(); n != 1 || !desk.inLine[otherLine] && desk.patchy {
		t.Errorf("%d frames of positions when nothing waits any more", n)
	}
}

// TestAFloodOfPositionsIsOneASecond: ten times what is asked for sets off no more than one look at the alarms,
// and the latest position counts.
func TestAFloodOfPositionsIsOneASecond(t *testing.T) {
	c := newCounty()
	h := stillHub(c)
	s := comes(h, "volunteer", alerts.Volunteer)
	far := alerts.Point{Lon: xinzhuang.Lon + 1, Lat: xinzhuang.Lat}
	if _, err := h.moved(s, &far); err != nil {
		t.Fatal(err)
	}
	near := xinzhuang
	for range 10 {
		if _, err := h.moved(s, &far); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.moved(s, &near); err != nil {
		t.Fatal(err)
	}
	if later := s.later.Load(); *s.at != far || later == nil || *later != near {
		t.Fatalf("within half a second: at %v, later %v", s.at, later)
	}
	h.mu.Lock()
	h.catchUp(s)
	h.mu.Unlock()
	if *s.at != near || s.later.Load() != nil {
		t.Errorf("at the next tick: at %v", s.at)
	}
}

func TestSpreadGrowsWithTheCrowd(t *testing.T) {
	for sockets, want := range map[int]int{0: 500, 1000: 500, 10_000: 5000, 100_000: 15_000} {
		if got := spreadOf(sockets); got != want {
			t.Errorf("%d sockets come back over %d ms, want %d", sockets, got, want)
		}
	}
}
