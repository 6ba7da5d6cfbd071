package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hivemesh/alerts"
)

// TestASeedIsAPlan: a failing seed is worth something only if it makes the same plan again.
func TestASeedIsAPlan(t *testing.T) {
	for seed := uint64(1); seed <= 200; seed++ {
		if diff := cmp.Diff(Draw(seed, EveryKind()), Draw(seed, EveryKind())); diff != "" {
			t.Fatalf("seed %d makes two plans:\n%s", seed, diff)
		}
	}
}

// TestEveryKindOfASeedStrikes: a kind that was drawn and finds no place is none of the seed's. It is half of the kinds
// but for what takes stations away, of which a small county has few to give.
func TestEveryKindOfASeedStrikes(t *testing.T) {
	for seed := uint64(1); seed <= 2000; seed++ {
		p := Draw(seed, EveryKind())
		if half := (len(EveryKind()) + 1) / 2; len(p.Kinds) > half || len(p.Kinds) < half-3 {
			t.Fatalf("seed %d has %d kinds", seed, len(p.Kinds))
		}
		for _, k := range p.Kinds {
			if !slices.ContainsFunc(p.Faults, func(f Fault) bool { return f.Kind == k }) {
				t.Errorf("no %s in\n%s", k, &p)
			}
		}
	}
}

// TestFaultsAreAimed: every fault that something must meet has an alert raised at one of its stations, which runs,
// while the fault lasts.
func TestFaultsAreAimed(t *testing.T) {
	for seed := uint64(1); seed <= 200; seed++ {
		p := Draw(seed, EveryKind())
		for _, f := range p.Faults {
			if !p.met(f) {
				t.Errorf("%v meets nothing:\n%s", f, &p)
			}
		}
	}
}

func (p *Plan) met(f Fault) bool {
	return f.turnsOff() || f.Shape == fromLeader || slices.ContainsFunc(p.Work, func(w Work) bool {
		return (w.Do == "raise" || w.Do == "twice") && slices.Contains(f.Some, w.Station) &&
			w.At >= f.At && w.At <= f.At+f.For && !p.off(w.Station, w.At)
	})
}

// TestAFaultIsKeptUpNoLongerThanItsStationRuns: whoever is stopped next must find a disk that can be opened.
func TestAFaultIsKeptUpNoLongerThanItsStationRuns(t *testing.T) {
	some := []alerts.StationID{"post-0"}
	hung := Fault{Kind: Hung, At: 5 * time.Second, For: 4 * time.Second, Some: some}
	crash := Fault{Kind: Crash, At: 20 * time.Second, For: time.Second, Some: some}
	p := Plan{Faults: []Fault{hung, crash}}
	if got := p.until(hung); got != crash.At-apartStops {
		t.Errorf("kept up until %v", got)
	}
	if got := p.until(crash); got != chaosLasts {
		t.Errorf("the last one until %v", got)
	}
}
