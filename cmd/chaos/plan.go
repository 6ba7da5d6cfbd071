//go:build linux

package main

import (
	"math/rand/v2"
	"slices"
	"time"
)

const (
	roundLast  = 20 * time.Second // of faults; then calm, and a look at everything
	killLast   = 26 * time.Second // longer than a death may stay unseen
	roundQuiet = 12 * time.Second // what calm and looking take, about; for the plan only
)

// planned is one fault of the plan.
type planned struct {
	kind  string
	at    int           // the station
	after time.Duration // from the start of the round
	lasts time.Duration
}

// round is faults at the same time. Then everything is mended, and the county has to be whole again.
type round struct {
	faults []planned
	lasts  time.Duration // at most
}

// plan makes the rounds of a run: the same for the same seed. Every kind that may come comes before any comes
// again.
func plan(seed uint64, stations int, length time.Duration, may func(kind string) bool) (rounds []round) {
	rng := rand.New(rand.NewPCG(seed, 1))
	var deck []round
	for spent := time.Duration(0); spent < length; {
		if len(deck) == 0 {
			if deck = deal(rng, stations, may); len(deck) == 0 {
				return nil
			}
		}
		spent += deck[0].lasts + roundQuiet
		rounds, deck = append(rounds, deck[0]), deck[1:]
	}
	return rounds
}

// deal shuffles all kinds into rounds.
func deal(rng *rand.Rand, stations int, may func(kind string) bool) (deck []round) {
	for _, kind := range alone() {
		if !may(kind) {
			continue
		}
		p := planned{kind: kind, at: rng.IntN(stations), after: 2 * time.Second, lasts: 12 * time.Second}
		r := round{lasts: roundLast}
		if some := able(kind); some != nil {
			p.at = some[rng.IntN(len(some))]
		}
		if kind == killLong || kind == thinAll {
			p.lasts, r.lasts = killLast, killLast+4*time.Second
		}
		r.faults = []planned{p}
		deck = append(deck, r)
	}
	kinds := slices.DeleteFunc(mixed(), func(kind string) bool { return !may(kind) })
	rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for len(kinds) > 0 {
		n := min(2+rng.IntN(2), len(kinds))
		deck = append(deck, mix(rng, kinds[:n], stations))
		kinds = kinds[n:]
	}
	rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}

// mix lets faults of these kinds overlap, each at a station of its own.
func mix(rng *rand.Rand, kinds []string, stations int) round {
	r := round{lasts: roundLast}
	order := rng.Perm(stations)
	for _, kind := range kinds {
		p := planned{kind: kind, after: time.Duration(rng.Int64N(int64(5 * time.Second)))}
		p.lasts = 4*time.Second + time.Duration(rng.Int64N(int64(roundLast-p.after-4*time.Second)))
		if onWire(kind) {
			p.lasts = roundLast - p.after // all wires are mended together, at the end
		}
		p.at, order = order[0], order[1:]
		if some := able(kind); some != nil {
			p.at = some[rng.IntN(len(some))]
		}
		r.faults = append(r.faults, p)
	}
	return r
}

// able are the stations that a fault needs the disk of; nil: any will do.
func able(kind string) []int {
	switch kind {
	case fillDisk, fullAlone:
		return smallDisks()
	case losePower:
		return frailDisks()
	}
	return nil
}
