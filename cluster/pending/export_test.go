package pending

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"testing"

	"go.etcd.io/bbolt"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

// Commits counts what was committed, by bbolt's own number. The writer must be at rest.
func (s *Set) Commits(t *testing.T) int {
	t.Helper()
	n := 0
	if err := s.db.View(func(tx *bbolt.Tx) error { n = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// Rot flips a bit of a kept event on disk. The writer must be at rest.
func (s *Set) Rot(t *testing.T, id alerts.Hash) {
	t.Helper()
	err := s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(eventsBucket)
		raw := bytes.Clone(b.Get(id[:]))
		raw[len(raw)/2] ^= 1
		return b.Put(id[:], raw)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Reader reads what any peer might say as a frame of a stream and as a turn of an exchange, and answers it.
func Reader(ring *trust.Ring, set *Set) func(r *bufio.Reader, b []byte) {
	l := &Links{cfg: LinksConfig{Ring: ring, Set: set}, take: newTaker(ring, set, nil)}
	s := &Sync{cfg: SyncConfig{Ring: ring, Set: set, Heads: func() []Head { return []Head{{Cell: "yongqing"}} }}, take: l.take}
	s.ctx = context.Background()
	return func(r *bufio.Reader, b []byte) {
		in := &inbound{l: l, peer: "thief", held: held{t: l.take}, acks: make(chan taken, 1), asks: make(chan alerts.StationID, 1)}
		var f frame
		for wire.ReadFrameMax(r, &f, maxFrame) == nil {
			in.take(f)
			f = frame{}
		}
		for _, opens := range []bool{true, false} {
			d, again := s.side("thief", opens), bufio.NewReader(bytes.NewReader(b))
			var m message
			for wire.ReadFrame(again, &m) == nil {
				d.step(m)
				m = message{}
			}
		}
	}
}

// Queued is a link with a stream that nobody writes to yet, for looking at its order.
type Queued struct{ k *link }

func NewQueued(c net.Conn) Queued {
	k := newLink(&Links{ctx: context.Background()}, Peer{})
	k.conn = c
	return Queued{k}
}

func (q Queued) Push(alarm bool, b string) {
	lane := laneRest
	if alarm {
		lane = laneAlarm
	}
	q.k.push(lane, []byte(b))
}

func (q Queued) Cast(topic, b string) { q.k.cast(topic, []byte(b)) }

// Drain is what would be written now, in order.
func (q Queued) Drain() (out []string) {
	for b := q.k.next(); b != nil; b = q.k.next() {
		out = append(out, string(b))
	}
	return out
}
