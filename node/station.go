package node

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
	"hivemesh/node/web"
)

func pid() int { return os.Getpid() }

// Self implements web.Station.
func (n *Node) Self() web.StationInfo { return n.Stations()[0] }

// Stations implements web.Station.
func (n *Node) Stations() []web.StationInfo {
	members := n.county.Members()
	out := make([]web.StationInfo, 0, len(members))
	for _, m := range members {
		out = append(out, web.StationInfo{
			ID: m.Station, Name: m.Name, Kind: m.Kind, Cell: n.county.CellOf(m.Station), Township: m.Township, Place: m.Point,
			URL: m.HTTP, Alive: m.Alive, Self: m.Station == n.identity.Station, SeenAt: m.Since,
		})
	}
	return out
}

// PlaceOf implements web.Station. People of a station that is no longer of the county live where they did.
func (n *Node) PlaceOf(id alerts.StationID) *alerts.Point {
	for _, m := range n.county.Members() {
		if m.Station == id {
			return m.Point
		}
	}
	if s, listed := n.data.Place(id); listed && n.county.Gone(id) {
		return &s.Place
	}
	return nil
}

// Mesh implements web.Station.
func (n *Node) Mesh() web.MeshInfo {
	info := web.MeshInfo{Station: n.identity.Station, Version: Version(), PID: pid(), Disk: n.meshDisk()}
	info.Gone, info.Key = n.authorityWord()
	for _, m := range n.county.Members() {
		info.Members = append(info.Members, web.MeshMember{
			Station: m.Station, Name: m.Name, Alive: m.Alive, Mesh: m.Mesh, HTTP: m.HTTP, PID: m.PID,
		})
	}
	for _, id := range n.Cells() {
		info.Cells = append(info.Cells, n.meshCell(id))
	}
	traffic := n.county.Traffic()
	for _, proto := range slices.Sorted(maps.Keys(traffic)) {
		f := traffic[proto]
		info.Traffic = append(info.Traffic, web.MeshTraffic{Protocol: proto, In: f.In, Out: f.Out, Rate: f.Rate})
	}
	return info
}

// Fold implements web.Station.
func (n *Node) Fold(cell alerts.CellID) (h alerts.Hash) {
	n.read(cell, func(s *alerts.State) { h = s.Hash() })
	return h
}

func (n *Node) meshCell(id alerts.CellID) web.MeshCell {
	s, pending := n.county.Status(id)
	c := web.MeshCell{
		Cell: id, Role: string(s.Role), Leader: s.Leader, Voters: s.Voters, Epoch: s.Epoch, Index: s.Index,
		Chain: s.Chain.String(), Lag: s.Lag, Source: s.Source, Depth: s.Depth, Feeds: s.Feeds, Pending: pending,
	}
	if s.Err != nil {
		c.Error = s.Err.Error()
	}
	return c
}

// leader is who leads a cell's record, as far as is known here.
func (n *Node) leader(cell alerts.CellID) alerts.StationID {
	s, _ := n.county.Status(cell)
	return s.Leader
}

func (n *Node) leads(cell alerts.CellID) bool { return n.leader(cell) == n.identity.Station }

// Rules implements web.Station.
func (n *Node) Rules() *alerts.Rules { return n.rules }

// People implements web.Station.
func (n *Node) People() []alerts.Person {
	out := slices.Clone(n.data.People)
	for k := range out {
		out[k].Home = n.homeNow(out[k].Home)
	}
	return out
}

// Person implements web.Station.
func (n *Node) Person(id alerts.PersonID) (alerts.Person, bool) {
	i := slices.IndexFunc(n.data.People, func(p alerts.Person) bool { return p.ID == id })
	if i < 0 {
		return alerts.Person{}, false
	}
	p := n.data.People[i]
	p.Home = n.homeNow(p.Home)
	return p, true
}

// homeNow is the station that people of a home belong to: the home, or whoever took its place.
func (n *Node) homeNow(home alerts.StationID) alerts.StationID {
	if _, gone := n.ring.Gone(home); !gone {
		return home
	}
	now := home
	for _, m := range n.county.Members() {
		if _, own := n.data.Station(m.Station); own {
			continue // village-2 has a place of its own, beside village
		}
		if m.Station != home && successorOf(m.Station) == home && !n.county.Gone(m.Station) {
			now = m.Station // in order of their ids: one that was replaced again is gone
		}
	}
	return now
}

