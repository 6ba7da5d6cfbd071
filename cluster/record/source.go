package record

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
)

const (
	firstRest = 250 * time.Millisecond // before a station that failed is tried again; doubles each time
	longRest  = 15 * time.Second
	fullRest  = 30 * time.Second // before one that was full is asked again
	staleFor  = 10 * time.Second // behind others for so long: another source
	lostFor   = 3 * time.Second  // at a source that knows no leader: another
	look      = 200 * time.Millisecond
	// climbWithin spreads those who try a new leader: all of a big cell hear of it in one moment.
	climbWithin = 10 * time.Second
)

// source is whom this station follows: a voter the leader; others whoever lets them in nearest to it. The
// stations make a tree: one that is full names those it feeds.
type source struct {
	c     *Cell
	rest  map[alerts.StationID]rest
	last  alerts.StationID   // the leader last heard of
	named []alerts.StationID // by those who were full, the nearest to the leader first
	turn  int                // whom to try next when nobody is known to lead
	stale time.Time          // behind others without a break since; zero: not
	at    uint64             // where we stood then
	tried alerts.StationID   // the leader that was full when last asked
	climb time.Time          // when to try another; zero: not
}

type rest struct {
	until time.Time
	long  time.Duration
}

func (s *source) run() {
	for s.c.ctx.Err() == nil {
		from := alerts.StationID("")
		if !s.c.leads() && s.c.fold.Err() == nil && !s.c.sealed() {
			from = s.choose()
		}
		if from == "" {
			select {
			case <-s.c.ctx.Done():
			case <-time.After(look):
			}
			continue
		}
		s.climb = time.Time{}
		s.c.setSource(from, news{})
		err := s.c.follow(from, func(f frame) error { return s.fine(from, f) })
		s.c.setSource("", news{})
		s.left(from, err)
	}
}

// left notes why a station is not followed, or no longer.
func (s *source) left(from alerts.StationID, err error) {
	var f *errFull
	switch {
	case errors.Is(err, errBetter), errors.Is(err, ErrPast) && s.c.ctx.Err() == nil && s.once(from):
	case errors.As(err, &f):
		s.rest[from] = rest{time.Now().Add(fullRest), firstRest}
		if from == s.known() {
			s.tried = from
		}
		rand.Shuffle(len(f.feeds), func(i, j int) { f.feeds[i], f.feeds[j] = f.feeds[j], f.feeds[i] })
		s.named = append(s.named, f.feeds...)
	case errors.Is(err, errDoubted):
		s.rest[from] = rest{time.Now().Add(doubtedRest), longRest}
	default:
		s.c.log.Debug("no longer following", zap.String("station", string(from)), zap.Error(err))
		s.tire(from)
	}
}

// once reports whether a station has not failed lately: it may be asked again at once, one time.
func (s *source) once(from alerts.StationID) bool {
	_, failed := s.rest[from]
	if !failed {
		s.rest[from] = rest{}
	}
	return !failed
}

func (s *source) tire(from alerts.StationID) {
	long := firstRest
	if r, ok := s.rest[from]; ok {
		long = min(max(2*r.long, firstRest), longRest)
	}
	s.rest[from] = rest{time.Now().Add(long), long}
}

func (s *source) rested(from alerts.StationID) bool { return !time.Now().Before(s.rest[from].until) }

// fine hears a good frame and says whether there is a better source.
func (s *source) fine(from alerts.StationID, f frame) error {
	s.c.setSource(from, *f.News)
	if s.c.leads() {
		return errBetter
	}
	if f.News.Leader != "" {
		s.last = f.News.Leader
	}
	if s.mayClimb(from, f) {
		return errBetter
	}
	if !s.c.fold.doubted().IsZero() && !s.c.elects(from) {
		return errDoubted
	}
	s.c.prove()
	at, ahead := s.c.fold.Head().Index, s.c.ahead()
	// Nobody is further on than the leader, whatever they say: an index that nobody can show, of a disk that
	// is gone or a liar, must not drive everybody from source to source.
	leads, lost := f.News.Leader == from, len(f.News.Path) == 0
	// One that no leader feeds may be following us: two such would wait for each other for ever.
	behind := len(ahead) > 0 || lost
	patience := staleFor
	if lost {
		patience = lostFor
	}
	if leads || !behind || at != s.at {
		s.stale, s.at = time.Time{}, at
		s.named = nil
		delete(s.rest, from)
	}
	switch {
	case leads || !behind:
	case s.stale.IsZero():
		s.stale = time.Now()
	case time.Since(s.stale) >= patience:
		s.stale = time.Time{}
		return errStale
	}
	return nil
}

// mayClimb reports whether the leader itself is to be tried. A voter does so at once; so does everybody of a
// cell that fits its places; others at some time after the leader has changed.
func (s *source) mayClimb(from alerts.StationID, f frame) bool {
	l := s.known()
	if l == "" || l == from || l == s.c.cfg.Self || !s.rested(l) {
		return false
	}
	switch {
	case s.c.votes() || len(f.News.Path) == 0 || len(s.c.cfg.Alive()) <= fanOut:
		return true
	case l == s.tried:
		return false
	case s.climb.IsZero():
		s.climb = time.Now().Add(rand.N(climbWithin))
	}
	return !time.Now().Before(s.climb)
}

// known is who leads, by raft where this station votes, else as last told.
// One whose address is not known yet cannot be followed: who were sent to it would be sent round in circles.
func (s *source) known() alerts.StationID {
	l := s.c.raftLeader()
	if l == "" {
		l = s.last
	}
	if _, there := s.c.cfg.Addr(l); !there {
		return ""
	}
	return l
}

// choose is whom to try now; "" when all who could be asked have just failed.
func (s *source) choose() alerts.StationID {
	doubts := !s.c.fold.doubted().IsZero() // then only voters' copies will do
	ok := func(x alerts.StationID) bool {
		_, there := s.c.cfg.Addr(x)
		return x != "" && x != s.c.cfg.Self && there && s.rested(x) && (!doubts || s.c.elects(x))
	}
	if l := s.known(); ok(l) {
		return l
	}
	for len(s.named) > 0 {
		x := s.named[0]
		s.named = s.named[1:]
		if ok(x) {
			return x
		}
	}
	if ahead := s.c.ahead(); slices.ContainsFunc(ahead, ok) {
		return ahead[slices.IndexFunc(ahead, ok)]
	}
	all := slices.Concat(s.c.founders(), s.c.cfg.Alive())
	for range all {
		s.turn++
		if x := all[s.turn%len(all)]; ok(x) {
			return x
		}
	}
	return ""
}
