package web

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"hivemesh/alerts"
)

const (
	// maxQueue is how many frames may wait for a socket. Beyond it the client is too slow to trust: it is
	// told to come again and resume, because an incident is never dropped from the middle.
	maxQueue = 1024
	// writeChunk bounds one write, so that a long history does not hold a buffer of its whole length.
	writeChunk = 64 << 10
	// closeGrace is how long a socket has to take its close frame.
	closeGrace = time.Second
	// keepQueue is how long an idle socket's queue may stay allocated, in frames (24 bytes each).
	keepQueue = 4
	// keepBuffer is the size of read buffer worth keeping for the next socket: all frames but a hello fit.
	keepBuffer = 4 << 10
)

// socket is one websocket. Its state is the hub's, under hub.mu; only the queue has a lock of its own.
// One goroutine of its own reads; writing is the business of the hub's writers.
type socket struct {
	hub  *hub
	ws   *websocket.Conn // reads only
	conn net.Conn        // writes only
	raw  syscall.RawConn // conn's own, to write without waiting; nil where there is none, as in memory

	// Set at hello, under hub.mu.
	slot     int // place in hub.socks; -1 before hello and after detach
	who      *who
	name     string        // of the device, as hello said
	device   *device       // the same for all sockets of one person on one device
	at       *alerts.Point // last known position; nil: the home station's
	home     *alerts.Point
	duty     bool
	heard    alerts.Heard
	stood    map[alerts.IncidentID]bool // heard incidents whose end was sent
	owed     *owed                      // history still to be sent; nil: all was
	behind   map[alerts.CellID]Cursor   // cells in which the client knows more than this station
	staff    bool                       // may see some matters in full: worth asking ClassOf
	sees     bool                       // gets positions
	patchy   bool                       // missed a positions frame: the next one is whole
	frames   budget                     // the reader's own, as the next four
	pings    budget
	mistakes int
	turnedAt time.Time                    // when it last passed on whether the person is on duty
	movedAt  time.Time                    // when it last passed a position on
	later    atomic.Pointer[alerts.Point] // one that came too soon after that; nil: none
	willing  atomic.Pointer[bool]         // the same for duty

	beat      uint8        // which tick of the heartbeat is its own
	lastRead  atomic.Int64 // Unix milliseconds
	stuckFrom atomic.Int64 // when the write under way began to wait; 0: none does

	mu      sync.Mutex
	queue   []item  // by lane, and in a lane oldest first
	room    int     // beyond maxQueue: a history not yet written
	inLine  [2]bool // stands in that line of the writers
	writing bool    // somebody writes: there is one writer at a time
	closing bool    // a close frame is queued or written: nothing more is taken
}

// push queues frames and sees to it that somebody writes them.
func (s *socket) push(items ...item) {
	if at, ok := s.put(items...); ok {
		s.hub.writers.add(at, s)
	}
}

// put queues frames. With ok the caller is to add the socket to that line of the writers.
func (s *socket) put(items ...item) (at int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(items) == 0 {
		return 0, false
	}
	if len(s.queue)+len(items) > maxQueue+s.room {
		s.shrink()
		if len(s.queue)+len(items) > maxQueue+s.room {
			s.shut(closeSlow)
			return s.line()
		}
	}
	for _, it := range items {
		n := len(s.queue)
		for n > 0 && s.queue[n-1].f.lane > it.f.lane {
			n--
		}
		s.queue = slices.Insert(s.queue, n, it)
	}
	return s.line()
}

// line decides in which line of the writers the socket has to be put, if any. Called with s.mu held.
func (s *socket) line() (at int, ok bool) {
	if len(s.queue) == 0 || s.writing || s.inLine[urgentLine] {
		return 0, false
	}
	if at = otherLine; s.queue[0].f.lane == alerts.LaneAlarm {
		at = urgentLine
	}
	if s.inLine[at] {
		return 0, false
	}
	s.inLine[at] = true
	return at, true
}

// pushHistory queues what hello asked for, however long: the limit counts what comes after it.
func (s *socket) pushHistory(items []item) {
	s.mu.Lock()
	s.room += len(items)
	s.mu.Unlock()
	s.push(items...)
}

// shrink drops what newer frames in the queue replace: earlier states of the same incident, earlier pings.
// The newer ones stand behind, so no cursor overtakes what it stands for.
func (s *socket) shrink() {
	last := map[string]int{}
	for n, it := range s.queue {
		if it.f.about != "" {
			last[it.f.about] = n
		}
	}
	keep := s.queue[:0]
	for n, it := range s.queue {
		if at, ok := last[it.f.about]; !ok || at == n {
			keep = append(keep, it)
		}
	}
	clear(s.queue[len(keep):])
	s.queue = keep
}

