package alerts

import (
	"slices"
	"time"
)

// ownRings is how many rings of its category an alarm reaches by itself; wider ones wait for a dispatcher for
// as long as one is there (the first two rings by themselves).
const ownRings = 2

// Due is the wave that i is to get now, if any. sinceWave is how long ago whoever decides first saw the
// latest wave, on his own monotonic clock.
//
// An end that was refused after it may have silenced somebody makes a wave that says "search continues" at
// once. A red alarm with fewer coming than wanted widens after WidenAfter: to the second ring by itself,
// further only while no dispatcher has done anything about it; afterwards it is his word.
func (r *Rules) Due(i *Incident, sinceWave time.Duration) (*Waved, bool) {
	if !i.AlarmOpen() || i.Moved != nil {
		return nil, false
	}
	last := i.Waves[len(i.Waves)-1]
	if last.Number >= maxWave {
		return nil, false
	}
	next := &Waved{Number: last.Number + 1, Ring: last.Ring, Wide: last.Wide}
	if len(i.Refused) > 0 {
		next.Continues, next.Reason = true, "an end was refused"
		return next, true
	}
	if i.Grade != Grade1 || i.Coming() >= i.Raised.Wanted || sinceWave < WidenAfter {
		return nil, false
	}
	rings := r.Categories[i.Raised.Category].Rings
	wider := slices.IndexFunc(rings, func(m float64) bool { return m > last.Ring })
	if wider < 0 || wider >= ownRings && i.dispatcherActed() {
		return nil, false
	}
	next.Ring = rings[wider]
	return next, true
}

// dispatcherActed reports whether somebody who dispatches has done anything about the incident; raising it
// does not count.
func (i *Incident) dispatcherActed() bool {
	return slices.ContainsFunc(i.Log, func(l Line) bool {
		return l.Event.Kind != KindRaised && l.Event.Actor != "" && l.Verdict.Accepted() && holds(l.By.Roles, dispatchRoles)
	})
}
