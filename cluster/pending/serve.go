package pending

import (
	"bufio"
	"crypto/sha256"
	"net"
	"sync"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

// maxAcks bounds the events of one stream that wait for the disk. Past it "kept" goes unsaid: claiming too
// little is honest, and reading on is more urgent.
const maxAcks = 1024

// inbound is a stream that a peer dialled.
type inbound struct {
	l    *Links
	peer alerts.StationID
	conn net.Conn
	held held
	acks chan *taken // wait for the disk, in order; a station has many streams, and most of them hold none
	asks chan alerts.StationID
	over chan struct{} // the stream has ended
}

// serve reads a peer's stream until it ends. A peer has one: a new one ends the one before.
func (l *Links) serve(peer alerts.StationID, c net.Conn) {
	defer c.Close()
	if !l.enter(peer, c) {
		return
	}
	defer l.leave(peer, c)
	in := &inbound{
		l: l, peer: peer, conn: c, held: held{t: l.take},
		acks: make(chan *taken, maxAcks), asks: make(chan alerts.StationID, maxHeld),
		over: make(chan struct{}),
	}
	var wg sync.WaitGroup
	wg.Go(in.answer)
	r := bufio.NewReaderSize(c, streamBuffer)
	for {
		var f frame
		if err := wire.ReadFrameMax(r, &f, maxFrame); err != nil {
			l.misread(err)
			break
		}
		in.take(f)
	}
	close(in.over)
	c.Close() // ends a write of answer
	wg.Wait()
}

func (l *Links) enter(peer alerts.StationID, c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if old := l.in[peer]; old != nil {
		l.wg.Go(func() { old.Close() }) // closing may write, and the old stream may be dead
	}
	l.in[peer] = c
	l.wg.Add(1)
	return true
}

func (l *Links) leave(peer alerts.StationID, c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.in[peer] == c {
		delete(l.in, peer)
	}
	l.wg.Done()
}

func (in *inbound) take(f frame) {
	switch {
	case f.Event != nil:
		in.event(f.Event, f.Hops)
	case f.Topic != "":
		if in.l.cfg.OnCast != nil {
			in.l.cfg.OnCast(f.Topic, in.peer, f.Body)
		}
	case f.Ask != "":
		for _, raw := range in.held.answer(alerts.StationID(f.Ask), f.Cert) {
			in.event(raw, 0)
		}
	}
}

// event takes one in. What came through other hands and was here before is dropped unread: in a big county a station
// is handed each alarm a dozen times.
func (in *inbound) event(raw []byte, hops uint64) {
	sum := sha256.Sum256(raw)
	if hops > 0 && in.l.seen.has(sum) {
		in.l.take.count(func(s *Stats) { s.Received, s.Again = s.Received+1, s.Again+1 })
		return
	}
	k, unknown, ok := in.l.take.event(raw, in.peer)
	if unknown != "" {
		if in.held.hold(unknown, raw) {
			select {
			case in.asks <- unknown:
			default:
				in.held.answer(unknown, nil) // more questions than answers: Sync may do better
			}
		}
		return
	}
	if !ok {
		return
	}
	if k.added && in.l.cfg.OnEvent != nil {
		in.l.cfg.OnEvent(k.e, in.peer)
	}
	if k.e.AlarmLane() && in.l.seen.add(sum) {
		in.l.relay(k.e, in.peer, hops)
	}
	if hops > 0 {
		return // who handed it on does not count who keeps it
	}
	select {
	case in.acks <- &k:
	default:
	}
}

// answer writes what goes back: names of events once they are on disk, and questions, which never wait for
// the disk.
func (in *inbound) answer() {
	acks := in.acks
	var first *taken
	var disk <-chan error // of first; nil: nothing waits, and the next of acks may come
	for {
		var f frame
		select {
		case <-in.over:
			return
		case first = <-acks:
			disk, acks = first.kept, nil
			continue
		case err := <-disk:
			if err == nil {
				f.Kept = append(f.Kept, first.e.ID[:]...)
			}
			disk, acks = nil, in.acks
			if more, ok := in.gather(&f); ok {
				first, disk, acks = more, more.kept, nil
			}
			if f.Kept == nil {
				continue
			}
		case s := <-in.asks:
			f.Ask = string(s)
		}
		b, err := encode(f)
		if err == nil {
			in.conn.SetWriteDeadline(time.Now().Add(writeTime))
			_, err = in.conn.Write(b)
		}
		if err != nil {
			in.conn.Close()
			return
		}
	}
}

// gather adds what else is on disk by now; ok: more is the first that is not.
func (in *inbound) gather(f *frame) (more *taken, ok bool) {
	for {
		select {
		case k := <-in.acks:
			select {
			case err := <-k.kept:
				if err == nil {
					f.Kept = append(f.Kept, k.e.ID[:]...)
				}
			default:
				return k, true
			}
		default:
			return nil, false
		}
	}
}

func splitIDs(b []byte) []alerts.Hash {
	var out []alerts.Hash
	for ; len(b) >= len(alerts.Hash{}); b = b[len(alerts.Hash{}):] {
		out = append(out, alerts.Hash(b[:len(alerts.Hash{})]))
	}
	return out
}
