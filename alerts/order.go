package alerts

import (
	"bytes"
	"cmp"
	"slices"
)

// InOrder sorts pending events by (urgency, step, lane, name), each once. Step is one more than the highest step
// among the predecessors named, so causes stand before what they caused. Urgency is the most urgent lane among
// an event and those that name it: whatever has to be judged before an alarm goes in front with it, so that no
// alarm waits behind the notes of a bad day. Views and leaders all find the same order, and no clock has a say.
func InOrder(pending []Event) []Event {
	if len(pending) < 2 {
		return pending
	}
	byID := make(map[Hash]Event, len(pending))
	list := make([]Event, 0, len(pending))
	for _, e := range pending {
		if _, twice := byID[e.ID]; !twice {
			byID[e.ID] = e
			list = append(list, e)
		}
	}
	steps := make(map[Hash]int, len(list))
	for _, e := range list {
		countSteps(e.ID, byID, steps)
	}
	urgency := urgencies(list, steps)
	slices.SortFunc(list, func(a, b Event) int {
		return cmp.Or(cmp.Compare(urgency[a.ID], urgency[b.ID]), cmp.Compare(steps[a.ID], steps[b.ID]),
			cmp.Compare(a.Lane(), b.Lane()), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return list
}

// urgencies hands the lane of each event down to the predecessors that it names.
func urgencies(list []Event, steps map[Hash]int) map[Hash]Lane {
	urgency := make(map[Hash]Lane, len(list))
	for _, e := range list {
		urgency[e.ID] = e.Lane()
	}
	last := slices.Clone(list)
	slices.SortFunc(last, func(a, b Event) int { return cmp.Compare(steps[b.ID], steps[a.ID]) })
	for _, e := range last { // who names before who is named
		for _, p := range e.Prev {
			if own, here := urgency[p]; here {
				urgency[p] = min(own, urgency[e.ID])
			}
		}
	}
	return urgency
}

// countSteps fills in 1 + the highest step among the predecessors here. Names are hashes over the names of
// predecessors, so there are no circles; the depth is bounded by its own stack, since a stranger may chain
// thousands.
func countSteps(id Hash, byID map[Hash]Event, steps map[Hash]int) {
	stack := []Hash{id}
	for len(stack) > 0 {
		top := stack[len(stack)-1]
		e, here := byID[top]
		if _, done := steps[top]; done || !here {
			stack = stack[:len(stack)-1]
			continue
		}
		step, missing := 1, false
		for _, p := range e.Prev {
			if _, here := byID[p]; !here {
				continue
			}
			if s, done := steps[p]; done {
				step = max(step, s+1)
			} else {
				stack, missing = append(stack, p), true
			}
		}
		if !missing {
			steps[top] = step
			stack = stack[:len(stack)-1]
		}
	}
}
