package gossip

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
)

// Member is one station of the county, alive or not.
type Member struct {
	Station alerts.StationID
	Hints
	Alive bool
	Since time.Time // when gossip last changed its mind about Alive; zero: never met since this station started

	addr string // ip:port of its mesh port, as memberlist has it
}

// members is everybody ever heard of. Its methods are called under memberlist's lock, so they only note
// what changed; run hands it out.
type members struct {
	self alerts.StationID
	gone func(alerts.StationID) bool // no longer of the county

	mu      sync.Mutex
	all     map[alerts.StationID]Member
	changed []alerts.StationID // not yet handed out, each once
	left    []Member           // forgotten, not yet handed out
	watch   []func(Member)
	dirty   bool // differs from the peers file
	wake    chan struct{}
}

func newMembers(self alerts.StationID, gone func(alerts.StationID) bool) *members {
	if gone == nil {
		gone = func(alerts.StationID) bool { return false }
	}
	return &members{self: self, gone: gone, all: make(map[alerts.StationID]Member), wake: make(chan struct{}, 1)}
}

// NotifyAlive implements memberlist.AliveDelegate: who tells nonsense of itself, or is no longer of the county,
// is no member.
func (m *members) NotifyAlive(n *memberlist.Node) error {
	if id := alerts.StationID(n.Name); id != m.self && m.gone(id) {
		return fmt.Errorf("%w: %s", trust.ErrGone, id)
	}
	_, err := decodeHints(n.Meta)
	return err
}

// NotifyJoin implements memberlist.EventDelegate.
func (m *members) NotifyJoin(n *memberlist.Node) { m.note(n, true) }

// NotifyUpdate implements memberlist.EventDelegate.
func (m *members) NotifyUpdate(n *memberlist.Node) { m.note(n, true) }

// NotifyLeave implements memberlist.EventDelegate.
func (m *members) NotifyLeave(n *memberlist.Node) { m.note(n, false) }

func (m *members) note(n *memberlist.Node, alive bool) {
	hints, err := decodeHints(n.Meta)
	if err != nil {
		return // NotifyAlive has refused it
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	id := alerts.StationID(n.Name)
	if id != m.self && m.gone(id) {
		return // memberlist may still be burying it
	}
	old, known := m.all[id]
	now := Member{Station: id, Hints: hints, Alive: alive, Since: old.Since, addr: n.Address()}
	if !known || old.Alive != alive || old.Since.IsZero() {
		now.Since = time.Now()
	}
	m.all[id] = now
	m.dirty = m.dirty || !known || old.addr != now.addr || old.Name != now.Name || old.Mesh != now.Mesh || old.HTTP != now.HTTP
	m.queue(id)
}

// forget drops whoever is no longer of the county; the watchers hear of each once more, as dead.
func (m *members) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, x := range m.all {
		if id == m.self || !m.gone(id) {
			continue
		}
		delete(m.all, id)
		m.dirty = true
		x.Alive = false
		m.left = append(m.left, x)
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
}

func (m *members) queue(id alerts.StationID) {
	if !slices.Contains(m.changed, id) {
		m.changed = append(m.changed, id)
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// onChange calls f for everybody known now and at every change, one call at a time.
func (m *members) onChange(f func(Member)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watch = append(m.watch, f)
	for id := range m.all {
		m.queue(id)
	}
}

// run hands out changes until done; the latest state of a member stands for all before it.
func (m *members) run(done <-chan struct{}) {
	for {
		select {
		case <-m.wake:
		case <-done:
			return
		}
		m.mu.Lock()
		var out []Member
		for _, id := range m.changed {
			if x, ok := m.all[id]; ok {
				out = append(out, x)
			}
		}
		out = append(out, m.left...)
		m.changed, m.left = nil, nil
		watch := slices.Clone(m.watch)
		m.mu.Unlock()
		for _, x := range out {
			for _, f := range watch {
				f(x)
			}
		}
	}
}

func (m *members) list() []Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Member, 0, len(m.all))
	for _, x := range m.all {
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b Member) int {
		if a.Station == m.self || b.Station == m.self {
			return cmp.Compare(btoi(b.Station == m.self), btoi(a.Station == m.self))
		}
		return cmp.Compare(a.Station, b.Station)
	})
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (m *members) find(id alerts.StationID) (Member, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	x, ok := m.all[id]
	return x, ok
}
