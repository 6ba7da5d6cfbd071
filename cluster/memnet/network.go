package memnet

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Patience is how long a stream lives on a link that stays cut, and how long a dial waits: as
// trust.OS sets TCP's own.
const Patience = 20 * time.Second

const (
	streamBuffer = 256 << 10              // bytes a stream holds on its way, each direction
	packetQueue  = 1024                   // packets waiting at one port; more are dropped, as the kernel does
	backlog      = 128                    // streams waiting to be accepted
	resend       = 200 * time.Millisecond // what a lost segment costs a stream
	firstKnock   = time.Second            // after which a dial that nobody answered is tried again
	firstDialer  = 40000                  // port numbers for who dials
	firstNet     = 77                     // addresses are 10.77.x.y; of a host that got another one 10.78.x.y, …
)

// Network is a set of hosts. All of its state is under one lock. It is safe for concurrent use.
type Network struct {
	mu       sync.Mutex
	rng      *rand.Rand
	hosts    []*Host
	known    map[string]*Host  // by name, and by address
	cut      map[[2]*Host]bool // from, to
	isolated map[*Host]bool
	delay    time.Duration // of every link, one way
	loss     float64       // of every link
	streams  map[*stream]struct{}
	stats    Stats
	stopped  map[[2]*Host]uint64 // from, to: what ran into a cut
	tap      func(from, to net.Addr, b []byte)
}

// Stats counts what the network did to what was sent.
type Stats struct {
	Sent    uint64 // packets and pieces of streams between hosts
	Stopped uint64 // of these, what ran into a cut; packets are gone, streams wait
	Lost    uint64 // packets dropped and pieces of streams sent again, by chance
	Delayed uint64
}

// New is a network whose chances (loss, jitter) follow seed.
func New(seed uint64) *Network {
	return &Network{
		rng: rand.New(rand.NewPCG(seed, 1)), cut: make(map[[2]*Host]bool), isolated: make(map[*Host]bool),
		streams: make(map[*stream]struct{}), known: make(map[string]*Host), stopped: make(map[[2]*Host]uint64),
	}
}

// Host is one machine. It implements trust.Network.
type Host struct {
	n         *Network
	name      string
	ip        net.IP
	delay     time.Duration
	loss      float64
	off       bool
	moves     byte          // how often it got another address
	wrong     time.Duration // how far its wall clock is off
	told      uint64        // how often it told the time so
	next      int           // port for the next who dials
	listeners map[int]*listener
	packets   map[int]*packetConn
}

// Host is the machine of that name, made when it is new. The first gets 10.77.0.1, the next 10.77.0.2.
func (n *Network) Host(name string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.host(name)
}

func (n *Network) host(name string) *Host {
	if h := n.known[name]; h != nil {
		return h
	}
	i := len(n.hosts) + 1
	h := &Host{
		n: n, name: name, ip: net.IPv4(10, firstNet, byte(i>>8), byte(i)), next: firstDialer,
		listeners: make(map[int]*listener), packets: make(map[int]*packetConn),
	}
	n.hosts = append(n.hosts, h)
	n.known[name], n.known[h.ip.String()] = h, h
	return h
}

// IP is the host's address, as text.
func (h *Host) IP() string {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	return h.ip.String()
}

// Addr is the host's address with a port: what others dial.
func (h *Host) Addr(port int) string { return fmt.Sprintf("%s:%d", h.IP(), port) }

// Renumber gives a host another address, as a new router does. Close what it listens on first; nobody is at the old
// address any more.
func (n *Network) Renumber(name string) {
	n.change(func() {
		h := n.host(name)
		h.moves++
		delete(n.known, h.ip.String())
		h.ip = slices.Clone(h.ip)
		h.ip.To4()[1] = firstNet + h.moves
		n.known[h.ip.String()] = h
	})
}

// Cut parts two hosts in both directions.
func (n *Network) Cut(a, b string) {
	n.change(func() { x, y := n.host(a), n.host(b); n.cut[[2]*Host{x, y}] = true; n.cut[[2]*Host{y, x}] = true })
}

// CutOneWay stops everything from one host to another; the other direction still works.
func (n *Network) CutOneWay(from, to string) {
	n.change(func() { n.cut[[2]*Host{n.host(from), n.host(to)}] = true })
}

// Mend makes one direction of a link whole.
func (n *Network) Mend(from, to string) {
	n.change(func() { delete(n.cut, [2]*Host{n.host(from), n.host(to)}) })
}

// Split parts every host of one group from every host of the other.
func (n *Network) Split(some, others []string) {
	for _, a := range some {
		for _, b := range others {
			n.Cut(a, b)
		}
	}
}

