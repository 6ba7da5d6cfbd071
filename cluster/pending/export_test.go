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

// HoldDisk makes the disk hang until release is called.
func (s *Set) HoldDisk(t *testing.T) (release func()) {
	t.Helper()
	tx, err := s.db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	return func() { tx.Rollback() }
}

// Commits counts what was committed, by bbolt's own number.
func (s *Set) Commits(t *testing.T) int {
	t.Helper()
	n := 0
	if err := s.db.View(func(tx *bbolt.Tx) error { n = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// BreakDisk makes every write fail until mend is called. The writer must be at rest at both.
func (s *Set) BreakDisk(t *testing.T) (mend func()) {
	t.Helper()
	path := s.db.Path()
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.mu.Lock() // the writer passes by it before it uses db
		defer s.mu.Unlock()
		s.db = db
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
