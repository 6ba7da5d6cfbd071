package web

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"hivemesh/alerts"
)

// rawClient is the smallest websocket client there is: over real loopback, without buffers of its own, so
// that what a socket costs the station can be told from what its client costs.
type rawClient struct{ net.Conn }

func dialRaw(addr, token, device string) (rawClient, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return rawClient{}, err
	}
	fmt.Fprintf(conn, "GET /v1/live HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: hive.v1\r\n\r\n", addr)
	var head []byte
	one := make([]byte, 1)
	for !strings.HasSuffix(string(head), "\r\n\r\n") {
		if _, err := conn.Read(one); err != nil {
			return rawClient{}, err
		}
		head = append(head, one[0])
	}
	if !strings.HasPrefix(string(head), "HTTP/1.1 101") {
		return rawClient{}, fmt.Errorf("%s", head)
	}
	c := rawClient{conn}
	return c, c.say(fmt.Sprintf(`{"type":"hello","token":%q,"device":%q}`, token, device))
}

// say sends one masked text frame; the mask is all zeros.
func (c rawClient) say(s string) error {
	b := []byte{0x81, 0x80 | 126}
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	b = append(b, 0, 0, 0, 0)
	_, err := c.Write(append(b, s...))
	return err
}

// count reads frames for ever and calls f with the type of each.
func (c rawClient) count(f func(kind string)) {
	r := bufio.NewReaderSize(c, 4096)
	for {
		var head [2]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		n := int(head[1])
		if n == 126 {
			var l [2]byte
			if _, err := io.ReadFull(r, l[:]); err != nil {
				return
			}
			n = int(binary.BigEndian.Uint16(l[:]))
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		kind, _, _ := strings.Cut(strings.TrimPrefix(string(body), `{"type":"`), `"`)
		f(kind)
	}
}

// crowd connects n volunteers on real sockets to one station.
func crowd(tb testing.TB, n int) (*county, *Server, []rawClient) {
	tb.Helper()
	c := newCounty()
	s := New(Config{Station: c.at("xinzhuang"), Demo: true})
	srv := httptest.NewServer(s.Handler())
	var list []rawClient
	tb.Cleanup(func() {
		for _, c := range list {
			_ = c.Close()
		}
		s.Close()
		srv.Close()
	})
	token := ""
	for k := range n {
		if k%50 == 0 { // nobody says a thousand hellos in one session
			var err error
			if token, err = s.sessions.open(claims{Person: "volunteer"}, time.Now()); err != nil {
				tb.Fatal(err)
			}
		}
		c, err := dialRaw(srv.Listener.Addr().String(), token, fmt.Sprint("d", k))
		if err != nil {
			tb.Fatalf("client %d: %v", k, err)
		}
		list = append(list, c)
	}
	for attached := 0; attached < n; runtime.Gosched() {
		s.hub.mu.Lock()
		attached = len(s.hub.socks)
		s.hub.mu.Unlock()
	}
	return c, s, list
}

// TestAThousandRealSocketsHearOneAlarm: over real loopback, each device hears it exactly once, and a socket
// costs the station little.
func TestAThousandRealSocketsHearOneAlarm(t *testing.T) {
	before := memory()
	const n = 1000
	c, s, list := crowd(t, n)
	if each := (memory() - before) / n; each > 16<<10 { // both ends, and the test's own
		t.Errorf("%d bytes a socket", each)
	} else {
		t.Logf("%d bytes a socket, client's end included", each)
	}
	var mu sync.Mutex
	alarms := 0
	all := make(chan struct{})
	for _, client := range list {
		go client.count(func(kind string) {
			if kind != "alarm" {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if alarms++; alarms == n {
				close(all)
			}
		})
	}
	at := xinzhuang
	began := time.Now()
	c.put(alerts.Event{Station: "xinzhuang", Incident: "11111111-1111-5111-8111-111111111111", Actor: "villager",
		Body: &alerts.Raised{Category: "abduction", Grade: 1, Place: alerts.Place{Point: &at}, Source: alerts.FromKiosk, Ring: 1000, Wanted: 3, Card: alerts.Card{What: "x"}}})
	select {
	case <-all:
	case <-time.After(30 * time.Second):
		t.Fatalf("only %d heard it", alarms)
	}
	t.Logf("until the last of %d: %v", n, time.Since(began))
	c.record()
	s.Close() // everything that was queued is written before it ends
	mu.Lock()
	defer mu.Unlock()
	if alarms != n {
		t.Errorf("%d alarms for %d devices", alarms, n)
	}
}

func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// BenchmarkFan is what one change of an incident costs the hub for each of 10,000 sockets, without the
// kernel: each is written to a connection that swallows it.
func BenchmarkFan(b *testing.B) {
	c := newCounty()
	s := New(Config{Station: c.at("xinzhuang"), Demo: true})
	defer s.Close()
	const n = 10_000
	s.hub.mu.Lock()
	for k := range n {
		w := &who{name: "v", home: "xinzhuang", expires: time.Now().Add(time.Hour)}
		w.Person, w.Roles, w.Station = alerts.PersonID(fmt.Sprint("p", k)), []alerts.Role{alerts.Volunteer}, "xinzhuang"
		near := alerts.Point{Lon: xinzhuang.Lon + float64(k)*1e-6, Lat: xinzhuang.Lat}
		sock := &socket{hub: s.hub, conn: swallow{}, who: w, name: fmt.Sprint("d", k), at: &near, duty: true}
		sock.lastRead.Store(time.Now().UnixMilli())
		s.hub.attach(sock)
	}
	s.hub.mu.Unlock()
	at := xinzhuang
	b.ResetTimer()
	for k := 0; b.Loop(); k++ {
		c.put(alerts.Event{Station: "xinzhuang", Incident: alerts.IncidentID(fmt.Sprintf("11111111-1111-5111-8111-%012d", k)), Actor: "villager",
			Body: &alerts.Raised{Category: "abduction", Grade: 1, Place: alerts.Place{Point: &at}, Source: alerts.FromKiosk, Ring: 1000, Wanted: 3, Card: alerts.Card{What: "x"}}})
		s.hub.carry()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/socket")
}

type swallow struct{ net.Conn }

func (swallow) Write(b []byte) (int, error)      { return len(b), nil }
func (swallow) Close() error                     { return nil }
func (swallow) SetReadDeadline(time.Time) error  { return nil }
func (swallow) SetWriteDeadline(time.Time) error { return nil }

// TestUpgradeOverRealLoopback: the handshake as a plain client sees it.
func TestUpgradeOverRealLoopback(t *testing.T) {
	c := newCounty()
	s := New(Config{Station: c.at("xinzhuang"), Demo: true, UI: screens()})
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	defer s.Close()
	req, err := http.NewRequest(http.MethodGet, srv.URL+"/v1/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "chat"} {
		req.Header.Set(k, v)
	}
	res, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusBadRequest || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("another subprotocol: %d %v", res.StatusCode, res.Header)
	}
}
