package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/memnet"
	"hivemesh/configs"
)

// mesh is the demo county in one process and in virtual time: real raft, memberlist, disks, TLS and
// handlers, over a network that can be cut.
type mesh struct {
	t       *testing.T
	net     *memnet.Network
	configs map[string]Config
	machine map[string]string // where a station runs
	bad     map[string]*disk.Trouble
	nodes   map[string]*Node
	screens []*screen
}

// The demo county's stations: three voters first.
var (
	post, xinzhuang, zhangyong = "hancun-post", "xinzhuang", "zhangyong"
	caojiawu, works            = "caojiawu-post", "caojiawu-works"
	allStations                = []string{post, xinzhuang, caojiawu, zhangyong, works}
)

func newMesh(t *testing.T) *mesh {
	return &mesh{t: t, net: memnet.New(1), configs: map[string]Config{}, machine: map[string]string{}, nodes: map[string]*Node{}, bad: map[string]*disk.Trouble{}}
}

// inCounty runs f with the five stations up, in virtual time.
func inCounty(t *testing.T, links string, f func(m *mesh)) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		m.found(links)
		defer m.end()
		for _, s := range allStations {
			m.start(s)
		}
		m.eventually(30*time.Second, "every station follows a leader", m.settled)
		f(m)
	})
}

// found makes the five identities as `hive demo` does, on the simulated hosts.
func (m *mesh) found(links string) {
	m.t.Helper()
	m.foundOn(links, Tables{County: configs.County, Rules: configs.Rules})
}

func (m *mesh) foundOn(links string, tables Tables) {
	m.t.Helper()
	made, err := MakeCounty(m.t.TempDir(), 8080, tables)
	if err != nil {
		m.t.Fatal(err)
	}
	seed := ""
	for _, cfg := range made {
		name := filepath.Base(cfg.Dir)
		host := m.net.Host(name)
		cfg.HTTP, cfg.Mesh, cfg.Links = host.Addr(80), host.Addr(7000), links
		cfg.County, cfg.Rules = filepath.Join(cfg.Dir, countyFile), filepath.Join(cfg.Dir, rulesFile)
		if seed == "" {
			seed = cfg.Mesh
		}
		cfg.Seeds = []string{seed}
		m.configs[name] = cfg
	}
}

func (m *mesh) start(name string) { m.t.Helper(); m.startAt(name, name) }

// startAt starts a station on a machine.
func (m *mesh) startAt(name, machine string) {
	m.t.Helper()
	host := m.net.Host(machine)
	m.machine[name] = machine
	listen := func(_, addr string) (net.Listener, error) {
		l, err := host.Listen(addr)
		return atTheStation{l}, err
	}
	if m.bad[name] == nil {
		m.bad[name] = &disk.Trouble{}
	}
	n, err := OpenOn(Ground{Network: host, Listen: listen, Disk: m.bad[name].Faults()}, m.configs[name], m.log(name))
	if err != nil {
		m.t.Fatalf("start %s: %v", name, err)
	}
	m.nodes[name] = n
}

// atTheStation makes every visitor one who stands at the station: the demo county answers its own machine only.
type atTheStation struct{ net.Listener }

func (l atTheStation) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return local{c}, err
}

type local struct{ net.Conn }

func (local) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000} }

func (m *mesh) log(name string) *zap.Logger {
	return zaptest.NewLogger(m.t, zaptest.Level(zap.ErrorLevel)).Named(name)
}

func (m *mesh) stop(name string) {
	m.t.Helper()
	if err := m.nodes[name].Close(); err != nil {
		m.t.Errorf("stop %s: %v", name, err)
	}
	delete(m.nodes, name)
}

// end closes everything; the wait lets memberlist's and raft's last timers run out inside the bubble.
func (m *mesh) end() {
	for _, s := range m.screens {
		s.leave()
	}
	m.net.Heal()
	for _, name := range slices.Sorted(maps.Keys(m.nodes)) {
		m.stop(name)
	}
	time.Sleep(3 * time.Minute)
}

