package web

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"hivemesh/alerts"
)

const (
	subprotocol = "hive.v1"
	// helloWait is how long a socket may stay without a hello.
	helloWait = 5 * time.Second
	// maxHello is what a hello may weigh: a thousand heard waves at about 80 bytes, and room.
	maxHello = 128 << 10
	// maxFrame is what any later frame of a client may weigh.
	maxFrame = 4 << 10
	// maxHeard is how many heard waves a hello may list; more alarms than that are not open at once.
	maxHeard = 1000
	// maxHistory is how many matters one hello brings; older ones are asked for by GET /v1/incidents.
	maxHistory = 2000
	// readBuffer holds the header of a client's frame and all of a small one: 10,000 of them are idle.
	readBuffer = 256
	// writeBuffer is gorilla's, used for the handshake only and then given back to the pool.
	writeBuffer = 512
)

// helloFrame opens the conversation.
type HelloFrame struct {
	Type     string                   `json:"type" enum:"hello"`
	Token    string                   `json:"token,omitempty" maxLength:"2000" doc:"unless the upgrade brought a bearer token or cookie"`
	Device   string                   `json:"device" minLength:"1" maxLength:"64" doc:"a stable id of this device, the same at every station"`
	After    map[alerts.CellID]string `json:"after,omitempty" doc:"cursor of the last incident frame per cell"`
	Heard    []HeardWave              `json:"heard,omitempty" maxItems:"1000" doc:"what this device has sounded for and not yet dropped"`
	Position *PointForm               `json:"position,omitempty"`
	Duty     *bool                    `json:"duty,omitempty" doc:"on duty or willing to be called; true unless said otherwise"`
}

// HeardWave is one alarm that a device has sounded for.
type HeardWave struct {
	Incident alerts.IncidentID `json:"incident" maxLength:"64"`
	Wave     int               `json:"wave,omitempty" minimum:"0" maximum:"1000"`
	Support  *alerts.Hash      `json:"support,omitempty"`
}

// PointForm is a point from outside: both degrees must be there.
type PointForm struct {
	Lon *float64 `json:"lon" required:"true" minimum:"-180" maximum:"180"`
	Lat *float64 `json:"lat" required:"true" minimum:"-90" maximum:"90"`
}

func (f *PointForm) point() (*alerts.Point, error) {
	if f.Lon == nil || f.Lat == nil {
		return nil, errors.New("a place needs lon and lat")
	}
	p := alerts.Point{Lon: *f.Lon, Lat: *f.Lat}
	return &p, p.Check()
}

// live upgrades a request to a websocket and hands it to the hub.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	if !s.allowed(r) {
		s.metrics.bad("origin")
		problem(http.StatusForbidden, "foreign_origin", "this page is not served by a station of the county",
			"open the page at one of the county's stations").at("header.Origin").write(w)
		return
	}
	if asked := websocket.Subprotocols(r); len(asked) > 0 && !slices.Contains(asked, subprotocol) {
		p := problem(http.StatusBadRequest, "subprotocol", "none of the subprotocols offered is spoken here", "offer hive.v1").at("header.Sec-WebSocket-Protocol")
		p.Known = []string{subprotocol}
		p.write(w)
		return
	}
	up := websocket.Upgrader{
		ReadBufferSize: readBuffer, WriteBufferSize: writeBuffer, WriteBufferPool: handshakeBuffers,
		Subprotocols: []string{subprotocol}, HandshakeTimeout: helloWait,
		CheckOrigin: func(*http.Request) bool { return true }, // decided above
		Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
			s.metrics.bad("upgrade")
			problem(status, "upgrade", strings.TrimPrefix(reason.Error(), "websocket: "), "open a websocket here; /asyncapi.json describes it").write(w)
		},
	}
	token := s.bearer(r.Header.Get("Authorization"), r.Header.Get("Cookie"))
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	s.hub.open(ws, token)
}

