package web

import (
	"math"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
)

const (
	// heartbeat is how often each socket is pinged, deadAfter how long a silent one may live (UX.md).
	heartbeat = 10 * time.Second
	deadAfter = 25 * time.Second
	// tick paces pings, positions (1 Hz) and what is checked of every socket.
	tick = time.Second
	// stuckAfter is how long one write may hang before the socket is given up.
	stuckAfter = 10 * time.Second
	// tallyEvery gathers receipts of many devices into one report.
	tallyEvery = 100 * time.Millisecond
	// tidyAfter is how many sockets have to come before what their handshakes left behind is given back to the
	// system, once for a beat none came: about as much as they themselves hold.
	tidyAfter = 500
	// maxSockets bounds the sockets of one station (10,000 are the aim).
	maxSockets = 20_000

	// farAway is the distance of somebody whose place is not known.
	farAway = math.MaxFloat64
)

// hub holds the websockets of a station. One goroutine (run) carries changes to sockets; the sockets'
// readers and the HTTP handlers call in under mu, which is the one owner of everything but the queues.
type hub struct {
	station    Station
	sessions   *sessions
	allowances *allowances // what each session has used of what it may
	log        *zap.Logger
	metrics    *metrics
	in         *inbox
	done       chan struct{}
	counted    chan struct{} // some tally has news
	paying     chan struct{} // some history is owed
	writers    *writers
	pen        *pen           // the hub's own, under mu
	wg         sync.WaitGroup // run, and the readers of sockets

	mu       sync.Mutex
	closing  bool
	fresh    map[*socket]struct{} // connected, no hello yet
	socks    []*socket
	devices  map[deviceKey]*device
	people   map[alerts.PersonID][]*socket
	lookers  int // sockets that see positions
	looking  bool
	lastPos  map[alerts.PersonID]positionKey
	alarming map[alerts.IncidentID]*alerts.Incident // latest views of incidents that may sound
	frames   map[alerts.IncidentID]*encoded
	history  history
	tallies  map[waveKey]*tally
	owners   owners
	waiters  map[alerts.Hash][]chan outcome
	spread   spread
	owing    []*socket // whose history is owed, in the order of their hellos
	beats    int
	came     int // sockets since the last tidying
	cameThen int // at the last beat
}

// deviceKey is one person on one device: two people who share a device are each called.
type deviceKey struct {
	person alerts.PersonID
	device string
}

// device is what the hub knows of one person on one device: what becomes of alarms is counted by it.
type device struct {
	socks []*socket // oldest first
	seen  bool      // by the sweep of forget
}

func newHub(st Station, ss *sessions, used *allowances, log *zap.Logger) *hub {
	return &hub{
		station: st, sessions: ss, allowances: used, log: log.Named("hub"), in: newInbox(), done: make(chan struct{}), counted: make(chan struct{}, 1), paying: make(chan struct{}, 1),
		writers: newWriters(), pen: newPen(), spread: spread{frames: map[string]int{}},
		fresh: map[*socket]struct{}{}, devices: map[deviceKey]*device{}, people: map[alerts.PersonID][]*socket{},
		alarming: map[alerts.IncidentID]*alerts.Incident{}, frames: map[alerts.IncidentID]*encoded{},
		tallies: map[waveKey]*tally{}, owners: newOwners(), waiters: map[alerts.Hash][]chan outcome{},
	}
}

// start watches the station first and looks second, so that nothing falls between.
func (h *hub) start(m *metrics) {
	h.metrics = m
	stop := h.station.Watch(h.in.put)
	h.mu.Lock()
	for _, i := range h.station.Incidents() {
		h.follow(i)
	}
	h.mu.Unlock()
	h.wg.Add(1)
	go h.run(stop)
}

// follow keeps the latest view of what may sound. Called with h.mu held.
func (h *hub) follow(i *alerts.Incident) {
	if i.Status.Closed() {
		delete(h.alarming, i.ID)
		return
	}
	h.alarming[i.ID] = i
}

// run is the hub's own goroutine.
func (h *hub) run(stop func()) {
	defer h.wg.Done()
	defer stop()
	beat := time.NewTicker(tick)
	defer beat.Stop()
	var due <-chan time.Time // when receipts that came in are reported; nil: none did
	for {
		select {
		case <-h.done:
			return
		case <-h.in.wake:
			h.carry()
		case <-h.paying:
			h.pay()
		case <-h.counted:
			if due == nil {
				due = time.After(tallyEvery)
			}
		case <-due:
			due = nil
			h.report()
		case now := <-beat.C:
			h.pulse(now)
		}
	}
}

// carry takes one batch of changes to the sockets.
func (h *hub) carry() {
	incidents, early, rest, more := h.in.take()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(incidents) > 0 {
		h.fan(incidents, early)
	}
	for _, c := range rest {
		h.tell(c)
	}
	if more {
		h.in.signal()
	}
}

