package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
)

// What a connection is for, said by ALPN.
const (
	ProtoRecord = "hive-record/1"
	ProtoMesh   = "hive-mesh/1"
	ProtoSync   = "hive-sync/1"
	ProtoGossip = "hive-gossip/1"
	ProtoLeave  = "hive-leave/1"
	ProtoJoin   = "hive-join/1" // the one that takes newcomers without a certificate
)

const (
	// handshakeTime bounds a handshake, and a whole Dial: a mixed link with seconds of delay still fits.
	handshakeTime = 10 * time.Second
	// maxHandshakes bounds how many connections may be unproven at once; more are closed at the door.
	maxHandshakes = 256
	// maxJoins bounds how many newcomers are spoken with at once: nobody knows yet who they are.
	maxJoins = 16
	// portTries is how often a port of the system's choice is tried: the same number must be free for UDP.
	portTries = 10
)

// ErrPortClosed says that this station's mesh port has been closed.
var ErrPortClosed = errors.New("mesh port is closed")

// Port is a station's one door to the others: TLS 1.3 over TCP, and packets over UDP of the same number.
type Port struct {
	nw     Network
	id     *Identity
	ring   *Ring
	log    *zap.Logger
	clock  *clock
	ln     net.Listener
	pc     net.PacketConn
	tries  chan struct{} // a place for each handshake under way
	joins  chan struct{} // a place for each newcomer
	wg     sync.WaitGroup
	ctx    context.Context // ends handshakes and dials at Close
	cancel context.CancelFunc

	mu       sync.Mutex
	closed   bool
	handlers map[string]func(alerts.StationID, net.Conn)
	join     JoinHandler
	conns    map[*tracked]struct{}

	meter *meter
}

// OpenPort listens at addr (host:port; port 0: any that is free for both) as id. Every peer met proves to
// hold a certificate of the county, which ring then knows too.
func OpenPort(nw Network, addr string, id *Identity, ring *Ring, log *zap.Logger) (*Port, error) {
	ln, pc, err := listenBoth(nw, addr)
	if err != nil {
		return nil, err
	}
	if _, err := ring.Add(id.Cert.Raw); err != nil && !errors.Is(err, ErrNotKept) {
		return nil, errors.Join(err, ln.Close(), pc.Close())
	}
	p := &Port{
		nw: nw, id: id, ring: ring, log: log, clock: newClock(ring.dir, id.Cert, WallOf(nw)), ln: ln, pc: pc, tries: make(chan struct{}, maxHandshakes), joins: make(chan struct{}, maxJoins),
		handlers: make(map[string]func(alerts.StationID, net.Conn)), conns: make(map[*tracked]struct{}),
	}
	p.meter = newMeter()
	p.pc = countedPackets{pc, p.meter.of(TrafficPackets)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(p.accept)
	p.wg.Go(p.sampleTraffic)
	ring.OnNotice(func(n Notice) { p.shut(n.Station) })
	return p, nil
}

// shut ends every connection with a station, but for one in which it is being told so.
func (p *Port) shut(s alerts.StationID) {
	p.mu.Lock()
	var with []*tracked
	for t := range p.conns {
		if t.peer == s && t.proto != ProtoNews {
			with = append(with, t)
		}
	}
	p.mu.Unlock()
	for _, t := range with {
		t.Conn.Close()
	}
}

// Skew is how far this box's clock is from what the peers agree on; 0 while they do not say otherwise.
func (p *Port) Skew() time.Duration { return p.clock.skew() }

// Now is the time to judge dates by: what the peers agree on, else this machine's wall clock.
func (p *Port) Now() time.Time { return p.clock.now() }

// Agreed is the time that most of this station and its peers tell; false while no two of them tell the same.
func (p *Port) Agreed() (time.Time, bool) {
	p.clock.mu.Lock()
	defer p.clock.mu.Unlock()
	return p.clock.agreed()
}

// Wall is this machine's wall clock.
func (p *Port) Wall() time.Time { return p.clock.wall() }

func listenBoth(nw Network, addr string) (net.Listener, net.PacketConn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, nil, fmt.Errorf("mesh address %q: %w", addr, err)
	}
	for try := 1; ; try++ {
		ln, err := nw.Listen(addr)
		if err != nil {
			return nil, nil, fmt.Errorf("open mesh port: %w", err)
		}
		number := ln.Addr().(*net.TCPAddr).Port
		pc, err := nw.ListenPacket(net.JoinHostPort(host, strconv.Itoa(number)))
		if err == nil {
			return ln, pc, nil
		}
		ln.Close()
		if port != "0" || try == portTries {
			return nil, nil, fmt.Errorf("open mesh port for packets: %w", err)
		}
	}
}