// Territory implements web.Station.
func (n *Node) Territory() web.Territory { return n.data.territory() }

// Locate implements web.Station.
func (n *Node) Locate(p alerts.Place) (alerts.Place, error) {
	if p.Grid == "" {
		if p.Point == nil {
			return p, errors.New("a place needs lon and lat, or a grid")
		}
		return p, p.Point.Check()
	}
	var known []string
	for _, g := range n.data.Grids {
		if g.ID == p.Grid || g.Name == p.Grid {
			p.Grid = g.ID
			if p.Point == nil {
				centre := g.Place
				p.Point, p.Radius = &centre, g.Radius
			}
			return p, p.Point.Check()
		}
		known = append(known, g.ID)
	}
	return p, &web.GridError{Grid: p.Grid, Known: known}
}

// Incident implements web.Station.
func (n *Node) Incident(id alerts.IncidentID) (*alerts.Incident, bool) { return n.view.incident(id) }

// Incidents implements web.Station.
func (n *Node) Incidents() []*alerts.Incident { return n.view.all() }

// Cursor implements web.Station.
func (n *Node) Cursor(cell alerts.CellID) web.Cursor { return n.view.cursor(cell) }

// Cells implements web.Station.
func (n *Node) Cells() []alerts.CellID { return n.county.Cells() }

// Watch implements web.Station.
func (n *Node) Watch(f func(web.Change)) (stop func()) { return n.view.watch(f) }

// Reached implements web.Station.
func (n *Node) Reached(in alerts.IncidentID, wave int, c web.Counts) {
	k := receiptKey{in, wave}
	i, ok := n.view.incident(in)
	total, changed := n.receipts.set(k, n.identity.Station, c, i)
	if !changed {
		return
	}
	n.view.tell(web.Change{Counted: in, Wave: wave, Counts: total})
	if !ok {
		return
	}
	b, err := n.receipts.encode(k)
	if err != nil {
		return // a struct of numbers and an id always encodes
	}
	n.county.Cast(alerts.LaneStatistic, fmt.Sprintf("%s/%s/%d", receiptsTopic, in, wave), b, n.interested(i)...)
}

// interested are the other stations that want an incident's receipts: the one that raised it, the leader,
// and those where a dispatcher is looking.
func (n *Node) interested(i *alerts.Incident) []alerts.StationID {
	to := map[alerts.StationID]bool{i.Station: true, n.leader(i.Cell): true}
	for _, m := range n.county.Members() {
		if m.Looking {
			to[m.Station] = true
		}
	}
	delete(to, n.identity.Station)
	delete(to, "")
	out := make([]alerts.StationID, 0, len(to))
	for s := range to {
		out = append(out, s)
	}
	return out
}

// Receipts implements web.Station.
func (n *Node) Receipts(in alerts.IncidentID, wave int) web.Counts {
	i, _ := n.view.incident(in)
	return n.receipts.total(receiptKey{in, wave}, i)
}

// Moved implements web.Station.
func (n *Node) Moved(p alerts.PersonID, at *web.Position) { n.positions.moved(p, at) }

// Positions implements web.Station.
func (n *Node) Positions() []web.Position {
	all := n.positions.all()
	steps := map[alerts.PersonID]alerts.Kind{}
	for _, i := range n.view.all() {
		if i.Status.Closed() {
			continue
		}
		for who, a := range i.Answers {
			if a.Coming() {
				steps[who] = a.Step
			}
		}
	}
	for k := range all {
		all[k].Step = steps[all[k].Person]
	}
	return all
}

// Looking implements web.Station.
func (n *Node) Looking(yes bool) { n.county.SetLooking(yes) }

func (n *Node) meshDisk() web.MeshDisk {
	space, err := n.county.Disk()
	d := web.MeshDisk{Level: string(space.Level), Free: space.Free, Ballast: space.Ballast, Failed: space.Failed}
	if err != nil {
		d.Error = err.Error()
	}
	return d
}

