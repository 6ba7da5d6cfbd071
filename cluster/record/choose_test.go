package record

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"hivemesh/alerts"
)

const (
	long = 2 * betterFor
	dead = deadAfter + time.Second
)

// Seats of the table below: a voter that is well, one that is dead, a station that may become one, …
func votes(s string, rank int) seat {
	return seat{station: alerts.StationID(s), place: voter, rank: rank, stable: long, level: true}
}

func deadVoter(s string, rank int) seat {
	return seat{station: alerts.StationID(s), place: voter, rank: rank, silent: dead}
}

func idle(s string, rank int, stable time.Duration) seat {
	return seat{station: alerts.StationID(s), rank: rank, stable: stable}
}

func learns(s string, rank int, stable time.Duration, level bool) seat {
	return seat{station: alerts.StationID(s), place: learner, rank: rank, stable: stable, level: level, told: level}
}

func gone(s seat) seat { s.gone = true; return s }

func moved(s seat) seat { s.moved = true; return s }

func leaves(s seat) seat { s.leaves = true; return s }

func silent(s seat, d time.Duration) seat { s.silent = d; return s }

func TestTheNextStepOfTheVoters(t *testing.T) {
	three := func(more ...seat) []seat {
		return append([]seat{votes("a", 1), votes("b", 1), votes("c", 1)}, more...)
	}
	for _, x := range []struct {
		name  string
		seats []seat
		want  int
		is    string // change and station
	}{
		{"all is well", three(idle("d", 1, long)), 3, ""},
		{"alone in the county", []seat{votes("a", 1)}, 3, ""},
		{"two more have come just now", []seat{votes("a", 1), idle("b", 1, time.Second), idle("c", 1, time.Second)}, 3, ""},
		{"two more have come", []seat{votes("a", 1), idle("b", 1, youngFor), idle("c", 1, youngFor)}, 3, "stage b"},
		{"the second learns", []seat{votes("a", 1), learns("b", 1, youngFor, true), idle("c", 1, youngFor)}, 3, "stage c"},
		{"one ready learner is no reason for two voters", []seat{votes("a", 1), learns("b", 1, youngFor, true), learns("c", 1, youngFor, false)}, 3, ""},
		{"both are ready", []seat{votes("a", 1), learns("b", 1, youngFor, true), learns("c", 0, youngFor, true)}, 3, "promote c"},
		{"two vote, the third comes", []seat{votes("a", 1), votes("c", 0), learns("b", 1, youngFor, true)}, 3, "promote b"},

		{"a dead voter, nobody to replace it", []seat{votes("a", 1), votes("b", 1), deadVoter("c", 0)}, 3, ""},
		{"a dead voter, a station not yet stable", []seat{votes("a", 1), votes("b", 1), deadVoter("c", 0), idle("d", 1, stableFor-1)}, 3, ""},
		{"a dead voter, a stable station", []seat{votes("a", 1), votes("b", 1), deadVoter("c", 0), idle("d", 1, stableFor)}, 3, "stage d"},
		{"a post before a village", []seat{votes("a", 1), votes("b", 1), deadVoter("c", 0), idle("d", 8, stableFor), idle("e", 0, stableFor)}, 3, "stage e"},
		{"its replacement has not the log yet", []seat{votes("a", 1), votes("b", 1), deadVoter("c", 0), learns("d", 1, stableFor, false), idle("e", 1, long)}, 3, ""},
		{"its replacement takes too long", []seat{votes("a", 1), votes("b", 1), deadVoter("c", 0), func() seat { s := learns("d", 1, stableFor, false); s.waits = catchUp; return s }(), idle("e", 1, long)}, 3, "stage e"},
		{"its replacement has the log", []seat{votes("a", 1), votes("b", 1), deadVoter("c", 0), learns("d", 1, stableFor, true)}, 3, "promote d"},
		{"its replacement flaps", []seat{votes("a", 1), votes("b", 1), deadVoter("c", 0), learns("d", 1, time.Minute, true)}, 3, ""},
		{"promoted, so the dead one goes", []seat{votes("a", 1), votes("b", 1), deadVoter("c", 0), votes("d", 1)}, 3, "demote c"},
		{"silent for a moment", []seat{votes("a", 1), votes("b", 1), silent(votes("c", 0), deadAfter-1), idle("d", 1, long)}, 3, ""},
		{"out of gossip's sight, but it answers raft", []seat{votes("a", 1), votes("b", 1), func() seat { s := votes("c", 1); s.stable = 0; return s }(), idle("d", 1, long)}, 3, ""},
		{"nobody answers: no change is safe", []seat{votes("a", 1), silent(votes("b", 1), time.Minute), deadVoter("c", 1), learns("d", 1, long, true)}, 3, ""},
		{"two of five are dead and nobody is there: fewer is safer", []seat{votes("a", 1), votes("b", 1), votes("c", 1), deadVoter("d", 1), deadVoter("e", 1)}, 5, "demote e"},

		{"one of five is dead: its replacement comes first", []seat{votes("a", 1), votes("b", 1), votes("c", 1), votes("d", 1), deadVoter("e", 1), idle("f", 1, stableFor)}, 5, "stage f"},
		{"five are wanted", three(idle("d", 1, stableFor)), 5, "stage d"},
		{"four vote, five are wanted", three(votes("d", 1), learns("e", 1, stableFor, true)), 5, "promote e"},
		{"three are wanted again", three(votes("d", 8), votes("e", 1)), 3, "demote d"},
		{"the leader keeps its vote among equals", []seat{votes("a", 1), votes("b", 1), votes("c", 1), votes("z", 1)}, 3, "demote c"},

		{"equals do not replace each other", three(idle("d", 1, 100*long)), 3, ""},
		{"a better one that came lately", three(idle("d", 0, betterFor-1)), 3, ""},
		{"a better one", three(idle("d", 0, betterFor)), 3, "stage d"},
		{"the better one learns", three(learns("d", 0, betterFor, false), idle("e", 0, betterFor)), 3, ""},
		{"the better one has the log", three(learns("d", 0, betterFor, true)), 3, "promote d"},
		{"a better one while a voter is silent", []seat{votes("a", 1), votes("b", 1), silent(votes("c", 1), time.Minute), idle("d", 0, betterFor)}, 3, ""},

		{"an expelled voter goes at once", []seat{votes("a", 1), votes("b", 1), gone(votes("c", 0))}, 3, "demote c"},
		{"but its replacement first, if it is ready", []seat{votes("a", 1), votes("b", 1), gone(votes("c", 0)), learns("d", 1, stableFor, true)}, 3, "promote d"},
		{"an expelled one is not let in again", []seat{votes("a", 1), votes("b", 1), gone(idle("c", 0, long))}, 3, ""},
		{"nor kept as a learner", three(gone(learns("d", 1, 0, false))), 3, "dismiss d"},
		{"a leader that leaves", []seat{leaves(votes("z", 1)), votes("b", 1), votes("a", 2)}, 3, "hand over to b"},
		{"one of two leaves", []seat{votes("a", 1), leaves(votes("b", 1))}, 3, "demote b"},
		{"the last one leaves: there is nobody to keep the record", []seat{leaves(votes("a", 1))}, 3, ""},
		{"it is dismissed when it has no vote", []seat{votes("a", 1), leaves(learns("b", 1, long, true))}, 3, "dismiss b"},
		{"one that moved to another cell stays until another votes", []seat{votes("a", 1), votes("b", 1), moved(votes("c", 0)), idle("d", 1, long)}, 3, "stage d"},
		{"and goes then", []seat{votes("a", 1), votes("b", 1), moved(votes("c", 0)), votes("d", 1)}, 3, "demote c"},
		{"a leader that moved", []seat{moved(votes("z", 1)), votes("b", 1), votes("c", 0), votes("d", 1)}, 3, "hand over to c"},
		{"a learner that is not needed", three(learns("d", 1, long, true)), 3, "dismiss d"},
		{"one that is back, and has not been told yet", three(learns("d", 1, long, false)), 3, ""},
		{"one that is back, a moment later", three(learns("d", 1, time.Second, true)), 3, ""},
		{"one that was replaced while it is away is told when it comes back", three(silent(learns("d", 1, 0, false), dead)), 3, ""},
		{"too many of those", three(silent(learns("d", 1, 0, false), dead), silent(learns("e", 1, 0, false), 2*dead), silent(learns("f", 1, 0, false), dead), silent(learns("g", 1, 0, false), dead)), 3, "dismiss e"},
	} {
		self := alerts.StationID("a")
		if slices.ContainsFunc(x.seats, func(s seat) bool { return s.station == "z" }) {
			self = "z"
		}
		is := ""
		if c, s := choose(self, x.seats, x.want); c != nothing {
			is = fmt.Sprint(c, " ", s)
		}
		if is != x.is {
			t.Errorf("%s: %q, want %q", x.name, is, x.is)
		}
	}
}

