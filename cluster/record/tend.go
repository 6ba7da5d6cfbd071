package record

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

// storeWatch is how the cell hears of its disk. None of it waits: the keeper calls it.
func (c *Cell) storeWatch() storeWatch {
	return storeWatch{
		kept: c.leaving.kept,
		failed: func(err error) {
			if k := c.council(); k != nil { // somebody whose disk works is to lead
				k.die(err)
			}
		},
		well: func() { signal(c.well) },
		lost: c.lose,
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// A council that died of its disk is tried again after firstCure, then after twice as long each time: opening
// raft disturbs the other voters if it dies again at once.
const (
	firstCure = time.Second
	longCure  = 15 * time.Second // half of what healing may take
)

// tend does what is to be done when the disk is well again.
func (c *Cell) tend() {
	wait := firstCure
	cure := time.NewTimer(wait)
	defer cure.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-cure.C:
			wait = min(2*wait, longCure)
			if c.cure() {
				wait = firstCure
			}
			cure.Reset(wait)
		case <-c.well:
			if err := c.fold.Reload(); err != nil {
				c.log.Error("the record stands still here", zap.Error(err))
			}
			c.cure()
		}
	}
}

// cure opens a council anew that died of a disk which is well now; true: there is nothing to cure.
func (c *Cell) cure() bool {
	k := c.council()
	if k == nil || k.reason() == nil || !curable(k.reason()) {
		return true
	}
	if c.store.Err() != nil || c.cfg.Disk.Probe("raft", string(c.cfg.Cell), c.cfg.Dir) != nil {
		return false
	}
	c.reseat()
	return false
}

// Reload takes in what the store has beyond the fold: a file that could not be read at the start.
func (f *fold) Reload() error {
	f.feeder.Lock()
	defer f.feeder.Unlock()
	if err := f.Err(); err != nil {
		return err
	}
	raw, err := f.store.Era()
	if err != nil {
		return err
	}
	on, err := readEra(f.cell, raw)
	if err != nil {
		return f.Stop(err)
	}
	if on.newer(f.Era()) {
		return f.anew(on)
	}
	for {
		page, err := f.store.Read(f.Head().Index+1, loadPage, wire.MaxFrame)
		if err != nil || len(page) == 0 {
			return err
		}
		list := make([][]byte, len(page))
		for i, r := range page {
			list[i] = r.Bytes
		}
		entries, err := f.decode(list)
		if err != nil {
			return f.Stop(err)
		}
		if last := len(page) - 1; entries[last].Chain != page[last].Chain {
			return f.Stop(ErrDiverged)
		}
		f.tell(f.apply(entries))
	}
}

// leaving are the events of entries that are not known to be on disk here yet, in the record's order: the
// pending set holds them until then.
type leaving struct {
	mu      sync.Mutex
	on      uint64 // this index and those before are on disk
	wait    []leaver
	waits   map[alerts.Hash]struct{} // the same
	watcher func([]alerts.Hash)
}

type leaver struct {
	index uint64
	event alerts.Hash
}

func (l *leaving) recorded(ch alerts.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waits == nil {
		l.waits = map[alerts.Hash]struct{}{}
	}
	l.wait = append(l.wait, leaver{ch.Entry.Index, ch.Entry.Event.ID})
	l.waits[ch.Entry.Event.ID] = struct{}{}
	l.tell()
}

func (l *leaving) kept(index uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on = index
	l.tell()
}

// forget is for a record that went back: what waited is in it no more.
func (l *leaving) forget(on uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on, l.wait, l.waits = on, nil, nil
}

// tell hands over what is on disk by now; the caller holds mu.
func (l *leaving) tell() {
	n := 0
	for n < len(l.wait) && l.wait[n].index <= l.on {
		n++
	}
	if n == 0 || l.watcher == nil {
		return
	}
	ids := make([]alerts.Hash, n)
	for i := range ids {
		ids[i] = l.wait[i].event
		delete(l.waits, ids[i])
	}
	l.wait = l.wait[n:]
	l.watcher(ids)
}

// WatchKept has f told of the events whose entries are on disk here, in order: they need not be pending any
// more. f must not block, nor call the Cell.
func (c *Cell) WatchKept(f func(events []alerts.Hash)) {
	c.leaving.mu.Lock()
	defer c.leaving.mu.Unlock()
	c.leaving.watcher = f
	c.leaving.tell()
}

// Leaving reports whether an event's entry is in the record here and not known to be on disk yet.
func (c *Cell) Leaving(event alerts.Hash) bool {
	c.leaving.mu.Lock()
	defer c.leaving.mu.Unlock()
	_, yes := c.leaving.waits[event]
	return yes
}
