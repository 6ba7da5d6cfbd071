package record

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

// layer carries raft over the mesh port. A raft address is a station's id: where that is, is asked at each dial.
type layer struct {
	self alerts.StationID
	cell alerts.CellID
	port *trust.Port
	addr func(alerts.StationID) (string, bool)

	accept chan net.Conn
	closed chan struct{}

	mu   sync.Mutex
	done bool
	open map[*layerConn]struct{}
}

var _ raft.StreamLayer = (*layer)(nil)

func newLayer(c Config) *layer {
	return &layer{
		self: c.Self, cell: c.Cell, port: c.Port, addr: c.Addr,
		accept: make(chan net.Conn), closed: make(chan struct{}), open: map[*layerConn]struct{}{},
	}
}

// take hands raft a stream that another voter opened.
func (l *layer) take(c net.Conn, r *bufio.Reader) {
	t := l.track(c, r)
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

// Dial implements raft.StreamLayer.
func (l *layer) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	go func() {
		select {
		case <-l.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	c, err := dial(ctx, l.port, l.addr, alerts.StationID(to), opening{Version: openVersion, Cell: l.cell, Purpose: forRaft})
	if err != nil {
		return nil, err
	}
	if t := l.track(c, nil); t != nil {
		return t, nil
	}
	return nil, net.ErrClosed
}

// dial opens a stream to a station and says what it is for.
func dial(ctx context.Context, port *trust.Port, addr func(alerts.StationID) (string, bool), to alerts.StationID, o opening) (net.Conn, error) {
	at, ok := addr(to)
	if !ok {
		return nil, fmt.Errorf("no address is known of %s", to)
	}
	c, err := port.Dial(ctx, trust.ProtoRecord, at, to)
	if err != nil {
		return nil, err
	}
	c.SetWriteDeadline(time.Now().Add(openTime))
	if err := wire.WriteFrame(c, o); err != nil {
		c.Close()
		return nil, err
	}
	c.SetWriteDeadline(time.Time{})
	return c, nil
}

// Addr implements net.Listener.
func (l *layer) Addr() net.Addr { return layerAddr(l.self) }

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
	r    *bufio.Reader // what came with the opening; nil when dialled
	once sync.Once
}

// track returns nil, and closes c, once the layer is closed.
func (l *layer) track(c net.Conn, r *bufio.Reader) *layerConn {
	t := &layerConn{Conn: c, l: l, r: r}
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
	if t.r != nil {
		return t.r.Read(b)
	}
	return t.Conn.Read(b)
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
