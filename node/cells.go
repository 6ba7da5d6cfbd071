package node

import (
	"context"
	"slices"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/gossip"
	"hivemesh/node/web"
)

// foundersOfCell is how many stations begin a new cell's record: the loss of one does not stop it. Fewer than
// that begin it alone; of two the loss of either would.
const foundersOfCell = 3

// CellViews implements web.Station.
func (n *Node) CellViews() []web.CellView {
	d, home := n.county.Directory(), n.county.Home()
	var out []web.CellView
	add := func(e alerts.CellEntry) {
		v := web.CellView{
			Cell: e.ID, Home: e.ID == home, Epoch: e.Epoch, Townships: notNil(e.Townships), Stations: []alerts.StationID{},
			Voters: e.Voters, Into: e.Into, Followed: slices.Contains(n.county.Cells(), e.ID),
		}
		for _, m := range n.county.Members() {
			if n.county.CellOf(m.Station) == e.ID {
				v.Stations = append(v.Stations, m.Station)
			}
		}
		slices.Sort(v.Stations)
		out = append(out, v)
	}
	first, _ := d.Cell(home)
	first.ID = home
	add(first)
	if d != nil {
		for _, e := range d.Cells {
			if e.ID != home {
				add(e)
			}
		}
	}
	return out
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Govern implements web.Station.
func (n *Node) Govern(ctx context.Context, by alerts.Subject, clientID string, b alerts.Body) (web.Taken, error) {
	if change, ok := b.(*alerts.CellChanged); ok {
		b = n.complete(*change)
	}
	n.making.Lock()
	made, err := n.govern(by, clientID, b)
	n.making.Unlock()
	if err != nil {
		return web.Taken{}, err
	}
	return n.await(ctx, made)
}

// govern makes a decision upon the directory as the record here has it, unless that refuses it.
func (n *Node) govern(by alerts.Subject, clientID string, b alerts.Body) (made, error) {
	e := alerts.Event{
		Cell: n.county.Home(), Incident: alerts.DirectoryID, Actor: by.Person, Client: clientID, Kind: b.Kind(), Body: b,
		Saw: n.county.Directory().Last(alerts.FieldOf(b.Kind())), At: time.Now().UTC(), Station: n.identity.Station,
	}
	if err := e.Check(); err != nil {
		return made{}, err
	}
	var v alerts.Verdict
	standing := n.standing(e)
	n.read(e.Cell, func(s *alerts.State) { v = n.rules.Judge(s, e, standing, e.At) })
	if !v.Accepted() {
		return made{}, n.refusal(alerts.Entry{Event: e, Verdict: v})
	}
	return n.make(e)
}

// complete adds to a change the stations of the townships that it names, and who founds a new cell.
func (n *Node) complete(b alerts.CellChanged) *alerts.CellChanged {
	var all []alerts.StationID
	for _, s := range n.data.Stations { // those too that are not met yet, or not now
		if slices.Contains(b.Townships, s.Township) {
			all = append(all, s.ID)
		}
	}
	for _, m := range n.county.Members() {
		if _, listed := n.data.Station(m.Station); !listed && slices.Contains(b.Townships, m.Township) {
			all = append(all, m.Station)
		}
	}
	all = append(all, b.Stations...)
	slices.Sort(all)
	b.Stations = slices.Compact(all)
	_, known := n.county.Directory().Cell(b.Cell)
	if known || b.Cell == n.county.Home() || len(b.Founders) > 0 || b.Into != "" {
		return &b
	}
	founders := slices.DeleteFunc(slices.Clone(b.Stations), func(s alerts.StationID) bool { return !n.alive(s) })
	slices.SortStableFunc(founders, func(x, y alerts.StationID) int { return n.unsteady(x) - n.unsteady(y) })
	if len(founders) < foundersOfCell {
		founders = founders[:min(1, len(founders))]
	}
	b.Founders = founders[:min(foundersOfCell, len(founders))]
	return &b
}

func (n *Node) alive(s alerts.StationID) bool {
	return slices.ContainsFunc(n.county.Members(), func(m gossip.Member) bool { return m.Station == s && m.Alive })
}

// unsteady ranks stations for founding: posts and centres have power and people at night.
func (n *Node) unsteady(s alerts.StationID) int {
	if kind, _ := n.ring.Kind(s); kind.Trusted() {
		return 0
	}
	return 1
}
