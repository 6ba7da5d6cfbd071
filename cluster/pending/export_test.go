package pending

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
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

// Reader reads what any peer might say as frames of a stream and as turns of an exchange, and answers it.
// Whatever came in can be said again, an answer fits a frame, and what waits for certificates is bounded.
func Reader(ring *trust.Ring, set *Set) func(t *testing.T, b []byte) {
	l := &Links{cfg: LinksConfig{Ring: ring, Set: set}, take: newTaker(ring, set, nil), seen: newSeen()}
	s := &Sync{cfg: SyncConfig{Ring: ring, Set: set, Heads: func() []Head { return []Head{{Cell: "yongqing"}} }}, take: l.take}
	s.ctx = context.Background()
	return func(t *testing.T, b []byte) {
		in := &inbound{l: l, peer: "thief", held: held{t: l.take}, acks: make(chan *taken, 1), asks: make(chan alerts.StationID, 1)}
		reads(t, b, maxFrame, func(f frame) { in.take(f) })
		if in.held.size > maxHeld {
			t.Errorf("%d events wait for certificates", in.held.size)
		}
		for _, opens := range []bool{true, false} {
			d := s.side("thief", opens)
			reads(t, b, wire.MaxFrame, func(m message) {
				out := d.step(m)
				if len(out.Events) > batch || len(out.Certs) > maxHeld {
					t.Errorf("an answer of %d events and %d certificates", len(out.Events), len(out.Certs))
				}
				if err := wire.WriteFrame(io.Discard, out); err != nil {
					t.Errorf("an answer that cannot be sent: %v", err)
				}
			})
		}
	}
}

// reads reads frames until one is bad, and says and reads each again.
func reads[T any](t *testing.T, b []byte, limit int, took func(T)) {
	for r := bufio.NewReader(bytes.NewReader(b)); ; {
		var v, again T
		err := wire.ReadFrameMax(r, &v, limit)
		if err != nil {
			if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("unnamed error: %v", err)
			}
			return
		}
		var said, twice bytes.Buffer
		if err := wire.WriteFrame(&said, v); err != nil {
			t.Fatal(err)
		}
		form := bytes.Clone(said.Bytes())
		if err := wire.ReadFrame(bufio.NewReader(&said), &again); err != nil {
			t.Fatalf("%+v cannot be said again: %v", v, err)
		}
		if err := wire.WriteFrame(&twice, again); err != nil || !bytes.Equal(twice.Bytes(), form) {
			t.Fatalf("%+v became %+v", v, again)
		}
		took(v)
	}
}

// Queued is a link with a stream that nobody writes to yet, for looking at its order.
type Queued struct{ k *link }

func NewQueued(c net.Conn) Queued {
	k := newLink(&Links{ctx: context.Background(), take: newTaker(nil, nil, nil)}, Peer{})
	k.conn = c
	return Queued{k}
}

func (q Queued) Push(lane alerts.Lane, b string) bool { return q.k.push(lane, []byte(b)) }

func (q Queued) Cast(lane alerts.Lane, topic, b string) { q.k.cast(lane, topic, []byte(b)) }

// Waits is how many bytes wait, and may at most.
func (q Queued) Waits() (now, most int) { return q.k.waiting.size, maxWaiting }

// Drain is what would be written now, in order.
func (q Queued) Drain() (out []string) {
	for b := q.k.next(); b != nil; b = q.k.next() {
		out = append(out, string(b))
	}
	return out
}
