package sim

import (
	"slices"
	"time"
)

// wholeWithin is how soon a station that was set up anew has everything again.
const wholeWithin = 60 * time.Second

// heals proves that no hand is needed: 30 s after the last fault, or after somebody left later still, all stations
// see each other, have a leader and hold one record, with nothing left pending; 60 s after one was set up anew.
func heals(l *look) (bad []string) {
	t := (*tell)(&bad)
	due := l.Healed.Add(healWithin)
	for _, s := range l.Struck {
		within := healWithin
		if s.Kind == Joins || s.Kind == Replaces {
			within = wholeWithin
		}
		if by := s.To.Add(within); acts[s.Kind] != nil && s.Bites > 0 && by.After(due) {
			due = by
		}
	}
	switch took := l.Agreed.Sub(l.Healed); {
	case l.Agreed.IsZero():
		t.say("not one county %v after the healing: %s", l.Ended.Sub(l.Healed), l.Apart)
	case l.Agreed.After(due):
		t.say("one county only %v after the healing, %v too late", took, l.Agreed.Sub(due))
	}
	return bad
}

const (
	// mildLoss is the loss of packets that gossip must bear.
	mildLoss = 0.10
	// remembered is how long after other trouble a station may still be thought dead.
	remembered = 60 * time.Second
	// seenWithin is how soon a dead station must be reported, on a LAN.
	seenWithin = 20 * time.Second
)

// noFalseDead proves that a lossy link kills nobody: while the only trouble of the last minute was a loss of at most
// 10 %, no running station calls another one dead.
func noFalseDead(l *look) (bad []string) {
	t := (*tell)(&bad)
	for _, s := range l.Samples {
		if s.Fresh || s.At.Before(l.Began) || s.At.After(l.Healed) || l.rough(s.At.Add(-remembered), s.At) {
			continue
		}
		for _, dead := range s.Dead {
			t.say("%s called %s dead %v into the chaos", s.Station, dead, l.since(s.At))
		}
	}
	return bad
}

// rough reports whether anything but mild loss and mild delay struck within a time.
func (l *look) rough(from, to time.Time) bool {
	return slices.ContainsFunc(l.Struck, func(s Span) bool {
		mild := s.Kind == Loss && s.Share <= mildLoss && len(s.Stations) == 1
		return s.over(from, to) && !mild
	})
}

// lossSeen proves that the dead are noticed: a station that was stopped for longer than 20 s, with no cut
// anywhere meanwhile, is called dead by every station that ran all the time.
func lossSeen(l *look) (bad []string) {
	t := (*tell)(&bad)
	if l.Plan.Links != "lan" {
		return nil
	}
	for _, stop := range l.Struck {
		due := stop.From.Add(seenWithin)
		if stop.Kind != Restart && stop.Kind != Crash || !stop.To.After(due.Add(sampleEvery)) {
			continue
		}
		dead := stop.Stations[0]
		if l.trouble(stop.From.Add(-seenWithin), stop.To, Cut, OneWay, Flap, Delay, Loss) || l.stoppedMeanwhile(stop) {
			continue
		}
		for _, s := range l.Samples {
			if s.At.After(due) && !s.At.After(due.Add(sampleEvery)) && s.Station != dead && slices.Contains(s.Alive, dead) {
				t.say("%s still called %s alive %v after its death", s.Station, dead, s.At.Sub(stop.From))
			}
		}
	}
	return bad
}

// stoppedMeanwhile reports whether another station was down during a stop.
func (l *look) stoppedMeanwhile(stop Span) bool {
	return slices.ContainsFunc(l.Struck, func(s Span) bool {
		return (s.Kind == Restart || s.Kind == Crash || s.Kind == Late) && s.Stations[0] != stop.Stations[0] && s.over(stop.From, stop.To)
	})
}
