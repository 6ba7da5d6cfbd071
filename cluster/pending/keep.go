package pending

import (
	"slices"
	"time"

	"hivemesh/alerts"
)

const (
	// outOfReach is how long a stream may be down before another station takes its place for the time being.
	outOfReach = 5 * time.Second
	// calledFor is how long a stream opened for one alarm stays: its waves and its end go the same way.
	calledFor = 10 * time.Minute
)

// refresh makes the links those that are to be kept now, with somebody else for each that is out of reach, and
// those that were called lately.
func (l *Links) refresh(woken bool) {
	peers, now := l.cfg.Peers(), time.Now()
	keep := len(peers)
	if l.cfg.Keep > 0 {
		keep = min(keep, l.cfg.Keep)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	wanted, down := make(map[alerts.StationID]bool, keep), 0
	l.order, l.relays = nil, nil // whoever holds the old ones goes on with them
	for _, p := range peers[:keep] {
		wanted[p.Station] = true
		old := l.links[p.Station]
		k := l.link(p)
		k.spare = false
		l.order = append(l.order, k)
		if p.Relay {
			l.relays = append(l.relays, k)
		}
		if k.moveTo(p.Addr) || woken && old != nil {
			k.hurry()
		}
		if k.downFor(now) > outOfReach {
			down++
		}
	}
	l.substitute(peers[keep:], down, now, wanted)
	for s, k := range l.links {
		if !wanted[s] && (now.After(k.until) || !slices.ContainsFunc(peers, func(p Peer) bool { return p.Station == s })) {
			k.cancel()
			delete(l.links, s)
		}
	}
}

// substitute keeps as many streams to others as those that are down: whoever reaches anybody at all finds one of
// them, trying so many at a time. The caller holds mu.
func (l *Links) substitute(others []Peer, down int, now time.Time, wanted map[alerts.StationID]bool) {
	found := 0
	take := func(k *link) {
		found++
		wanted[k.peer] = true
		l.order, l.relays = append(l.order, k), append(l.relays, k)
	}
	for _, p := range others { // those that do well stay
		if k := l.links[p.Station]; found < down && k != nil && k.spare && k.downFor(now) <= outOfReach {
			take(k)
		}
	}
	for range others {
		if found >= down {
			return
		}
		l.next++
		p := others[l.next%len(others)]
		if wanted[p.Station] || l.links[p.Station] != nil {
			continue
		}
		k := l.link(p)
		k.spare = true
		take(k)
	}
}

// link is the one to p, begun if need be. The caller holds mu.
func (l *Links) link(p Peer) *link {
	k := l.links[p.Station]
	if k == nil {
		k = newLink(l, p)
		l.links[p.Station] = k
		l.wg.Go(k.run)
	}
	return k
}

// flashed are the links that every flash goes over, in order.
func (l *Links) flashed() []*link {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.order // never changed, only replaced
}

// named are the links to the named stations, begun where there is none; none named: those that are kept.
func (l *Links) named(to []alerts.StationID) (out []*link) {
	if len(to) == 0 {
		return l.flashed()
	}
	var strangers []alerts.StationID
	l.mu.Lock()
	for _, s := range to {
		if k := l.links[s]; k != nil {
			k.until = time.Now().Add(calledFor)
			out = append(out, k)
		} else {
			strangers = append(strangers, s)
		}
	}
	l.mu.Unlock()
	if l.cfg.Keep == 0 || len(strangers) == 0 {
		return out // everybody that is known has a link
	}
	return append(out, l.begin(l.find(strangers))...)
}

// find are the peers of these ids.
func (l *Links) find(ids []alerts.StationID) (out []Peer) {
	is := make(map[alerts.StationID]bool, len(ids))
	for _, s := range ids {
		is[s] = true
	}
	for _, p := range l.cfg.Peers() {
		if is[p.Station] {
			out = append(out, p)
		}
	}
	return out
}

// begin opens streams that stay a while.
func (l *Links) begin(peers []Peer) (out []*link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	for _, p := range peers {
		k := l.link(p)
		k.until = time.Now().Add(calledFor)
		out = append(out, k)
	}
	return out
}

// call sends an alarm to those whom Reach names and who are not sent it anyway; where there is no stream yet, it is
// the first that goes over it. It returns to how many it was sent by now.
func (l *Links) call(e alerts.Event, frame []byte) (sent int) {
	if l.cfg.Reach == nil {
		return 0
	}
	has := map[*link]bool{}
	for _, k := range l.flashed() {
		has[k] = true
	}
	for _, k := range l.begin(l.cfg.Reach(e)) {
		if !has[k] && k.send(e.Lane(), frame) {
			sent++
		}
	}
	return sent
}

// Met are the stations that a stream is open to.
func (l *Links) Met() (out []Peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.links {
		if addr, up := k.up(); up {
			out = append(out, Peer{Station: k.peer, Addr: addr})
		}
	}
	return out
}
