package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"hivemesh/alerts"
	"hivemesh/node/web"
)

// maxPrev is how many predecessors an event made here names: the newest heads, enough to order it after
// everything its maker saw, for all but a matter that many stations wrote to while they were apart.
const maxPrev = 16

// incidentSpace is the namespace of incident ids: UUIDv5(incidentSpace, person or device | client's id).
var incidentSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("hive://incident"))

// Raise implements web.Station.
func (n *Node) Raise(ctx context.Context, by alerts.Subject, clientID string, r alerts.Raised) (web.Taken, error) {
	if clientID == "" {
		clientID = uuid.NewString()
	}
	id := alerts.IncidentID(uuid.NewSHA1(incidentSpace, []byte(string(by.Person)+"|"+clientID)).String())
	n.making.Lock()
	cell := n.homeOf(r.Place)
	if shown, ok := n.view.incident(id); ok {
		cell = shown.Cell
	}
	made, err := n.make(alerts.Event{Cell: cell, Incident: id, Actor: by.Person, Client: clientID, Kind: alerts.KindRaised, Body: &r})
	n.making.Unlock()
	if i, ok := n.look(cell, id); ok && madeElsewhere(err) != nil {
		return n.again(i), nil
	}
	if err != nil {
		return web.Taken{}, err
	}
	return n.await(ctx, made)
}

// madeElsewhere is the same deed made before, here or at another station that it was sent to as well: its refusal
// is no answer for somebody who did it once.
func madeElsewhere(err error) *alerts.Hash {
	var r *web.Refusal
	if errors.As(err, &r) && r.Code == alerts.Same && r.Lost != nil {
		return &r.Lost.Event
	}
	return nil
}

// again answers a raise that was made before.
func (n *Node) again(i *alerts.Incident) web.Taken {
	kept, _ := n.Kept(i.First)
	return web.Taken{Incident: i.ID, Event: i.First, Kept: kept, Again: true}
}

// Do implements web.Station.
func (n *Node) Do(ctx context.Context, by alerts.Subject, in alerts.IncidentID, clientID string, saw *alerts.Hash, b alerts.Body) (web.Taken, error) {
	n.making.Lock()
	made, again, err := n.do(by, in, clientID, saw, b)
	n.making.Unlock()
	if first := madeElsewhere(err); first != nil {
		again, err = first, nil
	}
	if err != nil || again != nil {
		return n.doneBefore(in, again), err
	}
	return n.await(ctx, made)
}

// do makes an event upon what this station shows now; again names the one that the same deed made before.
func (n *Node) do(by alerts.Subject, in alerts.IncidentID, clientID string, saw *alerts.Hash, b alerts.Body) (_ made, again *alerts.Hash, err error) {
	shown, ok := n.view.incident(in)
	if !ok {
		return made{}, nil, web.ErrUnknownIncident
	}
	i, ok := n.look(shown.Cell, in)
	if !ok {
		return made{}, nil, web.ErrUnknownIncident
	}
	for _, line := range i.Log {
		if clientID != "" && line.Event.Client == clientID && line.Event.Actor == by.Person && line.Event.Kind == b.Kind() {
			return made{}, &line.Event.ID, nil
		}
	}
	e := alerts.Event{Cell: i.Cell, Incident: in, Prev: newest(i.Heads), Actor: by.Person, Client: clientID, Kind: b.Kind(), Body: b}
	if field := alerts.FieldOf(e.Kind); field != "" {
		e.Saw = i.Latest[field].Event
		if saw != nil {
			e.Saw = *saw
		}
	}
	m, err := n.make(e)
	return m, nil, err
}

// doneBefore answers a deed that was done before under the same id.
func (n *Node) doneBefore(in alerts.IncidentID, event *alerts.Hash) web.Taken {
	if event == nil {
		return web.Taken{}
	}
	kept, _ := n.Kept(*event)
	return web.Taken{Incident: in, Event: *event, Kept: kept, Again: true}
}

func newest(heads []alerts.Hash) []alerts.Hash {
	return heads[max(0, len(heads)-maxPrev):]
}

// made is an event on its way: kept answers when it is fsynced here, or says why not.
type made struct {
	event alerts.Event
	kept  <-chan error
	sent  int // stations it was handed to
}

// make signs e, asks the rules whether it would count on what is known here, and if so keeps and spreads it. The
// caller holds making.
func (n *Node) make(e alerts.Event) (made, error) {
	if n.leaving {
		return made{}, web.ErrLeaving
	}
	e.At = n.county.Wall().UTC()
	e.Station = n.identity.Station
	if err := e.Check(); err != nil {
		return made{}, err
	}
	e, err := n.identity.Sign(e)
	if err != nil {
		return made{}, err
	}
	// What is carried over is judged by the cell that it goes to: a refusal has to arrive too.
	if r := n.wouldRefuse(e); r != nil && e.Kind != alerts.KindCarried {
		return made{}, r
	}
	n.keeping.follow(e.ID)
	kept, sent := n.county.Put(e)
	return made{e, kept, sent}, nil
}

// wouldRefuse judges e on top of what this station shows. What another cell is to judge is not refused here.
func (n *Node) wouldRefuse(e alerts.Event) *web.Refusal {
	i := lookIn(n.rules, n, n.standing, e.Cell, e.Incident, e)
	if i == nil {
		return nil
	}
	line := i.Line(e.ID)
	if line == nil || line.Verdict.Accepted() || line.Verdict.Code == alerts.Forwarded {
		return nil
	}
	return n.refusal(line.Entry)
}

// await waits for the fsync, at most web.KeepWait; what is not kept by then is said to be so.
func (n *Node) await(ctx context.Context, m made) (web.Taken, error) {
	timer := time.NewTimer(web.KeepWait)
	defer timer.Stop()
	var failed error
	select {
	case failed = <-m.kept:
	case <-timer.C:
	case <-ctx.Done():
	}
	taken := web.Taken{Incident: m.event.Incident, Event: m.event.ID, Sent: m.sent}
	taken.Kept, _ = n.Kept(m.event.ID)
	if failed != nil && m.sent == 0 {
		return taken, fmt.Errorf("%w: %w", web.ErrNotKept, failed)
	}
	return taken, nil
}

// Kept implements web.Station.
func (n *Node) Kept(id alerts.Hash) (web.Kept, bool) {
	if kept, ok := n.keeping.kept(id); ok {
		return kept, true
	}
	if held, fsynced := n.county.Holds(id); held {
		return web.Kept{Here: fsynced}, true
	}
	for _, i := range n.view.all() {
		for _, line := range i.Log {
			if line.Event.ID == id && !line.Provisional {
				return web.Kept{Here: true, Recorded: true, Index: line.Index, Refused: refusedBy(line.Verdict)}, true
			}
		}
	}
	return web.Kept{}, false
}

// refusal tells an event's maker why it does not count.
func (n *Node) refusal(e alerts.Entry) *web.Refusal {
	return &web.Refusal{
		Event: e.Event.ID, Incident: e.Event.Incident, Code: e.Verdict.Code, Lost: e.Verdict.Lost,
		Reason: n.rules.Why(e.Event, e.Verdict), Missing: e.Verdict.Missing,
	}
}
