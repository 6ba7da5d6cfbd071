package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"hivemesh/alerts"
)

// town is a county whose stations serve over pipes: real handlers, real websockets, virtual time.
type town struct {
	*county
	t     *testing.T
	ports map[alerts.StationID]*port
}

// port is one station's server and the way to it.
type port struct {
	server *Server
	ln     *pipeListener
	http   *http.Client
}

// inTown runs a test in a bubble of virtual time. Everything is closed and waited for before it ends: a
// goroutine left over fails the test.
func inTown(t *testing.T, f func(t *testing.T, v *town)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := &town{county: newCounty(), t: t, ports: map[alerts.StationID]*port{}}
		var stops []func()
		defer func() {
			for _, stop := range stops {
				stop()
			}
		}()
		for _, s := range v.stations {
			p := &port{server: New(Config{Station: s, Demo: true, UI: screens()}), ln: newPipeListener()}
			srv := &http.Server{Handler: p.server.Handler()}
			go func() { _ = srv.Serve(p.ln) }()
			tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return p.ln.dial() }}
			p.http = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			v.ports[s.info.ID] = p
			stops = append(stops, func() {
				p.server.Close()
				_ = srv.Close()
				tr.CloseIdleConnections()
			})
		}
		f(t, v)
	})
}

// request is one call of the API.
type request struct {
	method, path, token, body string
	header                    map[string]string
}

type answer struct {
	status int
	header http.Header
	body   string
}

// problem reads the answer as a problem document and fails unless it is a complete one.
func (a answer) problem(t *testing.T) Problem {
	t.Helper()
	var p Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("status %d, not a problem: %v: %s", a.status, err, a.body)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type of a problem is %q", got)
	}
	if p.Status != a.status || p.Code == "" || p.Detail == "" || p.Do == "" || p.Title == "" || p.Type == "" {
		t.Errorf("the problem lacks what it must say: %s", a.body)
	}
	return p
}

func (a answer) json(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("status %d: %v: %s", a.status, err, a.body)
	}
}

func (v *town) ask(at alerts.StationID, q request) answer {
	v.t.Helper()
	req, err := http.NewRequest(q.method, "http://127.0.0.1:8080"+q.path, strings.NewReader(q.body))
	if err != nil {
		v.t.Fatal(err)
	}
	if q.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if q.token != "" {
		req.Header.Set("Authorization", "Bearer "+q.token)
	}
	for k, val := range q.header {
		if k == "Host" {
			req.Host = val
			continue
		}
		req.Header.Set(k, val)
	}
	res, err := v.ports[at].http.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// signIn returns a token for a person, or for the station's own kiosk.
func (v *town) signIn(at alerts.StationID, person string) string {
	v.t.Helper()
	body := fmt.Sprintf(`{"person":%q}`, person)
	if person == "kiosk" {
		body = `{"kiosk":true}`
	}
	a := v.ask(at, request{method: "POST", path: "/v1/session", body: body})
	var out sessionBody
	a.json(v.t, &out)
	if a.status != 200 || out.Token == "" {
		v.t.Fatalf("sign in %s: %d %s", person, a.status, a.body)
	}
	return out.Token
}

// shortLived returns a token that ends after d: virtual time is cheap, but not free.
func (v *town) shortLived(person string, d time.Duration) string {
	v.t.Helper()
	payload, err := json.Marshal(claims{Version: 1, Person: alerts.PersonID(person), Expires: time.Now().Add(d).Unix()})
	if err != nil {
		v.t.Fatal(err)
	}
	token, err := v.stations[0].Sign(payload)
	if err != nil {
		v.t.Fatal(err)
	}
	return token
}

// raise raises an alert and returns what the station took.
func (v *town) raise(at alerts.StationID, token, body string) Taken {
	v.t.Helper()
	a := v.ask(at, request{method: "POST", path: "/v1/alerts", token: token, body: body})
	if a.status != 202 {
		v.t.Fatalf("raise: %d %s", a.status, a.body)
	}
	var out Taken
	a.json(v.t, &out)
	return out
}

func (v *town) act(at alerts.StationID, token string, in alerts.IncidentID, body string) answer {
	v.t.Helper()
	return v.ask(at, request{method: "POST", path: "/v1/incidents/" + string(in) + "/events", token: token, body: body})
}

// phone is a client on the live link: it keeps every frame it got.
type phone struct {
	t      *testing.T
	ws     *websocket.Conn
	mu     sync.Mutex
	frames []map[string]any
	raw    []string
	err    error
	deaf   atomic.Bool // reads, but no longer answers pings
	done   chan struct{}
}

func (v *town) dial(at alerts.StationID, header http.Header) *phone {
	v.t.Helper()
	d := websocket.Dialer{Subprotocols: []string{"hive.v1"}, NetDialContext: func(context.Context, string, string) (net.Conn, error) { return v.ports[at].ln.dial() }}
	ws, res, err := d.Dial("ws://127.0.0.1:8080/v1/live", header)
	if err != nil {
		v.t.Fatalf("dial %s: %v %v", at, err, res)
	}
	p := &phone{t: v.t, ws: ws, done: make(chan struct{})}
	answer := ws.PingHandler()
	ws.SetPingHandler(func(data string) error {
		if p.deaf.Load() {
			return nil
		}
		return answer(data)
	})
	go p.listen()
	return p
}

func (p *phone) listen() {
	defer close(p.done)
	for {
		_, b, err := p.ws.ReadMessage()
		p.mu.Lock()
		if err != nil {
			p.err = err
			p.mu.Unlock()
			return
		}
		var f map[string]any
		if err := json.Unmarshal(b, &f); err != nil {
			p.t.Errorf("a frame that is not JSON: %v: %s", err, b)
		}
		p.frames = append(p.frames, f)
		p.raw = append(p.raw, string(b))
		p.mu.Unlock()
	}
}

func (p *phone) say(frame string) {
	p.t.Helper()
	if err := p.ws.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
		p.t.Fatalf("say %s: %v", frame, err)
	}
}

