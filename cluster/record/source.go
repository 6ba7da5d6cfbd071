package record

import (
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
)

const (
	firstRest = 250 * time.Millisecond // before a station that failed is tried again; doubles each time
	longRest  = 15 * time.Second
	staleFor  = 3 * time.Second // behind others for so long: another source
	look      = 200 * time.Millisecond
)

// source is whom this station follows: the leader where it can, else any station that is alive.
type source struct {
	c     *Cell
	rest  map[alerts.StationID]rest
	last  alerts.StationID // the leader last heard of
	turn  int              // whom to try next when nobody is known to lead
	stale time.Time        // behind others without a break since; zero: not
	at    uint64           // where we stood then
}

type rest struct {
	until time.Time
	long  time.Duration
}

func (s *source) run() {
	for s.c.ctx.Err() == nil {
		from := alerts.StationID("")
		if !s.c.leads() && s.c.fold.Err() == nil {
			from = s.choose()
		}
		if from == "" {
			select {
			case <-s.c.ctx.Done():
			case <-time.After(look):
			}
			continue
		}
		s.c.setSource(from, frame{})
		err := s.c.follow(from, func(f frame) error { return s.fine(from, f) })
		s.c.setSource("", frame{})
		if !errors.Is(err, errBetter) {
			s.c.log.Debug("no longer following", zap.String("station", string(from)), zap.Error(err))
			s.tire(from)
		}
	}
}

func (s *source) tire(from alerts.StationID) {
	long := firstRest
	if r, ok := s.rest[from]; ok {
		long = min(2*r.long, longRest)
	}
	s.rest[from] = rest{time.Now().Add(long), long}
}

func (s *source) rested(from alerts.StationID) bool { return !time.Now().Before(s.rest[from].until) }

// fine hears a good frame and says whether there is a better source.
func (s *source) fine(from alerts.StationID, f frame) error {
	s.c.setSource(from, f)
	if s.c.leads() {
		return errBetter
	}
	if f.Leader != "" {
		s.last = f.Leader
	}
	if l := s.known(); l != "" && l != from && l != s.c.cfg.Self && s.rested(l) {
		return errBetter
	}
	at, ahead := s.c.fold.Head().Index, s.c.ahead()
	// Nobody is further on than the leader, whatever they say: an index that nobody can show, of a disk that
	// is gone or a liar, must not drive everybody from source to source.
	leads := f.Leader == from
	// One that knows of no leader may be following us: two such would wait for each other for ever.
	behind := len(ahead) > 0 || f.Leader == ""
	if leads || !behind || at != s.at {
		s.stale, s.at = time.Time{}, at
		delete(s.rest, from)
	}
	switch {
	case leads || !behind:
	case s.stale.IsZero():
		s.stale = time.Now()
	case time.Since(s.stale) >= staleFor:
		s.stale = time.Time{}
		return errStale
	}
	return nil
}

// known is who leads, by raft where this station votes, else as last told.
func (s *source) known() alerts.StationID {
	if l := s.c.raftLeader(); l != "" {
		return l
	}
	return s.last
}

// choose is whom to try now; "" when all who could be asked have just failed.
func (s *source) choose() alerts.StationID {
	ok := func(x alerts.StationID) bool {
		_, there := s.c.cfg.Addr(x)
		return x != "" && x != s.c.cfg.Self && there && s.rested(x)
	}
	if l := s.known(); ok(l) {
		return l
	}
	if i := slices.IndexFunc(s.c.ahead(), ok); i >= 0 {
		return s.c.ahead()[i]
	}
	all := slices.Concat(s.c.cfg.Founders, s.c.cfg.Alive())
	for range all {
		s.turn++
		if x := all[s.turn%len(all)]; ok(x) {
			return x
		}
	}
	return ""
}