// waits reports whether a frame of this kind is still to be written.
func (s *socket) waits(kind string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.queue {
		if it.f.kind == kind {
			return true
		}
	}
	return false
}

// shut makes a close frame the last thing this socket writes. Called with s.mu held.
func (s *socket) shut(c closeCode) {
	if s.closing {
		return
	}
	s.closing = true
	if c == closeSlow {
		s.queue = s.queue[:0] // it would not read them in time
	}
	s.queue = append(s.queue, closeItem(c))
	s.hub.metrics.closed(c)
	// A write that is under way must end; after it, the peer has as long again to answer.
	_ = s.conn.SetWriteDeadline(time.Now().Add(closeGrace))
	_ = s.conn.SetReadDeadline(time.Now().Add(2 * closeGrace))
}

func (s *socket) close(c closeCode) {
	s.mu.Lock()
	s.shut(c)
	at, ok := s.line()
	s.mu.Unlock()
	if ok {
		s.hub.writers.add(at, s)
	}
}

// silence drops what waits and takes nothing more.
func (s *socket) silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	clear(s.queue)
	s.queue = s.queue[:0]
}

// kill ends the connection without a word.
func (s *socket) kill() { _ = s.conn.Close() }

// turn makes the caller this socket's writer, if there is something to write and nobody else does: it gets
// the bytes, at the end of b.
func (s *socket) turn(at int, b []byte) (_ []byte, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inLine[at] = false
	if s.writing {
		return b, false
	}
	s.writing = true
	return s.gather(b)
}

// gather moves waiting frames to the end of b, as many as one write may hold; with nothing left to write it
// signs the writer off. Called with s.mu held.
func (s *socket) gather(b []byte) (_ []byte, last bool) {
	n := 0
	for n < len(s.queue) && (n == 0 || len(b)+s.queue[n].size() < writeChunk) {
		b = s.queue[n].appendTo(b)
		last = s.queue[n].f.op == opClose
		n++
	}
	rest := copy(s.queue, s.queue[n:])
	clear(s.queue[rest:])
	s.queue = s.queue[:rest]
	if n == 0 {
		s.writing, s.room = false, 0
	}
	if rest == 0 && cap(s.queue) > keepQueue {
		s.queue = nil
	}
	return b, last
}

// done ends a turn; what came meanwhile, or did not fit, waits in line like everybody's.
func (s *socket) done() {
	s.mu.Lock()
	s.writing = false
	if len(s.queue) == 0 {
		s.room = 0
	}
	at, ok := s.line()
	s.mu.Unlock()
	if ok {
		s.hub.writers.add(at, s)
	}
}

var writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, writeChunk); return &b }}

// slowly writes what the kernel did not take at once, and then all that waits, on a goroutine of its own
// which ends with the last of it. Called by a writer only, so that close waits for it.
func (s *socket) slowly(b []byte, last bool) {
	buf := writeBuffers.Get().(*[]byte)
	*buf = append((*buf)[:0], b...)
	s.hub.writers.wg.Go(func() {
		defer writeBuffers.Put(buf)
		for b := *buf; len(b) > 0; {
			s.stuckFrom.Store(time.Now().UnixMilli())
			_, err := s.conn.Write(b)
			s.stuckFrom.Store(0)
			if err != nil {
				s.kill()
				s.silence()
			} else if last {
				s.halfClose()
			}
			s.mu.Lock()
			b, last = s.gather((*buf)[:0])
			s.mu.Unlock()
			if cap(b) <= 2*writeChunk {
				*buf = b
			}
		}
	})
}

// halfClose lets the peer read the close frame before the connection goes: closing at once with its bytes
// unread would reset it.
func (s *socket) halfClose() {
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(closeGrace))
}

var readBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// errBinary says that a message is not text.
var errBinary = errors.New("frames are text: one JSON object each")

// next reads one message and hands it to f; the bytes are f's only while it runs, so that an idle socket
// holds no buffer.
func (s *socket) next(f func([]byte) bool) bool {
	kind, r, err := s.ws.NextReader()
	if err != nil {
		return false
	}
	buf := readBuffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= keepBuffer {
			buf.Reset()
			readBuffers.Put(buf)
		}
	}()
	if _, err := io.Copy(buf, r); err != nil {
		return false
	}
	s.lastRead.Store(time.Now().UnixMilli())
	if kind != websocket.TextMessage {
		s.complain("not_text", errBinary.Error())
		return true
	}
	return f(buf.Bytes())
}

func (s *socket) complain(code, message string) {
	s.hub.metrics.bad("frame_" + code)
	s.push(whole("error", ErrorFrame{Type: "error", Code: code, Message: message}))
}
