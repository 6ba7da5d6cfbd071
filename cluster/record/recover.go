package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"hivemesh/alerts"
)

// Standing is how far a station's copy of a record goes, as an operator has to know it when a cell has lost
// most of its voters.
type Standing struct {
	Station alerts.StationID `cbor:"1,keyasint" json:"station"`
	Epoch   uint64           `cbor:"2,keyasint" json:"epoch"`
	Index   uint64           `cbor:"3,keyasint" json:"index"` // recorded
	Chain   alerts.Hash      `cbor:"4,keyasint" json:"chain"`
	Logged  uint64           `cbor:"5,keyasint" json:"logged"` // with what its raft log holds beyond that
	Term    uint64           `cbor:"6,keyasint" json:"term"`   // of the last raft log; 0: it never voted
	Last    uint64           `cbor:"7,keyasint" json:"last"`   // index of the last raft log
	Leader  alerts.StationID `cbor:"8,keyasint,omitempty" json:"leader,omitempty"`
	Whole   bool             `cbor:"9,keyasint" json:"whole"` // it has reached the base of its epoch
	Error   string           `cbor:"10,keyasint,omitempty" json:"error,omitempty"`
}

// Standing is this station's.
func (c *Cell) Standing() Standing {
	head := c.fold.Head()
	s := Standing{
		Station: c.cfg.Self, Epoch: c.Epoch(), Index: head.Index, Chain: head.Chain, Logged: head.Index,
		Leader: c.raftLeader(), Whole: c.fold.Whole(),
	}
	if path, ok := c.way(); ok && s.Leader == "" && len(path) > 0 {
		s.Leader = path[0]
	}
	if err := c.fold.Err(); err != nil {
		s.Error = err.Error()
	}
	k := c.council()
	if k == nil || k.raft == nil {
		return s
	}
	s.Logged += uint64(len(k.tail(head)))
	s.Last = k.raft.LastIndex()
	s.Term = k.lastTerm()
	return s
}

// Reasons not to recover.
var (
	ErrHasLeader = errors.New("the cell has a leader: nothing is lost")
	ErrBehind    = errors.New("another survivor has more")
	ErrNotHeard  = errors.New("a survivor that was named does not answer")
	ErrSurvivors = errors.New("survivors")
)

// recoverWait is how long the survivors get to answer and, where one of them is further on, this station to
// catch up with it.
const recoverWait = 10 * time.Second

// Survey asks the survivors, this station among them, how their copies stand; the furthest comes first, and is
// the one to recover from. A survivor that does not answer makes an error beside the others' standings.
func (c *Cell) Survey(ctx context.Context, survivors []alerts.StationID) ([]Standing, error) {
	var errs []error
	var out []Standing
	for _, s := range survivors {
		if s == c.cfg.Self {
			out = append(out, c.Standing())
			continue
		}
		st, err := c.survey(ctx, s)
		if err != nil {
			errs = append(errs, fmt.Errorf("%w: %s: %w", ErrNotHeard, s, err))
			continue
		}
		st.Station = s
		out = append(out, st)
	}
	slices.SortStableFunc(out, func(a, b Standing) int {
		return cmp.Or(b.furtherThan(a), cmp.Compare(a.Station, b.Station))
	})
	return out, errors.Join(errs...)
}

// furtherThan compares as raft's voters do, by the last log; of those who never voted the longer record is
// further.
func (s Standing) furtherThan(o Standing) int {
	return cmp.Or(cmp.Compare(s.Epoch, o.Epoch), cmp.Compare(s.Term, o.Term), cmp.Compare(s.Last, o.Last),
		cmp.Compare(s.Logged, o.Logged), cmp.Compare(s.Index, o.Index))
}

// Recover begins a new epoch upon this station's copy, with the survivors as its voters. It is for a cell most
// of whose voters are gone for good, and upon an operator's word only: what they recorded and no survivor
// has heard of goes to the new record as pending when they come back, and in another order. It is refused
// while there is a leader, or another survivor has more.
func (c *Cell) Recover(ctx context.Context, survivors []alerts.StationID) error {
	if err := c.checkSurvivors(survivors); err != nil {
		return err
	}
	if !c.mayBegin(c.cfg.Self) {
		return fmt.Errorf("%w: %s neither votes nor is a police post or an office, so the others would not believe it; recover at one that does, or with the county's authority", ErrSurvivors, c.cfg.Self)
	}
	if err := c.await(ctx, survivors); err != nil {
		return err
	}
	next, own, err := c.upcoming(survivors)
	if err != nil {
		return err
	}
	e, err := newEra(c.cfg.Identity, next.Cell, next.Epoch, Head{Index: next.Index, Chain: next.Chain}, next.Voters)
	if err != nil {
		return err
	}
	return c.begins(e, own)
}

// Warrant is what the county's authority is to sign so that RecoverWith may begin a new epoch upon this station's
// copy, of whatever kind the station is: for a cell of which no station is left whose own word would do.
func (c *Cell) Warrant(ctx context.Context, survivors []alerts.StationID) ([]byte, error) {
	said, _, err := c.warrant(ctx, survivors)
	return eraBytes(said), err
}

