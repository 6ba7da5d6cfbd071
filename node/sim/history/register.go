package history

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"hivemesh/alerts"
)

// Decision is an operation on a field of an incident.
type Decision struct {
	Event, Saw alerts.Hash
	Accepted   bool
	Stale      bool        // refused: another one stood
	Lost       alerts.Hash // stale: which
}

// Decisions is a register that is set by who names what it holds.
var Decisions = porcupine.Model{
	Init: func() any { return alerts.Hash{} },
	Step: func(state, input, _ any) (bool, any) {
		now, d := state.(alerts.Hash), input.(Decision)
		switch {
		case d.Accepted:
			return now == d.Saw, d.Event
		case d.Stale:
			return now != d.Saw && now == d.Lost, now
		}
		return true, now
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input.(Decision)) },
}

const (
	// checkTime bounds one porcupine run; no history of ours comes near it.
	checkTime = 20 * time.Second
	// never is when an operation ended of which nobody was told.
	never = int64(1) << 62
)

// Linearizable: each station's record can have happened as the clients saw it. Every decision can be placed
// between its maker's asking and the moment in which he was told what became of it, so that all verdicts are
// right: the record is no stale replica, and no answer comes from one.
func Linearizable(h History, at []Standing) []Violation {
	f := finding{check: "Linearizable"}
	made := map[string]Deed{}
	for _, d := range h.Deeds {
		made[d.Client] = d
	}
	for _, s := range at {
		for id, i := range s.Incidents {
			for field, ops := range operations(i, made) {
				if got := porcupine.CheckOperationsTimeout(Decisions, ops, checkTime); got != porcupine.Ok {
					f.add("at %s the decisions on the %s of %s cannot have happened one after the other (%s): %s", s.Station, field, id, got, told(ops))
				}
			}
		}
	}
	return f.list
}

// operations are the recorded decisions on an incident, by field, of makers who are known.
func operations(i Incident, made map[string]Deed) map[alerts.Field][]porcupine.Operation {
	fields := map[alerts.Field][]porcupine.Operation{}
	for _, l := range i.Lines {
		field := alerts.FieldOf(l.Kind)
		d, known := made[l.Client]
		if field == "" || l.Index == 0 || !known {
			continue
		}
		op := porcupine.Operation{
			Input: Decision{Event: l.Event, Saw: d.Saw, Accepted: l.Verdict == alerts.Accepted, Stale: l.Verdict == alerts.Stale, Lost: l.Lost},
			Call:  d.Began.UnixNano(), Return: never,
		}
		if !d.Settled.IsZero() {
			op.Return = d.Settled.UnixNano()
		}
		fields[field] = append(fields[field], op)
	}
	return fields
}

func told(ops []porcupine.Operation) string {
	ops = slices.SortedFunc(slices.Values(ops), func(a, b porcupine.Operation) int { return int((a.Call - b.Call) / 1e6) })
	var out []string
	for _, op := range ops {
		d, verdict := op.Input.(Decision), "of no effect"
		switch {
		case d.Accepted:
			verdict = "counts"
		case d.Stale:
			verdict = "lost to " + d.Lost.Short()
		}
		settled := "never told"
		if op.Return != never {
			settled = fmt.Sprintf("told after %d ms", (op.Return-op.Call)/1e6)
		}
		out = append(out, fmt.Sprintf("%s upon %s %s, asked at +%d ms, %s", d.Event.Short(), d.Saw.Short(), verdict, (op.Call-ops[0].Call)/1e6, settled))
	}
	return strings.Join(out, "; ")
}
