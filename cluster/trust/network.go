package trust

import (
	"context"
	"net"
	"time"
)

// Network is where streams and packets go: the machine's own, or memnet's in tests.
type Network interface {
	Listen(addr string) (net.Listener, error)
	ListenPacket(addr string) (net.PacketConn, error)
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// WallOf is the wall clock of the machine that has this network. A simulated machine tells its own (Wall),
// which may be years off and jump; nothing but wall times may be taken from it: what passes is counted by
// time.Now and timers.
func WallOf(nw Network) func() time.Time {
	if machine, ok := nw.(interface{ Wall() time.Time }); ok {
		return machine.Wall
	}
	return time.Now
}

// silence is how long a peer's machine may be silent before its connections count as dead. A pulled cable
// sends no goodbye, and the kernel's own patience is 15 minutes.
const silence = 20 * time.Second

// OS is the machine's own network: TCP and UDP.
func OS() Network { return osNetwork{} }

type osNetwork struct{}

var keepAlive = net.KeepAliveConfig{Enable: true, Idle: silence / 2, Interval: silence / 8, Count: 4}

func (osNetwork) Listen(addr string) (net.Listener, error) {
	l := net.ListenConfig{KeepAliveConfig: keepAlive, Control: impatient}
	return l.Listen(context.Background(), "tcp", addr)
}

func (osNetwork) ListenPacket(addr string) (net.PacketConn, error) {
	var l net.ListenConfig
	return l.ListenPacket(context.Background(), "udp", addr)
}

func (osNetwork) Dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive, Control: impatient}
	return d.DialContext(ctx, "tcp", addr)
}
