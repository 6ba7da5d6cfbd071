package web

import (
	"runtime"
	"sync"
	"syscall"
)

// maxWriters bounds the goroutines that write to sockets which take what they are given: more than cores
// would only take them from each other.
const maxWriters = 8

// writers write what waits for sockets. A few goroutines serve all of them: a frame for ten thousand costs
// ten thousand writes and no wake-up beside them, in the order in which the hub named the sockets, those with
// an alarm waiting first. They never wait for a peer: what the kernel does not take at once gets a goroutine
// of its own, so that a slow socket costs the others nothing.
type writers struct {
	wg sync.WaitGroup // goroutines of ours, and those of slow sockets

	mu     sync.Mutex
	some   *sync.Cond // something is in line, or closed
	lines  [2]line    // urgent, other
	closed bool
}

// The lines of writers.
const (
	urgentLine = iota
	otherLine
)

// line is a first-in-first-out queue of sockets. A socket stands in it at most once, so it is bounded by their
// number.
type line struct {
	list []*socket
	head int
}

func (l *line) put(s *socket) { l.list = append(l.list, s) }

func (l *line) take() *socket {
	if l.head == len(l.list) {
		return nil
	}
	s := l.list[l.head]
	l.list[l.head] = nil
	if l.head++; l.head == len(l.list) {
		l.list, l.head = l.list[:0], 0
	} else if l.head > maxSockets {
		l.list, l.head = l.list[:copy(l.list, l.list[l.head:])], 0
	}
	return s
}

func newWriters() *writers {
	w := &writers{}
	w.some = sync.NewCond(&w.mu)
	for range min(runtime.GOMAXPROCS(0), maxWriters) {
		w.wg.Go(w.run)
	}
	return w
}

// add puts sockets into their line, in this order. Each has been told so by put.
func (w *writers) add(at int, list ...*socket) {
	w.mu.Lock()
	for _, s := range list {
		w.lines[at].put(s)
	}
	w.mu.Unlock()
	if len(list) > 1 {
		w.some.Broadcast()
	} else {
		w.some.Signal()
	}
}

// behind reports whether sockets wait for their turn.
func (w *writers) behind() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.lines {
		if l.head < len(l.list) {
			return true
		}
	}
	return false
}

// next waits for a socket; nil after close.
func (w *writers) next() (*socket, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for at := range w.lines {
			if s := w.lines[at].take(); s != nil {
				return s, at
			}
		}
		if w.closed {
			return nil, 0
		}
		w.some.Wait()
	}
}

func (w *writers) run() {
	p := newPen()
	for s, at := w.next(); s != nil; s, at = w.next() {
		p.serve(s, at)
	}
}

// close ends the writers once their lines are empty. After it nothing may be added.
func (w *writers) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.some.Broadcast()
	w.wg.Wait()
}

// pen is what one goroutine writes with: a buffer, and a way to write that never waits.
type pen struct {
	buf []byte
	out []byte // what is being written
	n   int
	err error
	try func(fd uintptr) bool
}

func newPen() *pen {
	p := &pen{buf: make([]byte, 0, writeChunk)}
	p.try = func(fd uintptr) bool {
		for {
			p.n, p.err = syscall.Write(int(fd), p.out)
			switch p.err {
			case syscall.EINTR:
				continue
			case syscall.EAGAIN:
				p.n, p.err = 0, nil
			}
			return true // never wait: what is left is the slow writer's
		}
	}
	return p
}

// serve writes what waits for a socket, as much as one write may hold and the kernel takes at once.
func (p *pen) serve(s *socket, at int) {
	b, last := s.turn(at, p.buf[:0])
	if len(b) == 0 {
		return
	}
	if s.raw == nil {
		s.slowly(b, last)
		return
	}
	p.out = b
	if err := s.raw.Write(p.try); err != nil {
		p.n, p.err = 0, err
	}
	p.out = nil
	if cap(b) <= 2*writeChunk {
		p.buf = b
	}
	switch {
	case p.err != nil:
		s.kill()
		s.silence()
	case p.n < len(b):
		s.slowly(b[p.n:], last)
		return
	case last:
		s.halfClose()
	}
	s.done()
}