// eventually waits in virtual time until ok says yes.
func (m *mesh) eventually(within time.Duration, what string, ok func() bool) {
	m.t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// settled: every running station sees all running ones and the same leader.
func (m *mesh) settled() bool {
	for _, n := range m.nodes {
		alive := 0
		for _, member := range n.Mesh().Members {
			if member.Alive {
				alive++
			}
		}
		if alive != len(m.nodes) || n.Ready() != nil {
			return false
		}
	}
	return true
}

func (m *mesh) leader() string {
	m.t.Helper()
	for name, n := range m.nodes {
		if n.leads(n.identity.Cell) {
			return name
		}
	}
	m.t.Fatal("no leader")
	return ""
}

// heads are the chain heads of the running stations.
func (m *mesh) agreed() bool {
	var first string
	for _, n := range m.nodes {
		cell := n.Mesh().Cells[0]
		head := fmt.Sprint(cell.Index, cell.Chain, n.Fold(n.identity.Cell))
		if cell.Pending > 0 || first != "" && head != first {
			return false
		}
		first = head
	}
	return true
}

// recordedOnce checks that the incident stands exactly once in the record of every running station.
func (m *mesh) recordedOnce(id string) {
	m.t.Helper()
	for name, n := range m.nodes {
		count := 0
		n.county.Read(n.identity.Cell, func(s *alerts.State) {
			for _, e := range s.Entries() {
				if string(e.Event.Incident) == id && e.Event.Kind == alerts.KindRaised && e.Verdict.Accepted() {
					count++
				}
			}
		})
		if count != 1 {
			m.t.Errorf("%s: incident %s stands %d times in the record", name, id, count)
		}
	}
}

// call does one HTTP request at a station, from that station's own host.
func (m *mesh) call(at, method, path, token string, body any) (int, map[string]any) {
	m.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		m.t.Fatal(err)
	}
	host := m.net.Host(m.machine[at])
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, addr string) (net.Conn, error) { return host.Dial(ctx, addr) },
	}}
	req, err := http.NewRequestWithContext(m.t.Context(), method, "http://"+m.configs[at].HTTP+path, bytes.NewReader(b))
	if err != nil {
		m.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		m.t.Fatalf("%s %s at %s: %v", method, path, at, err)
	}
	defer resp.Body.Close()
	var out map[string]any
	text, _ := io.ReadAll(resp.Body)
	if len(text) > 0 {
		if err := json.Unmarshal(text, &out); err != nil {
			m.t.Fatalf("%s %s at %s: %v in %s", method, path, at, err, text)
		}
	}
	return resp.StatusCode, out
}

func (m *mesh) signIn(at string, who map[string]any) string {
	m.t.Helper()
	status, out := m.call(at, "POST", "/v1/session", "", who)
	token, _ := out["token"].(string)
	if status >= 300 || token == "" {
		m.t.Fatalf("sign in %v at %s: %d %v", who, at, status, out)
	}
	return token
}

// raise raises an alert from a station's kiosk; it must answer with 202 within the promised 500 ms.
func (m *mesh) raise(at string, alert map[string]any) (incident, event string, answer map[string]any) {
	m.t.Helper()
	token := m.signIn(at, map[string]any{"kiosk": true})
	begin := time.Now()
	status, out := m.call(at, "POST", "/v1/alerts", token, alert)
	if status != http.StatusAccepted {
		m.t.Fatalf("raise at %s: %d %v", at, status, out)
	}
	if took := time.Since(begin); took > 500*time.Millisecond {
		m.t.Errorf("raise at %s was answered after %v", at, took)
	}
	return out["incident"].(string), out["event"].(string), out
}

// known waits until a station shows the incident.
func (m *mesh) known(at, id string) {
	m.t.Helper()
	m.eventually(5*time.Second, at+" knows "+id, func() bool { _, ok := m.nodes[at].Incident(incidentID(id)); return ok })
}

// do does one deed as a person; it returns the status and the answer.
func (m *mesh) do(at, person, incident string, deed map[string]any) (int, map[string]any) {
	m.t.Helper()
	token := m.signIn(at, map[string]any{"person": person})
	return m.call(at, "POST", "/v1/incidents/"+incident+"/events", token, deed)
}

// screen is one device: what it heard it keeps over its connections, as a real one does.
type screen struct {
	m      *mesh
	person string
	device string
	at     string
	hello  map[string]any
	conn   *websocket.Conn

	mu      sync.Mutex
	alarms  map[string][]int // waves sounded for, by incident
	shown   map[string]map[string]any
	ended   map[string]int // stood_down frames, by incident
	frames  []map[string]any
	reading sync.WaitGroup
}

