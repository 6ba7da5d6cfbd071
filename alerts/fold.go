package alerts

import (
	"maps"
	"slices"
)

func (i *Incident) forward(to Status) {
	if to.rank() > i.Status.rank() {
		i.Status = to
	}
}

// scratch is a copy whose log may be appended to without touching the backing array of i's.
func (i *Incident) scratch() *Incident {
	n := *i
	n.Log = slices.Clip(n.Log)
	return &n
}

// advance returns what i becomes by one more line; i itself, nil for an incident's first, stays as it is.
func (i *Incident) advance(l Line) *Incident {
	var n Incident
	if i != nil {
		n = *i
	} else {
		n.Cell = l.Event.Cell
	}
	if c, ok := l.Event.Body.(*Carried); ok {
		l = c.line(l)
		n.Carried = cloned(n.Carried)
		n.Carried[c.From] = max(n.Carried[c.From], c.Index)
	}
	n.Log = append(n.Log, l)
	n.Heads = nextHeads(n.Heads, l.Event)
	ref := refOf(l)
	if l.Verdict.Accepted() {
		n.take(l, ref)
	} else if n.silencedBy(l) {
		n.Refused = append(slices.Clone(n.Refused), ref)
	}
	return &n
}

func nextHeads(heads []Hash, e Event) []Hash {
	next := make([]Hash, 0, len(heads)+1)
	for _, h := range heads {
		if !slices.Contains(e.Prev, h) {
			next = append(next, h)
		}
	}
	next = append(next, e.ID)
	// A county's worth of stations may write side by side; the newest heads order what comes next well enough.
	return next[max(0, len(next)-maxPrev):]
}

// silencedBy reports whether a refused line may have ended the alarm for somebody before it was refused.
// One that its maker had no right to make is refused in every view at once and silences nobody.
func (i *Incident) silencedBy(l Line) bool {
	switch b := l.Event.Body.(type) {
	case *Registered:
		if !b.Void {
			return false
		}
	case *Resolved, *Cancelled, *StoodDown, *Merged:
	default:
		return false
	}
	return i.AlarmOpen() && l.Verdict.Code != Forbidden && l.Verdict.Code != Same && l.Verdict.Code != Forwarded
}

// take lets an accepted line have its effect. This is the one place where a kind means something.
func (i *Incident) take(l Line, ref Ref) {
	e := l.Event
	if f := FieldOf(e.Kind); f != "" {
		i.Latest = cloned(i.Latest)
		i.Latest[f] = ref
	}
	switch b := e.Body.(type) {
	case *Raised:
		i.open(l, *b)
	case *EmergencyCalled:
		i.Called = append(slices.Clone(i.Called), *b)
	case *Registered:
		i.forward(StatusRegistered)
		if b.Void {
			i.end(StatusVoid, ref)
		}
	case *Graded:
		i.Grade = b.Grade
		i.forward(StatusGraded)
	case *Waved:
		i.wave(l, *b)
	case *Receipts:
		i.Receipts = cloned(i.Receipts)
		i.Receipts[e.Station] = cloned(i.Receipts[e.Station])
		i.Receipts[e.Station][b.Wave] = *b
	case *Responded:
		i.Answers = cloned(i.Answers)
		i.Answers[e.Actor] = Answer{Step: b.Step, Reason: b.Reason, At: l.At, Event: e.ID, Provisional: l.Provisional}
		if i.Answers[e.Actor].Coming() {
			i.handledBy(ref)
			i.forward(StatusHandling)
		}
	case *SupportRequested:
		i.Support = append(slices.Clone(i.Support), Support{
			Event: e.ID, By: e.Actor, Words: b.Words, Place: b.Place, At: l.At, Provisional: l.Provisional,
		})
	case *CardUpdated:
		i.Card = b.Card
	case *Assigned:
		i.assign(l, *b)
	case *CancelRequested:
		if !i.Status.Closed() {
			i.CancelAsk = &ref
		}
	case *Resolved:
		i.handledBy(ref)
		i.Evidence = append(slices.Clip(i.Evidence), b.Evidence...)
		i.end(StatusResolved, ref)
	case *Cancelled:
		i.end(StatusCancelled, ref)
	case *StoodDown:
		i.Ended = &ref
	case *Transferred:
		i.MovedTo, i.Moved = b.To, &ref
		if b.To == i.Cell { // the last step of its way here
			i.MovedTo, i.Moved = "", nil
		}
	case *HandedOver:
		if b.Epoch == 0 || b.Epoch == l.Epoch {
			i.HandedOver = max(i.HandedOver, b.Index)
		}
	default:
		i.goOn(l, ref)
	}
}

