package alerts

import (
	"slices"
	"time"
)

// dayClocks are those whose running out puts a matter under supervision. What runs out within the hour is for the
// dispatcher's screen: he is at it.
var dayClocks = []ClockName{ClockClose, ClockDue, ClockVerify, ClockFollowUp}

// DueCourse is what a station is to do about the matter by its own rule at now, if anything: put it under
// supervision when one of its day clocks ran out, once while that runs; put it away when its time is over. A matter merged
// into another goes with that.
func (r *Rules) DueCourse(i *Incident, now time.Time) (Body, bool) {
	if i.Moved != nil || i.Status == StatusMerged || i.Status == StatusArchived {
		return nil, false
	}
	if end, over := i.over(); over {
		if r.Archive > 0 && now.Sub(end) >= r.Archive {
			return &Archived{}, true
		}
		return nil, false
	}
	for _, c := range r.Clocks(i) {
		if i.Raised.Drill || c.Stopped != nil || !slices.Contains(dayClocks, c.Name) || !c.Overdue(now) || i.supervisedSince(c.Began) {
			continue
		}
		return &Supervised{Reason: string(c.Name)}, true
	}
	return nil, false
}

// over is when a matter ended that nothing more is to come of, by the leader's time.
func (i *Incident) over() (time.Time, bool) {
	switch i.Status {
	case StatusJudged:
		return i.Latest[FieldJudgement].At, true
	case StatusVoid:
		return i.Latest[FieldRegistration].At, true
	case StatusCancelled:
		return i.Latest[FieldOutcome].At, true
	}
	return time.Time{}, false
}

// supervisedSince reports whether the matter was put under supervision after t: lifted or not, the next clock that
// runs out is another one.
func (i *Incident) supervisedSince(t time.Time) bool {
	return slices.ContainsFunc(i.Log, func(l Line) bool {
		b, ok := l.Event.Body.(*Supervised)
		return ok && !b.Lifted && l.Verdict.Accepted() && !l.At.Before(t)
	})
}
