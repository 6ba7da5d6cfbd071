package trust

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Flow is what went over the mesh port for one purpose: the bytes of the connections themselves, TLS included,
// without the headers of TCP and IP.
type Flow struct {
	In, Out uint64  // since the port was opened
	Rate    float64 // bytes a second, both directions, over the last minute or what there is of it
}

// Purposes of bytes besides the protocols.
const (
	TrafficShakes  = "handshakes"     // until both ends have shown who they are
	TrafficPackets = "gossip-packets" // UDP
)

const (
	trafficEvery = 10 * time.Second
	trafficKept  = 6 // samples: the last minute
)

// meter counts bytes by purpose.
type meter struct {
	mu    sync.Mutex
	flows map[string]*flow
}

type flow struct {
	in, out atomic.Uint64
	samples []sample // the meter's
}

type sample struct {
	at    time.Time
	bytes uint64
}

func (f *flow) total() uint64 { return f.in.Load() + f.out.Load() }

func newMeter() *meter { return &meter{flows: map[string]*flow{}} }

func (m *meter) of(purpose string) *flow {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.flows[purpose]
	if f == nil {
		f = &flow{samples: []sample{{at: time.Now()}}}
		m.flows[purpose] = f
	}
	return f
}

// sample notes where the counters stand.
func (m *meter) sample(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.flows {
		f.samples = append(f.samples, sample{now, f.total()})
		f.samples = f.samples[max(0, len(f.samples)-trafficKept):]
	}
}

func (m *meter) read(now time.Time) map[string]Flow {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]Flow{}
	for purpose, f := range m.flows {
		x := Flow{In: f.in.Load(), Out: f.out.Load()}
		since := f.samples[0]
		if d := now.Sub(since.at).Seconds(); d > 0 {
			x.Rate = float64(x.In+x.Out-since.bytes) / d
		}
		out[purpose] = x
	}
	return out
}

// Traffic is what went over this port, by protocol.
func (p *Port) Traffic() map[string]Flow { return p.meter.read(time.Now()) }

func (p *Port) sampleTraffic() {
	tick := time.NewTicker(trafficEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			p.meter.sample(now)
		case <-p.ctx.Done():
			return
		}
	}
}

// Read implements net.Conn.
func (t *tracked) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.flow.Load().in.Add(uint64(n))
	return n, err
}

// Write implements net.Conn.
func (t *tracked) Write(b []byte) (int, error) {
	n, err := t.Conn.Write(b)
	t.flow.Load().out.Add(uint64(n))
	return n, err
}

// countedPackets counts what gossip sends and hears.
type countedPackets struct {
	net.PacketConn
	flow *flow
}

func (c countedPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.PacketConn.ReadFrom(b)
	c.flow.in.Add(uint64(n))
	return n, from, err
}

func (c countedPackets) WriteTo(b []byte, to net.Addr) (int, error) {
	n, err := c.PacketConn.WriteTo(b, to)
	c.flow.out.Add(uint64(n))
	return n, err
}
