package node

import (
	"time"

	"hivemesh/alerts"
)

// lookIn is what is known here of an incident in one cell, with more events on top: the fold of the record and
// what is pending, or, where the cell is not followed, what is held of its alarm lane.
func lookIn(rules *alerts.Rules, from sources, standing func(alerts.Event) alerts.Standing, cell alerts.CellID, in alerts.IncidentID, more ...alerts.Event) (i *alerts.Incident) {
	held := append(from.pending(cell, in), more...)
	if !from.read(cell, func(s *alerts.State) { i = rules.Look(s, in, held, standing, time.Now()) }) {
		i = rules.LookFar(cell, in, held, standing)
	}
	return i
}

// present is, of what several cells have of one incident, where it is now: what moved is shown as it is in the
// cell it moved to, as soon as that has all up to the move.
func present(known []*alerts.Incident) *alerts.Incident {
	var best *alerts.Incident
	for _, i := range known {
		if gone(i, known) {
			continue
		}
		if best == nil || better(i, best) {
			best = i
		}
	}
	if best == nil && len(known) > 0 {
		best = known[0]
	}
	return best
}

func gone(i *alerts.Incident, known []*alerts.Incident) bool {
	if i.Moved == nil {
		return false
	}
	for _, j := range known {
		if j != i && j.Took(i.Moved.Event) {
			return true
		}
	}
	return false
}

// better: of two cells that both have an incident as their own, since it was raised on two sides of a change of
// the directory, all stations show the same one until the other is carried over.
func better(i, j *alerts.Incident) bool {
	if (i.Moved == nil) != (j.Moved == nil) {
		return i.Moved == nil
	}
	if len(i.Log) != len(j.Log) {
		return len(i.Log) > len(j.Log)
	}
	return i.Cell < j.Cell
}

// homeOf is the cell of a place: that of its township by the directory, the home cell where no cell was given the
// township, and this station's own where the county's data knows no township there.
func (n *Node) homeOf(p alerts.Place) alerts.CellID {
	township := n.data.township(p)
	if cell, ok := n.county.Directory().Home(township); ok {
		return cell
	}
	if township != "" {
		return n.county.Home()
	}
	return n.county.Own()
}

// township is that of a place's grid, or of the grid next to its point; empty where the county's data has none.
func (c *County) township(p alerts.Place) string {
	var next *gridEntry
	for k := range c.Grids {
		g := &c.Grids[k]
		if g.ID == p.Grid {
			return g.Township
		}
		if p.Point != nil && (next == nil || p.Point.Distance(g.Place) < p.Point.Distance(next.Place)) {
			next = g
		}
	}
	if next == nil {
		return ""
	}
	return next.Township
}