// connect dials and says hello. more holds further fields of it, e.g. `"duty":false`.
func (v *town) connect(at alerts.StationID, person, device string, more ...string) *phone {
	v.t.Helper()
	p := v.dial(at, nil)
	fields := append([]string{fmt.Sprintf(`"type":"hello","token":%q,"device":%q`, v.signIn(at, person), device)}, more...)
	p.say("{" + strings.Join(fields, ",") + "}")
	synctest.Wait()
	return p
}

// got returns the frames of a type that have come so far.
func (p *phone) got(kind string) []map[string]any {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []map[string]any
	for _, f := range p.frames {
		if f["type"] == kind {
			list = append(list, f)
		}
	}
	return list
}

func (p *phone) count(t *testing.T, kind string, want int) []map[string]any {
	t.Helper()
	list := p.got(kind)
	if len(list) != want {
		t.Fatalf("got %d %s frames, want %d: %v", len(list), kind, want, list)
	}
	return list
}

// last returns the newest frame of a type.
func (p *phone) last(t *testing.T, kind string) map[string]any {
	t.Helper()
	list := p.got(kind)
	if len(list) == 0 {
		t.Fatalf("no %s frame came; came: %v", kind, p.kinds())
	}
	return list[len(list)-1]
}

func (p *phone) kinds() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []string
	for _, f := range p.frames {
		list = append(list, fmt.Sprint(f["type"]))
	}
	return list
}

// everything is all the bytes that ever came, for asking what must not be among them.
func (p *phone) everything() string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.raw, "\n")
}

func (p *phone) hangUp() {
	_ = p.ws.Close()
	<-p.done
	synctest.Wait()
}

// closedWith waits until the server closes the link and returns the code.
func (p *phone) closedWith(t *testing.T) int {
	t.Helper()
	<-p.done
	_ = p.ws.Close()
	var ce *websocket.CloseError
	if !errorsAs(p.err, &ce) {
		t.Fatalf("closed without a code: %v", p.err)
	}
	return ce.Code
}

// pipeListener accepts in-memory connections that look as if they came from this machine.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

func (l *pipeListener) dial() (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- pipeConn{far}:
		return pipeConn{near}, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

type pipeConn struct{ net.Conn }

func (pipeConn) RemoteAddr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "tcp" }
func (pipeAddr) String() string  { return "127.0.0.1:50000" }

// within runs f and fails when it takes longer than d of virtual time.
func within(t *testing.T, d time.Duration, f func()) {
	t.Helper()
	began := time.Now()
	f()
	if took := time.Since(began); took > d {
		t.Errorf("took %v, want at most %v", took, d)
	}
}

// stalled says hello and then never reads again.
func (v *town) stalled(at alerts.StationID, person string) net.Conn {
	v.t.Helper()
	var conn net.Conn
	d := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) {
		c, err := v.ports[at].ln.dial()
		conn = c
		return c, err
	}}
	ws, _, err := d.Dial("ws://127.0.0.1:8080/v1/live", nil)
	if err != nil {
		v.t.Fatal(err)
	}
	hello := fmt.Sprintf(`{"type":"hello","token":%q,"device":"stalled"}`, v.signIn(at, person))
	if err := ws.WriteMessage(websocket.TextMessage, []byte(hello)); err != nil {
		v.t.Fatal(err)
	}
	synctest.Wait()
	return conn
}
