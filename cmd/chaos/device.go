//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"hivemesh/alerts"
	"hivemesh/node/sim/history"
	"hivemesh/node/web"
)

const (
	// rememberHeard is how many alarms a device names in its hello, the newest; the screens' own limit is as high.
	rememberHeard = 900
	pingEvery     = 2 * time.Second
	silence       = 5 * time.Second // without a frame: the device looks for another station
	reconnect     = 300 * time.Millisecond
	// noteMark begins every alert's note. It is for people who work the matter: nobody else's frame, and no
	// frame on the wire, may hold it.
	noteMark = "chaos-note:"
)

// device is a phone or a screen: it keeps a link to some station, sounds for alarms and says so.
type device struct {
	lab    *lab
	name   string
	person alerts.Person
	at     *alerts.Point // where it says it is; nil: it says nothing, and counts at home
	home   alerts.Point
	choice []int         // the stations it may be at
	stay   time.Duration // about how long it stays at one; 0: for ever
	works  bool          // sees matters in full
	rng    *rand.Rand
	form   map[string]any // how it signs in

	token string

	mu    sync.Mutex
	ws    *websocket.Conn
	where int
	since time.Time // connected; zero: not
	heard []web.HeardWave
	after map[alerts.CellID]string
}

// live keeps the device at one station after another until ctx ends.
func (d *device) live(ctx context.Context) {
	at := d.choice[d.rng.IntN(len(d.choice))]
	for ctx.Err() == nil {
		_ = d.connect(ctx, at) // the next station is the answer
		at = d.choice[d.rng.IntN(len(d.choice))]
		select {
		case <-ctx.Done():
		case <-time.After(reconnect):
		}
	}
}

// session signs the device in, wherever it is first; the token holds at every station.
func (d *device) session(ctx context.Context, s *station) (string, error) {
	d.mu.Lock()
	t := d.token
	d.mu.Unlock()
	if t != "" {
		return t, nil
	}
	t, err := s.signIn(ctx, d.form)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.token = t
	return t, err
}

func (d *device) connect(ctx context.Context, k int) error {
	s := d.lab.county.stations[k]
	token, err := d.session(ctx, s)
	if err != nil {
		return err
	}
	dialer := websocket.Dialer{
		Subprotocols: []string{"hive.v1"}, HandshakeTimeout: askWait,
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return s.ns.dial(ctx, network, addr)
		},
	}
	ws, res, err := dialer.DialContext(ctx, "ws://"+httpAddr+"/v1/live", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	stop := context.AfterFunc(ctx, func() { ws.Close() })
	defer stop()
	defer ws.Close()
	if err := d.open(ws, k, token); err != nil {
		return err
	}
	defer d.closed()
	done := make(chan struct{})
	defer close(done)
	go d.pings(done, ws)
	leave := time.Now().Add(24 * time.Hour)
	if d.stay > 0 {
		leave = time.Now().Add(d.stay/2 + time.Duration(d.rng.Int64N(int64(d.stay))))
	}
	for time.Now().Before(leave) {
		if err := ws.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		_, b, err := ws.ReadMessage()
		if err != nil {
			return err
		}
		if err := d.take(ctx, s, b); err != nil {
			return err
		}
	}
	return nil
}

// open says hello.
func (d *device) open(ws *websocket.Conn, k int, token string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	hello := web.HelloFrame{Type: "hello", Token: token, Device: d.name, After: d.after, Heard: slices.Clone(d.heard)}
	if d.at != nil {
		hello.Position = &web.PointForm{Lon: &d.at.Lon, Lat: &d.at.Lat}
	}
	if err := ws.WriteJSON(hello); err != nil {
		return err
	}
	d.ws, d.where = ws, k
	return nil
}

func (d *device) closed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ws, d.since = nil, time.Time{}
}

func (d *device) pings(done chan struct{}, ws *websocket.Conn) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			_ = d.send(web.PingFrame{Type: "ping"}) // a broken link ends the reader
		}
	}
}

func (d *device) send(frame any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ws == nil {
		return fmt.Errorf("%s is not connected", d.name)
	}
	_ = d.ws.SetWriteDeadline(time.Now().Add(askWait)) // of a connection that is there
	return d.ws.WriteJSON(frame)
}

// frame is all that a device reads of any frame.
type frame struct {
	Type      string          `json:"type"`
	Incident  json.RawMessage `json:"incident"`
	Category  string          `json:"category"`
	Place     shownPlace      `json:"place"`
	Wave      int             `json:"wave"`
	Support   alerts.Hash     `json:"support"`
	Continues bool            `json:"continues"`
	Cell      alerts.CellID   `json:"cell"`
	Cursor    string          `json:"cursor"`
	Event     alerts.Hash     `json:"event"`
	Code      alerts.Code     `json:"code"`
	By        alerts.PersonID `json:"by"`
	web.Kept
}

