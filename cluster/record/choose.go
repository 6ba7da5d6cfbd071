package record

import (
	"cmp"
	"slices"
	"time"

	"hivemesh/alerts"
)

const (
	fewVoters  = 3  // survive the loss of one; no cell that has as many goes below
	manyVoters = 5  // survive the loss of two
	growAt     = 15 // stations of a cell from which five vote: below, five would be a third of all
	shrinkAt   = 12 // and below which it is three again; the gap keeps a cell of 14 or 15 from going to and fro
	mostVoters = 7  // that a directory may ask for: each commit waits for a majority of them

	// stableFor is how long a station must have been in sight without a break before it votes: a box that
	// flaps would take a majority with it each time.
	stableFor = 10 * time.Minute
	// youngFor is the same while fewer than three vote. Such a county stops at the loss of any voter, so a
	// third one that may flap is still better than a wait, and who sets it up sees it work.
	youngFor = 10 * time.Second
	// betterFor is how long a better station must have been in sight before it replaces a voter that does
	// nothing wrong: nothing is urgent then.
	betterFor = time.Hour
	// deadAfter is how long a voter must not have kept up before it is replaced: longer than a restart or a
	// pulled plug put back.
	deadAfter = 5 * time.Minute
	// answersWithin is how recent an answer must be to count a voter upon for a change.
	answersWithin = 10 * time.Second
	// catchUp is how long a station may take to get the log before another is tried beside it.
	catchUp = 10 * time.Minute
	// settles is how long one that came back must have been in sight before it counts as told: the end of its
	// log may be of a time before, and is replaced in the first moments.
	settles = time.Minute
	// mostAbsent is how many demoted stations out of reach are kept in mind, so that they learn of it when
	// they come back: one that still believed to vote would go on asking for elections.
	mostAbsent = 3
)

// place is what a station is in raft's configuration.
type place int

const (
	outside place = iota
	learner       // gets the log, has no vote
	voter
)

// seat is one station as the leader sees it.
type seat struct {
	station alerts.StationID
	place   place
	rank    int           // the smaller, the better a voter
	stable  time.Duration // in gossip's sight without a break; 0: not in sight
	silent  time.Duration // since it last answered raft and kept up; for learners and voters
	level   bool          // its log is as long as the leader's
	told    bool          // its log has the configuration in force: it knows what it is
	waits   time.Duration // a learner for so long
	moved   bool          // to another cell: it votes until somebody has taken its place
	leaves  bool          // it wants to go for good, and answers until it may
	gone    bool          // left or expelled: it never comes back under this id
}

// out: it is not to vote, whatever else is true of it.
func (s seat) out() bool { return s.leaves || s.gone }

// change is one step of raft's configuration.
type change int

const (
	nothing  change = iota
	stage           // let a station get the log
	promote         // give it a vote
	demote          // take its vote
	dismiss         // stop sending it the log
	handOver        // let it lead: the leader itself is to lose its vote next
)

func (c change) String() string {
	return [...]string{"nothing", "stage", "promote", "demote", "dismiss", "hand over to"}[c]
}

// wanted is how many voters a cell should have: asked is what the directory says, 0 for nothing; stations is
// how many have been in sight lately.
func wanted(asked, stations, have int) int {
	switch {
	case asked > 0:
		return min(max(asked, fewVoters), mostVoters)
	case stations >= growAt, have > fewVoters && stations >= shrinkAt:
		return manyVoters
	}
	return fewVoters
}

// bench is the cell's stations at one moment, and the leader that looks at them.
type bench struct {
	self  alerts.StationID
	want  int
	seats []seat // the best first
}

// choose is the one next step, or nothing. It never takes a vote before its replacement has one while that
// would leave fewer than three, and after every step a majority of those who then vote answers and keeps up.
// What gossip says can keep a station from a vote, but never takes one.
func choose(self alerts.StationID, seats []seat, want int) (change, alerts.StationID) {
	b := bench{self: self, want: want, seats: slices.Clone(seats)}
	slices.SortFunc(b.seats, func(x, y seat) int {
		return cmp.Or(cmp.Compare(x.rank, y.rank), cmp.Compare(x.station, y.station))
	})
	for _, rule := range []func() (change, alerts.StationID){b.promote, b.release, b.stage, b.surplus, b.dismiss} {
		if c, s := rule(); c != nothing {
			return c, s
		}
	}
	return nothing, ""
}

func (b *bench) voters() []seat { return b.only(func(s seat) bool { return s.place == voter }) }

func (b *bench) only(ok func(seat) bool) []seat {
	return slices.DeleteFunc(slices.Clone(b.seats), func(s seat) bool { return !ok(s) })
}

// answers: it can be counted upon now. Whoever leads has its own log.
func (b *bench) answers(s seat) bool {
	return !s.gone && (s.station == b.self || s.silent <= answersWithin)
}

// lives: it is not given up.
func (b *bench) lives(s seat) bool {
	return !s.out() && !s.moved && (s.station == b.self || s.silent < deadAfter)
}

// living is how many voters are not given up.
func (b *bench) living() int {
	return len(b.only(func(s seat) bool { return s.place == voter && b.lives(s) }))
}

func (b *bench) need() int { return max(0, b.want-b.living()) }

