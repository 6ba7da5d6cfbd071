package node

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
)

const (
	// dutyEvery is how often a station looks for what is due, and shares positions.
	dutyEvery = time.Second
	// raiserWaits is how much later than the leader the raising station decides a wave,
	// and rankWaits how much later each further station: long enough that the one before has been heard.
	raiserWaits = 5 * time.Second
	rankWaits   = 5 * time.Second
)

// duty decides waves when they are due and records receipts. All due times count on this station's
// monotonic clock from its own first sight; only what was there at the start counts from the record's times.
type duty struct {
	n     *Node
	start time.Time
	wall  time.Time                // the machine's clock at the start
	waves map[receiptKey]time.Time // when this station first saw a wave
	due   map[receiptKey]time.Time // since when the next wave is due here
	carry *carrier
	audit *auditor

	tended time.Time // when the courses of all matters were looked at
	stop   chan struct{}
	done   chan struct{}
}

func newDuty(n *Node) *duty {
	return &duty{
		n: n, start: time.Now(), wall: n.county.Wall(), waves: map[receiptKey]time.Time{}, due: map[receiptKey]time.Time{}, carry: newCarrier(n), audit: newAuditor(n),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
}

func (d *duty) run() {
	defer close(d.done)
	tick := time.NewTicker(dutyEvery)
	defer tick.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-tick.C:
			d.decideWaves()
			d.carry.step()
			d.audit.step()
			d.tendCourse()
			d.noteReceipts()
			space, _ := d.n.county.Disk()
			d.n.shed.look(space)
			d.n.sharePositions()
		}
	}
}

func (d *duty) close() error {
	close(d.stop)
	<-d.done
	return nil
}

func (d *duty) decideWaves() {
	now := time.Now()
	for _, i := range d.n.view.all() {
		if !i.AlarmOpen() || len(i.Waves) == 0 {
			d.forget(i)
			continue
		}
		last := i.Waves[len(i.Waves)-1]
		sight := d.firstSight(receiptKey{i.ID, last.Number}, last.At, now)
		next, ok := d.n.rules.Due(i, now.Sub(sight))
		if !ok {
			continue
		}
		key := receiptKey{i.ID, next.Number}
		if _, seen := d.due[key]; !seen {
			d.due[key] = now
		}
		if now.Sub(d.due[key]) >= d.patience(i) {
			d.decide(i, next)
		}
	}
}

// forget drops the times of an alarm that is over.
func (d *duty) forget(i *alerts.Incident) {
	for _, w := range i.Waves {
		delete(d.waves, receiptKey{i.ID, w.Number})
		delete(d.due, receiptKey{i.ID, w.Number})
		delete(d.due, receiptKey{i.ID, w.Number + 1})
	}
}

// firstSight is when this station first saw a wave; what it found at its start counts from the wave's own time.
func (d *duty) firstSight(k receiptKey, at, now time.Time) time.Time {
	if t, ok := d.waves[k]; ok {
		return t
	}
	sight := now
	if at.Before(d.wall) && now.Sub(d.start) < 2*dutyEvery {
		sight = now.Add(-max(0, d.wall.Add(now.Sub(d.start)).Sub(at))) // a wave told by a clock ahead of ours is new
	}
	d.waves[k] = sight
	return sight
}

// patience is how long this station leaves a due wave to those before it: the leader none, the raising
// station raiserWaits, every other its rank more. Nobody has to know whether a leader is in reach.
func (d *duty) patience(i *alerts.Incident) time.Duration {
	self := d.n.identity.Station
	switch {
	case d.n.leads(i.Cell):
		return 0
	case i.Station == self:
		return raiserWaits
	}
	var rank time.Duration
	others := d.n.county.Stations(i.Cell)
	slices.Sort(others)
	for _, s := range others {
		if s == self {
			break
		}
		if s != i.Station {
			rank++
		}
	}
	return raiserWaits + (rank+1)*rankWaits
}

func (d *duty) decide(i *alerts.Incident, w *alerts.Waved) {
	d.n.making.Lock()
	defer d.n.making.Unlock()
	_, err := d.n.make(alerts.Event{Cell: i.Cell, Incident: i.ID, Prev: newest(i.Heads), Kind: alerts.KindWave, Body: w})
	if err != nil {
		d.n.log.Info("wave not made", zap.String("incident", string(i.ID)), zap.Int("wave", w.Number), zap.Error(err))
	}
}

func (d *duty) noteReceipts() {
	ended := func(id alerts.IncidentID) bool {
		i, ok := d.n.view.incident(id)
		return ok && !i.AlarmOpen()
	}
	for _, due := range d.n.receipts.due(ended) {
		i, ok := d.n.view.incident(due.incident)
		if !ok {
			continue
		}
		body := &alerts.Receipts{Wave: due.wave, Sent: due.n.Sent, Reached: due.n.Reached, Opened: due.n.Opened, Released: due.n.Released}
		d.n.making.Lock()
		_, err := d.n.make(alerts.Event{Cell: i.Cell, Incident: i.ID, Prev: newest(i.Heads), Kind: alerts.KindReceipts, Body: body})
		d.n.making.Unlock()
		if err != nil {
			d.n.log.Info("receipts not recorded", zap.String("incident", string(i.ID)), zap.Int("wave", due.wave), zap.Error(err))
		}
	}
}
