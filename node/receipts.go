package node

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
	"hivemesh/node/web"
)

// receiptsTopic is the soft state of receipts between stations.
const receiptsTopic = "receipts"

// recordReceiptsAfter is when a station records its counts of a wave (DESIGN §5): most devices that will
// ever answer have by then, and one event a station and wave is all the record needs.
const recordReceiptsAfter = time.Minute

// receiptKey names a wave at one incident.
type receiptKey struct {
	incident alerts.IncidentID
	wave     int
}

// receipts are cumulative counts of devices by station and wave: soft state, the latest wins.
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

// set takes one station's counts; it returns the sum over all and whether anything changed.
func (r *receipts) set(k receiptKey, from alerts.StationID, n web.Counts) (web.Counts, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := r.counts[k]
	if of == nil {
		of = map[alerts.StationID]web.Counts{}
		r.counts[k] = of
	}
	if of[from] == n {
		return sum(of), false
	}
	of[from] = n
	if from == r.self && r.first[k].IsZero() {
		r.first[k] = time.Now()
	}
	return sum(of), true
}

// total sums what the stations said and, for stations heard of only in the record, what that says.
func (r *receipts) total(k receiptKey, i *alerts.Incident) web.Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[alerts.StationID]web.Counts{}
	if i != nil {
		for station, waves := range i.Receipts {
			if n, ok := waves[k.wave]; ok {
				all[station] = web.Counts{Sent: n.Sent, Reached: n.Reached, Opened: n.Opened, Released: n.Released}
			}
		}
	}
	for station, n := range r.counts[k] {
		all[station] = n
	}
	return sum(all)
}

func sum(of map[alerts.StationID]web.Counts) web.Counts {
	var t web.Counts
	for _, n := range of {
		t.Sent += n.Sent
		t.Reached += n.Reached
		t.Opened += n.Opened
		t.Released += n.Released
	}
	return t
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

func decodeReceipts(b []byte) (receiptKey, web.Counts, error) {
	var f receiptsForm
	if err := wire.Strict.Unmarshal(b, &f); err != nil {
		return receiptKey{}, web.Counts{}, err
	}
	return receiptKey{alerts.IncidentID(f.Incident), f.Wave},
		web.Counts{Sent: f.Sent, Reached: f.Reached, Opened: f.Opened, Released: f.Released}, nil
}