func TestWantedVoters(t *testing.T) {
	for _, x := range []struct{ asked, stations, have, want int }{
		{0, 1, 1, 3}, {0, 14, 3, 3}, {0, 15, 3, 5}, {0, 12, 5, 5}, {0, 11, 5, 3}, {0, 14, 4, 5}, {5, 4, 3, 5}, {1, 20, 5, 3}, {9, 20, 5, 7},
	} {
		if got := wanted(x.asked, x.stations, x.have); got != x.want {
			t.Errorf("asked %d, %d stations, %d vote: %d wanted, want %d", x.asked, x.stations, x.have, got, x.want)
		}
	}
}

// Whatever the cell looks like: no step leaves the record to fewer than a majority that answers, none takes a
// vote below three from somebody who may come back, only one thing changes, and steps come to an end.
func TestAnyCellComesToRestAndNeverLosesItsMajority(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 3))
	ages := []time.Duration{0, time.Second, youngFor, stableFor, betterFor, long}
	for round := range 20000 {
		n := 1 + dice.IntN(9)
		seats := make([]seat, n)
		for k := range seats {
			s := seat{station: alerts.StationID(fmt.Sprint("s", k)), place: place(dice.IntN(3)), rank: dice.IntN(3), gone: dice.IntN(12) == 0, leaves: dice.IntN(12) == 0, moved: dice.IntN(12) == 0}
			if s.stable = ages[dice.IntN(len(ages))]; dice.IntN(4) == 0 {
				s.silent = dead
			}
			s.level, s.told = s.silent == 0, s.silent == 0
			seats[k] = s
		}
		self := seats[0].station
		seats[0].place, seats[0].silent, seats[0].level, seats[0].gone = voter, 0, true, false
		want := []int{3, 3, 5}[dice.IntN(3)]
		b := func() *bench { return &bench{self: self, want: want, seats: seats} }
		if !b().safe(b().voters()) {
			continue // such a leader does not lead
		}
		steps := 0
		for ; steps < 40; steps++ {
			before := len(b().voters())
			what, who := choose(self, seats, want)
			if what == nothing {
				break
			}
			k := slices.IndexFunc(seats, func(s seat) bool { return s.station == who })
			was := seats[k]
			switch what {
			case stage:
				seats[k].place, seats[k].silent, seats[k].level, seats[k].told = learner, 0, true, true
			case promote:
				seats[k].place = voter
				if was.place != learner || was.out() || was.silent > answersWithin {
					t.Fatalf("round %d: promoted %+v", round, was)
				}
			case demote:
				seats[k].place = learner
				if before <= fewVoters && !was.out() || was.place != voter || who == self {
					t.Fatalf("round %d: with %d voters demoted %+v", round, before, was)
				}
			case dismiss:
				seats[k].place = outside
				if was.place != learner {
					t.Fatalf("round %d: dismissed %+v", round, was)
				}
			case handOver:
				self = who
			}
			if !b().safe(b().voters()) {
				t.Fatalf("round %d: %v %s leaves no majority: %+v", round, what, who, seats)
			}
		}
		if steps == 40 {
			t.Fatalf("round %d never comes to rest: %+v", round, seats)
		}
		if v := b().voters(); len(v) > max(want, fewVoters) && b().all(v, b().answers) {
			t.Fatalf("round %d: %d vote, %d are wanted: %+v", round, len(v), want, seats)
		}
	}
}
