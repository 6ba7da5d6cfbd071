package alerts

import "slices"

// AlarmsFor lists what a device is to sound for in i: calls for support first, then at most one wave. It is
// a function of the view and of what the device heard, never of an event's arrival.
func (r *Rules) AlarmsFor(i *Incident, who Listener, h Heard) []Alarm {
	if !who.Duty {
		return nil
	}
	var out []Alarm
	if !i.Status.Closed() && (holds(who.Roles, policeRoles) || holds(who.Roles, dispatchRoles)) {
		for k := range i.Support {
			s := &i.Support[k]
			if s.By != who.Person && !h.Support[s.Event] {
				out = append(out, Alarm{Incident: i, Support: s, Provisional: s.Provisional})
			}
		}
	}
	if w := r.waveFor(i, who, h.Waves[i.ID]); w != nil {
		out = append(out, Alarm{Incident: i, Wave: w.Number, Provisional: w.Provisional})
	}
	return out
}

// waveFor is the wave that a device which heard waves up to heard has to sound for, or nil: the latest
// "search continues" that reaches it, else, if it heard none at all, the first wave that does.
func (r *Rules) waveFor(i *Incident, who Listener, heard int) *Wave {
	if !i.AlarmOpen() || i.mutedFor(who) {
		return nil
	}
	answered := i.answeredAt(who.Person)
	for k := range slices.Backward(i.Waves) {
		w := &i.Waves[k]
		if w.Continues && w.Number > heard && r.reaches(i, w, who) && (answered.IsZero() || i.after(w.Event, answered)) {
			return w
		}
	}
	if heard > 0 || !answered.IsZero() {
		return nil
	}
	for k := range i.Waves {
		if w := &i.Waves[k]; r.reaches(i, w, who) {
			return w
		}
	}
	return nil
}

// mutedFor: an alert raised under coercion makes no sound or light where and to whom that happens.
func (i *Incident) mutedFor(who Listener) bool {
	return i.Raised.Silent && (who.Person == i.RaisedBy || who.Station == i.Station && holds(who.Roles, kioskRoles))
}

// answeredAt is the event by which the person answered, or zero.
func (i *Incident) answeredAt(p PersonID) Hash { return i.Answers[p].Event }

// reaches reports whether a wave is for the listener: by role and by place. Those who dispatch hear every
// alarm of the county. The radius of an uncertain place counts in the listener's favour.
func (r *Rules) reaches(i *Incident, w *Wave, who Listener) bool {
	if holds(who.Roles, dispatchRoles) {
		return true
	}
	if !r.Categories[i.Raised.Category].calls(who.Roles, w.Wide) {
		return false
	}
	if w.Ring >= CountyRing {
		return true
	}
	at := i.Raised.Place
	return who.At != nil && at.Point != nil && who.At.Distance(*at.Point) <= w.Ring+at.Radius
}
