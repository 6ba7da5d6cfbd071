package node

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
	"hivemesh/node/web"
)

// receiptsTopic is the soft state of receipts between stations.
const receiptsTopic = "receipts"

// recordReceiptsAfter is when a station records its counts of a wave: most devices that will
// ever answer have by then, and one event a station and wave is all the record needs.
const recordReceiptsAfter = time.Minute

// receiptKey names a wave at one incident.
type receiptKey struct {
	incident alerts.IncidentID
	wave     int
}

// receipts are cumulative counts of devices by station and wave: soft state beside what the record has of it.
// Each count only ever grows: a station that restarted counts from nothing again, and what it or the record
// had said before still stands. So too few may be claimed, never too many, and no screen sees one go down.
type receipts struct {
	self alerts.StationID

	mu     sync.Mutex
	counts map[receiptKey]map[alerts.StationID]web.Counts
	first  map[receiptKey]time.Time  // when this station first counted
	noted  map[receiptKey]web.Counts // what this station last put into the record
}

// receiptsForm is what stations tell each other of one wave.
type receiptsForm struct {
	Incident string `cbor:"1,keyasint"`
	Wave     int    `cbor:"2,keyasint"`
	Sent     int    `cbor:"3,keyasint"`
	Reached  int    `cbor:"4,keyasint"`
	Opened   int    `cbor:"5,keyasint"`
	Released int    `cbor:"6,keyasint"`
}

func newReceipts(self alerts.StationID) *receipts {
	return &receipts{
		self: self, counts: map[receiptKey]map[alerts.StationID]web.Counts{},
		first: map[receiptKey]time.Time{}, noted: map[receiptKey]web.Counts{},
	}
}

// set takes one station's counts of a wave of i (nil: not known here yet); it returns the sum over all and
// whether it says anything new.
func (r *receipts) set(k receiptKey, from alerts.StationID, n web.Counts, i *alerts.Incident) (web.Counts, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := r.counts[k]
	if of == nil {
		of = map[alerts.StationID]web.Counts{}
		r.counts[k] = of
	}
	before := recorded(i, k.wave)
	had := most(of[from], before[from])
	now := most(had, n)
	of[from] = now
	if from == r.self && r.first[k].IsZero() {
		r.first[k], r.noted[k] = time.Now(), before[from]
	}
	return r.sum(k, before), now != had
}

// total sums what the stations said and what the record has of them.
func (r *receipts) total(k receiptKey, i *alerts.Incident) web.Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sum(k, recorded(i, k.wave))
}

// sum takes of each station what it said or, where that is more, what the record has; the caller holds mu.
func (r *receipts) sum(k receiptKey, recorded map[alerts.StationID]web.Counts) (t web.Counts) {
	for station, n := range r.counts[k] {
		recorded[station] = most(recorded[station], n)
	}
	for _, n := range recorded {
		t.Sent += n.Sent
		t.Reached += n.Reached
		t.Opened += n.Opened
		t.Released += n.Released
	}
	return t
}

// recorded is what the view of an incident has of one wave, by station.
func recorded(i *alerts.Incident, wave int) map[alerts.StationID]web.Counts {
	all := map[alerts.StationID]web.Counts{}
	if i == nil {
		return all
	}
	for station, waves := range i.Receipts {
		if n, ok := waves[wave]; ok {
			all[station] = web.Counts{Sent: n.Sent, Reached: n.Reached, Opened: n.Opened, Released: n.Released}
		}
	}
	return all
}

func most(a, b web.Counts) web.Counts {
	return web.Counts{
		Sent: max(a.Sent, b.Sent), Reached: max(a.Reached, b.Reached),
		Opened: max(a.Opened, b.Opened), Released: max(a.Released, b.Released),
	}
}

// due lists this station's counts that belong into the record now: a minute after the first of a wave, and
// whatever changed since when the alarm has ended.
func (r *receipts) due(ended func(alerts.IncidentID) bool) []noteDue {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []noteDue
	for k, first := range r.first {
		mine, noted := r.counts[k][r.self], r.noted[k]
		if mine == noted {
			continue
		}
		if over := ended(k.incident); over || (noted == web.Counts{} && time.Since(first) >= recordReceiptsAfter) {
			r.noted[k] = mine
			out = append(out, noteDue{k, mine})
		}
	}
	slices.SortFunc(out, func(a, b noteDue) int {
		return cmp.Or(cmp.Compare(a.incident, b.incident), cmp.Compare(a.wave, b.wave))
	})
	return out
}

type noteDue struct {
	receiptKey
	n web.Counts
}

func (r *receipts) encode(k receiptKey) ([]byte, error) {
	r.mu.Lock()
	n := r.counts[k][r.self]
	r.mu.Unlock()
	return wire.Canonical.Marshal(receiptsForm{string(k.incident), k.wave, n.Sent, n.Reached, n.Opened, n.Released})
}

// decodeReceipts reads what encode wrote. Errors wrap wire.ErrMalformed.
func decodeReceipts(b []byte) (receiptKey, web.Counts, error) {
	var f receiptsForm
	if err := wire.Strict.Unmarshal(b, &f); err != nil {
		return receiptKey{}, web.Counts{}, fmt.Errorf("%w: receipts: %w", wire.ErrMalformed, err)
	}
	n := alerts.Receipts{Wave: f.Wave, Sent: f.Sent, Reached: f.Reached, Opened: f.Opened, Released: f.Released}
	if err := n.Check(); err != nil {
		return receiptKey{}, web.Counts{}, fmt.Errorf("%w: receipts: %w", wire.ErrMalformed, err)
	}
	return receiptKey{alerts.IncidentID(f.Incident), f.Wave},
		web.Counts{Sent: f.Sent, Reached: f.Reached, Opened: f.Opened, Released: f.Released}, nil
}
