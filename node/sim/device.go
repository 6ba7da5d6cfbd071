package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"hivemesh/alerts"
	"hivemesh/node/sim/history"
)

// device is one person's phone, or a station's kiosk. What it heard it keeps over all its connections, as a
// real one does; it connects again by itself.
type device struct {
	w      *world
	person alerts.Person // without an id: the kiosk of its home
	name   string
	kiosk  bool

	mu      sync.Mutex
	at      alerts.StationID
	point   *alerts.Point
	conn    *websocket.Conn
	gone    bool
	offTill time.Time // the phone has no link until then
	token   string
	heard   map[alerts.IncidentID][]int
	support map[string]alerts.IncidentID
	after   map[alerts.CellID]string
	shown   map[alerts.IncidentID]matter
	order   []alerts.IncidentID
	link    int // of h.Links while connected, else -1
	acts    int
}

// matter is what a screen shows of an incident to who works it.
type matter struct {
	ID      alerts.IncidentID             `json:"id"`
	Status  alerts.Status                 `json:"status"`
	Pending bool                          `json:"provisional"`
	Latest  map[alerts.Field]*alerts.Hash `json:"latest"`
	Lines   []struct {
		Index uint64 `json:"index"`
	} `json:"timeline"`
}

// frame is what a station sends, of all types.
type frame struct {
	Type      string          `json:"type"`
	Incident  json.RawMessage `json:"incident"`
	Wave      int             `json:"wave"`
	Support   string          `json:"support"`
	Continues bool            `json:"continues"`
	Cell      alerts.CellID   `json:"cell"`
	Cursor    string          `json:"cursor"`
	Event     alerts.Hash     `json:"event"`
	Code      string          `json:"code"`
	alerts.Receipts
	Kept
}

// told is what a frame says, read once: many devices get the same bytes.
type told struct {
	frame
	matter // of an incident's frame
	fields []string
	secret bool
}

func readFrame(raw []byte) (*told, error) {
	t := &told{secret: mentions(raw)}
	if err := json.Unmarshal(raw, &t.frame); err != nil {
		return nil, err
	}
	if t.Type != "incident" {
		json.Unmarshal(t.frame.Incident, &t.matter.ID)
		t.fields = history.Fields(raw, 1)
		return t, nil
	}
	t.fields = history.Fields(t.frame.Incident, 0)
	return t, json.Unmarshal(t.frame.Incident, &t.matter)
}

// frame reads what a station sent.
func (w *world) frame(raw []byte) (*told, error) {
	w.mu.Lock()
	t := w.frames[string(raw)]
	w.mu.Unlock()
	if t != nil {
		return t, nil
	}
	t, err := readFrame(raw)
	if err == nil {
		w.mu.Lock()
		w.frames[string(raw)] = t
		w.mu.Unlock()
	}
	return t, err
}

func newDevice(w *world, p alerts.Person, kiosk bool) *device {
	d := &device{
		w: w, person: p, kiosk: kiosk, at: p.Home, name: "device-of-" + string(p.ID), link: -1,
		heard: map[alerts.IncidentID][]int{}, support: map[string]alerts.IncidentID{},
		after: map[alerts.CellID]string{}, shown: map[alerts.IncidentID]matter{},
	}
	return d
}

// run keeps the device connected until it leaves.
func (d *device) run() {
	for d.here() {
		if err := d.connect(); err == nil {
			d.read()
		}
		// As the pages do: again soon, and not all devices in the same moment.
		pause := time.Second + time.Duration(d.chance("again", 1000))*time.Millisecond
		select {
		case <-time.After(max(pause, d.off())):
		case <-d.w.ending.Done():
		}
	}
}

// off is for how long the phone has no link.
func (d *device) off() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Until(d.offTill)
}

func (d *device) here() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.gone
}

func (d *device) station() alerts.StationID {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at
}

// chance is a number below n that the seed and the question decide, whatever the order of things.
func (d *device) chance(about string, n int) int {
	h := fnv.New64a()
	fmt.Fprint(h, d.w.plan.Seed, d.name, about)
	return int(h.Sum64() % uint64(n))
}

// who is the person's id as events bear it.
func (d *device) who() alerts.PersonID { return d.person.ID }

func (d *device) session(at alerts.StationID) (string, error) {
	d.mu.Lock()
	token := d.token
	d.mu.Unlock()
	if token != "" {
		return token, nil
	}
	person := d.person.ID
	if d.kiosk {
		person = ""
	}
	token, err := d.w.signIn(at, person)
	d.mu.Lock()
	d.token = token
	d.mu.Unlock()
	return token, err
}

// sessionEnded is the close code of a session that is over: the person signs in again.
const sessionEnded = 4001

func (d *device) signOut() {
	d.mu.Lock()
	d.token = ""
	d.mu.Unlock()
}