// open starts the reader of a new socket. The request's goroutine, with its deep stack and its buffers,
// ends here.
func (h *hub) open(ws *websocket.Conn, token string) {
	s := &socket{hub: h, ws: ws, conn: ws.NetConn(), slot: -1}
	if c, ok := s.conn.(syscall.Conn); ok {
		s.raw, _ = c.SyscallConn()
	}
	s.lastRead.Store(time.Now().UnixMilli())
	ws.SetReadLimit(maxHello)
	ws.SetPingHandler(func(data string) error {
		s.lastRead.Store(time.Now().UnixMilli())
		s.push(item{f: &frame{op: opPong, lane: alerts.LaneDecision, kind: "pong", about: "pong", body: []byte(data)}})
		return nil
	})
	ws.SetPongHandler(func(string) error {
		s.lastRead.Store(time.Now().UnixMilli())
		return nil
	})
	ws.SetCloseHandler(func(int, string) error { return nil }) // the reader ends, and with it the socket
	h.mu.Lock()
	if h.closing {
		h.mu.Unlock()
		s.kill()
		return
	}
	full := len(h.socks)+len(h.fresh) >= maxSockets
	h.fresh[s] = struct{}{}
	h.wg.Add(1)
	h.mu.Unlock()
	if full {
		s.close(closeMany)
	}
	go s.read(token)
}

// read is the socket's reader: hello, then whatever comes, until the connection ends.
func (s *socket) read(token string) {
	defer s.hub.wg.Done()
	defer s.hub.detach(s)
	if !s.next(func(b []byte) bool {
		// A hello is handled on a stack of its own: this one stays small for as long as the socket lives.
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.greet(b, token)
		}()
		<-done
		return true
	}) {
		return
	}
	s.ws.SetReadLimit(maxFrame)
	for s.next(s.take) {
	}
}

// greet handles the first frame. After a bad one the reader stays to let the close frame be read.
func (s *socket) greet(b []byte, token string) {
	f, err := parseHello(b)
	if err != nil {
		s.complain("bad_hello", err.Error())
		s.close(closeHello)
		return
	}
	if f.Token != "" {
		token = f.Token
	}
	w, p := s.hub.sessions.identify(token, s.hub.sessions.now())
	if p != nil {
		s.complain(p.Code, p.Detail+": "+p.Do)
		s.close(closeEnded)
		return
	}
	if wait := s.hub.allowances.hello(w.key, time.Now()); wait > 0 {
		s.complain("too_many", fmt.Sprintf("this session says more than %.0f hellos a second; come again in %.0f s", helloPace.perSecond, math.Ceil(wait.Seconds())))
		s.close(closeMany)
		return
	}
	s.hub.welcome(s, w, f)
}

// parseHello reads and checks a hello; positions and cursors included.
func parseHello(b []byte) (*HelloFrame, error) {
	var f HelloFrame
	if err := decodeStrict(b, &f); err != nil {
		return nil, fmt.Errorf("the first frame must be a hello: %w", err)
	}
	switch {
	case f.Type != "hello":
		return nil, errors.New("the first frame must be a hello")
	case f.Device == "" || len(f.Device) > 64:
		return nil, errors.New("device is a stable id of 1 to 64 bytes")
	case len(f.Heard) > maxHeard:
		return nil, fmt.Errorf("heard lists more than %d", maxHeard)
	}
	for _, w := range f.Heard {
		if w.Incident == "" || len(w.Incident) > 64 || w.Wave < 0 || w.Wave > 1000 {
			return nil, errors.New("heard has an entry that is no incident and wave")
		}
	}
	for cell, cursor := range f.After {
		if _, err := parseCursor(cursor); err != nil {
			return nil, fmt.Errorf("after %q: %w", string(cell), err)
		}
	}
	if f.Position != nil {
		if _, err := f.Position.point(); err != nil {
			return nil, err
		}
	}
	return &f, nil
}