func (i *Incident) open(l Line, b Raised) {
	e := l.Event
	i.ID, i.Station = e.Incident, e.Station
	i.RaisedBy, i.RaisedAt, i.First, i.Raised = e.Actor, e.At, e.ID, b
	i.Status, i.Grade, i.Card = StatusReported, b.Grade, b.Card
	if b.Ring > 0 {
		i.Waves = []Wave{{Number: 1, Ring: b.Ring, Event: e.ID, By: e.Actor, At: l.At, Provisional: l.Provisional}}
	}
}

func (i *Incident) wave(l Line, b Waved) {
	w := Wave{
		Number: b.Number, Ring: b.Ring, Continues: b.Continues, Wide: b.Wide,
		Event: l.Event.ID, By: l.Event.Actor, At: l.At, Provisional: l.Provisional,
	}
	at, _ := slices.BinarySearchFunc(i.Waves, w, func(a, b Wave) int { return a.Number - b.Number })
	i.Waves = slices.Insert(slices.Clone(i.Waves), at, w)
	if b.Continues {
		i.Refused = nil
	}
}

func (i *Incident) assign(l Line, b Assigned) {
	i.Assigned = append(slices.Clone(i.Assigned), Assignment{
		Person: b.Person, Words: b.Words, By: l.Event.Actor, At: l.At, Event: l.Event.ID, Provisional: l.Provisional,
	})
	i.forward(StatusDispatched)
}

func (i *Incident) end(s Status, ref Ref) {
	i.Status = s
	i.CancelAsk = nil
	if i.Ended == nil {
		i.Ended = &ref
	}
}

func cloned[M ~map[K]V, K comparable, V any](m M) M {
	if m == nil {
		return M{}
	}
	return maps.Clone(m)
}

// Line finds an event in the incident's history, or returns nil.
func (i *Incident) Line(id Hash) *Line { return lineOf(i.Log, id) }

// lineOf finds an event in a history, or what carried it there, or returns nil. The latest line stands: what was
// forwarded and came back has two.
func lineOf(log []Line, id Hash) *Line {
	for k := len(log) - 1; k >= 0; k-- {
		if l := &log[k]; l.Event.ID == id || l.Origin != nil && l.Origin.Event == id {
			return l
		}
	}
	return nil
}

func refOf(l Line) Ref {
	return Ref{Event: l.Event.ID, By: l.Event.Actor, At: l.At, Kind: l.Event.Kind}
}

// AlarmOpen reports whether the incident is being announced: it has a wave and no end.
func (i *Incident) AlarmOpen() bool {
	return len(i.Waves) > 0 && i.Ended == nil && !i.Status.Closed()
}

// Coming counts the responders on their way or at the scene.
func (i *Incident) Coming() int {
	n := 0
	for _, a := range i.Answers {
		if a.Coming() {
			n++
		}
	}
	return n
}

// OnScene counts the responders at the scene.
func (i *Incident) OnScene() int {
	n := 0
	for _, a := range i.Answers {
		if a.Step == KindOnScene {
			n++
		}
	}
	return n
}

// binds reports whether a person assigned to the incident is still held by it.
func (i *Incident) binds(who PersonID) bool {
	if i.Status.Closed() || i.Moved != nil {
		return false
	}
	a, ok := i.Answers[who]
	if !ok || a.Coming() {
		return true
	}
	// Released or declined, unless assigned anew since.
	for _, s := range slices.Backward(i.Assigned) {
		if s.Person == who {
			return i.after(s.Event, a.Event)
		}
	}
	return false
}

// after reports whether event a stands after event b in the incident's history.
func (i *Incident) after(a, b Hash) bool {
	for _, l := range slices.Backward(i.Log) {
		switch l.Event.ID {
		case a:
			return true
		case b:
			return false
		}
	}
	return false
}
