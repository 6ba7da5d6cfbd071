package web

import (
	"encoding/binary"
	"encoding/json"
	"strconv"
	"strings"

	"hivemesh/alerts"
)

// Opcodes of RFC 6455 that the hub writes itself.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

// frame is one ready-made message, shared by all sockets that are to get it. Where a few bytes differ from
// socket to socket (a distance, a cursor), body lacks its end and each item brings its own.
type frame struct {
	op    byte
	lane  alerts.Lane
	kind  string // the frame's type
	about string // a later frame about the same replaces this one; empty: each counts
	body  []byte
}

// item is one place in a socket's queue.
type item struct {
	f    *frame
	tail string
}

func (it item) size() int { return len(it.f.body) + len(it.tail) }

// appendTo writes the item as one unmasked frame.
func (it item) appendTo(dst []byte) []byte {
	n := it.size()
	switch {
	case n < 126:
		dst = append(dst, 0x80|it.f.op, byte(n))
	case n < 1<<16:
		dst = append(dst, 0x80|it.f.op, 126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	default:
		dst = append(dst, 0x80|it.f.op, 127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return append(append(dst, it.f.body...), it.tail...)
}

// WelcomeFrame answers hello.
type WelcomeFrame struct {
	Type    string                   `json:"type" enum:"welcome"`
	Station alerts.StationID         `json:"station"`
	Session PersonInfo               `json:"session" doc:"whose session this is"`
	Kiosk   bool                     `json:"kiosk"`
	Cursors map[alerts.CellID]string `json:"cursors" doc:"where the incident frames that follow take up, per cell; a cell that is missing starts anew"`
	Server  alerts.Stamp             `json:"server_time"`
	Spread  int                      `json:"spread_ms" doc:"when this connection is lost, wait a random time of up to so many milliseconds before the first try: after a power cut everybody comes at once"`
}

// AlarmFrame says: sound, now. A device gets it once for one wave of one incident.
type AlarmFrame struct {
	Type        string            `json:"type" enum:"alarm"`
	Incident    alerts.IncidentID `json:"incident"`
	Wave        int               `json:"wave" doc:"0 for a call for support"`
	Support     *alerts.Hash      `json:"support,omitempty" doc:"the call for support; it sounds above every alarm"`
	Card        alerts.Card       `json:"card"`
	Category    string            `json:"category"`
	Grade       alerts.Grade      `json:"grade"`
	Place       alerts.Place      `json:"place"`
	Provisional bool              `json:"provisional" doc:"not on the record yet; an incident frame says when it is"`
	Continues   bool              `json:"continues,omitempty" doc:"search continues: sounds again for those who heard an earlier wave"`
	Drill       bool              `json:"drill"`
	Distance    *float64          `json:"distance,omitempty" doc:"metres from where you are known to be"`
	Bearing     *float64          `json:"bearing,omitempty" doc:"degrees clockwise from north"`
}

// IncidentFrame is a matter as this person may see it, whole: it replaces what was known before.
type IncidentFrame struct {
	Type     string        `json:"type" enum:"incident"`
	Cell     alerts.CellID `json:"cell"`
	Incident alerts.Shown  `json:"incident"`
	Cursor   string        `json:"cursor,omitempty" doc:"keep it, and give it as after in the next hello, at any station; absent where the station does not follow the cell"`
}

// KeptFrame says how an event that you made is kept now.
type KeptFrame struct {
	Type     string            `json:"type" enum:"kept"`
	Event    alerts.Hash       `json:"event"`
	Incident alerts.IncidentID `json:"incident,omitempty"`
	Kept
}

// ReceiptsFrame counts devices over all stations for one wave, each state including the ones after it.
type ReceiptsFrame struct {
	Type     string            `json:"type" enum:"receipts"`
	Incident alerts.IncidentID `json:"incident"`
	WaveReceipts
}

// RefusedFrame says that an event does not count, why, and whose came first.
type RefusedFrame struct {
	Type     string            `json:"type" enum:"refused"`
	Event    alerts.Hash       `json:"event"`
	Incident alerts.IncidentID `json:"incident"`
	Code     alerts.Code       `json:"code"`
	Reason   string            `json:"reason"`
	Missing  []string          `json:"missing,omitempty" doc:"lacking: what the category asks for before this, each as what: which"`
	By       alerts.PersonID   `json:"by,omitempty" doc:"who made the one it lost to"`
	At       *alerts.Stamp     `json:"at,omitempty"`
	Lost     *alerts.Hash      `json:"lost,omitempty" doc:"the event it lost to"`
}

// StoodDownFrame ends the sounding for an incident that this device heard.
type StoodDownFrame struct {
	Type        string            `json:"type" enum:"stood_down"`
	Incident    alerts.IncidentID `json:"incident"`
	Kind        alerts.Kind       `json:"kind" doc:"what ended it: stood_down, resolved, cancelled or registered (void)"`
	Provisional bool              `json:"provisional"`
}

// PositionsFrame brings the positions that changed, at most once a second, to dispatch roles.
type PositionsFrame struct {
	Type      string         `json:"type" enum:"positions"`
	Positions []PositionView `json:"positions"`
}

// PositionView is where a person is.
type PositionView struct {
	Person alerts.PersonID `json:"person"`
	Place  *alerts.Point   `json:"place,omitempty"`
	At     alerts.Stamp    `json:"at"`
	Step   alerts.Kind     `json:"step,omitempty" enum:"accepted,declined,en_route,on_scene,released" doc:"the latest answer to the open matter the person works on"`
	Gone   bool            `json:"gone,omitempty" doc:"no longer shared"`
}

// StationsFrame says that the list of stations changed.
type StationsFrame struct {
	Type     string        `json:"type" enum:"stations"`
	Stations []StationView `json:"stations"`
}

// ErrorFrame says what is wrong with a frame, or with how much of the history can be shown.
type ErrorFrame struct {
	Type    string `json:"type" enum:"error"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// PongFrame answers a ping frame. Scripts in browsers cannot see the protocol's own pings.
type PongFrame struct {
	Type   string       `json:"type" enum:"pong"`
	Server alerts.Stamp `json:"server_time"`
}

// laneOf is the lane of frames. Those that say a matter's state share one: their cursors must not overtake
// each other. What opens a conversation stands before the alarms that follow it.
func laneOf(kind string) alerts.Lane {
	switch kind {
	case "welcome", "alarm", "stood_down":
		return alerts.LaneAlarm
	case "positions":
		return alerts.LanePosition
	case "receipts", "stations":
		return alerts.LaneStatistic
	}
	return alerts.LaneDecision
}

// whole encodes a frame that is the same for everybody who gets it.
func whole(kind string, v any) item {
	return item{f: &frame{op: opText, lane: laneOf(kind), kind: kind, body: encode(v)}}
}

// cut encodes a frame without its closing brace; every item brings the rest.
func cut(kind string, v any) *frame {
	b := encode(v)
	return &frame{op: opText, lane: laneOf(kind), kind: kind, body: b[:len(b)-1]}
}

// encode writes v as JSON. The frame types hold nothing that JSON cannot say but coordinates that are not
// finite, and those are refused where events and positions enter.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		b, _ = json.Marshal(ErrorFrame{Type: "error", Code: "internal", Message: "a frame could not be written"})
	}
	return b
}

// alarmTail is the end of an alarm frame for somebody at p (nil: not known where).
func alarmTail(p *alerts.Point, to *alerts.Point) string {
	if p == nil || to == nil {
		return "}"
	}
	var b [64]byte
	out := append(b[:0], `,"distance":`...)
	out = strconv.AppendInt(out, int64(p.Distance(*to)+0.5), 10)
	out = append(out, `,"bearing":`...)
	out = strconv.AppendInt(out, int64(p.Bearing(*to)+0.5)%360, 10)
	return string(append(out, '}'))
}

// cursorTail is the end of an incident frame. A cursor has only digits, letters and a dot.
func cursorTail(c Cursor) string {
	if c == (Cursor{}) { // of a cell that this station does not follow
		return "}"
	}
	var b strings.Builder
	b.WriteString(`,"cursor":"`)
	b.WriteString(c.String())
	b.WriteString(`"}`)
	return b.String()
}

// closeItem is a close frame with a code and its reason.
func closeItem(c closeCode) item {
	body := binary.BigEndian.AppendUint16(nil, uint16(c.code))
	return item{f: &frame{op: opClose, lane: alerts.Lanes, kind: "close", body: append(body, c.reason...)}}
}

// closeCode names why the hub closes a socket.
type closeCode struct {
	code   int
	reason string
}

// closeCodes are all there are; the docs page lists them.
func closeCodes() []closeCode {
	return []closeCode{closeSlow, closeEnded, closeHello, closeMany, closeDown}
}

// The close codes. After every one but closeEnded and closeHello a client connects again, with back-off.
var (
	closeSlow  = closeCode{4000, "slow, resume"}
	closeEnded = closeCode{4001, "session ended"}
	closeHello = closeCode{4002, "bad hello"}
	closeMany  = closeCode{4003, "too many"}
	closeDown  = closeCode{4004, "going down, reconnect"}
)
