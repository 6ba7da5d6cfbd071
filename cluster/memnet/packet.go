package memnet

import (
	"net"
	"os"
	"sync"
	"time"
)

// packetConn is one UDP port. The network's lock guards it.
type packetConn struct {
	h      *Host
	addr   *net.UDPAddr
	cond   *sync.Cond
	in     []packet
	closed bool
	read   deadline
}

type packet struct {
	b    []byte
	from *net.UDPAddr
}

// ListenPacket takes packets at addr, as Listen does streams.
func (h *Host) ListenPacket(addr string) (net.PacketConn, error) {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	port, err := h.free(addr, "udp", func(p int) bool { return h.packets[p] == nil })
	if err != nil {
		return nil, err
	}
	c := &packetConn{h: h, addr: &net.UDPAddr{IP: h.ip, Port: port}, cond: sync.NewCond(&h.n.mu)}
	h.packets[port] = c
	return c, nil
}

func (c *packetConn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Addr: c.addr, Err: err}
}

// ReadFrom implements net.PacketConn.
func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n := c.h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, nil, c.fail("read", net.ErrClosed)
		case c.read.passed():
			return 0, nil, c.fail("read", os.ErrDeadlineExceeded)
		case len(c.in) > 0:
			p := c.in[0]
			c.in = c.in[1:]
			return copy(b, p.b), p.from, nil
		}
		c.cond.Wait()
	}
}

// WriteTo implements net.PacketConn. Whether the packet arrives, nobody tells.
func (c *packetConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	n := c.h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.closed {
		return 0, c.fail("write", net.ErrClosed)
	}
	to, port, err := n.find(addr.String())
	if err == nil {
		n.sent(c.h, to, c.addr, addr, b)
	}
	if err != nil || !n.open(c.h, to) || n.lost(c.h, to) {
		return len(b), nil
	}
	p := packet{append([]byte(nil), b...), c.addr}
	if wait := n.latency(c.h, to); wait > 0 {
		time.AfterFunc(wait, func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			to.packets[port].deliver(p)
		})
		return len(b), nil
	}
	to.packets[port].deliver(p)
	return len(b), nil
}

func (c *packetConn) deliver(p packet) {
	if c == nil || len(c.in) >= packetQueue {
		return
	}
	c.in = append(c.in, p)
	c.cond.Signal()
}

// Close implements net.PacketConn.
func (c *packetConn) Close() error {
	n := c.h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.closed = true
	c.read.set(time.Time{}, nil)
	delete(c.h.packets, c.addr.Port)
	c.cond.Broadcast()
	return nil
}

// LocalAddr implements net.PacketConn.
func (c *packetConn) LocalAddr() net.Addr { return c.addr }

// SetDeadline implements net.PacketConn; writes never wait.
func (c *packetConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (c *packetConn) SetReadDeadline(t time.Time) error {
	c.h.n.mu.Lock()
	defer c.h.n.mu.Unlock()
	c.read.set(t, func() {
		c.h.n.mu.Lock()
		defer c.h.n.mu.Unlock()
		c.cond.Broadcast()
	})
	c.cond.Broadcast()
	return nil
}

// SetWriteDeadline implements net.PacketConn; writes never wait.
func (c *packetConn) SetWriteDeadline(time.Time) error { return nil }
