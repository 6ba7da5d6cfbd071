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
	// maxQueue bounds what waits for one peer in each lane. Whoever is that far behind is synced instead.
	maxQueue = 1024
	// maxTopics bounds the soft state that waits for one peer: receipts of the open alarms, positions.
	maxTopics = 1024
	// writeTime is how long a peer may leave a write waiting before its stream is given up.
	writeTime = 10 * time.Second
)

// The lanes of a queue, in the order in which they are emptied.
const (
	laneAlarm = iota
	laneRest
	lanes
)

// link is the way to one peer: it dials, writes what waits, and dials again.
type link struct {
	l      *Links
	peer   alerts.StationID
	ctx    context.Context
	cancel context.CancelFunc
	soon   chan struct{} // dial without waiting
	ready  chan struct{} // something waits to be written

	mu     sync.Mutex
	addr   string
	conn   net.Conn // nil: no stream
	queue  [lanes][][]byte
	casts  map[string][]byte
	topics []string // of casts, oldest first
}

func newLink(l *Links, p Peer) *link {
	k := &link{
		l: l, peer: p.Station, addr: p.Addr, casts: map[string][]byte{},
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
	k.conn = nil
	k.queue = [lanes][][]byte{} // Sync brings what was not sent
	k.mu.Unlock()
	return errors.Join(err, heard)
}

// write sends what waits until the stream ends; whatever waits together goes out in one write.
func (k *link) write(c net.Conn, ended <-chan struct{}) error {
	w := bufio.NewWriterSize(c, 64<<10)
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
	for i, q := range k.queue {
		if len(q) > 0 {
			k.queue[i] = q[1:]
			return q[0]
		}
	}
	if len(k.topics) == 0 {
		return nil
	}
	topic := k.topics[0]
	k.topics = k.topics[1:]
	b := k.casts[topic]
	delete(k.casts, topic)
	return b
}

// push queues a frame for the stream; false: there is none. A full queue closes it.
func (k *link) push(lane int, b []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.conn == nil {
		return false
	}
	if conn := k.conn; len(k.queue[lane]) >= maxQueue {
		k.l.take.count(func(s *Stats) { s.Slow++ })
		k.l.wg.Go(func() { conn.Close() }) // closing may write, and the peer does not read
		k.conn = nil
		return false
	}
	k.queue[lane] = append(k.queue[lane], b)
	k.nudge()
	return true
}

// cast queues soft state; false: too many topics wait.
func (k *link) cast(topic string, b []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.casts[topic] == nil {
		if len(k.topics) >= maxTopics {
			return false
		}
		k.topics = append(k.topics, topic)
	}
	k.casts[topic] = b
	k.nudge()
	return true
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
			k.push(laneAlarm, b) // an alarm may wait for it
		}
	}
}

func (l *Links) misread(err error) error {
	if errors.Is(err, wire.ErrMalformed) || errors.Is(err, io.ErrUnexpectedEOF) {
		l.take.bad(badFrame)
	}
	return err
}
