package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
)

const (
	// MaxPacket is the longest packet in bytes that Send takes: with memberlist's and the cipher's heads it
	// fits a mobile link's smallest usual MTU.
	MaxPacket = 1100
	// reclaimAfter is when a station that died may come back at another address.
	reclaimAfter = 10 * time.Second
	// lanExchange is how often a station compares all it knows with one other, on good links: what gossip
	// missed shows up after this. memberlist stretches it by itself in pools of more than 32.
	lanExchange = 15 * time.Second
	// tellTime is how long it is waited for a change of hints to be on its way. It is queued all the same; a
	// station that stops must not wait for it.
	tellTime = 200 * time.Millisecond
)

// Errors of Send.
var (
	ErrUnknownStation = errors.New("station is not known to gossip")
	ErrTooLong        = fmt.Errorf("packet is longer than %d bytes", MaxPacket)
)

// Config is what gossip needs.
type Config struct {
	Port      *trust.Port
	Self      alerts.StationID
	Hints     Hints // a Mesh that is empty, for all addresses or with port 0 becomes one that others can reach
	Keys      *trust.Keys
	PeersFile string   // empty: peers are not kept
	Seeds     []string // mesh addresses to begin with, host:port
	WAN       bool     // patient timings for mixed links
	// Meet is called with the address of a missing station before gossip joins it: the two even out notices and
	// keys, without which gossip may not understand. May be nil.
	Meet func(ctx context.Context, addr string) error
	Gone func(alerts.StationID) bool // no longer of the county; may be nil
	Log  *zap.Logger
}

// Gossip is this station's membership in the county's pool.
type Gossip struct {
	self      alerts.StationID
	seeds     []string
	peersFile string
	log       *zap.Logger
	list      *memberlist.Memberlist
	members   *members
	keyring   *keyring
	turnNow   chan struct{} // a key may have changed
	meet      func(ctx context.Context, addr string) error
	packet    atomic.Pointer[func(alerts.StationID, []byte)]

	mu    sync.Mutex
	hints Hints
	tell  chan struct{} // hints changed

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
}

// Open enters the pool. It does not wait for anybody: a station that is alone is a pool of one.
func Open(c Config) (*Gossip, error) {
	t, err := newTransport(c.Port, advertise(c))
	if err != nil {
		return nil, err
	}
	if host, number, _ := net.SplitHostPort(c.Hints.Mesh); host == "" || number == "0" || net.ParseIP(host).IsUnspecified() {
		c.Hints.Mesh = net.JoinHostPort(t.addr.String(), strconv.Itoa(t.number))
	}
	g := &Gossip{
		self: c.Self, seeds: slices.Clone(c.Seeds), peersFile: c.PeersFile, log: c.Log,
		members: newMembers(c.Self, c.Gone), hints: c.Hints, tell: make(chan struct{}, 1), turnNow: make(chan struct{}, 1), meet: c.Meet,
	}
	g.hints.KeyGen, _, _ = c.Keys.Latest()
	if err := g.create(c, t); err != nil {
		return nil, errors.Join(err, t.Shutdown())
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.wg.Go(func() { g.members.run(g.ctx.Done()) })
	g.wg.Go(g.rejoin)
	g.wg.Go(g.spread)
	g.wg.Go(g.turnKeys)
	return g, nil
}

// advertise is the configured mesh address, with the number that the port really has.
func advertise(c Config) string {
	bound := c.Port.Addr()
	host, number, err := net.SplitHostPort(c.Hints.Mesh)
	if err != nil {
		return bound
	}
	if number == "0" {
		_, number, _ = net.SplitHostPort(bound)
	}
	return net.JoinHostPort(host, number)
}

func (g *Gossip) create(c Config, t *transport) error {
	// With every flag set and the longest PID it must still fit, whatever changes later.
	most := c.Hints
	most.Looking, most.Trust, most.KeyGen = true, math.MaxUint64, math.MaxUint32
	if _, err := most.encode(); err != nil {
		return err
	}
	var err error
	if g.keyring, err = newKeyring(c.Keys, c.Log); err != nil {
		return err
	}
	if err := g.members.load(c.PeersFile); err != nil {
		g.log.Warn("the known peers cannot be read; the seeds will do", zap.Error(err))
	}
	conf := memberlist.DefaultLANConfig()
	conf.PushPullInterval = lanExchange
	if c.WAN {
		conf = memberlist.DefaultWANConfig()
	}
	conf.Name, conf.Transport, conf.Keyring, conf.Logger = string(c.Self), t, g.keyring.ring, logger(c.Log)
	conf.BindPort, conf.AdvertisePort = t.number, t.number
	conf.Delegate, conf.Events, conf.Alive = delegate{g}, g.members, g.members
	conf.DeadNodeReclaimTime = reclaimAfter
	conf.RequireNodeNames = false // a seed is an address without a name
	if g.list, err = memberlist.Create(conf); err != nil {
		return fmt.Errorf("enter the gossip pool: %w", err)
	}
	return nil
}

// Members is everybody ever heard of, this station first, then by id.
func (g *Gossip) Members() []Member { return g.members.list() }

// Member is what is known of one station.
func (g *Gossip) Member(s alerts.StationID) (Member, bool) { return g.members.find(s) }

// OnChange calls f for everybody known now and at every later change, in order, one call at a time. Calls
// in quick succession about one member may become one. f may use g.
func (g *Gossip) OnChange(f func(Member)) { g.members.onChange(f) }

// OnPacket calls f with every packet that Send of another station sent here. f must not block. from is
// what the packet says: unsigned. Only one f is kept.
func (g *Gossip) OnPacket(f func(from alerts.StationID, b []byte)) { g.packet.Store(&f) }

// Send sends one packet (at most MaxPacket bytes) that may or may not arrive; a station believed dead is
// sent to as well. Errors: ErrUnknownStation, ErrTooLong, the network's.
func (g *Gossip) Send(to alerts.StationID, b []byte) error {
	if len(b) > MaxPacket {
		return fmt.Errorf("%w: %d", ErrTooLong, len(b))
	}
	m, ok := g.members.find(to)
	if !ok || m.addr == "" {
		return fmt.Errorf("%w: %s", ErrUnknownStation, to)
	}
	return g.list.SendToAddress(memberlist.Address{Addr: m.addr, Name: string(to)}, pack(g.self, b))
}

// SetLooking says whether a dispatcher at this station wants positions; the others learn it in a moment.
func (g *Gossip) SetLooking(on bool) { g.change(func(h *Hints) { h.Looking = on }) }

// change changes this station's hints and has the others told, if it is one.
func (g *Gossip) change(f func(*Hints)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.hints
	if f(&g.hints); g.hints == before {
		return
	}
	select {
	case g.tell <- struct{}{}:
	default:
	}
}

// spread tells the others of changed hints.
func (g *Gossip) spread() {
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-g.tell:
			if err := g.list.UpdateNode(tellTime); err != nil {
				g.log.Debug("changed hints are not on their way yet", zap.Error(err))
			}
		}
	}
}