// Addr is where the port listens, host:port.
func (p *Port) Addr() string { return p.ln.Addr().String() }

// PacketConn is the UDP side; Close closes it.
func (p *Port) PacketConn() net.PacketConn { return p.pc }

// Identity is whose port it is.
func (p *Port) Identity() *Identity { return p.id }

// Ring holds the certificates the port has seen.
func (p *Port) Ring() *Ring { return p.ring }

// Handle gives connections for proto to h, each in its own goroutine; h owns c and closes it, now or later.
// A protocol without a handler is refused in the handshake. Close closes what is still open and waits for h.
func (p *Port) Handle(proto string, h func(peer alerts.StationID, c net.Conn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handlers[proto] = h
}

// JoinHandler speaks with a newcomer, of whom nothing is known, and closes c.
type JoinHandler func(c net.Conn)

// HandleJoin gives connections of newcomers to h.
func (p *Port) HandleJoin(h JoinHandler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.join = h
}

// Dial connects to addr for proto and makes sure that the station want answers; want empty: whoever of
// the county. The handshake is over when it returns.
func (p *Port) Dial(ctx context.Context, proto, addr string, want alerts.StationID) (net.Conn, error) {
	c, _, err := p.dial(ctx, proto, addr, want)
	return c, err
}

// DialPeer is Dial to whoever of the county is at addr, and says who that is.
func (p *Port) DialPeer(ctx context.Context, proto, addr string) (net.Conn, alerts.StationID, error) {
	return p.dial(ctx, proto, addr, "")
}

func (p *Port) dial(ctx context.Context, proto, addr string, want alerts.StationID) (net.Conn, alerts.StationID, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	stop := context.AfterFunc(p.ctx, cancel)
	defer stop()
	raw, err := p.nw.Dial(ctx, addr)
	if err != nil {
		return nil, "", err
	}
	t, err := p.track(raw)
	if err != nil {
		return nil, "", err
	}
	c := tls.Client(t, p.config([]string{proto}))
	if err := c.HandshakeContext(ctx); err != nil {
		t.Close()
		return nil, "", fmt.Errorf("meet %s for %s: %w", addr, proto, err)
	}
	peer, err := p.peer(c, t)
	if err == nil && want != "" && peer != want {
		err = fmt.Errorf("%s is %s, not %s", addr, peer, want)
	}
	if err != nil {
		t.Close()
		return nil, "", err
	}
	return c, peer, nil
}

func (p *Port) accept() {
	for {
		raw, err := p.ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || p.ctx.Err() != nil {
				return
			}
			// Out of file descriptors, most likely: the door stays, a moment later.
			p.log.Warn("accept", zap.Error(err))
			select {
			case <-p.ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		select {
		case p.tries <- struct{}{}:
		default:
			raw.Close()
			continue
		}
		t, err := p.track(raw)
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(t) })
	}
}

func (p *Port) serve(t *tracked) {
	c := tls.Server(t, p.serverConfig())
	ctx, cancel := context.WithTimeout(p.ctx, handshakeTime)
	err := c.HandshakeContext(ctx)
	cancel()
	<-p.tries
	if err != nil {
		p.log.Debug("refused at the mesh port", zap.Stringer("from", t.RemoteAddr()), zap.Error(err))
		t.Close()
		return
	}
	proto := c.ConnectionState().NegotiatedProtocol
	p.mu.Lock()
	h, join := p.handlers[proto], p.join
	p.mu.Unlock()
	if proto == ProtoJoin && join != nil {
		p.welcome(c, join)
		return
	}
	peer, err := p.peer(c, t)
	if err != nil || h == nil {
		p.log.Debug("refused at the mesh port", zap.Stringer("from", t.RemoteAddr()), zap.String("proto", proto), zap.Error(err))
		t.Close()
		return
	}
	h(peer, c)
}

