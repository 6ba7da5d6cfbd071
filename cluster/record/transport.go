package record

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
)

// layer carries raft over the mesh port. A raft address is a station's id: where that is, is asked at each dial.
type layer struct {
	c   *Cell
	era era

	accept chan net.Conn
	closed chan struct{}
	lost   chan alerts.StationID // whose stream to us broke; one that waits is enough

	mu   sync.Mutex
	done bool
	open map[*layerConn]struct{}
}

var _ raft.StreamLayer = (*layer)(nil)

func newLayer(c *Cell, e era) *layer {
	return &layer{
		c: c, era: e,
		accept: make(chan net.Conn), closed: make(chan struct{}), lost: make(chan alerts.StationID, 1), open: map[*layerConn]struct{}{},
	}
}

// take hands raft a stream that another voter opened.
func (l *layer) take(from alerts.StationID, c net.Conn, r *bufio.Reader) {
	t := l.track(from, c, r)
	if t == nil {
		return
	}
	select {
	case l.accept <- t:
	case <-l.closed:
		t.Close()
	}
}

// Accept implements net.Listener.
func (l *layer) Accept() (net.Conn, error) {
	select {
	case c := <-l.accept:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Dial implements raft.StreamLayer. A stream to this station itself goes to its own raft, over no wire.
func (l *layer) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	if self := l.c.cfg.Self; alerts.StationID(to) == self {
		near, far := net.Pipe()
		l.take(self, far, bufio.NewReader(far))
		if t := l.track("", near, bufio.NewReader(near)); t != nil {
			return t, nil
		}
		return nil, net.ErrClosed
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	go func() {
		select {
		case <-l.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	a, err := l.c.dial(ctx, alerts.StationID(to), opening{Purpose: forRaft, Era: l.era.raw})
	if err != nil {
		return nil, err
	}
	if t := l.track("", a.conn, a.r); t != nil {
		return t, nil
	}
	return nil, net.ErrClosed
}

// Addr implements net.Listener.
func (l *layer) Addr() net.Addr { return layerAddr(l.c.cfg.Self) }

// Close implements net.Listener: it ends every stream of raft's, in both directions.
func (l *layer) Close() error {
	l.mu.Lock()
	if l.done {
		l.mu.Unlock()
		return nil
	}
	l.done = true
	close(l.closed)
	open := l.open
	l.open = nil
	l.mu.Unlock()
	for c := range open {
		c.Conn.Close()
	}
	return nil
}

type layerAddr alerts.StationID

func (layerAddr) Network() string  { return trust.ProtoRecord }
func (a layerAddr) String() string { return string(a) }

// layerConn is a stream the layer knows of until raft closes it.
type layerConn struct {
	net.Conn
	l    *layer
	r    *bufio.Reader    // what came with the opening, or its answer
	from alerts.StationID // who opened it; empty: we did
	once sync.Once
}

// track returns nil, and closes c, once the layer is closed.
func (l *layer) track(from alerts.StationID, c net.Conn, r *bufio.Reader) *layerConn {
	t := &layerConn{Conn: c, l: l, r: r, from: from}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done {
		c.Close()
		return nil
	}
	l.open[t] = struct{}{}
	return t
}

// Read implements net.Conn.
func (t *layerConn) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	if err != nil && t.from != "" {
		select {
		case t.l.lost <- t.from:
		default:
		}
	}
	return n, err
}

// Close implements net.Conn.
func (t *layerConn) Close() (err error) {
	t.once.Do(func() {
		t.l.mu.Lock()
		delete(t.l.open, t)
		t.l.mu.Unlock()
		err = t.Conn.Close()
	})
	return err
}