// take handles one frame.
func (d *device) take(ctx context.Context, s *station, b []byte) error {
	if !d.works && bytes.Contains(b, []byte(noteMark)) {
		d.lab.rec.leaked(fmt.Sprintf("%s (%v) was shown a note by %s", d.name, d.person.Roles, s.id))
	}
	var f frame
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("a frame of %s: %w", s.id, err)
	}
	d.eligible(s, f, b)
	switch f.Type {
	case "welcome":
		d.mu.Lock()
		d.since = time.Now()
		d.mu.Unlock()
	case "alarm":
		return d.alarm(ctx, s, f)
	case "incident":
		return d.shown(s, f)
	case "kept":
		d.lab.rec.kept(f.Event, f.Kept)
	case "refused":
		d.lab.rec.refused(web.RefusedFrame{Event: f.Event, Code: f.Code, By: f.By})
	}
	return nil
}

// alarm sounds, remembers that, and answers as a phone does.
func (d *device) alarm(ctx context.Context, s *station, f frame) error {
	var in alerts.IncidentID
	if err := json.Unmarshal(f.Incident, &in); err != nil {
		return err
	}
	d.lab.rec.sounded(history.Sound{
		Device: d.name, Incident: in, Wave: f.Wave, Support: f.Support, Continues: f.Continues, Station: s.id, At: time.Now(),
	})
	h := web.HeardWave{Incident: in, Wave: f.Wave}
	if f.Support != (alerts.Hash{}) {
		h.Support = &f.Support
	}
	d.mu.Lock()
	d.heard = append(d.heard, h)
	if over := len(d.heard) - rememberHeard; over > 0 {
		d.heard = slices.Clone(d.heard[over:])
	}
	d.mu.Unlock()
	for _, state := range []string{"reached", "opened"} {
		if err := d.send(web.ReceiptFrame{Type: "receipt", Incident: in, Wave: f.Wave, Support: h.Support, State: state}); err != nil {
			return err
		}
	}
	d.lab.answerAlarm(ctx, d, s, in, f.Category)
	return nil
}

// shown notes how far the record of a matter reached.
func (d *device) shown(s *station, f frame) error {
	d.mu.Lock()
	if d.after == nil {
		d.after = map[alerts.CellID]string{}
	}
	if f.Cursor != "" {
		d.after[f.Cell] = f.Cursor
	}
	d.mu.Unlock()
	if !d.works {
		return nil
	}
	var i shownIncident
	if err := json.Unmarshal(f.Incident, &i); err != nil {
		return fmt.Errorf("an incident of %s: %w", s.id, err)
	}
	r := history.Read{Device: d.name, Incident: i.ID, Station: s.id}
	for _, l := range i.Timeline {
		if l.Index > r.Index {
			r.Index = l.Index
		}
		if l.Index > 0 && l.Verdict == alerts.Accepted && alerts.FieldOf(l.Kind) == alerts.FieldOutcome {
			r.Closed = true
		}
	}
	d.lab.rec.read(r)
	return nil
}

// shownPlace is a place as clients read it, with metres of uncertainty.
type shownPlace struct{ Lon, Lat, Radius float64 }

// shownIncident is what clients read of a matter.
type shownIncident struct {
	ID          alerts.IncidentID
	Category    string
	Status      alerts.Status
	Place       shownPlace
	RaisedAt    alerts.Stamp `json:"raised_at"`
	Provisional bool
	Alarm       struct{ Open bool }
	Waves       []alerts.ShownWave
	Note        string
	Latest      map[alerts.Field]alerts.Hash
	Assigned    []alerts.ShownAssignment
	Answers     []alerts.ShownAnswer
	Timeline    []struct {
		Event   alerts.Hash
		Index   uint64
		Kind    alerts.Kind
		Verdict alerts.Code
		By      alerts.PersonID
		Station alerts.StationID
		Lost    struct{ Event alerts.Hash }
		Body    struct{ Words string }
	}
}

func policeOnly(category string) bool {
	return category == "security" || category == "panic" || category == "domestic_violence"
}

func isPolice(roles []alerts.Role) bool {
	for _, r := range roles {
		switch r {
		case alerts.AuxiliaryPolice, alerts.Officer, alerts.Dispatcher, alerts.TownshipCentre, alerts.CountyCentre:
			return true
		}
	}
	return false
}

// connectedSince is when the device was welcomed where it is; false: it is nowhere.
func (d *device) connectedSince() (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.since, !d.since.IsZero()
}