func (p *Port) welcome(c net.Conn, join JoinHandler) {
	select {
	case p.joins <- struct{}{}:
		defer func() { <-p.joins }()
		join(c)
	default:
		c.Close()
	}
}

// peer is who is at the other end; the ring learns its certificate. From here on the connection ends when the
// station is no longer of the county, which is looked at last: it may be said at this very moment.
func (p *Port) peer(c *tls.Conn, t *tracked) (alerts.StationID, error) {
	s, err := p.ring.Add(c.ConnectionState().PeerCertificates[0].Raw)
	if errors.Is(err, ErrNotKept) {
		p.log.Warn("a full or broken disk: this peer will be a stranger after a restart", zap.Error(err))
		err = nil
	}
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	t.peer, t.proto = s, c.ConnectionState().NegotiatedProtocol
	p.mu.Unlock()
	t.flow.Store(p.meter.of(t.proto))
	return s, p.welcomes(s)
}

// welcomes refuses who is no longer of the county.
func (p *Port) welcomes(s alerts.StationID) error {
	if n, gone := p.ring.Gone(s); gone {
		return fmt.Errorf("%w: %s is %s", ErrGone, s, n.Why)
	}
	return nil
}

// config is TLS for both ends between stations.
func (p *Port) config(protos []string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: protos, SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{{Certificate: [][]byte{p.id.Cert.Raw, p.id.Root.Raw}, PrivateKey: p.id.key}},
		// Ours says more than the standard check: the county, and a clock that may be behind.
		InsecureSkipVerify: true, ClientAuth: tls.RequireAnyClientCert,
		VerifyConnection: func(s tls.ConnectionState) error {
			if s.NegotiatedProtocol != protos[0] && len(protos) == 1 {
				return fmt.Errorf("the other end does not speak %s", protos[0])
			}
			return p.verifyPeer(s.PeerCertificates)
		},
	}
}

func (p *Port) verifyPeer(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return ErrForeign
	}
	c, who, err := p.ring.parse(chain[0].Raw)
	if err != nil {
		return err
	}
	// A certificate that begins in the future only says that our clock is behind: the authority has signed it,
	// so it has been made.
	if p.clock.now().After(c.NotAfter) {
		return fmt.Errorf("%w: of %s, on %s", ErrExpired, who.Station, c.NotAfter.Format(time.DateOnly))
	}
	return p.welcomes(who.Station)
}

func (p *Port) serverConfig() *tls.Config {
	p.mu.Lock()
	var protos []string
	for proto := range p.handlers {
		protos = append(protos, proto)
	}
	join := p.join != nil
	p.mu.Unlock()
	c := p.config(protos)
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if s.NegotiatedProtocol == "" {
			return errors.New("the other end says not what it wants")
		}
		return p.verifyPeer(s.PeerCertificates)
	}
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !join || len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != ProtoJoin {
			return nil, nil
		}
		j := p.config([]string{ProtoJoin})
		j.ClientAuth, j.VerifyConnection = tls.NoClientCert, nil
		return j, nil
	}
	return c
}

// Close ends all connections, handlers included, and waits for them.
func (p *Port) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	open := p.conns
	p.conns = nil
	p.mu.Unlock()
	p.cancel()
	err := errors.Join(p.ln.Close(), p.pc.Close())
	for t := range open {
		t.Conn.Close()
	}
	p.wg.Wait()
	return err
}

// tracked is a raw connection that the port knows of until it is closed.
type tracked struct {
	net.Conn
	p    *Port
	flow atomic.Pointer[flow] // whose bytes these are
	// Once it has shown who it is, under the port's lock:
	peer  alerts.StationID
	proto string
}

func (p *Port) track(raw net.Conn) (*tracked, error) {
	t := &tracked{Conn: raw, p: p}
	t.flow.Store(p.meter.of(TrafficShakes))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		raw.Close()
		return nil, ErrPortClosed
	}
	p.conns[t] = struct{}{}
	return t, nil
}

func (t *tracked) Close() error {
	t.p.mu.Lock()
	delete(t.p.conns, t)
	t.p.mu.Unlock()
	return t.Conn.Close()
}