// RecoverWith is Recover by the authority's signature on a Warrant. The error wraps trust.ErrSignature when the
// record has moved on since.
func (c *Cell) RecoverWith(ctx context.Context, survivors []alerts.StationID, sig []byte) error {
	said, own, err := c.warrant(ctx, survivors)
	if err != nil {
		return err
	}
	e, err := sealEra(c.cfg.Cell, said, sig)
	if err != nil {
		return err
	}
	if err := e.verify(c.cfg.Ring); err != nil {
		return fmt.Errorf("not the authority's signature on how this copy stands now: %w", err)
	}
	return c.begins(e, own)
}

func (c *Cell) warrant(ctx context.Context, survivors []alerts.StationID) (said []byte, own [][]byte, err error) {
	if err := c.checkSurvivors(survivors); err != nil {
		return nil, nil, err
	}
	if err := c.await(ctx, survivors); err != nil {
		return nil, nil, err
	}
	next, own, err := c.upcoming(survivors)
	if err != nil {
		return nil, nil, err
	}
	next.Root = true
	said, err = state(next)
	return said, own, err
}

// await waits until nothing speaks against a new epoch upon this copy.
func (c *Cell) await(ctx context.Context, survivors []alerts.StationID) error {
	ctx, cancel := context.WithTimeout(ctx, recoverWait)
	defer cancel()
	var why error // of the try before: the last one may only have run out of time
	for {
		err := c.mayRecover(ctx, survivors)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil && why != nil {
			return why
		}
		why = err
		if !errors.Is(err, errGap) && !errors.Is(err, ErrHasLeader) {
			return err
		}
		// It is catching up: survivors without a leader follow whoever is further on. And those who followed a
		// leader that is gone learn of it within seconds.
		select {
		case <-ctx.Done():
			return err
		case <-time.After(look):
		}
	}
}

// upcoming is the epoch that would begin now, and what it takes in of raft's log here.
func (c *Cell) upcoming(voters []alerts.StationID) (statement, [][]byte, error) {
	head := c.fold.Head()
	own := c.council().tail(head)
	entries, err := c.fold.decode(own)
	if err != nil {
		return statement{}, nil, fmt.Errorf("raft's log: %w", err)
	}
	if n := len(entries); n > 0 {
		head = Head{Index: entries[n-1].Index, Chain: entries[n-1].Chain}
	}
	return statement{Cell: c.cfg.Cell, Epoch: c.Epoch() + 1, Index: head.Index, Chain: head.Chain, Voters: voters, By: c.cfg.Self}, own, nil
}

// begins passes over to an epoch of this station's, and tells its voters.
func (c *Cell) begins(e era, own [][]byte) error {
	if err := c.adopt(e, own); err != nil {
		return err
	}
	for _, s := range e.Voters {
		if s != c.cfg.Self {
			c.Meet(s)
		}
	}
	return nil
}

func (c *Cell) checkSurvivors(list []alerts.StationID) error {
	if !slices.Contains(list, c.cfg.Self) {
		return fmt.Errorf("%w: %s itself must be one of them: what it has is what the record goes on from", ErrSurvivors, c.cfg.Self)
	}
	for i, s := range list {
		if !c.mayVote(s) {
			return fmt.Errorf("%w: %s is no station of cell %s that is known here", ErrSurvivors, s, c.cfg.Cell)
		}
		if slices.Contains(list[:i], s) {
			return fmt.Errorf("%w: %s is named twice", ErrSurvivors, s)
		}
	}
	if len(list) > maxEraVoters {
		return fmt.Errorf("%w: at most %d can be named; others become voters by themselves", ErrSurvivors, maxEraVoters)
	}
	return nil
}

// mayRecover returns errGap while this station has yet to catch up with a survivor's record.
func (c *Cell) mayRecover(ctx context.Context, survivors []alerts.StationID) error {
	if err := c.fold.Err(); err != nil {
		return fmt.Errorf("this copy of the record stands still: %w", err)
	}
	all, err := c.Survey(ctx, survivors)
	if err != nil {
		return err
	}
	mine := c.Standing()
	for _, s := range all {
		switch {
		case s.Leader != "":
			return fmt.Errorf("%w (%s says: %s leads)", ErrHasLeader, s.Station, s.Leader)
		case s.Station == c.cfg.Self:
		case s.Term > 0 && s.furtherThan(mine) > 0:
			return fmt.Errorf("%w: recover at %s, which has %d entries and a raft log up to %d of term %d; here are %d, and %d of term %d",
				ErrBehind, s.Station, s.Logged, s.Last, s.Term, mine.Logged, mine.Last, mine.Term)
		case s.Index > mine.Logged:
			c.Heard(s.Index, s.Station)
			return fmt.Errorf("%w: %s has %d entries, %d are here (%w)", ErrBehind, s.Station, s.Index, mine.Logged, errGap)
		}
	}
	return nil
}

// lastTerm is that of the last log, or of the snapshot that replaced it; 0 where neither can be read.
func (k *council) lastTerm() uint64 {
	n, err := strconv.ParseUint(k.raft.Stats()["last_log_term"], 10, 64)
	if err != nil {
		return 0
	}
	return n
}