// sharePositions sends what moved here to the stations where a dispatcher is looking.
func (n *Node) sharePositions() {
	if n.shed.Load() {
		return
	}
	var to []alerts.StationID
	for _, m := range n.county.Members() {
		if m.Looking && m.Alive && m.Station != n.identity.Station {
			to = append(to, m.Station)
		}
	}
	for k, b := range n.positions.batch() {
		if len(to) > 0 {
			n.county.Cast(alerts.LanePosition, fmt.Sprintf("%s/%d", positionsTopic, k), b, to...)
		}
	}
}

// cast takes soft state from another station; what cannot be read is dropped.
func (n *Node) cast(topic string, from alerts.StationID, b []byte) {
	switch kind, _, _ := bytes.Cut([]byte(topic), []byte("/")); string(kind) {
	case receiptsTopic:
		k, c, err := decodeReceipts(b)
		if err != nil {
			return
		}
		i, _ := n.view.incident(k.incident)
		if total, changed := n.receipts.set(k, from, c, i); changed {
			n.view.tell(web.Change{Counted: k.incident, Wave: k.wave, Counts: total})
		}
	case positionsTopic:
		_ = n.positions.merge(b) // soft state: the next batch comes in a second
	}
}

// tokenForm is a session token: who signed it, what it says, the signature, and the signer's certificate, since
// the station where it is shown may never have met the signer.
type tokenForm struct {
	Station string `cbor:"1,keyasint"`
	Said    []byte `cbor:"2,keyasint"`
	Sig     []byte `cbor:"3,keyasint"`
	Cert    []byte `cbor:"4,keyasint,omitempty"`
}

// forToken keeps a session token from passing for anything else this station signs.
const forToken = "hivemesh session\x00"

// Sign implements web.Station.
func (n *Node) Sign(said []byte) (string, error) {
	sig := n.identity.SignBytes(append([]byte(forToken), said...))
	b, err := wire.Canonical.Marshal(tokenForm{string(n.identity.Station), said, sig, n.identity.Cert.Raw})
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// Verify implements web.Station.
func (n *Node) Verify(token string) ([]byte, alerts.StationID, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, "", fmt.Errorf("session token: %w", err)
	}
	var f tokenForm
	if err := wire.Strict.Unmarshal(b, &f); err != nil {
		return nil, "", fmt.Errorf("session token: %w", err)
	}
	by := alerts.StationID(f.Station)
	if !n.ring.Has(by) && len(f.Cert) > 0 {
		if _, err := n.ring.Add(f.Cert); err != nil && !errors.Is(err, trust.ErrNotKept) {
			return nil, "", fmt.Errorf("session token: %w", err)
		}
	}
	if err := n.ring.Verify(by, append([]byte(forToken), f.Said...), f.Sig); err != nil {
		return nil, "", fmt.Errorf("session token: %w", err)
	}
	return f.Said, by, nil
}

// Ready implements web.Station.
func (n *Node) Ready() error { return n.county.Ready() }

// Warnings implements web.Station.
func (n *Node) Warnings() []string { return n.county.Warnings() }

// Record runs f on the fold of a cell under its lock, for those who check a county rather than serve it;
// false where this station does not follow the cell. f must not keep the State.
func (n *Node) Record(cell alerts.CellID, f func(*alerts.State)) bool { return n.read(cell, f) }

// read implements sources.
func (n *Node) read(cell alerts.CellID, f func(*alerts.State)) bool { return n.county.Read(cell, f) }

// pending implements sources.
func (n *Node) pending(cell alerts.CellID, in alerts.IncidentID) []alerts.Event {
	return n.county.Pending(cell, in)
}

// look makes one incident anew, now: what is published may lag by a moment, and who decides must not.
func (n *Node) look(cell alerts.CellID, in alerts.IncidentID) (i *alerts.Incident, ok bool) {
	i = lookIn(n.rules, n, n.standing, cell, in)
	return i, i != nil
}

// standing is what this station knows of an event's maker.
func (n *Node) standing(e alerts.Event) alerts.Standing {
	kind, _ := n.ring.Kind(e.Station)
	st := alerts.Standing{Kind: kind, Version: n.rules.Version}
	switch p, ok := n.Person(e.Actor); {
	case ok:
		st.Roles = p.Roles
	case e.Actor == web.KioskPerson(e.Station):
		st.Roles = []alerts.Role{alerts.KioskRole}
	}
	return st
}

var _ web.Station = (*Node)(nil)