// safe: a majority of those who would vote answers now.
func (b *bench) safe(voters []seat) bool {
	n := 0
	for _, s := range voters {
		if b.answers(s) {
			n++
		}
	}
	return n > len(voters)/2
}

// steady: in sight for long enough to be given a vote.
func (b *bench) steady(s seat) bool {
	if s.out() || s.moved {
		return false
	}
	if len(b.voters()) < fewVoters {
		return s.stable >= youngFor
	}
	return s.stable >= stableFor
}

// better: it would replace a voter that is strictly worse while nothing else is to be done. Equals never
// replace each other, or two of them would do so for ever.
func (b *bench) better(s seat) bool {
	v := b.voters()
	if b.need() > 0 || s.out() || s.moved || s.stable < betterFor || len(v) == 0 || !b.all(v, b.answers) {
		return false
	}
	return s.rank < v[len(v)-1].rank
}

func (b *bench) all(list []seat, ok func(seat) bool) bool {
	return !slices.ContainsFunc(list, func(s seat) bool { return !ok(s) })
}

// promote gives a vote to a learner that has the log.
func (b *bench) promote() (change, alerts.StationID) {
	v := b.voters()
	ready := b.only(func(s seat) bool {
		return s.place == learner && s.level && b.answers(s) && (b.need() > 0 && b.steady(s) || len(v) <= b.want && b.better(s))
	})
	// With two voters the loss of either stops the record: the second comes only when a third is at hand.
	if len(ready) == 0 || len(v) == 1 && len(ready) < 2 || !b.safe(append(v, ready[0])) {
		return nothing, ""
	}
	return promote, ready[0].station
}

// release takes the vote of who is gone for good, and of who is dead or has moved once it is replaced or nobody
// is there to replace it; the latter never below three.
func (b *bench) release() (change, alerts.StationID) {
	v := b.voters()
	for _, s := range slices.Backward(v) {
		rest := slices.DeleteFunc(slices.Clone(v), func(x seat) bool { return x.station == s.station })
		due := s.out() || !b.lives(s) && len(rest) >= fewVoters && (b.need() == 0 || len(b.candidates()) == 0)
		switch {
		case !due || len(rest) == 0 || !b.safe(rest):
		case s.station != b.self:
			return demote, s.station
		default:
			if to := b.next(rest); to != "" {
				return handOver, to
			}
		}
	}
	return nothing, ""
}

// next is who should lead after this one: the best that answers.
func (b *bench) next(voters []seat) alerts.StationID {
	for _, s := range voters {
		if s.station != b.self && b.answers(s) {
			return s.station
		}
	}
	return ""
}

// candidates are who could replace a voter: in sight for long enough, and getting the log or about to.
func (b *bench) candidates() []seat {
	return b.only(func(s seat) bool {
		return s.place == outside && b.steady(s) || b.coming(s) && b.steady(s)
	})
}

// coming: a learner on its way to have the log.
func (b *bench) coming(s seat) bool {
	return s.place == learner && b.lives(s) && s.waits < catchUp
}

// stage lets the best stations get the log, as many as are needed.
func (b *bench) stage() (change, alerts.StationID) {
	under := len(b.only(func(s seat) bool { return b.coming(s) && (b.steady(s) || b.better(s)) }))
	if b.need() > under {
		if out := b.only(func(s seat) bool { return s.place == outside && b.steady(s) }); len(out) > 0 {
			return stage, out[0].station
		}
		return nothing, ""
	}
	if len(b.voters()) > b.want || under > 0 {
		return nothing, ""
	}
	if out := b.only(func(s seat) bool { return s.place == outside && b.better(s) }); len(out) > 0 {
		return stage, out[0].station
	}
	return nothing, ""
}

// surplus takes the vote of the worst when more vote than are wanted; of equals the leader keeps its own.
func (b *bench) surplus() (change, alerts.StationID) {
	v := b.voters()
	if len(v) <= b.want || len(v) <= fewVoters {
		return nothing, ""
	}
	worst := v[len(v)-1]
	if other := v[len(v)-2]; worst.station == b.self && other.rank == worst.rank {
		worst = other
	}
	rest := slices.DeleteFunc(slices.Clone(v), func(x seat) bool { return x.station == worst.station })
	switch {
	case !b.safe(rest):
		return nothing, ""
	case worst.station != b.self:
		return demote, worst.station
	}
	if to := b.next(rest); to != "" {
		return handOver, to
	}
	return nothing, ""
}

// dismiss ends the sending of the log to who does not need it. One out of reach is kept in mind for a while.
func (b *bench) dismiss() (change, alerts.StationID) {
	idle := b.only(func(s seat) bool { return s.place == learner && !b.better(s) && (s.out() || b.need() == 0) })
	for _, s := range idle {
		if s.gone || b.answers(s) && s.told && (s.stable >= settles || s.leaves) {
			return dismiss, s.station
		}
	}
	if absent := b.only(func(s seat) bool { return s.place == learner && !b.lives(s) }); len(absent) > mostAbsent {
		return dismiss, slices.MaxFunc(absent, func(x, y seat) int { return cmp.Compare(x.silent, y.silent) }).station
	}
	return nothing, ""
}
