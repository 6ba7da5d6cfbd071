package disk

import "sync"

// Trouble is a disk that tests and simulations make bad and well again while a station runs. The zero value is
// a good one. It is safe for concurrent use.
type Trouble struct {
	mu   sync.Mutex
	hits map[Act]int
	bad  func(Op) bool
	err  error         // what bad ops are answered
	hold chan struct{} // bad ops hang until it is closed
	free func() uint64
}

// Faults is what a station is given.
func (t *Trouble) Faults() *Faults { return &Faults{Before: t.before, Free: t.room} }

// Fail has the ops that bad picks answered with err (syscall.ENOSPC, EIO, EROFS), until Heal.
func (t *Trouble) Fail(err error, bad func(Op) bool) { t.set(err, nil, bad) }

// Hang has the ops that bad picks wait, until Heal. In a synctest bubble call it inside.
func (t *Trouble) Hang(bad func(Op) bool) { t.set(nil, make(chan struct{}), bad) }

// Heal ends it; what hangs goes on.
func (t *Trouble) Heal() { t.set(nil, nil, nil) }

// Leave says how many bytes are free; nil: plenty.
func (t *Trouble) Leave(free func() uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free = free
}

// Bit is how many ops of each sort failed or hung so far.
func (t *Trouble) Bit() map[Act]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[Act]int{}
	for a, n := range t.hits {
		out[a] = n
	}
	return out
}

// Writing picks the writes of these stores, of all when none is named.
func Writing(stores ...string) func(Op) bool {
	return func(op Op) bool {
		if op.Do != Writes {
			return false
		}
		for _, s := range stores {
			if s == op.Store {
				return true
			}
		}
		return len(stores) == 0
	}
}

func (t *Trouble) set(err error, hold chan struct{}, bad func(Op) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hold != nil {
		close(t.hold)
	}
	t.err, t.hold, t.bad = err, hold, bad
}

func (t *Trouble) before(op Op) error {
	t.mu.Lock()
	if t.bad == nil || !t.bad(op) {
		t.mu.Unlock()
		return nil
	}
	if t.hits == nil {
		t.hits = map[Act]int{}
	}
	t.hits[op.Do]++
	err, hold := t.err, t.hold
	t.mu.Unlock()
	if hold != nil {
		<-hold
	}
	return err
}

func (t *Trouble) room() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free == nil {
		return 1 << 50
	}
	return t.free()
}