// welcome makes the socket one of the hub's and sends what its device missed: alarms and stand-downs at once,
// history when those who came with it have heard theirs. Nothing that happens meanwhile falls between.
func (h *hub) welcome(s *socket, w *who, f *HelloFrame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return
	}
	s.who, s.name, s.duty = w, f.Device, f.Duty == nil || *f.Duty
	s.home = h.homeOf(w)
	if f.Position != nil && !w.kiosk {
		s.at, _ = f.Position.point()
	}
	for _, heard := range f.Heard {
		var support *alerts.Support
		if heard.Support != nil {
			support = &alerts.Support{Event: *heard.Support}
		}
		s.hear(heard.Incident, heard.Wave, support)
	}
	h.attach(s)
	hello := WelcomeFrame{
		Type: "welcome", Station: h.station.Self().ID, Session: w.info(), Kiosk: w.kiosk,
		Cursors: map[alerts.CellID]string{}, Server: alerts.Stamp(time.Now()), Spread: spreadOf(len(h.socks)),
	}
	after, errs := h.resume(s, f.After, hello.Cursors)
	s.push(whole("welcome", hello))
	s.push(errs...)
	h.offer(s)
	h.settle(s)
	s.owed = &owed{after}
	h.owing = append(h.owing, s)
	h.remind()
	if s.at != nil {
		h.shareLocked(s)
	}
}

// owed is the history that a hello asked for and that has not been sent yet.
type owed struct{ after map[alerts.CellID]Cursor }

const (
	// payAtOnce is how many histories are sent before others get a turn: those who come at the same time hear
	// their alarms before anybody gets the past.
	payAtOnce = 8
	// A hello is half a millisecond's work; nobody waits longer for the first try than clients wait at most.
	spreadEach              = 500 * time.Microsecond
	leastSpread, mostSpread = 500 * time.Millisecond, 15 * time.Second
)

// spreadOf is over how many milliseconds so many clients are to come back.
func spreadOf(sockets int) int {
	return int(min(max(time.Duration(sockets)*spreadEach, leastSpread), mostSpread).Milliseconds())
}

func (h *hub) remind() {
	select {
	case h.paying <- struct{}{}:
	default:
	}
}

// pay sends some of the histories that are owed. What changes until then is in them: show leaves it out.
func (h *hub) pay() {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := min(len(h.owing), payAtOnce)
	for _, s := range h.owing[:n] {
		if s.slot >= 0 {
			after := s.owed.after
			s.owed = nil
			s.pushHistory(h.since(s, after))
		}
	}
	clear(h.owing[:n])
	if h.owing = h.owing[n:]; len(h.owing) > 0 {
		h.remind()
	} else {
		h.owing = nil
	}
}

// homeOf is the place of the station that a person counts at while no position is known.
func (h *hub) homeOf(w *who) *alerts.Point { return h.station.PlaceOf(w.home) }

// findHomes gives a place to those whose home station was not known here when they came, and what they
// should have heard meanwhile. Called with h.mu held.
func (h *hub) findHomes() {
	for _, s := range h.socks {
		if s.home != nil {
			continue
		}
		if s.home = h.homeOf(s.who); s.home != nil && s.at == nil {
			h.offer(s)
		}
	}
}

// settle sends stand-downs for heard incidents whose alarm has ended.
func (h *hub) settle(s *socket) {
	items := h.spread.items[:0]
	for _, id := range sortedKeys(s.heard.Waves) {
		if i, ok := h.station.Incident(id); ok && (i.Ended != nil || i.Status.Closed()) {
			items = h.standDown(s, i, items)
		}
	}
	h.pass(s, items)
}

