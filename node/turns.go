package node

import (
	"slices"
	"time"

	"hivemesh/alerts"
)

const (
	// turnWaits is how much later than a record's leader another station does what is due upon it, and turnRank
	// how much later still each further one: what is done twice costs the record an entry each.
	turnWaits = 30 * time.Second
	turnRank  = 10 * time.Second
)

// turns says whose turn it is with what any of the posts and centres that follow a record could do: its leader's
// first. It is for one goroutine, which asks again and again and calls end after each round.
type turns struct {
	n    *Node
	due  map[alerts.Hash]time.Time // since when something is to be done
	seen map[alerts.Hash]bool      // asked for in this round
}

func newTurns(n *Node) *turns {
	return &turns{n: n, due: map[alerts.Hash]time.Time{}, seen: map[alerts.Hash]bool{}}
}

// end forgets what nobody asked for in this round: it is done.
func (t *turns) end() {
	for k := range t.due {
		if !t.seen[k] {
			delete(t.due, k)
		}
	}
	clear(t.seen)
}

// ours reports whether it is this station's turn with something that is due since it was first asked.
func (t *turns) ours(cell alerts.CellID, what alerts.Hash) bool {
	t.seen[what] = true
	since, known := t.due[what]
	if !known {
		since = time.Now()
		t.due[what] = since
	}
	leader := t.n.leader(cell)
	if leader == t.n.identity.Station {
		return true
	}
	wait := turnWaits
	if kind, _ := t.n.ring.Kind(leader); !kind.Trusted() {
		wait = 0 // it leads the record, and may not do this
	}
	wait += time.Duration(t.rank(cell)) * turnRank
	return time.Since(since) >= wait
}

// rank is how many stations come before this one: of the posts and centres that follow a cell, its voters first.
func (t *turns) rank(cell alerts.CellID) int {
	status, _ := t.n.county.Status(cell)
	self := t.n.identity.Station
	order := func(s alerts.StationID) string {
		if slices.Contains(status.Voters, s) {
			return "0" + string(s)
		}
		return "1" + string(s)
	}
	before := 0
	for _, m := range t.n.county.Members() {
		kind, _ := t.n.ring.Kind(m.Station)
		if m.Alive && kind.Trusted() && m.Station != self && order(m.Station) < order(self) &&
			(slices.Contains(status.Voters, m.Station) || t.n.county.Follows(m.Station, cell)) {
			before++
		}
	}
	return before
}
