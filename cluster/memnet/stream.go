package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// stream is one connection: two ends and the links between them. The network's lock guards it.
type stream struct {
	n    *Network
	ends [2]*end
	err  error       // how it died; nil while it lives
	doom *time.Timer // runs while the link is cut
}

// end is one side of a stream: a net.Conn.
type end struct {
	s      *stream
	peer   *end
	host   *Host
	addr   *net.TCPAddr
	cond   *sync.Cond // anything changed for this end
	in     []chunk    // on its way to this end
	size   int        // bytes of in
	last   time.Time  // when the latest of in arrives
	closed bool
	read   deadline
	write  deadline
}

// chunk is bytes on their way; no bytes mean the other end said goodbye.
type chunk struct {
	b  []byte
	at time.Time
}

func (n *Network) connect(from *Host, fromPort int, to *Host, toPort int) (client, server *end) {
	s := &stream{n: n}
	side := func(h *Host, port int) *end {
		return &end{s: s, host: h, addr: &net.TCPAddr{IP: h.ip, Port: port}, cond: sync.NewCond(&n.mu)}
	}
	client, server = side(from, fromPort), side(to, toPort)
	client.peer, server.peer = server, client
	s.ends = [2]*end{client, server}
	n.streams[s] = struct{}{}
	return client, server
}

// linkChanged starts the clock of a stream whose link was cut in either direction (without
// acknowledgements nothing goes on), and stops it when the link is whole again.
func (s *stream) linkChanged() {
	a, b := s.ends[0], s.ends[1]
	whole := s.n.open(a.host, b.host) && s.n.open(b.host, a.host)
	switch {
	case whole && s.doom != nil:
		s.doom.Stop()
		s.doom = nil
	case !whole && s.doom == nil:
		s.doom = time.AfterFunc(Patience, s.die)
	}
	a.cond.Broadcast()
	b.cond.Broadcast()
}

func (s *stream) die() {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	if s.doom != nil { // else it was healed in the very moment
		s.end(syscall.ETIMEDOUT)
	}
}

func (s *stream) of(h *Host) bool { return s.ends[0].host == h || s.ends[1].host == h }

// forget drops what is on its way.
func (s *stream) forget() {
	for _, e := range s.ends {
		e.in, e.size = nil, 0
	}
}

func (s *stream) end(err error) {
	if s.err == nil {
		s.err = err
	}
	delete(s.n.streams, s)
	if s.doom != nil {
		s.doom.Stop()
	}
	for _, e := range s.ends {
		e.cond.Broadcast()
	}
}

func (e *end) wake() {
	e.s.n.mu.Lock()
	defer e.s.n.mu.Unlock()
	e.cond.Broadcast()
}

func (e *end) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: e.addr, Addr: e.peer.addr, Err: err}
}

// Read implements net.Conn.
func (e *end) Read(b []byte) (int, error) {
	n := e.s.n
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		switch {
		case e.closed:
			return 0, e.fail("read", net.ErrClosed)
		case e.read.passed():
			return 0, e.fail("read", os.ErrDeadlineExceeded)
		case len(b) == 0:
			return 0, nil
		case e.arrived():
			return e.take(b)
		case e.s.err != nil:
			return 0, e.fail("read", e.s.err)
		}
		e.cond.Wait()
	}
}

func (e *end) arrived() bool {
	return len(e.in) > 0 && !time.Now().Before(e.in[0].at) && e.s.n.open(e.peer.host, e.host)
}

func (e *end) take(b []byte) (int, error) {
	first := &e.in[0]
	if len(first.b) == 0 {
		return 0, io.EOF // stays: every read from now on ends so
	}
	k := copy(b, first.b)
	first.b = first.b[k:]
	e.size -= k
	if len(first.b) == 0 {
		e.in = e.in[1:]
	}
	e.peer.cond.Broadcast() // room to write
	return k, nil
}

// Write implements net.Conn.
func (e *end) Write(b []byte) (int, error) {
	n := e.s.n
	n.mu.Lock()
	defer n.mu.Unlock()
	done := 0
	for {
		switch {
		case e.closed:
			return done, e.fail("write", net.ErrClosed)
		case e.write.passed():
			return done, e.fail("write", os.ErrDeadlineExceeded)
		case e.s.err != nil:
			return done, e.fail("write", e.s.err)
		case e.peer.closed && n.open(e.host, e.peer.host) && n.open(e.peer.host, e.host):
			e.s.end(syscall.ECONNRESET)
			return done, e.fail("write", syscall.ECONNRESET)
		case done == len(b):
			return done, nil
		}
		if room := streamBuffer - e.peer.size; room > 0 {
			k := min(room, len(b)-done)
			e.send(append([]byte(nil), b[done:done+k]...))
			done += k
			continue
		}
		e.cond.Wait()
	}
}

// send puts bytes on their way to the peer, never overtaking what went before.
func (e *end) send(b []byte) {
	n, p := e.s.n, e.peer
	if n.sent(e.host, p.host, e.addr, p.addr, b); e.host.off {
		return
	}
	wait := n.latency(e.host, p.host)
	if n.lost(e.host, p.host) {
		wait += resend
	}
	now := time.Now()
	at := now.Add(wait)
	if at.Before(p.last) {
		at = p.last
	}
	p.last = at
	p.in = append(p.in, chunk{b, at})
	p.size += len(b)
	if at.After(now) {
		time.AfterFunc(at.Sub(now), p.wake)
		return
	}
	p.cond.Broadcast()
}

// Close implements net.Conn. What was written is still delivered, as the link allows.
func (e *end) Close() error {
	n := e.s.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if e.closed {
		return e.fail("close", net.ErrClosed)
	}
	e.closed = true
	e.read.set(time.Time{}, nil)
	e.write.set(time.Time{}, nil)
	e.send(nil)
	e.cond.Broadcast()
	e.peer.cond.Broadcast()
	if e.peer.closed {
		e.s.end(net.ErrClosed)
	}
	return nil
}

// LocalAddr implements net.Conn.
func (e *end) LocalAddr() net.Addr { return e.addr }

// RemoteAddr implements net.Conn.
func (e *end) RemoteAddr() net.Addr { return e.peer.addr }

// SetDeadline implements net.Conn.
func (e *end) SetDeadline(t time.Time) error { return e.setDeadlines(t, &e.read, &e.write) }

// SetReadDeadline implements net.Conn.
func (e *end) SetReadDeadline(t time.Time) error { return e.setDeadlines(t, &e.read) }

// SetWriteDeadline implements net.Conn.
func (e *end) SetWriteDeadline(t time.Time) error { return e.setDeadlines(t, &e.write) }

func (e *end) setDeadlines(t time.Time, which ...*deadline) error {
	e.s.n.mu.Lock()
	defer e.s.n.mu.Unlock()
	if e.closed {
		return e.fail("set deadline", net.ErrClosed)
	}
	for _, d := range which {
		d.set(t, e.wake)
	}
	e.cond.Broadcast()
	return nil
}
