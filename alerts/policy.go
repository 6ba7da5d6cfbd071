package alerts

import (
	"slices"
	"time"
)

// ownWaves is how many waves an alarm gets by itself; wider ones wait for a dispatcher for as long as one
// is there (DESIGN §2: the first two rings by themselves).
const ownWaves = 2

// Due is the wave that i is to get now, if any. sinceWave is how long ago whoever decides first saw the
// latest wave, on his own monotonic clock.
//
// An end that was refused after it may have silenced somebody makes a wave that says "search continues" at
// once. A red alarm with fewer coming than wanted widens after WidenAfter: to the second ring by itself,
// further only while no dispatcher has done anything about it; afterwards it is his word.
func (r *Rules) Due(i *Incident, sinceWave time.Duration) (*Waved, bool) {
	if !i.AlarmOpen() {
		return nil, false
	}
	last := i.Waves[len(i.Waves)-1]
	next := &Waved{Number: last.Number + 1, Ring: last.Ring, Wide: last.Wide}
	if len(i.Refused) > 0 {
		next.Continues, next.Reason = true, "an end was refused"
		return next, true
	}
	if i.Grade != Grade1 || i.Coming() >= i.Raised.Wanted || sinceWave < WidenAfter {
		return nil, false
	}
	wider, ok := r.wider(i, last.Ring)
	if !ok || last.Number >= ownWaves && i.dispatcherActed() {
		return nil, false
	}
	next.Ring = wider
	return next, true
}

// wider is the category's next ring beyond ring, in metres.
func (r *Rules) wider(i *Incident, ring float64) (float64, bool) {
	rings := r.Categories[i.Raised.Category].Rings
	k := slices.IndexFunc(rings, func(m float64) bool { return m > ring })
	if k < 0 {
		return 0, false
	}
	return rings[k], true
}

// dispatcherActed reports whether somebody who dispatches has done anything about the incident; raising it does not count.
func (i *Incident) dispatcherActed() bool {
	return slices.ContainsFunc(i.Log, func(l Line) bool {
		return l.Event.Kind != KindRaised && l.Event.Actor != "" && l.Verdict.Accepted() && holds(l.By.Roles, dispatchRoles)
	})
}