func (d *device) connect() error {
	d.mu.Lock()
	at := d.at
	d.mu.Unlock()
	token, err := d.session(at)
	if err != nil {
		return err
	}
	host := d.w.net.Host(string(at))
	dialer := websocket.Dialer{
		Subprotocols:   []string{"hive.v1"},
		NetDialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return host.Dial(ctx, addr) },
	}
	ctx, cancel := context.WithTimeout(d.w.ending, patience)
	defer cancel()
	conn, _, err := dialer.DialContext(ctx, "ws://"+host.Addr(httpPort)+"/v1/live", nil)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone || d.at != at {
		return conn.Close()
	}
	if err := conn.WriteJSON(d.hello(token)); err != nil {
		return err
	}
	d.conn = conn
	return nil
}

// hello says what the device heard and knows. Called with mu held.
func (d *device) hello(token string) map[string]any {
	hello := map[string]any{"type": "hello", "token": token, "device": d.name}
	heard := []map[string]any{}
	for in, waves := range d.heard {
		for _, wave := range waves {
			heard = append(heard, map[string]any{"incident": in, "wave": wave})
		}
	}
	for call, in := range d.support {
		heard = append(heard, map[string]any{"incident": in, "support": call})
	}
	hello["heard"] = heard
	if len(d.after) > 0 {
		after := map[alerts.CellID]string{}
		for c, cursor := range d.after {
			after[c] = cursor
		}
		hello["after"] = after
	}
	if d.point != nil {
		hello["position"] = map[string]any{"lon": d.point.Lon, "lat": d.point.Lat}
	}
	return hello
}

func (d *device) read() {
	d.mu.Lock()
	conn, at := d.conn, d.at
	d.mu.Unlock()
	if conn == nil {
		return
	}
	for {
		_, raw, err := conn.ReadMessage()
		if websocket.IsCloseError(err, sessionEnded) {
			d.signOut()
		}
		if err != nil {
			break
		}
		d.take(at, raw)
	}
	conn.Close()
	d.mu.Lock()
	d.conn = nil
	link := d.link
	d.link = -1
	d.mu.Unlock()
	if link >= 0 {
		d.w.h.mu.Lock()
		d.w.h.Links[link].To = time.Now()
		d.w.h.mu.Unlock()
	}
}

// take keeps what a frame says, and lets the person react.
func (d *device) take(at alerts.StationID, raw []byte) {
	f, err := d.w.frame(raw)
	if err != nil {
		d.w.broken("frame to %s: %v", d.name, err)
		return
	}
	p := Push{
		At: time.Now(), Device: d.name, Person: d.who(), Station: at, Type: f.Type, Wave: f.Wave, Support: f.Support,
		Again: f.Continues, Cell: f.Cell, Cursor: f.Cursor, Event: f.Event, Kept: f.Kept, Counts: f.Receipts, Code: f.Code,
		Secret: f.secret, Incident: f.matter.ID, Fields: f.fields,
	}
	d.mu.Lock()
	switch f.Type {
	case "welcome":
		d.linked(at)
	case "incident":
		d.learn(&p, f)
	}
	if f.Type == "alarm" && f.Support != "" {
		d.support[f.Support] = p.Incident
	} else if f.Type == "alarm" {
		d.heard[p.Incident] = append(d.heard[p.Incident], f.Wave)
	}
	d.mu.Unlock()
	d.w.h.push(p)
	if f.Type == "alarm" {
		d.w.crowd.Go(func() { d.react(p) })
	}
	if f.Type == "stood_down" {
		d.send(map[string]any{"type": "receipt", "incident": p.Incident, "wave": max(1, f.Wave), "state": "released"})
	}
}

// learn keeps an incident frame. Called with mu held.
func (d *device) learn(p *Push, f *told) {
	m := f.matter
	if _, known := d.shown[m.ID]; !known {
		d.order = append(d.order, m.ID)
	}
	d.shown[m.ID] = m
	if f.Cursor != "" {
		d.after[f.Cell] = f.Cursor
	}
	p.Status, p.Pending = m.Status, m.Pending
	for _, l := range m.Lines {
		if l.Index > 0 {
			p.Lines = append(p.Lines, l.Index)
		}
	}
}

func (d *device) linked(at alerts.StationID) {
	h := d.w.h
	h.mu.Lock()
	defer h.mu.Unlock()
	d.link = len(h.Links)
	h.Links = append(h.Links, Link{Device: d.name, Person: d.who(), Station: at, From: time.Now()})
}

func (d *device) send(v map[string]any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != nil {
		d.conn.WriteJSON(v) // a broken link shows when reading
	}
}

// move takes the device to another station; on the way the phone has no link.
func (d *device) move(to alerts.StationID, way time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at, d.offTill = to, time.Now().Add(way)
	if d.conn != nil {
		d.conn.Close()
	}
}

// walk takes the person to another place; its station stays.
func (d *device) walk(to alerts.Point) {
	d.mu.Lock()
	d.point = &to
	d.w.h.mu.Lock()
	d.w.h.Walks = append(d.w.h.Walks, Walk{d.who(), time.Now(), to})
	d.w.h.mu.Unlock()
	d.mu.Unlock()
	d.send(map[string]any{"type": "position", "place": map[string]any{"lon": to.Lon, "lat": to.Lat}})
}

func (d *device) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gone = true
	if d.conn != nil {
		d.conn.Close()
	}
}
