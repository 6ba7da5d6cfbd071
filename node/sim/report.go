package sim

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"hivemesh/alerts"
)

// Report is what came of one seed, or of many.
type Report struct {
	Seeds      int
	Void       map[uint64]string // seeds that count for nothing, and why
	Violations map[uint64][]Violation
	Died       map[uint64]string // seeds whose process ended before their time
	Plans      map[uint64]string // of the seeds with violations

	Faults  map[Kind]int
	Bites   map[Kind]uint64
	Missed  map[Kind]int // faults that met nothing
	Raised  int          // alerts taken
	Refused int          // raises at a living station that were not taken
	Deeds   int
	Acks    map[string]int // by the highest level claimed in the answer
	Alarms  int            // frames that make a device sound
	Lost    int
	Doubled int
	Leaked  int
	Leaders int
	Answer  Times // raises, until the answer
	Sight   Times // raises, until the first device at another station has the alarm
	Heal    Times
	Virtual time.Duration
	Real    time.Duration
}

// Times is a distribution of virtual times, to the millisecond.
type Times map[int]int

func (t Times) add(d time.Duration) { t[int(d.Milliseconds())]++ }

// at is the p-th part of the times, in milliseconds.
func (t Times) at(p float64) int {
	n := 0
	for _, k := range t {
		n += k
	}
	want, keys := int(p*float64(n)+0.5), slices.Sorted(maps.Keys(t))
	for _, ms := range keys {
		if want -= t[ms]; want <= 0 {
			return ms
		}
	}
	return 0
}

func (t Times) String() string { return fmt.Sprintf("%d / %d / %d ms", t.at(.5), t.at(.99), t.at(1)) }

// NewReport is an empty one.
func NewReport() *Report {
	return &Report{
		Void: map[uint64]string{}, Violations: map[uint64][]Violation{}, Died: map[uint64]string{}, Plans: map[uint64]string{},
		Faults: map[Kind]int{}, Bites: map[Kind]uint64{}, Missed: map[Kind]int{}, Acks: map[string]int{}, Answer: Times{}, Sight: Times{}, Heal: Times{},
	}
}

// ReportOf sums up one history; it judges by the checks named in only, or by all.
func ReportOf(h *History, only []string, took time.Duration) *Report {
	r := NewReport()
	seed := h.Plan.Seed
	r.Seeds, r.Leaked, r.Real = 1, h.Leaked, took
	r.Virtual = h.Ended.Sub(h.Began)
	if bad := Judge(h, only); len(bad) > 0 {
		r.Violations[seed], r.Plans[seed] = bad, h.Plan.String()
	}
	for _, v := range r.Violations[seed] {
		switch v.Check {
		case "NoLostAck":
			r.Lost++
		case "ShownOnce":
			r.Doubled++
		case "OnlyEligible":
			r.Leaked++
		}
	}
	for _, s := range h.Struck {
		r.Faults[s.Kind]++
		r.Bites[s.Kind] += s.Bites
		if s.Bites == 0 {
			r.Missed[s.Kind]++
		}
	}
	r.countDeeds(h)
	r.countLeaders(h)
	if !h.Agreed.IsZero() {
		r.Heal.add(h.Agreed.Sub(h.Healed))
	}
	if why := void(h, r); why != "" {
		r.Void[seed] = why
	}
	return r
}

func (r *Report) countDeeds(h *History) {
	first := map[alerts.IncidentID]time.Time{}
	for _, p := range h.Pushes {
		if p.Type == "alarm" {
			r.Alarms++
		}
	}
	raisedAt := map[alerts.IncidentID]Deed{}
	for _, d := range h.Deeds {
		r.Deeds++
		if d.Status == 202 {
			r.Acks[level(d.Kept)]++
		}
		if d.Kind != alerts.KindRaised || d.Died {
			continue
		}
		r.Answer.add(d.To.Sub(d.From))
		if d.Status != 202 {
			r.Refused++
			continue
		}
		r.Raised++
		if at, known := raisedAt[d.Incident]; !known || d.From.Before(at.From) {
			raisedAt[d.Incident] = d
		}
	}
	for _, p := range h.Pushes {
		if d, ok := raisedAt[p.Incident]; ok && p.Type == "alarm" && p.Support == "" && p.Station != d.Station {
			if at, seen := first[p.Incident]; !seen || p.At.Before(at) {
				first[p.Incident] = p.At
			}
		}
	}
	for in, at := range first {
		r.Sight.add(max(0, at.Sub(raisedAt[in].From)))
	}
}

func level(k Kept) string {
	switch {
	case k.Recorded:
		return "recorded"
	case k.Near > 0:
		return "near"
	case k.Here:
		return "here"
	}
	return "none"
}

func (r *Report) countLeaders(h *History) {
	leader := map[alerts.CellID]alerts.StationID{}
	for _, s := range h.Samples {
		if s.Leads && s.At.After(h.Began) {
			if was := leader[s.Cell]; was != "" && was != s.Station {
				r.Leaders++
			}
			leader[s.Cell] = s.Station
		}
	}
}