// Leave tells the others that this station goes of its own will, waiting at most so long for it to be sent.
// After Close it does nothing.
func (g *Gossip) Leave(timeout time.Duration) error {
	if g.ctx.Err() != nil {
		return nil
	}
	return g.list.Leave(timeout)
}

// Close ends gossip and keeps the peers file. The port stays open. memberlist has timers of its own that
// run out within some seconds after.
func (g *Gossip) Close() error {
	var err error
	g.once.Do(func() {
		g.cancel()
		err = g.list.Shutdown() // ends a join under way
		g.wg.Wait()
		err = errors.Join(err, g.members.save(g.peersFile))
	})
	return err
}

// delegate is what memberlist asks of us.
type delegate struct{ g *Gossip }

// NodeMeta implements memberlist.Delegate.
func (d delegate) NodeMeta(limit int) []byte {
	d.g.mu.Lock()
	defer d.g.mu.Unlock()
	b, err := d.g.hints.encode()
	if err != nil || len(b) > limit {
		return nil // Open has made sure that they fit
	}
	return b
}

// NotifyMsg implements memberlist.Delegate.
func (d delegate) NotifyMsg(b []byte) {
	f := d.g.packet.Load()
	if f == nil {
		return
	}
	if from, rest, ok := unpack(b); ok {
		(*f)(from, bytes.Clone(rest))
	}
}

// pack puts in front of a packet who sends it; a station's id has at most 63 bytes.
func pack(from alerts.StationID, b []byte) []byte {
	return append(append([]byte{byte(len(from))}, from...), b...)
}

// unpack parts a packet into who says to have sent it, and what.
func unpack(b []byte) (from alerts.StationID, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return "", nil, false
	}
	n := 1 + int(b[0])
	return alerts.StationID(b[1:n]), b[n:], true
}

// GetBroadcasts implements memberlist.Delegate: nothing spreads by gossip (245 ms, and seconds in the
// tail, were measured; a packet to each of nine peers took 0.9 ms).
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements memberlist.Delegate.
func (delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (delegate) MergeRemoteState([]byte, bool) {}
