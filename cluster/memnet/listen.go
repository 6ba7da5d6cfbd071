package memnet

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"
)

// listener accepts streams. The network's lock guards it.
type listener struct {
	h       *Host
	addr    *net.TCPAddr
	cond    *sync.Cond
	waiting []*end
	closed  bool
}

// Listen takes streams at addr: "host:port", ":port", or port 0 for any. The host part is not looked at.
func (h *Host) Listen(addr string) (net.Listener, error) {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	port, err := h.free(addr, "tcp", func(p int) bool { return h.listeners[p] == nil })
	if err != nil {
		return nil, err
	}
	l := &listener{h: h, addr: &net.TCPAddr{IP: h.ip, Port: port}, cond: sync.NewCond(&h.n.mu)}
	h.listeners[port] = l
	return l, nil
}

// free is the port that addr names, or one above 20000 that is free.
func (h *Host) free(addr, network string, ok func(int) bool) (int, error) {
	_, service, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, err
	}
	port, err := net.LookupPort(network, service)
	if err != nil {
		return 0, err
	}
	if port == 0 {
		for port = 20001; !ok(port); port++ {
		}
	}
	if !ok(port) {
		return 0, &net.OpError{Op: "listen", Net: network, Addr: &net.TCPAddr{IP: h.ip, Port: port}, Err: syscall.EADDRINUSE}
	}
	return port, nil
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	n := l.h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(l.waiting) == 0 && !l.closed {
		l.cond.Wait()
	}
	if l.closed {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
	e := l.waiting[0]
	l.waiting = l.waiting[1:]
	return e, nil
}

// Close implements net.Listener.
func (l *listener) Close() error {
	n := l.h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.closed {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
	l.closed = true
	delete(l.h.listeners, l.addr.Port)
	for _, e := range l.waiting {
		e.s.end(syscall.ECONNRESET)
	}
	l.cond.Broadcast()
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.addr }

// Dial connects to addr ("10.77.0.i:port" or "name:port"). Over a cut link it knocks again after 1, 3, 7
// and 15 seconds, as TCP does, until ctx ends or Patience is over.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	n := h.n
	ctx, cancel := context.WithTimeoutCause(ctx, Patience, syscall.ETIMEDOUT)
	defer cancel()
	n.mu.Lock()
	to, port, err := n.find(addr)
	if err != nil {
		n.mu.Unlock()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	wait := n.latency(h, to) + n.latency(to, h)
	at := &net.TCPAddr{IP: to.ip, Port: port}
	n.mu.Unlock()
	for again := firstKnock; ; again *= 2 {
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: at, Err: context.Cause(ctx)}
			}
		}
		if c, err := h.knock(to, port); c != nil || err != nil {
			return c, err
		}
		wait = again
	}
}

// knock is one try: neither a stream nor an error when nothing gets through.
func (h *Host) knock(to *Host, port int) (net.Conn, error) {
	n := h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	addr := &net.TCPAddr{IP: to.ip, Port: port}
	if h.off {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: addr, Err: syscall.ENETUNREACH}
	}
	n.sent(h, to, &net.TCPAddr{IP: h.ip, Port: h.next}, addr, nil)
	if !n.open(h, to) || !n.open(to, h) {
		return nil, nil
	}
	l := to.listeners[port]
	if l == nil || len(l.waiting) >= backlog {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: addr, Err: syscall.ECONNREFUSED}
	}
	client, server := n.connect(h, h.next, to, port)
	h.next++
	l.waiting = append(l.waiting, server)
	l.cond.Broadcast()
	return client, nil
}
