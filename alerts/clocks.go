package alerts

import (
	"slices"
	"time"
)

// ClockName names one of a matter's clocks.
type ClockName string

// The clocks, in the order in which they run.
const (
	ClockAnswer   ClockName = "answer"
	ClockDispatch ClockName = "dispatch"
	ClockArrive   ClockName = "arrive"
	ClockFeedback ClockName = "feedback"
	ClockClose    ClockName = "close"
	ClockDue      ClockName = "due" // of the last step that named a day
	ClockVerify   ClockName = "verify"
	ClockFollowUp ClockName = "follow_up"
)

// Clock is one of a matter's clocks: when it began by the leader's time, how long it may run, and, where it has,
// when it stopped.
type Clock struct {
	Name    ClockName
	Began   time.Time
	Limit   time.Duration
	Stopped *time.Time
}

// Took is how long the clock ran, or has run at now; never negative.
func (c Clock) Took(now time.Time) time.Duration {
	if c.Stopped != nil {
		now = *c.Stopped
	}
	return max(0, now.Sub(c.Began))
}

// Overdue reports whether the clock ran out, stopped since or not.
func (c Clock) Overdue(now time.Time) bool { return c.Took(now) > c.Limit }

// Clocks are those of the matter that have begun, in their order. A matter that is void, cancelled or merged into
// another has none left running, and one that was opened again is timed from there.
func (r *Rules) Clocks(i *Incident) []Clock {
	limits := r.limits(i)
	t := i.times()
	var out []Clock
	add := func(name ClockName, limit time.Duration, began, stopped time.Time) {
		if limit <= 0 || began.IsZero() {
			return
		}
		if stopped.IsZero() || !t.ended.IsZero() && t.ended.Before(stopped) {
			stopped = t.ended
		}
		c := Clock{Name: name, Began: began, Limit: limit}
		if !stopped.IsZero() {
			c.Stopped = &stopped
		}
		out = append(out, c)
	}
	add(ClockAnswer, limits.Answer, t.opened, first(t.answered, t.resolved))
	add(ClockDispatch, limits.Dispatch, t.opened, first(t.dispatched, t.resolved))
	add(ClockArrive, limits.Arrive, t.dispatched, first(t.arrived, t.resolved))
	add(ClockFeedback, limits.Feedback, t.dispatched, first(t.fedBack, t.resolved))
	add(ClockClose, limits.Close, first(t.registered, t.dispatched), t.resolved)
	if s := i.dated(); s != nil {
		add(ClockDue, max(time.Second, s.Due.Sub(s.Ref.At)), s.Ref.At, first(t.steppedAfter(i, s), t.resolved))
	}
	add(ClockVerify, limits.Verify, t.resolved, t.verified)
	add(ClockFollowUp, limits.FollowUp, t.verified, t.calledAfter)
	return out
}

// limits are the category's where it has its own, else the grade's.
func (r *Rules) limits(i *Incident) Clocks {
	c, own := r.Clocked[i.Grade], r.Categories[i.Raised.Category].Clocks
	for _, at := range []struct{ of, from *time.Duration }{
		{&c.Answer, &own.Answer}, {&c.Dispatch, &own.Dispatch}, {&c.Arrive, &own.Arrive}, {&c.Feedback, &own.Feedback},
		{&c.Close, &own.Close}, {&c.Verify, &own.Verify}, {&c.FollowUp, &own.FollowUp},
	} {
		if *at.from > 0 {
			*at.of = *at.from
		}
	}
	return c
}

// times are when the points of a matter's course were reached in its present round, by the leader's time; zero:
// not yet.
type times struct {
	opened, answered, registered, dispatched, arrived, fedBack, resolved, verified, calledAfter time.Time
	ended                                                                                       time.Time // nothing runs on from here
}

func (i *Incident) times() times {
	var t times
	graded, sent := false, time.Time{}
	for k := range i.Log {
		l := &i.Log[k]
		if !l.Verdict.Accepted() {
			continue
		}
		if k == 0 {
			t.opened = l.At
			continue
		}
		t.note(l)
		if l.Event.Kind == KindGraded {
			graded = true
		}
		if sent.IsZero() && (l.Event.Kind == KindAssigned || l.Event.Kind == KindAccepted) {
			sent = l.At
		}
		if graded && !sent.IsZero() && t.dispatched.IsZero() {
			t.dispatched = l.At
		}
		if i.reopens(l) {
			t, graded, sent = times{opened: l.At, answered: l.At, registered: l.At}, true, time.Time{}
		}
	}
	return t
}

// note sets what a line reaches for the first time.
func (t *times) note(l *Line) {
	reach := func(at *time.Time) {
		if at.IsZero() {
			*at = l.At
		}
	}
	if l.Event.Actor != "" && (holds(l.By.Roles, dispatchRoles) || l.Event.Kind == KindAccepted) {
		reach(&t.answered)
	}
	switch b := l.Event.Body.(type) {
	case *Registered:
		reach(&t.registered)
		if b.Void {
			reach(&t.ended)
		}
	case *Responded:
		if b.Step == KindOnScene {
			reach(&t.arrived)
		}
	case *Feedback, *Stepped, *Clue:
		reach(&t.fedBack)
	case *Resolved:
		reach(&t.resolved)
	case *Verified:
		reach(&t.verified)
	case *FollowedUp:
		if b.Reached || b.GivenUp {
			reach(&t.calledAfter)
		}
	case *Cancelled, *Merged, *Archived:
		reach(&t.ended)
	case *Unmerged:
		t.ended = time.Time{}
	}
}

// reopens reports whether the line opened the matter again.
func (i *Incident) reopens(l *Line) bool {
	return slices.ContainsFunc(i.Reopened, func(ref Ref) bool { return ref.Event == l.Event.ID })
}

// dated is the last step of this round that named a day, or nil.
func (i *Incident) dated() *Step {
	for k := range slices.Backward(i.Steps) {
		if i.Steps[k].Due != nil {
			return &i.Steps[k]
		}
	}
	return nil
}

// steppedAfter is when the step after s was done.
func (times) steppedAfter(i *Incident, s *Step) time.Time {
	for k := range i.Steps {
		if i.after(i.Steps[k].Ref.Event, s.Ref.Event) {
			return i.Steps[k].Ref.At
		}
	}
	return time.Time{}
}

func first(list ...time.Time) time.Time {
	var out time.Time
	for _, t := range list {
		if !t.IsZero() && (out.IsZero() || t.Before(out)) {
			out = t
		}
	}
	return out
}

// Overdue is the first of the matter's clocks that runs and has run out at now, or nil. A drill's never do.
func (r *Rules) Overdue(i *Incident, now time.Time) *Clock {
	if i.Raised.Drill {
		return nil
	}
	for _, c := range r.Clocks(i) {
		if c.Stopped == nil && c.Overdue(now) {
			return &c
		}
	}
	return nil
}