// opens a screen of a person at a station; where is [lon, lat] or nil for at home.
func (m *mesh) screen(person, at string, where []float64) *screen {
	m.t.Helper()
	s := &screen{
		m: m, person: person, device: "device-of-" + person,
		alarms: map[string][]int{}, shown: map[string]map[string]any{}, ended: map[string]int{},
		hello: map[string]any{"type": "hello"},
	}
	if where != nil {
		s.hello["position"] = map[string]any{"lon": where[0], "lat": where[1]}
	}
	m.screens = append(m.screens, s)
	s.connect(at)
	return s
}

func (s *screen) connect(at string) {
	s.m.t.Helper()
	s.at = at
	token := s.m.signIn(at, map[string]any{"person": s.person})
	host := s.m.net.Host(at)
	dialer := websocket.Dialer{
		Subprotocols:   []string{"hive.v1"},
		NetDialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return host.Dial(ctx, addr) },
	}
	conn, _, err := dialer.DialContext(s.m.t.Context(), "ws://"+s.m.configs[at].HTTP+"/v1/live", nil)
	if err != nil {
		s.m.t.Fatalf("open a screen at %s: %v", at, err)
	}
	s.mu.Lock()
	hello := map[string]any{"token": token, "device": s.device}
	for k, v := range s.hello {
		hello[k] = v
	}
	var heard []map[string]any
	for incident, waves := range s.alarms {
		for _, w := range waves {
			heard = append(heard, map[string]any{"incident": incident, "wave": w})
		}
	}
	hello["heard"] = heard
	s.mu.Unlock()
	if err := conn.WriteJSON(hello); err != nil {
		s.m.t.Fatal(err)
	}
	s.conn = conn
	s.reading.Add(1)
	go s.read(conn)
}

func (s *screen) read(conn *websocket.Conn) {
	defer s.reading.Done()
	for {
		var f map[string]any
		if err := conn.ReadJSON(&f); err != nil {
			return
		}
		s.mu.Lock()
		s.frames = append(s.frames, f)
		id, _ := f["incident"].(string)
		switch f["type"] {
		case "alarm":
			wave, _ := f["wave"].(float64)
			s.alarms[id] = append(s.alarms[id], int(wave))
		case "stood_down":
			s.ended[id]++
		case "incident":
			if shown, ok := f["incident"].(map[string]any); ok {
				s.shown[shown["id"].(string)] = shown
			}
		}
		s.mu.Unlock()
	}
}

func (s *screen) leave() {
	if s.conn != nil {
		s.conn.Close()
		s.reading.Wait()
		s.conn = nil
	}
}

// move takes the device to another station.
func (s *screen) move(to string) {
	s.leave()
	s.connect(to)
}

func (s *screen) heard(incident string) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int(nil), s.alarms[incident]...)
}

func (s *screen) provisional(incident string) (shown, provisional bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.shown[incident]
	p, _ := i["provisional"].(bool)
	return ok, p
}

// hears waits until the device has sounded for the incident.
func (s *screen) hears(incident string, within time.Duration) {
	s.m.t.Helper()
	s.m.eventually(within, s.person+" hears "+incident, func() bool { return len(s.heard(incident)) > 0 })
}

// once checks that the device sounded exactly once.
func (s *screen) once(incident string) {
	s.m.t.Helper()
	if heard := s.heard(incident); len(heard) != 1 {
		s.m.t.Errorf("%s's device sounded %d times for %s: waves %v", s.person, len(heard), incident, heard)
	}
}

// silent checks that the device did not sound.
func (s *screen) silent(incident string) {
	s.m.t.Helper()
	if heard := s.heard(incident); len(heard) != 0 {
		s.m.t.Errorf("%s's device sounded for %s: waves %v", s.person, incident, heard)
	}
}

// frame is the first frame of a type that the screen got, or nil.
func (s *screen) frame(kind string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.frames {
		if f["type"] == kind {
			return f
		}
	}
	return nil
}

func (s *screen) send(frame map[string]any) {
	s.m.t.Helper()
	if err := s.conn.WriteJSON(frame); err != nil {
		s.m.t.Fatal(err)
	}
}

func place(grid string) alerts.Place { return alerts.Place{Grid: grid} }

func incidentID(s string) alerts.IncidentID { return alerts.IncidentID(s) }