// tell handles the changes that are not an incident's. Called with h.mu held.
func (h *hub) tell(c Change) {
	switch {
	case c.Refused != nil:
		h.refused(c.Refused)
	case !c.Event.IsZero():
		h.kept(c.Event, c.Kept)
	case c.Counted != "":
		h.receipts(c.Counted, c.Wave, c.Counts)
	case c.Stations:
		h.findHomes()
		f := StationsFrame{Type: "stations"}
		for _, i := range h.station.Stations() {
			f.Stations = append(f.Stations, viewOf(i))
		}
		it := whole("stations", f)
		it.f.about = "stations"
		for _, s := range h.socks {
			s.push(it)
		}
	}
}

// pulse is the once-a-second round over all sockets: pings, the dead, the stuck, sessions that ended,
// roles that changed.
func (h *hub) pulse(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beats++
	turn := uint8(h.beats % int(heartbeat/tick))
	dead := now.Add(-deadAfter).UnixMilli()
	date := h.sessions.now()
	stuck := now.Add(-stuckAfter).UnixMilli()
	self := h.station.Self()
	for s := range h.fresh {
		if s.lastRead.Load() < now.Add(-helloWait).UnixMilli() {
			s.close(closeHello)
		}
	}
	for _, s := range h.socks {
		since := s.stuckFrom.Load()
		switch {
		case s.lastRead.Load() < dead:
			h.metrics.dead()
			s.kill()
		case since != 0 && since < stuck:
			h.metrics.closed(closeSlow)
			s.kill()
		case !date.Before(s.who.expires):
			s.close(closeEnded)
		default:
			h.renew(s, self)
			h.catchUp(s)
			if s.beat == turn {
				s.push(pingItem)
			}
		}
	}
	h.positions()
	h.forget(now)
	h.tidy()
}

// tidy gives back what many handshakes left behind, when no more come: a village box has little memory, and
// an idle heap would keep it for long. Called with h.mu held, once a second.
func (h *hub) tidy() {
	if calm := h.came == h.cameThen; calm && h.came >= tidyAfter && !h.closing {
		h.came = 0
		h.wg.Go(debug.FreeOSMemory)
	}
	h.cameThen = h.came
}

// pingItem is the protocol's own ping: every client answers it, also one that runs no script.
var pingItem = item{f: &frame{op: opPing, lane: alerts.LaneDecision, kind: "ping", about: "ping"}}

// renew reads a session's roles from the directory as it is now. Called with h.mu held.
func (h *hub) renew(s *socket, self StationInfo) {
	fresh := *s.who
	if !h.sessions.refresh(&fresh, self) {
		s.close(closeEnded)
		return
	}
	if sameRoles(fresh.Roles, s.who.Roles) && fresh.Kind == s.who.Kind {
		return
	}
	s.who = &fresh
	h.look(s)
	h.offer(s)
}

func sameRoles(a, b []alerts.Role) bool {
	if len(a) != len(b) {
		return false
	}
	for n := range a {
		if a[n] != b[n] {
			return false
		}
	}
	return true
}

// attach makes a socket that said hello one of the hub's. Called with h.mu held.
func (h *hub) attach(s *socket) {
	delete(h.fresh, s)
	h.came++
	s.slot = len(h.socks)
	s.beat = uint8(s.slot % int(heartbeat/tick))
	h.socks = append(h.socks, s)
	key := deviceKey{s.who.Person, s.name}
	if h.devices[key] == nil {
		h.devices[key] = &device{}
	}
	s.device = h.devices[key]
	s.device.socks = append(s.device.socks, s)
	h.people[s.who.Person] = append(h.people[s.who.Person], s)
	h.look(s)
}

// detach takes a socket out; what its device has not acknowledged is offered to its other sockets.
func (h *hub) detach(s *socket) {
	s.silence()
	s.kill()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.fresh, s)
	if s.slot < 0 {
		return
	}
	last := h.socks[len(h.socks)-1]
	h.socks[s.slot], last.slot = last, s.slot
	h.socks[len(h.socks)-1] = nil
	h.socks = h.socks[:len(h.socks)-1]
	s.slot = -1
	if s.sees {
		s.sees = false
		h.lookers--
		h.watched()
	}
	s.device.socks = without(s.device.socks, s)
	if rest := without(h.people[s.who.Person], s); len(rest) > 0 {
		h.people[s.who.Person] = rest
	} else {
		delete(h.people, s.who.Person)
	}
	if rest := s.device.socks; len(rest) > 0 {
		h.offer(rest[len(rest)-1])
	}
}

// without is list without s; lists that others may be reading are never changed.
func without(list []*socket, s *socket) []*socket {
	var rest []*socket
	for _, other := range list {
		if other != s {
			rest = append(rest, other)
		}
	}
	return rest
}

// signedOut ends the sockets of a session.
func (h *hub) signedOut(key tokenKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.socks {
		if s.who.key == key {
			s.close(closeEnded)
		}
	}
}

// close says goodbye to every socket and waits for every goroutine.
func (h *hub) close() {
	h.mu.Lock()
	first := !h.closing
	h.closing = true
	everybody := append([]*socket(nil), h.socks...)
	for s := range h.fresh {
		everybody = append(everybody, s)
	}
	h.mu.Unlock()
	if first {
		close(h.done)
	}
	for _, s := range everybody {
		s.close(closeDown)
	}
	force := time.AfterFunc(2*closeGrace, func() {
		for _, s := range everybody {
			s.kill()
		}
	})
	h.wg.Wait()
	h.writers.close()
	force.Stop()
}
