package web

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"hivemesh/alerts"
)

func madeUp(kind, about string) item {
	return item{f: &frame{op: opText, lane: laneOf(kind), kind: kind, about: about, body: []byte(kind[:1] + about)}}
}

// TestAlarmsOvertakeWhatWaits: at the writers and in each socket's queue; what is of one lane keeps its order,
// and nothing is written twice.
func TestAlarmsOvertakeWhatWaits(t *testing.T) {
	w := &writers{} // nobody writes: the lines stay as they are
	w.some = sync.NewCond(&w.mu)
	h := &hub{writers: w}
	a, b, c := &socket{hub: h, name: "a"}, &socket{hub: h, name: "b"}, &socket{hub: h, name: "c"}
	a.push(madeUp("positions", "1"))
	b.push(madeUp("receipts", "1"), madeUp("incident", "1"))
	c.push(madeUp("incident", "1"))
	a.push(madeUp("incident", "1"), madeUp("alarm", "1"), madeUp("incident", "2"), madeUp("alarm", "2"))
	c.push(madeUp("stood_down", "1"))
	w.closed = true
	var order string
	for s, at := w.next(); s != nil; s, at = w.next() {
		if bytes, _ := s.turn(at, nil); len(bytes) > 0 {
			order += s.name + ":"
			for ; len(bytes) > 0; bytes = bytes[2+bytes[1]:] {
				order += " " + string(bytes[2:2+bytes[1]])
			}
			order += "; "
			s.done()
		}
	}
	if want := "a: a1 a2 i1 i2 p1; c: s1 i1; b: i1 r1; "; order != want {
		t.Errorf("written in the order\n%s, want\n%s", order, want)
	}
}

// TestALineIsBounded: it forgets what was taken, however long it never is empty.
func TestALineIsBounded(t *testing.T) {
	var l line
	a, b := &socket{name: "a"}, &socket{name: "b"}
	l.put(a)
	for range 10 * maxSockets {
		l.put(b)
		if l.take() == nil {
			t.Fatal("the line is empty")
		}
	}
	if l.take() != b || l.take() != nil || cap(l.list) > 4*maxSockets {
		t.Errorf("one socket was left, and the line has room for %d", cap(l.list))
	}
}

// TestSocketsThatDoNotReadDelayNobody: over real loopback, with more sockets that take nothing than there are
// writers, another hears every alarm; and when one of them reads again, so does it.
func TestSocketsThatDoNotReadDelayNobody(t *testing.T) {
	c, s, list := crowd(t, maxWriters+1)
	fast, slow := list[maxWriters], list[:maxWriters]
	s.hub.mu.Lock()
	stuck := append([]*socket(nil), s.hub.socks...)
	s.hub.mu.Unlock()
	for _, client := range slow {
		if err := client.Conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range stuck { // the fast one's, too: they are in the order of their hellos, which is any
		if err := at.conn.(*net.TCPConn).SetWriteBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
	}
	heard := make(chan struct{}, maxQueue)
	go fast.count(func(kind string) {
		if kind == "alarm" {
			heard <- struct{}{}
		}
	})
	waiting := func() (n int) {
		for _, s := range stuck {
			if s.stuckFrom.Load() != 0 {
				n++
			}
		}
		return n
	}
	at, raised := xinzhuang, 0
	for ; waiting() < maxWriters; raised++ {
		if raised == maxQueue/2 {
			t.Fatal("the kernel takes everything: this test shows nothing")
		}
		c.put(alerts.Event{Station: "xinzhuang", Incident: alerts.IncidentID(fmt.Sprintf("11111111-1111-5111-8111-%012d", raised)), Actor: "villager",
			Body: &alerts.Raised{Category: "abduction", Grade: 1, Place: alerts.Place{Point: &at}, Source: alerts.FromKiosk, Ring: 1000, Wanted: 3, Card: alerts.Card{What: "x"}}})
		select {
		case <-heard:
		case <-time.After(10 * time.Second):
			t.Fatalf("alarm %d was not heard beside sockets that do not read", raised)
		}
	}
	all, n := make(chan struct{}), 0
	go slow[0].count(func(kind string) {
		if kind == "alarm" {
			if n++; n == raised {
				close(all)
			}
		}
	})
	select {
	case <-all:
	case <-time.After(10 * time.Second):
		t.Errorf("it read on, and not all of %d alarms came", raised)
	}
}
