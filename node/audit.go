package node

import (
	"crypto/sha256"
	"fmt"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/node/web"
)

// auditor notes in the home cell's record what the county's authority decided outside of it: who was expelled, and
// that the gossip key was changed. Both count without that, at once and where no majority is left; it is noted for
// whoever asks later. Only posts and centres do it; of them the record's leader first.
type auditor struct {
	n     *Node
	turns *turns
}

func newAuditor(n *Node) *auditor { return &auditor{n: n, turns: newTurns(n)} }

// step does what is due. It is called by the duty loop.
func (a *auditor) step() {
	if !a.n.identity.Kind.Trusted() {
		return
	}
	defer a.turns.end()
	d := a.n.county.Directory()
	for _, notice := range a.n.ring.Dismissed() {
		if word := notice.Word(); notice.Why == trust.Expelled && d.Expulsion(notice.Station, word) == 0 {
			a.note(sha256.Sum256(word), &alerts.StationExpelled{Station: notice.Station, Revocation: word})
		}
	}
	generation, _, _ := a.n.keys.Latest()
	if generation > noted(d) {
		a.note(sha256.Sum256(fmt.Append(nil, "gossip key ", generation)), &alerts.KeyChanged{Generation: generation})
	}
}

// noted is the newest generation of the gossip key that the directory has; a county begins with the first.
func noted(d *alerts.Directory) uint64 {
	if d == nil || d.Key == nil {
		return trust.FirstKey
	}
	return d.Key.Generation
}

// note makes an event about the county unless one of the kind is on its way to the record already.
func (a *auditor) note(what alerts.Hash, b alerts.Body) {
	home := a.n.county.Home()
	if !a.turns.ours(home, what) {
		return
	}
	for _, e := range a.n.pending(home, alerts.DirectoryID) {
		if e.Kind == b.Kind() {
			return
		}
	}
	a.n.making.Lock()
	defer a.n.making.Unlock()
	e := alerts.Event{Cell: home, Incident: alerts.DirectoryID, Kind: b.Kind(), Body: b}
	if _, err := a.n.make(e); err != nil {
		a.n.log.Warn("the authority's word is not noted yet", zap.String("kind", string(b.Kind())), zap.Error(err))
	}
}

// authorityWord is what the authority decided about stations and keys, and where that stands in the record.
func (n *Node) authorityWord() ([]web.MeshGone, web.MeshKey) {
	d := n.county.Directory()
	gone := []web.MeshGone{}
	for _, notice := range n.ring.Dismissed() {
		listed, _ := n.data.Station(notice.Station)
		gone = append(gone, web.MeshGone{
			Station: notice.Station, Name: listed.Name, Why: notice.Why.String(), At: alerts.Stamp(time.Unix(notice.At, 0)),
			Entry: d.Expulsion(notice.Station, notice.Word()),
		})
	}
	generation, _, _ := n.keys.Latest()
	return gone, web.MeshKey{Generation: generation, Entry: d.KeyEntry(generation)}
}
