package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"hivemesh/alerts"
	"hivemesh/node/web"
)

// device is one person's phone, or a kiosk's screen, on a station's live link.
type device struct {
	id, name, station string // station: where it is connected
	url, token        string

	mu      sync.Mutex
	ws      *websocket.Conn // nil while not connected
	welcome bool            // has been
	heard   []sounded
	over    map[alerts.IncidentID]time.Time // stood down
}

// sounded is one alarm that the device got.
type sounded struct {
	incident    alerts.IncidentID
	wave        int
	support     *alerts.Hash
	provisional bool
	at          time.Time
}

const (
	reconnectAfter = 300 * time.Millisecond
	liveSpeak      = "hive.v1"
)

// live keeps the device connected until ctx ends. A link that breaks is opened again and says what was
// heard, as every client does.
func (d *device) live(ctx context.Context) {
	for ctx.Err() == nil {
		_ = d.connect(ctx) // the next attempt is the answer
		select {
		case <-ctx.Done():
		case <-time.After(reconnectAfter):
		}
	}
}

func (d *device) connect(ctx context.Context) error {
	dialer := websocket.Dialer{Subprotocols: []string{liveSpeak}, HandshakeTimeout: reachWait}
	ws, res, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(d.url, "http")+"/v1/live", http.Header{})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	stop := context.AfterFunc(ctx, func() { ws.Close() })
	defer stop()
	defer ws.Close()
	if err := ws.WriteJSON(d.hello()); err != nil {
		return err
	}
	d.mu.Lock()
	d.ws = ws
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.ws = nil
		d.mu.Unlock()
	}()
	for {
		_, b, err := ws.ReadMessage()
		if err != nil {
			return err
		}
		if err := d.take(b, time.Now()); err != nil {
			return err
		}
	}
}

func (d *device) hello() web.HelloFrame {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := web.HelloFrame{Type: "hello", Token: d.token, Device: "replay-" + d.id}
	for _, s := range d.heard {
		h.Heard = append(h.Heard, web.HeardWave{Incident: s.incident, Wave: s.wave, Support: s.support})
	}
	return h
}

// take notes a frame and answers an alarm as a phone does: reached, and opened.
func (d *device) take(b []byte, now time.Time) error {
	var f struct {
		Type        string          `json:"type"`
		Incident    json.RawMessage `json:"incident"`
		Wave        int             `json:"wave"`
		Support     *alerts.Hash    `json:"support"`
		Provisional bool            `json:"provisional"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("a frame of %s: %w", d.station, err)
	}
	var in alerts.IncidentID
	if f.Type == "alarm" || f.Type == "stood_down" {
		if err := json.Unmarshal(f.Incident, &in); err != nil {
			return fmt.Errorf("a frame of %s: %w", d.station, err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch f.Type {
	case "welcome":
		d.welcome = true
	case "alarm":
		d.heard = append(d.heard, sounded{in, f.Wave, f.Support, f.Provisional, now})
		for _, state := range []string{"reached", "opened"} {
			if err := d.send(web.ReceiptFrame{Type: "receipt", Incident: in, Wave: f.Wave, Support: f.Support, State: state}); err != nil {
				return err
			}
		}
	case "stood_down":
		d.over[in] = now
	}
	return nil
}

// send writes one frame; d.mu is held, so that there is one writer.
func (d *device) send(frame any) error {
	if d.ws == nil {
		return fmt.Errorf("%s is not connected to %s", d.id, d.station)
	}
	return d.ws.WriteJSON(frame)
}

func (d *device) moveTo(p alerts.Point) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.send(web.PositionFrame{Type: "position", Place: web.PointForm{Lon: &p.Lon, Lat: &p.Lat}})
}

func (d *device) ready() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.welcome
}

// alarm finds the first alarm for the matter, or for the call for support.
func (d *device) alarm(in alerts.IncidentID, support *alerts.Hash) (sounded, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.heard {
		if s.incident == in && (support == nil && s.support == nil || support != nil && s.support != nil && *s.support == *support) {
			return s, true
		}
	}
	return sounded{}, false
}

func (d *device) stoodDown(in alerts.IncidentID) (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, ok := d.over[in]
	return t, ok
}
