package sim

import (
	"slices"
	"time"

	"hivemesh/alerts"
	"hivemesh/node/sim/history"
)

// shownOnce proves Never twice: a device gets one frame at most for one wave of one incident, one for a call
// for support, and, of waves that do not say "search continues", one at all.
func shownOnce(l *look) (bad []string) {
	t := (*tell)(&bad)
	for device, of := range l.sounded {
		for in, pushes := range of {
			waves, calls, first := map[int]int{}, map[string]int{}, 0
			for _, p := range pushes {
				switch {
				case p.Support != "":
					calls[p.Support]++
				case !p.Again:
					first++
					waves[p.Wave]++
				default:
					waves[p.Wave]++
				}
			}
			for wave, n := range waves {
				if n > 1 {
					t.say("%s sounded %d times for wave %d of %s", device, n, wave, in)
				}
			}
			for call, n := range calls {
				if n > 1 {
					t.say("%s sounded %d times for call %.8s for support in %s", device, n, call, in)
				}
			}
			if first > 1 {
				t.say("%s sounded for %d waves of %s that it had heard of", device, first, in)
			}
		}
	}
	return bad
}

// reachAll proves Never miss: 10 s after the healing every connected device has every alarm that was open
// then and whose first wave is for its person; and in the end every open alarm of which any wave is.
func reachAll(l *look) (bad []string) {
	t := (*tell)(&bad)
	first := func(in alerts.IncidentID) []alerts.Waved { return l.waves[in][1][:1] }
	all := func(in alerts.IncidentID) (out []alerts.Waved) {
		for _, list := range l.waves[in] {
			out = append(out, list[0])
		}
		return out
	}
	l.missing(t, "10 s after the healing", l.Healed, l.Healed.Add(reachWithin), first)
	l.missing(t, "in the end", l.Ended.Add(-reachWithin), l.Ended, all)
	return bad
}

func (l *look) missing(t *tell, when string, raisedBefore, by time.Time, waves func(alerts.IncidentID) []alerts.Waved) {
	for _, link := range l.connected(by, time.Second) {
		who := l.people[link.Person]
		at := l.at(who, by)
		for in, e := range l.raised {
			ask, ok := l.asked[e.Event.Client]
			if !ok || ask.To.After(raisedBefore) || l.triedToEnd(in, by) || l.answered(who.ID, in, by) {
				continue
			}
			for _, w := range waves(in) {
				if l.called(who, at, in, w) && l.recordedBefore(in, w, raisedBefore) && !l.heard(link.Device, in, by) {
					t.say("%s: %s, connected to %s, has no alarm of %s (%s), wave %d", when, link.Device, link.Station, in, ask.Client, w.Number)
					break
				}
			}
		}
	}
}

// recordedBefore reports whether a wave after the first was made before a moment.
func (l *look) recordedBefore(in alerts.IncidentID, w alerts.Waved, before time.Time) bool {
	if w.Number == 1 {
		return true
	}
	for _, cell := range l.cells {
		for _, e := range l.record[cell] {
			if b, ok := e.Event.Body.(*alerts.Waved); ok && e.Event.Incident == in && b.Number == w.Number && e.Verdict.Accepted() {
				return l.when(cell, e.Index).Before(before)
			}
		}
	}
	return false
}

func (l *look) heard(device string, in alerts.IncidentID, by time.Time) bool {
	return slices.ContainsFunc(l.sounded[device][in], func(p Push) bool { return p.Support == "" && !p.At.After(by) })
}

// onlyEligible proves Least disclosure on everything that was pushed: an alarm only to whom its wave calls by
// role and place, a matter only to whom it concerns, its fields only by class, the note of an alert to nobody
// of the public side.
func onlyEligible(l *look) (bad []string) {
	t := (*tell)(&bad)
	for _, p := range l.Pushes {
		who := l.people[p.Person]
		inside := has(who, full)
		if p.Secret && !inside {
			t.say("%s (%v) got the note of an alert in a frame %s of %s", p.Device, who.Roles, p.Type, p.Incident)
		}
		switch p.Type {
		case "alarm":
			l.alarmFor(t, p, who)
		case "incident":
			if inside {
				continue
			}
			raised, _, lost := l.lostAlert(p)
			lost = lost && has(who, l.Rules.Categories[raised.Category].Wakes)
			if !lost && !l.woken(who, p.Incident) && !l.own[ownKey{p.Person, p.Incident}] {
				t.say("%s (%v) was shown %s", p.Device, who.Roles, p.Incident)
			}
			onlyThese(t, p, history.CardFields)
		case "positions":
			if !has(who, desk) {
				t.say("%s (%v) was told positions", p.Device, who.Roles)
			}
		}
	}
	return bad
}

