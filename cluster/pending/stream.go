package pending

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

const (
	// writeTime is how long a peer may leave a write waiting before its stream is given up.
	writeTime = 10 * time.Second
	// streamBuffer is what goes into one write or comes out of one read: a TLS record. A voter of a big county has
	// a stream from everybody, so it must be small.
	streamBuffer = 16 << 10
)

// link is the way to one peer: it dials, writes what waits, and dials again.
type link struct {
	l      *Links
	peer   alerts.StationID
	ctx    context.Context
	cancel context.CancelFunc
	soon   chan struct{} // dial without waiting
	ready  chan struct{} // something waits to be written

	// Under the lock of l:
	spare bool      // in the place of one that is out of reach
	until time.Time // it was called for an alarm, and stays so long

	mu      sync.Mutex
	addr    string
	conn    net.Conn  // nil: no stream
	down    time.Time // since when
	waiting waiting
}

func newLink(l *Links, p Peer) *link {
	k := &link{
		l: l, peer: p.Station, addr: p.Addr, down: time.Now(), waiting: newWaiting(),
		soon: make(chan struct{}, 1), ready: make(chan struct{}, 1),
	}
	k.ctx, k.cancel = context.WithCancel(l.ctx)
	return k
}

// moveTo notes where the peer is; true: it was elsewhere before.
func (k *link) moveTo(addr string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	moved := k.addr != addr
	k.addr = addr
	return moved
}

func (k *link) hurry() {
	if k.connected() {
		return
	}
	select {
	case k.soon <- struct{}{}:
	default:
	}
}

func (k *link) connected() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.conn != nil
}

// up is where the peer is, if there is a stream to it.
func (k *link) up() (addr string, yes bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.addr, k.conn != nil
}

// downFor is for how long there has been no stream.
func (k *link) downFor(now time.Time) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.conn != nil {
		return 0
	}
	return now.Sub(k.down)
}

func (k *link) run() {
	pause := firstRetry
	for k.ctx.Err() == nil {
		k.mu.Lock()
		addr := k.addr
		k.mu.Unlock()
		c, err := k.l.cfg.Port.Dial(k.ctx, trust.ProtoMesh, addr, k.peer)
		if err == nil {
			since := time.Now()
			err = k.talk(c)
			if time.Since(since) > lastRetry {
				pause = firstRetry
			}
		}
		k.l.cfg.Log.Debug("no stream", zap.String("to", string(k.peer)), zap.Error(err))
		select {
		case <-k.ctx.Done():
		case <-k.soon:
			pause = firstRetry
		case <-time.After(pause/2 + rand.N(pause)): // many that lost the same peer do not come back at once
			pause = min(2*pause, lastRetry)
		}
	}
}

// talk uses one stream until it ends.
func (k *link) talk(c net.Conn) error {
	k.mu.Lock()
	k.conn = c
	k.mu.Unlock()
	stop := context.AfterFunc(k.ctx, func() { c.Close() })
	defer stop()
	ended := make(chan struct{})
	var heard error
	go func() {
		defer close(ended)
		heard = k.hear(c)
		c.Close()
	}()
	err := k.write(c, ended)
	c.Close()
	<-ended
	k.mu.Lock()
	k.conn, k.down = nil, time.Now()
	k.waiting.forget()
	k.mu.Unlock()
	return errors.Join(err, heard)
}

// write sends what waits until the stream ends; whatever waits together goes out in one write.
func (k *link) write(c net.Conn, ended <-chan struct{}) error {
	w := bufio.NewWriterSize(c, streamBuffer)
	for {
		c.SetWriteDeadline(time.Now().Add(writeTime))
		for b := k.next(); b != nil; b = k.next() {
			if _, err := w.Write(b); err != nil {
				return k.slow(err)
			}
		}
		if err := w.Flush(); err != nil {
			return k.slow(err)
		}
		select {
		case <-k.ready:
		case <-ended:
			return nil
		}
	}
}

func (k *link) slow(err error) error {
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		k.l.take.count(func(s *Stats) { s.Slow++ })
	}
	return err
}

// next takes the most urgent frame that waits; nil: none.
func (k *link) next() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.waiting.next()
}

// push queues a frame for the stream; false: there is none, or too much waits already. One so slow that alarms
// do not get in is given up.
func (k *link) push(lane alerts.Lane, b []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch conn := k.conn; {
	case conn == nil:
		return false
	case k.waiting.put(lane, "", b):
		k.nudge()
		return true
	case lane == alerts.LaneAlarm:
		k.l.take.count(func(s *Stats) { s.Slow++ })
		k.l.wg.Go(func() { conn.Close() }) // closing may write, and the peer does not read
		k.conn, k.down = nil, time.Now()
	default:
		k.l.take.count(func(s *Stats) { s.Thinned++ })
	}
	return false
}

// send is push that waits for a stream if there is none; false: it is not on its way yet.
func (k *link) send(lane alerts.Lane, b []byte) bool {
	k.mu.Lock()
	if k.conn == nil {
		k.waiting.put(lane, "", b)
		k.mu.Unlock()
		return false
	}
	k.mu.Unlock()
	return k.push(lane, b)
}

// cast queues soft state, which waits for a stream if there is none.
func (k *link) cast(lane alerts.Lane, topic string, b []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.waiting.put(lane, topic, b) {
		k.nudge()
	} else {
		k.l.take.count(func(s *Stats) { s.Thinned++ })
	}
}

func (k *link) nudge() {
	select {
	case k.ready <- struct{}{}:
	default:
	}
}

// hear reads what comes back: what the peer keeps, and whose certificates it lacks.
func (k *link) hear(c net.Conn) error {
	r := bufio.NewReader(c)
	for {
		var f frame
		if err := wire.ReadFrameMax(r, &f, maxFrame); err != nil {
			return k.l.misread(err)
		}
		if f.Kept != nil {
			for _, id := range splitIDs(f.Kept) {
				if k.l.cfg.OnKept != nil {
					k.l.cfg.OnKept(id, k.peer)
				}
			}
		}
		if f.Ask != "" {
			der, _ := k.l.cfg.Ring.Cert(alerts.StationID(f.Ask))
			b, err := encode(frame{Ask: f.Ask, Cert: der})
			if err != nil {
				return err
			}
			k.push(alerts.LaneAlarm, b) // an alarm may wait for it
		}
	}
}

func (l *Links) misread(err error) error {
	if errors.Is(err, wire.ErrMalformed) || errors.Is(err, io.ErrUnexpectedEOF) {
		l.take.bad(badFrame)
	}
	return err
}