// Isolate parts a host from all others, those to come included. It still reaches itself.
func (n *Network) Isolate(a string) { n.change(func() { n.isolated[n.host(a)] = true }) }

// Heal makes every link of the named hosts whole; without names, every link there is.
func (n *Network) Heal(names ...string) {
	n.change(func() {
		if len(names) == 0 {
			clear(n.cut)
			clear(n.isolated)
		}
		for _, name := range names {
			h := n.host(name)
			delete(n.isolated, h)
			for link := range n.cut {
				if link[0] == h || link[1] == h {
					delete(n.cut, link)
				}
			}
		}
	})
}

// Delay makes whatever the host sends or gets take d longer, one way; name "" means every link.
func (n *Network) Delay(name string, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name == "" {
		n.delay = d
		return
	}
	n.host(name).delay = d
}

// Loss drops this share (0 to 1) of the packets that the host sends or gets, and holds up streams for as
// long as sending again takes; name "" means every link.
func (n *Network) Loss(name string, share float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name == "" {
		n.loss = share
		return
	}
	n.host(name).loss = share
}

// Wall is what the host's wall clock says (trust.WallOf).
func (h *Host) Wall() time.Time {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	if h.wrong == 0 {
		return time.Now()
	}
	h.told++
	return time.Now().Round(0).Add(h.wrong)
}

// Jump sets the host's wall clock wrong by so much.
func (n *Network) Jump(name string, wrong time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.host(name).wrong = wrong
}

// WrongTimes is how often the host's wall clock has told a wrong time so far.
func (n *Network) WrongTimes(name string) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.host(name).told
}

// PowerOff is the moment in which a host loses its power, or its process is killed: nothing of it, what is on
// its way included, gets out any more; the others see silence. Its program, which does not know it, can be
// closed meanwhile.
func (n *Network) PowerOff(name string) {
	n.change(func() {
		h := n.host(name)
		h.off = true
		for s := range n.streams {
			if !s.of(h) {
				continue
			}
			s.forget()
			if s.ends[0].host == s.ends[1].host {
				s.end(syscall.ECONNRESET)
			}
		}
	})
}

// PowerOn lets the host be used again, by a new program: streams of the old one are reset.
func (n *Network) PowerOn(name string) {
	n.change(func() {
		h := n.host(name)
		h.off = false
		for s := range n.streams {
			if s.of(h) {
				s.forget()
				s.end(syscall.ECONNRESET)
			}
		}
	})
}

// Stats are the counts since New.
func (n *Network) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stats
}

// Stopped counts what one host sent to another and ran into a cut.
func (n *Network) Stopped(from, to string) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stopped[[2]*Host{n.host(from), n.host(to)}]
}

// Tap lets f see whatever goes from one host to another, as it is on the wire. It must neither keep b nor
// call the network.
func (n *Network) Tap(f func(from, to net.Addr, b []byte)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tap = f
}

// sent counts and shows what leaves a host.
func (n *Network) sent(from, to *Host, fromAddr, toAddr net.Addr, b []byte) {
	if from == to {
		return
	}
	n.stats.Sent++
	if n.tap != nil {
		n.tap(fromAddr, toAddr, b)
	}
	if !n.open(from, to) {
		n.stats.Stopped++
		n.stopped[[2]*Host{from, to}]++
	}
}

// change alters links and lets every stream see it.
func (n *Network) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	for s := range n.streams {
		s.linkChanged()
	}
}

func (n *Network) open(from, to *Host) bool {
	return !from.off && !to.off && (from == to || !n.cut[[2]*Host{from, to}] && !n.isolated[from] && !n.isolated[to])
}

func (n *Network) latency(from, to *Host) time.Duration {
	if from == to {
		return 0
	}
	d := n.delay + from.delay + to.delay
	if d > 0 {
		n.stats.Delayed++
	}
	return d
}

func (n *Network) lost(from, to *Host) bool {
	if from == to {
		return false
	}
	p := 1 - (1-n.loss)*(1-from.loss)*(1-to.loss)
	if p <= 0 || n.rng.Float64() >= p {
		return false
	}
	n.stats.Lost++
	return true
}

// find resolves "name:port" or "10.77.0.i:port".
func (n *Network) find(addr string) (*Host, int, error) {
	name, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, 0, err
	}
	var port int
	if _, err := fmt.Sscanf(service, "%d", &port); err != nil {
		return nil, 0, fmt.Errorf("port %q: %w", service, err)
	}
	if h := n.known[name]; h != nil {
		return h, port, nil
	}
	return nil, 0, fmt.Errorf("no host %s", name)
}

// deadline is a moment after which waiters on cond are to give up. The network's lock guards it.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) set(t time.Time, wake func()) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = t
	if !t.IsZero() {
		d.timer = time.AfterFunc(time.Until(t), wake)
	}
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }
