//go:build linux

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"hivemesh/alerts"
	"hivemesh/node/sim/history"
)

const (
	answerBy    = 500 * time.Millisecond // the promise for 99 of 100
	leastAlerts = 60                     // a minute; fewer is no traffic
	// neglectLeast is how long a run has to be for one of its alarms to stay unanswered until that has to show.
	neglectLeast = 4 * time.Minute
)

// latencies are the times of one thing, sorted.
type latencies []time.Duration

func sorted(l []time.Duration) latencies {
	slices.Sort(l)
	return l
}

func (l latencies) at(p float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[min(len(l)-1, int(p*float64(len(l))))]
}

func (l latencies) String() string {
	if len(l) == 0 {
		return "none"
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }
	return fmt.Sprintf("p50 %s  p99 %s  max %s ms  (%d)", ms(l.at(.5)), ms(l.at(.99)), ms(l[len(l)-1]), len(l))
}

// answers are how long living stations took to answer an alert, and how often one did not.
func (r *recorder) answered() (took latencies, silent int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []time.Duration
	for _, a := range r.answers {
		list = append(list, a.took)
		if a.silent {
			silent++
		}
	}
	return sorted(list), silent
}

// alarmAlways checks AlarmAlways: a living station answers an alert within 500 ms, 99 times of 100. On a
// machine that is late itself it is not judged.
func (w *weather) alarmAlways() (broken []history.Violation) {
	took, _ := w.rec.answered()
	if w.late.all().at(.99) > lateMost {
		return nil // the report says so
	}
	if p := took.at(.99); p > answerBy {
		broken = append(broken, history.Violation{Check: "AlarmAlways", What: fmt.Sprintf("1 of 100 alerts at a living station took longer than %v", p)})
	}
	return broken
}

// slowest lists the slowest answers with what was going on.
func (r *recorder) slowest(n int) (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.Clone(r.answers)
	slices.SortFunc(list, func(a, b answer) int { return cmp.Compare(b.took, a.took) })
	for _, a := range list[:min(n, len(list))] {
		if a.took > answerBy {
			out = append(out, fmt.Sprintf("%s after %v (silent %v) while: %s", a.station, a.took.Round(time.Millisecond), a.silent, cmp.Or(a.under, "nothing")))
		}
	}
	return out
}

// traffic is what went through the county.
type traffic struct {
	alerts, answered    int
	here, near, onecord int
	sounds, deeds       int
	refused, neglected  int
	sight, recorded     latencies
}

func (w *weather) traffic() (t traffic) {
	h := w.rec.history(w.begun)
	w.rec.mu.Lock()
	defer w.rec.mu.Unlock()
	var sight, recorded []time.Duration
	for _, x := range h.Raises {
		t.alerts++
		switch x.Told.Level() {
		case "none":
			continue
		case "recorded":
			t.onecord++
		case "near":
			t.near++
		case "here":
			t.here++
		}
		t.answered++
		if at, ok := w.rec.onced[x.Event]; ok {
			recorded = append(recorded, at.Sub(x.Began))
		}
		// Police stand within the first ring of their alarms; others may have nobody near until it widens.
		if s, ok := w.rec.first[x.Incident]; ok && policeOnly(w.rec.raises[x.Client].category) {
			sight = append(sight, s.At.Sub(x.Began))
		}
	}
	t.sounds, t.deeds, t.neglected = len(h.Sounds), len(h.Deeds), w.rec.neglects
	for _, d := range h.Deeds {
		if d.Refused == alerts.Stale || d.Refused == alerts.Ended {
			t.refused++
		}
	}
	t.sight, t.recorded = sorted(sight), sorted(recorded)
	return t
}

// void says why the run proves nothing; empty: it proves something.
func (w *weather) void(t traffic) (why []string) {
	for _, kind := range slices.Sorted(maps.Keys(w.bites)) {
		if b := w.bites[kind]; b.bit == 0 {
			why = append(why, fmt.Sprintf("%q was made %d times and never bit", kind, b.made))
		}
	}
	if len(w.bites) == 0 {
		why = append(why, "no fault was made")
	}
	least := int(w.closed.Minutes() * leastAlerts)
	for _, x := range []struct {
		what       string
		was, least int
	}{{"alerts", t.answered, least}, {"alarms heard", t.sounds, least}, {"decisions", t.deeds, least / 4}, {"decisions that lost to another", t.refused, 1}} {
		if x.was < x.least {
			why = append(why, fmt.Sprintf("%d %s, want %d", x.was, x.what, x.least))
		}
	}
	if w.closed > neglectLeast && t.neglected == 0 {
		why = append(why, "no alarm stayed unanswered until its second wave was due")
	}
	if _, _, heard := w.wiretap.listened(); !heard {
		why = append(why, "the wire was not heard")
	}
	return why
}

// report prints the table. It returns an error where a promise was broken, and errVoid where nothing is proven.
func (w *weather) report(to io.Writer) error {
	if w.wiretap == nil {
		return errors.New("the run did not begin")
	}
	t := w.traffic()
	took, silent := w.rec.answered()
	count := map[string]int{}
	for _, v := range w.broken {
		count[v.Check]++
	}
	frames, size, _ := w.wiretap.listened()
	most := w.watch.most()
	fmt.Fprintf(to, "\nseed %d, %.1f minutes, %d stations\n\n", w.seed, w.closed.Minutes(), len(w.county.stations))
	row := func(what, was string) { fmt.Fprintf(to, "  %-34s %s\n", what, was) }
	for _, kind := range slices.Sorted(maps.Keys(w.bites)) {
		b := w.bites[kind]
		row("fault: "+kind, fmt.Sprintf("made %d, bit %d (%d hits)", b.made, b.bit, b.did))
	}
	row("leader changes", fmt.Sprint(w.watch.changed()))
	row("alerts", fmt.Sprintf("%d raised, %d answered", t.alerts, t.answered))
	row("acknowledged: recorded, near, here", fmt.Sprintf("%d, %d, %d", t.onecord, t.near, t.here))
	row("lost, doubled, leaked", fmt.Sprintf("%d, %d, %d", count["NoLostAck"], count["ShownOnce"]+count["NoPhantom"], count["OnlyEligible"]+count["NoPlaintext"]))
	row("alarms heard by devices", fmt.Sprint(t.sounds))
	row("red alarms that nobody answered", fmt.Sprint(t.neglected))
	row("decisions, lost to another", fmt.Sprintf("%d, %d", t.deeds, t.refused))
	row("alert answered by living station", fmt.Sprintf("%v, %d silent", took, silent))
	row("this machine itself was late by", w.late.all().String())
	row("police alarm first heard", t.sight.String())
	row("alert known to be on the record", t.recorded.String())
	row("whole again after mending", sorted(slices.Clone(w.heals)).String())
	row("frames between stations, read", fmt.Sprintf("%d, %.1f MB", frames, float64(size)/1e6))
	row("most memory, files, goroutines", fmt.Sprintf("%.0f MB, %.0f, %.0f", most.memory/1e6, most.files, most.goroutines))
	if w.late.all().at(.99) > lateMost {
		row("AlarmAlways", "not judged: the machine itself was late")
	}
	for _, s := range w.rec.slowest(5) {
		row("slow answer", s)
	}
	for _, check := range slices.Sorted(maps.Keys(count)) {
		row("BROKEN "+check, fmt.Sprint(count[check]))
	}
	if len(w.broken) > 0 {
		return fmt.Errorf("%d promises broken; repeat the plan with: bin/chaos run --seed %d", len(w.broken), w.seed)
	}
	if why := w.void(t); len(why) > 0 {
		return fmt.Errorf("%w: %s", errVoid, strings.Join(why, "; "))
	}
	fmt.Fprintln(to, "\nevery promise held")
	return nil
}

// changed counts the changes of leader that were seen.
func (w *watch) changed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changes
}
