package web

import (
	"context"
	"time"

	"hivemesh/alerts"
)

// maxOwners is how many events the hub remembers the makers of; the oldest go first. An event is of
// interest until it is on the record, which is a matter of seconds unless a village is cut off.
const maxOwners = 8192

// owners knows who made the events that are under way, so that they can be told how they are kept.
type owners struct {
	of    map[alerts.Hash]*owner
	order []alerts.Hash // ring
	next  int
}

type owner struct {
	person   alerts.PersonID
	incident alerts.IncidentID
	refused  *Refusal
}

func newOwners() owners { return owners{of: map[alerts.Hash]*owner{}} }

func (o *owners) add(event alerts.Hash, in alerts.IncidentID, p alerts.PersonID) {
	if _, ok := o.of[event]; ok || p == "" {
		return
	}
	if len(o.order) < maxOwners {
		o.order = append(o.order, event)
	} else {
		delete(o.of, o.order[o.next])
		o.order[o.next] = event
		o.next = (o.next + 1) % maxOwners
	}
	o.of[event] = &owner{person: p, incident: in}
}

// learn takes the makers of an incident's pending events, wherever they were made.
func (o *owners) learn(i *alerts.Incident) {
	for n := len(i.Log) - 1; n >= 0 && i.Log[n].Provisional; n-- {
		o.add(i.Log[n].Event.ID, i.ID, i.Log[n].Event.Actor)
	}
}

// own says who made an event here, and tells them how it is kept so far.
func (h *hub) own(t Taken, p alerts.PersonID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.owners.add(t.Event, t.Incident, p)
	k := t.Kept
	if now, ok := h.station.Kept(t.Event); ok {
		k = now
	}
	h.kept(t.Event, k)
}

// kept tells an event's maker how it is kept now. Called with h.mu held.
func (h *hub) kept(event alerts.Hash, k Kept) {
	if k.Counts() {
		for _, w := range h.waiters[event] {
			w <- outcome{kept: &k}
		}
		delete(h.waiters, event)
	}
	o := h.owners.of[event]
	if o == nil {
		return
	}
	h.toMaker(o.person, whole("kept", KeptFrame{Type: "kept", Event: event, Incident: o.incident, Kept: k}))
}

func (h *hub) toMaker(p alerts.PersonID, it item) {
	for _, s := range h.people[p] {
		s.push(it)
	}
}

// refused tells an event's maker, and those in dispatch who see the matter in full, that it does not count
// and to whom it lost. Called with h.mu held.
func (h *hub) refused(r *Refusal) {
	for _, w := range h.waiters[r.Event] {
		w <- outcome{refused: r}
	}
	delete(h.waiters, r.Event)
	f := RefusedFrame{Type: "refused", Event: r.Event, Incident: r.Incident, Code: r.Code, Reason: r.Reason, Missing: r.Missing}
	if r.Lost != nil {
		at := alerts.Stamp(r.Lost.At)
		f.By, f.At, f.Lost = r.Lost.By, &at, &r.Lost.Event
	}
	it := whole("refused", f)
	i, known := h.station.Incident(r.Incident)
	if known {
		for _, l := range i.Log {
			if l.Event.ID == r.Event {
				h.owners.add(r.Event, i.ID, l.Event.Actor)
			}
		}
	}
	var maker alerts.PersonID
	if o := h.owners.of[r.Event]; o != nil {
		o.refused, maker = r, o.person
		h.toMaker(maker, it)
	}
	if !known {
		return
	}
	for _, s := range h.socks {
		if s.sees && s.who.Person != maker && alerts.Full(h.station.Rules().ClassOf(s.who.Subject, i)) {
			s.push(it)
		}
	}
}

// receipts tells who may know how far a wave got. Called with h.mu held.
func (h *hub) receipts(in alerts.IncidentID, wave int, n Counts) {
	i, ok := h.station.Incident(in)
	if !ok {
		return
	}
	it := whole("receipts", ReceiptsFrame{Type: "receipts", Incident: in, WaveReceipts: receiptsOf(i, wave, n)})
	rules := h.station.Rules()
	for _, s := range h.socks {
		if (s.staff || s.who.Person == i.RaisedBy) && seesReceipts(rules, s.who, i) {
			s.push(it)
		}
	}
}

// outcome is what became of an event that a request waits for.
type outcome struct {
	kept    *Kept
	refused *Refusal
}

// await waits until the event is on the record or refused, for at most wait. It returns how the event is
// kept then, as far as this station knows.
func (h *hub) await(ctx context.Context, event alerts.Hash, wait time.Duration) (*Kept, *Refusal) {
	w := make(chan outcome, 1)
	h.mu.Lock()
	if o := h.owners.of[event]; o != nil && o.refused != nil {
		h.mu.Unlock()
		return nil, o.refused
	}
	h.waiters[event] = append(h.waiters[event], w)
	h.mu.Unlock()
	defer h.unwait(event, w)
	k, ok := h.station.Kept(event)
	if ok && k.Counts() {
		return &k, nil // of one that does not count, the refusal is on its way with whom it lost to
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case o := <-w:
		return o.kept, o.refused
	case <-timer.C:
	case <-ctx.Done():
	case <-h.done:
	}
	if k, ok = h.station.Kept(event); ok {
		return &k, nil
	}
	return nil, nil
}

func (h *hub) unwait(event alerts.Hash, w chan outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.waiters[event]
	for n, other := range list {
		if other == w {
			list = append(list[:n:n], list[n+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(h.waiters, event)
		return
	}
	h.waiters[event] = list
}
