package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"hivemesh/alerts"
)

// maxMistakes is how many bad frames a client may send before it is told to go.
const maxMistakes = 20

// PositionFrame says where the person is.
type PositionFrame struct {
	Type  string    `json:"type" enum:"position"`
	Place PointForm `json:"place"`
}

// DutyFrame says whether the person is on duty or willing.
type DutyFrame struct {
	Type string `json:"type" enum:"duty"`
	Duty *bool  `json:"duty" required:"true"`
}

// ReceiptFrame says what became of an alarm on this device.
type ReceiptFrame struct {
	Type     string            `json:"type" enum:"receipt"`
	Incident alerts.IncidentID `json:"incident" maxLength:"64"`
	Wave     int               `json:"wave,omitempty" minimum:"0" maximum:"1000" doc:"0 or absent with support"`
	Support  *alerts.Hash      `json:"support,omitempty"`
	State    string            `json:"state" enum:"reached,opened,released" doc:"released: the device stopped sounding after stood_down"`
}

// PingFrame asks for a pong.
type PingFrame struct {
	Type string `json:"type" enum:"ping"`
}

// handshakeBuffers lends gorilla a write buffer for the handshake; the hub writes its own frames.
var handshakeBuffers websocket.BufferPool = &sync.Pool{}

// take handles a frame after hello; false ends the socket.
func (s *socket) take(b []byte) bool {
	if s.ended() {
		return true // only to see the peer close
	}
	if s.frames.take(framePace, time.Now()) > 0 {
		s.complain("too_many", fmt.Sprintf("more than %.0f frames a second; come again", framePace.perSecond))
		s.close(closeMany)
		return true
	}
	if code, err := s.handle(b); err != nil {
		s.complain(code, err.Error())
		if s.mistakes++; s.mistakes > maxMistakes {
			s.close(closeHello)
		}
	}
	return true
}

// handle does what a frame says; the error is for the client.
func (s *socket) handle(b []byte) (code string, err error) {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return "malformed", errors.New("a frame is one JSON object with a type")
	}
	switch head.Type {
	case "position":
		var f PositionFrame
		if err := decodeStrict(b, &f); err != nil {
			return "malformed", err
		}
		p, err := f.Place.point()
		if err != nil {
			return "out_of_range", err
		}
		return s.hub.moved(s, p)
	case "duty":
		var f DutyFrame
		if err := decodeStrict(b, &f); err != nil {
			return "malformed", err
		}
		if f.Duty == nil {
			return "malformed", errors.New("duty is true or false")
		}
		s.hub.turned(s, *f.Duty)
	case "receipt":
		var f ReceiptFrame
		if err := decodeStrict(b, &f); err != nil {
			return "malformed", err
		}
		return s.hub.receipt(s, f)
	case "ping":
		if s.pings.take(pingPace, time.Now()) > 0 {
			return "too_many", fmt.Errorf("more than %.0f pings a second; one in ten seconds is enough", pingPace.perSecond)
		}
		s.push(whole("pong", PongFrame{Type: "pong", Server: alerts.Stamp(time.Now())}))
	case "hello":
		return "again", errors.New("hello was said; open a new socket for another session")
	default:
		return "unknown_type", errors.New("no such frame; known are position, duty, receipt and ping")
	}
	return "", nil
}

// ended reports whether the socket was told to go.
func (s *socket) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}