// resume decides from where each cell's history goes on. Cells in which the client knows more than this
// station are remembered: it would only be shown the past again.
func (h *hub) resume(s *socket, given map[alerts.CellID]string, say map[alerts.CellID]string) (map[alerts.CellID]Cursor, []item) {
	after := map[alerts.CellID]Cursor{}
	var errs []item
	for _, cell := range h.station.Cells() {
		text, ok := given[cell]
		if !ok {
			continue
		}
		c, _ := parseCursor(text) // checked by parseHello
		here := h.station.Cursor(cell)
		switch {
		case here.Before(c.Furthest()):
			if s.behind == nil {
				s.behind = map[alerts.CellID]Cursor{}
			}
			s.behind[cell] = c
			errs = append(errs, whole("error", ErrorFrame{Type: "error", Code: "behind",
				Message: "this station's record of " + string(cell) + " is older than what you have; alarms come at once, history when it has caught up"}))
		case c.Epoch != here.Epoch:
			errs = append(errs, whole("error", ErrorFrame{Type: "error", Code: "cursor_reset",
				Message: "the record of " + string(cell) + " began anew; open matters follow"}))
			continue
		}
		after[cell] = c
		say[cell] = text
	}
	return after, errs
}

// history is the list of all incidents in the order of their last recorded change, kept while none changes.
type history struct {
	version uint64
	list    []*alerts.Incident
	heads   map[alerts.CellID]Cursor
}

// all returns the history as it is now. Called with h.mu held.
func (h *hub) all() *history {
	version := h.in.version.Load() + 1 // 0 is never made
	if h.history.version == version {
		return &h.history
	}
	now := history{version: version, heads: map[alerts.CellID]Cursor{}}
	for _, cell := range h.station.Cells() {
		now.heads[cell] = h.station.Cursor(cell) // before the list: claims too little rather than too much
	}
	now.list = slices.Clone(h.station.Incidents())
	slices.SortStableFunc(now.list, func(a, b *alerts.Incident) int {
		x, y := RecordedAt(a), RecordedAt(b)
		switch never := (Cursor{}); { // what is only pending comes last
		case x == y:
			return 0
		case x == never:
			return 1
		case y == never || x.Before(y):
			return -1
		}
		return 1
	})
	h.history = now
	return &h.history
}

// since is the history that a hello asks for: of a cell with a cursor what changed after it, of others
// what is open.
func (h *hub) since(s *socket, after map[alerts.CellID]Cursor) []item {
	all := h.all()
	var items []item
	for _, i := range all.list {
		if _, late := s.behind[i.Cell]; late {
			continue
		}
		at := RecordedAt(i)
		if c, ok := after[i.Cell]; ok {
			if !c.Before(at) && !i.Provisional() {
				continue
			}
		} else if i.Status.Closed() {
			continue
		}
		items = h.shown(s, i, at, all, items)
	}
	if cut := len(items) - maxHistory; cut > 0 {
		note := whole("error", ErrorFrame{Type: "error", Code: "history_cut", Message: "older matters are at GET /v1/incidents"})
		items = append([]item{note}, items[cut:]...)
	}
	return items
}

// past is what a client that knew more than this station still lacks, now that the station has caught up.
func (h *hub) past(s *socket, cell alerts.CellID, after Cursor) []item {
	all := h.all()
	var items []item
	for _, i := range all.list {
		if at := RecordedAt(i); i.Cell == cell && (after.Before(at) || i.Provisional()) {
			items = h.shown(s, i, at, all, items)
		}
	}
	return items
}

func (h *hub) shown(s *socket, i *alerts.Incident, at Cursor, all *history, items []item) []item {
	class := h.station.Rules().ClassOf(s.who.Subject, i)
	if class == "" || s.hidesSilent(i) {
		return items
	}
	f := h.incidentFrame(s.who, class, h.encodedOf(i))
	if f == nil {
		return items
	}
	// Not past what this station claims itself: others may still be to come.
	if head := all.heads[i.Cell]; at.Index == 0 || head.Before(at) {
		at = head.Having(at)
	}
	return append(items, item{f, cursorTail(at)})
}