// What makes traffic real: fewer alerts, answers or alarms prove nothing.
const leastAlerts, leastDeeds, leastAlarms = 5, 15, 10

// mostVoid is the share of seeds that may show nothing; where it is more the plans are no plans.
const mostVoid = 0.03

// TooVoid says that more seeds than may be showed nothing; of a few seeds, that all did.
func (r *Report) TooVoid() bool {
	return len(r.Void) == r.Seeds || len(r.Void) > max(1, int(mostVoid*float64(r.Seeds)))
}

// void says why a run counts for nothing: a fault that was planned and met nothing, or too little going on.
func void(h *History, r *Report) string {
	for _, k := range h.Plan.Kinds {
		if r.Bites[k] == 0 {
			return fmt.Sprintf("%s did not bite", k)
		}
	}
	switch {
	case r.Raised < leastAlerts:
		return fmt.Sprintf("only %d alerts were raised", r.Raised)
	case r.Deeds < leastDeeds:
		return fmt.Sprintf("only %d deeds were done", r.Deeds)
	case r.Alarms < leastAlarms:
		return fmt.Sprintf("only %d alarms sounded", r.Alarms)
	}
	return ""
}

// Add takes the seeds of another report in.
func (r *Report) Add(o *Report) {
	maps.Copy(r.Void, o.Void)
	maps.Copy(r.Violations, o.Violations)
	maps.Copy(r.Died, o.Died)
	maps.Copy(r.Plans, o.Plans)
	sum(r.Faults, o.Faults)
	sum(r.Bites, o.Bites)
	sum(r.Missed, o.Missed)
	sum(r.Acks, o.Acks)
	sum(r.Answer, o.Answer)
	sum(r.Sight, o.Sight)
	sum(r.Heal, o.Heal)
	r.Seeds += o.Seeds
	r.Raised += o.Raised
	r.Refused += o.Refused
	r.Deeds += o.Deeds
	r.Alarms += o.Alarms
	r.Lost += o.Lost
	r.Doubled += o.Doubled
	r.Leaked += o.Leaked
	r.Leaders += o.Leaders
	r.Virtual += o.Virtual
	r.Real += o.Real
}

func sum[K comparable, N int | uint64](to, from map[K]N) {
	for k, n := range from {
		to[k] += n
	}
}

// Green is how many seeds counted and broke no promise.
func (r *Report) Green() int {
	n := r.Seeds
	for seed := range r.Void {
		if len(r.Violations[seed]) == 0 {
			n--
		}
	}
	return n - len(r.Violations) - len(r.Died)
}

// Write prints the table in which every run ends.
func (r *Report) Write(w io.Writer) {
	row := func(name, format string, a ...any) {
		fmt.Fprintf(w, "%-34s "+format+"\n", append([]any{name}, a...)...)
	}
	row("seeds", "%d: %d green, %d void, %d failed", r.Seeds, r.Green(), len(r.Void), len(r.Violations)+len(r.Died))
	row("void", "%.1f %%, at most %.0f %% may be", 100*float64(len(r.Void))/float64(max(1, r.Seeds)), 100*mostVoid)
	row("time", "%v virtual, %v real", r.Virtual.Round(time.Second), r.Real.Round(time.Second))
	for _, k := range slices.Sorted(maps.Keys(r.Faults)) {
		row("fault "+string(k), "%d, met %d times; %d met nothing", r.Faults[k], r.Bites[k], r.Missed[k])
	}
	row("leader changes", "%d", r.Leaders)
	row("alerts taken", "%d, and %d refused by living stations", r.Raised, r.Refused)
	row("deeds", "%d", r.Deeds)
	var acks []string
	for _, k := range slices.Sorted(maps.Keys(r.Acks)) {
		acks = append(acks, fmt.Sprintf("%s %d", k, r.Acks[k]))
	}
	row("acknowledged as", "%s", strings.Join(acks, ", "))
	row("alarms sounded", "%d", r.Alarms)
	row("lost, doubled, leaked", "%d, %d, %d", r.Lost, r.Doubled, r.Leaked)
	row("answer p50 / p99 / max", "%v", r.Answer)
	row("first sight elsewhere, the same", "%v (virtual; some were raised in a cut-off village)", r.Sight)
	row("one county after healing", "%v", r.Heal)
	failed := map[string]int{}
	for _, bad := range r.Violations {
		for _, name := range names(bad) {
			failed[name]++
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(failed), func(a, b string) int { return cmp.Or(failed[b]-failed[a], cmp.Compare(a, b)) }) {
		row("failed "+name, "in %d seeds", failed[name])
	}
}

func names(bad []Violation) []string {
	var out []string
	for _, v := range bad {
		if !slices.Contains(out, v.Check) {
			out = append(out, v.Check)
		}
	}
	return out
}