func (l *look) alarmFor(t *tell, p Push, who alerts.Person) {
	onlyThese(t, p, history.AlarmFields)
	if p.Support != "" {
		if !has(who, desk) && !has(who, police) {
			t.say("%s (%v) was called to support in %s", p.Device, who.Roles, p.Incident)
		}
		return
	}
	at := l.at(who, p.At)
	if raised, wave, lost := l.lostAlert(p); lost && p.Wave == wave.Number && l.calledTo(who, at, raised, wave) {
		return
	}
	if !slices.ContainsFunc(l.waves[p.Incident][p.Wave], func(w alerts.Waved) bool { return l.called(who, at, p.Incident, w) }) {
		t.say("%s (%v) sounded for wave %d of %s, which is not for it", p.Device, who.Roles, p.Wave, p.Incident)
	}
}

func onlyThese(t *tell, p Push, may []string) {
	for _, f := range history.Beyond(p.Fields, may) {
		t.say("%s was told the field %s in a frame %s of %s", p.Device, f, p.Type, p.Incident)
	}
}

// widenWithin is how long after it is due the latest station decides a wave: the leader at once, the raising
// station 5 s later, each further one 5 s after the one before, and duty looks once a second.
func (l *look) widenWithin() time.Duration {
	return time.Duration(2+len(l.Plan.County.all()))*5*time.Second + 5*time.Second
}

// noSilence proves that no red alarm stays with a ring that does not answer: a minute after it, and the time
// that deciding may take, the second wave is there.
func noSilence(l *look) (bad []string) {
	t := (*tell)(&bad)
	for in, e := range l.raised {
		b := e.Event.Body.(*alerts.Raised)
		ask, known := l.asked[e.Event.Client]
		if !known || b.Grade != alerts.Grade1 || b.Ring <= 0 || len(l.Rules.Categories[b.Category].Rings) < 2 {
			continue
		}
		due := ask.To.Add(alerts.WidenAfter + l.widenWithin())
		if restarted := l.Healed.Add(reachWithin); due.Before(restarted) {
			due = restarted // deciders may have been stopped one after the other
		}
		if due.After(l.Ended) || l.triedToEnd(in, l.Ended) || l.touched(in) {
			continue
		}
		if len(l.waves[in]) < 2 {
			t.say("%s (%s), raised %v before the end, has one wave and nobody came", in, ask.Client, l.Ended.Sub(ask.To))
		}
	}
	return bad
}

// touched reports whether anybody is coming, or a dispatcher may have graded it down.
func (l *look) touched(in alerts.IncidentID) bool {
	return slices.ContainsFunc(l.Deeds, func(d Deed) bool {
		return d.Incident == in && (d.Kind == alerts.KindAccepted || d.Kind == alerts.KindOnScene || d.Kind == alerts.KindGraded)
	})
}

// stoodDown proves Stand down: an alarm that ended in the record well before the end of the run is known to
// have ended to every device that heard it and is connected.
func stoodDown(l *look) (bad []string) {
	t := (*tell)(&bad)
	told := map[string]map[alerts.IncidentID]bool{}
	for _, p := range l.Pushes {
		if p.Type == "stood_down" {
			if told[p.Device] == nil {
				told[p.Device] = map[alerts.IncidentID]bool{}
			}
			told[p.Device][p.Incident] = true
		}
	}
	for _, link := range l.connected(l.Ended, time.Second) {
		for in := range l.sounded[link.Device] {
			end, ok := l.ended(in)
			if !ok || l.when(end.Event.Cell, end.Index).After(l.Ended.Add(-reachWithin)) || told[link.Device][in] || !l.heard(link.Device, in, l.Ended) {
				continue
			}
			t.say("%s heard %s and was never told of its end by %s", link.Device, in, end.Event.Name())
		}
	}
	return bad
}
