package record

import (
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/wire"
)

const (
	dutyIdle   = time.Second            // a leader without work looks again all the same
	dutyRetry  = 100 * time.Millisecond // after an ambiguous error; a new leader is chosen in about this time
	prevWait   = 5 * time.Second        // how long an event is held back for a missing predecessor
	batchBytes = 512 << 10              // of entries in a raft log: some seconds on the slowest link
)

// duty is the leader's: what is pending gets judged and logged, one batch in flight.
type duty struct {
	c     *council
	ready bool                      // the barrier of this term of leadership is behind us
	seen  map[alerts.Hash]time.Time // when an event was first held back

	yielded time.Time // the lead was last handed over for want of room
}

func (d *duty) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-d.c.ctx.Done():
			return
		case <-d.c.raft.LeaderCh():
			d.ready = false
		case <-d.c.poke:
		case <-timer.C:
		}
		timer.Reset(d.turn())
	}
}

// turn does what there is to do and says when to look again.
func (d *duty) turn() time.Duration {
	for d.c.ctx.Err() == nil {
		if d.c.raft.State() != raft.Leader {
			d.ready = false
			clear(d.seen)
			return dutyIdle
		}
		if d.c.Err() != nil {
			// Somebody whose record still moves is to lead; where there is nobody, this one stays. The answer is
			// not waited for: raft may be hanging on its disk, and gives none even at its end.
			if d.c.fold.Err() != nil {
				d.c.raft.LeadershipTransfer()
			}
			return dutyIdle
		}
		if !d.ready {
			// What former leaders logged must be in the fold before anything is judged on it.
			if err := d.c.raft.Barrier(0).Error(); err != nil {
				return dutyRetry
			}
			d.ready = true
		}
		if !d.c.fsm.whole() { // nothing can be judged upon a record with a hole
			d.ready = false
			d.c.raft.LeadershipTransfer()
			return dutyIdle
		}
		d.yield()
		b, wait := d.judge()
		if len(b.Entries) == 0 {
			return wait
		}
		if !d.log(b) {
			d.ready = false
			return dutyRetry
		}
	}
	return dutyIdle
}

// yieldEvery is how often a leader with little room asks another to lead: where all have little, they change
// once a minute at most, which costs a quarter of a second.
const yieldEvery = time.Minute

// yield hands the lead to another voter while the disk here is nearly full, if there is one.
func (d *duty) yield() {
	if d.c.cfg.Disk.Space().Level != disk.Yield || time.Since(d.yielded) < yieldEvery || len(d.c.voters()) < 2 {
		return
	}
	d.yielded = time.Now()
	d.c.raft.LeadershipTransfer()
}

// log hands a batch to raft and reports whether the record moved on. An error is ambiguous: the batch may
// still count, so all is judged anew on whatever is there after another barrier.
func (d *duty) log(b batch) bool {
	data, err := b.encode()
	if err != nil {
		d.c.log.Error("encode a batch", zap.Error(err))
		return false
	}
	f := d.c.raft.Apply(data, 0)
	if err := f.Error(); err != nil {
		d.c.log.Info("a batch is not known to be recorded", zap.Error(err))
		return false
	}
	return f.Response() == nil && d.c.fold.Head().Index > b.Base
}

// judge makes the next batch, empty when nothing can be recorded now, and says when to look again.
func (d *duty) judge() (batch, time.Duration) {
	list := alerts.InOrder(d.c.cfg.Pending())
	by := make([]alerts.Standing, len(list)) // asked before the lock: who answers may read the record
	for i, e := range list {
		by[i] = d.c.cfg.Standing(e)
	}
	at := d.leadersTime().UTC().Truncate(time.Millisecond)
	now := time.Now() // waiting is counted by this one: the wall clock may jump
	d.c.fold.mu.RLock()
	defer d.c.fold.mu.RUnlock()
	head := d.c.fold.head
	b := batch{Version: batchVersion, Base: head.Index, Chain: head.Chain}
	scratch := d.c.fold.state.Fork()
	wait, size := dutyIdle, 0
	held := map[alerts.Hash]time.Time{}
	for i, e := range list {
		if len(b.Entries) == maxBatch || size > batchBytes {
			break
		}
		if left := d.hold(scratch, e, now, held); left > 0 {
			wait = min(wait, left)
			continue
		}
		v := d.c.cfg.Rules.Judge(scratch, e, by[i], at)
		if v.Code == alerts.Duplicate || v.Code == alerts.Parked {
			continue
		}
		entry, raw, err := stamp(alerts.Entry{Epoch: head.Epoch, Index: head.Index + 1, Event: e, Verdict: v, At: at, By: by[i]})
		if err != nil {
			d.c.log.Warn("an event cannot be recorded", zap.String("event", e.Name()), zap.Error(err))
			continue
		}
		head.Index, head.Chain = entry.Index, wire.Chain(head.Chain, raw)
		entry.Chain = head.Chain
		scratch.Apply(entry)
		b.Entries = append(b.Entries, raw)
		size += len(raw)
	}
	d.seen = held
	return b, wait
}

// stamp encodes an entry and reads it back, so that a leader judges on what everybody folds.
func stamp(e alerts.Entry) (alerts.Entry, []byte, error) {
	raw, err := wire.EncodeEntry(e)
	if err != nil {
		return e, nil, err
	}
	e, err = wire.DecodeEntry(raw)
	return e, raw, err
}

// hold is how much longer an event waits for a predecessor that is not here yet. An alarm never waits.
func (d *duty) hold(s *alerts.State, e alerts.Event, now time.Time, held map[alerts.Hash]time.Time) time.Duration {
	if alerts.AlarmLane(e.Kind) || !slices.ContainsFunc(e.Prev, func(p alerts.Hash) bool { return !s.Has(e.Incident, p) }) {
		return 0
	}
	since, ok := d.seen[e.ID]
	if !ok {
		since = now
	}
	held[e.ID] = since
	return max(0, prevWait-now.Sub(since))
}

// leadersTime is what the leader stamps entries with: what it and its peers agree on, since matters' clocks run by it for
// days; its own while they do not.
func (d *duty) leadersTime() time.Time {
	if at, agreed := d.c.cfg.Port.Agreed(); agreed {
		return at
	}
	return d.c.cfg.Port.Wall()
}
