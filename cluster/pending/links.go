package pending

import (
	"bytes"
	"context"
	"crypto/sha256"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

const (
	// peersEvery is how often the list of peers is looked at; Wake does it at once.
	peersEvery = time.Second
	// firstRetry and lastRetry bound the pause before dialling a peer again: a restarted neighbour is back
	// within a blink, one that is gone for the night costs one small packet every 5 s.
	firstRetry = 200 * time.Millisecond
	lastRetry  = 5 * time.Second
	// MaxCast is the longest soft state in bytes: it must never hold up an alarm behind it for long.
	MaxCast = 32 << 10
)

// Peer is a station and where its mesh port is, host:port.
type Peer struct {
	Station alerts.StationID
	Addr    string
	Relay   bool // what others made is handed on to it as well; false where everybody is met directly
}

// LinksConfig is what Links need. The functions are called from several goroutines and must not block.
type LinksConfig struct {
	Port  *trust.Port
	Ring  *trust.Ring
	Set   *Set
	Peers func() []Peer // all there are, without this station itself; the first are flashed to first
	Keep  int           // to how many of Peers, from the first on, a stream is kept open; 0: to all
	// Reach names stations that an alarm is sent to straight, also where no stream is kept; nil: none. Of it counts
	// what is in Peers.
	Reach func(e alerts.Event) []Peer
	// Wants reports whether a peer is to have an event that is not of the alarm lane; nil: everybody is.
	Wants func(peer alerts.StationID, e alerts.Event) bool
	// Recorded reports whether an event stands in its cell's record already; nil: none does.
	Recorded func(cell alerts.CellID, incident alerts.IncidentID, id alerts.Hash) bool
	OnEvent  func(e alerts.Event, from alerts.StationID)            // came in and was new; may be nil
	OnKept   func(event alerts.Hash, by alerts.StationID)           // another station fsynced it; may be nil
	OnCast   func(topic string, from alerts.StationID, body []byte) // may be nil
	// OnExpelled hears who brought an event of an expelled station; may be nil. It is taken from those of whom is
	// known that they know of the expulsion, since these held it before.
	OnExpelled func(from alerts.StationID)
	// Ready is called before an event is taken in, by whoever reads a peer's stream, and may wait a little; may be nil.
	Ready func()
	Log   *zap.Logger
}

// Stats counts what went over links or through syncs since the start.
type Stats struct {
	Out, In  int               // streams open now, by who dialled
	Sent     uint64            // events handed to streams
	Relayed  uint64            // alarms of others handed on
	Received uint64            // good events, known ones included
	Again    uint64            // of them those that were here already
	Slow     uint64            // streams given up because the peer did not keep up
	Thinned  uint64            // events and soft state not sent to a peer because too much waited for it
	Bad      map[string]uint64 // what was dropped, by reason
}

// Links keep one stream open to every peer, or to some of many, over which events and soft state go out and come the
// word that they were kept. Where not everybody has a stream to everybody, each hands on the alarms of others. They are the fast way only: what a broken stream loses is for Sync.
type Links struct {
	cfg    LinksConfig
	take   *taker
	seen   *seen // alarms that were handed on
	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{}
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	links  map[alerts.StationID]*link
	order  []*link                       // those that every flash goes over, in the order of Peers
	relays []*link                       // of them, those over which alarms of others are handed on
	next   int                           // which of Peers beyond Keep is tried next in the place of one out of reach
	in     map[alerts.StationID]net.Conn // streams that peers dialled
}

// OpenLinks starts dialling and answering. Close before the port and the set.
func OpenLinks(cfg LinksConfig) *Links {
	l := &Links{
		cfg: cfg, take: newTaker(cfg.Ring, cfg.Set, cfg.Recorded), wake: make(chan struct{}, 1), seen: newSeen(),
		links: map[alerts.StationID]*link{}, in: map[alerts.StationID]net.Conn{},
	}
	l.take.refused, l.take.ready = cfg.OnExpelled, cfg.Ready
	l.ctx, l.cancel = context.WithCancel(context.Background())
	cfg.Port.Handle(trust.ProtoMesh, l.serve)
	l.wg.Go(l.run)
	return l
}

// Wake looks at the list of peers and dials those without a stream at once.
func (l *Links) Wake() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *Links) run() {
	tick := time.NewTicker(peersEvery)
	defer tick.Stop()
	for woken := true; ; {
		l.refresh(woken)
		select {
		case <-l.ctx.Done():
			return
		case <-l.wake:
			woken = true
		case <-tick.C:
			woken = false
		}
	}
}

// Flash hands an event of this set to open streams, in front of what is less urgent there: alarms to all, the rest
// to those who want it. It returns to how many. Whom it does not reach, Sync does.
func (l *Links) Flash(e alerts.Event) (sent int) {
	if e.AlarmLane() {
		l.seen.add(sha256.Sum256(e.Raw)) // it will come back
	}
	b, err := encode(frame{Event: e.Raw})
	if err != nil {
		l.cfg.Log.Error("event not sent", zap.String("event", e.Name()), zap.Error(err))
		return 0
	}
	for _, k := range l.flashed() {
		if !e.AlarmLane() && l.cfg.Wants != nil && !l.cfg.Wants(k.peer, e) {
			continue
		}
		if k.push(e.Lane(), b) {
			sent++
		}
	}
	if e.AlarmLane() {
		sent += l.call(e, b)
	}
	l.take.count(func(s *Stats) { s.Sent += uint64(sent) })
	return sent
}

// Cast sends soft state to the named peers, none named: to all. What waits under the same topic is replaced;
// it waits for a stream if there is none now. Bodies over MaxCast are dropped, counted.
func (l *Links) Cast(lane alerts.Lane, topic string, body []byte, to ...alerts.StationID) {
	b, err := encode(frame{Topic: topic, Body: body})
	if err != nil || len(body) > MaxCast || topic == "" {
		l.take.bad(badCast)
		return
	}
	for _, k := range l.named(to) {
		k.cast(lane, topic, b)
	}
}

// Stats says what the links did so far.
func (l *Links) Stats() Stats {
	s := l.take.stats()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.links {
		if k.connected() {
			s.Out++
		}
	}
	s.In = len(l.in)
	return s
}

// Close ends all streams and waits.
func (l *Links) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	for _, c := range l.in {
		c.Close()
	}
	l.mu.Unlock()
	l.cancel()
	l.wg.Wait()
	return nil
}

// frame is the one form on a stream; each frame carries one thing.
type frame struct {
	Event []byte `cbor:"1,keyasint,omitempty"` // out: an envelope
	Topic string `cbor:"2,keyasint,omitempty"` // out: soft state
	Body  []byte `cbor:"3,keyasint,omitempty"`
	Kept  []byte `cbor:"4,keyasint,omitempty"` // back: the names of events that were fsynced
	Ask   string `cbor:"5,keyasint,omitempty"` // back: whose certificate is missing; out: whose this is
	Cert  []byte `cbor:"6,keyasint,omitempty"` // out: it; empty: not here either
	Hops  uint64 `cbor:"7,keyasint,omitempty"` // out: through how many hands the event came; 0: from who put or found it
}

// maxFrame is the longest frame in bytes on a stream: an event or soft state, and a topic.
const maxFrame = MaxCast + 4<<10

func encode(f frame) ([]byte, error) {
	var b bytes.Buffer
	err := wire.WriteFrame(&b, f)
	return b.Bytes(), err
}
