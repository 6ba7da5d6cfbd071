package node

import (
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
)

// courseEvery is how often a station looks for matters that are overdue or to be put away: their clocks count days.
const courseEvery = time.Minute

// ofCourse is the key of what is due in a matter's course, among those of its waves.
const ofCourse = -1

// tendCourse puts overdue matters under supervision and closed ones away, where decisions may be signed. The leader
// does it first, as with waves, and what two stations decide counts once. It goes by the time that several
// stations tell: one box whose clock jumps a year ahead must not find everything overdue.
func (d *duty) tendCourse() {
	now := time.Now()
	if now.Sub(d.tended) < courseEvery || !d.trusted() {
		return
	}
	d.tended = now
	told, agreed := d.n.county.Agreed()
	if !agreed {
		return
	}
	for _, i := range d.n.view.all() {
		d.tendOne(i, now, told)
	}
}

func (d *duty) tendOne(i *alerts.Incident, now, told time.Time) {
	key := receiptKey{i.ID, ofCourse}
	if !d.n.county.Follows(d.n.identity.Station, i.Cell) {
		return
	}
	body, ok := d.n.rules.DueCourse(i, told)
	if !ok {
		delete(d.due, key)
		return
	}
	if _, seen := d.due[key]; !seen {
		d.due[key] = now
	}
	if now.Sub(d.due[key]) < d.patience(i) {
		return
	}
	d.n.making.Lock()
	defer d.n.making.Unlock()
	_, err := d.n.make(alerts.Event{
		Cell: i.Cell, Incident: i.ID, Prev: newest(i.Heads), Kind: body.Kind(), Body: body, Saw: i.Latest[alerts.FieldOf(body.Kind())].Event,
	})
	if err != nil {
		d.n.log.Info("course not tended", zap.String("incident", string(i.ID)), zap.String("kind", string(body.Kind())), zap.Error(err))
	}
}

// trusted reports whether this station may sign decisions.
func (d *duty) trusted() bool {
	kind, _ := d.n.ring.Kind(d.n.identity.Station)
	return kind.Trusted()
}
