package record

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
)

// A follower takes entries from whoever feeds it, and a parent in the tree may be a box that somebody carried off.
// What proves a copy is a voter's word: the heads that leaders sign and everybody passes on, or, where none comes, a
// voter that is asked. A copy found to be another is not stopped: it is in doubt, follows voters alone, and drops
// what differs; the events in that go back to the pending set.

const (
	// proveWithin is how long a follower's head may stand beyond all that voters vouch for before one is asked.
	// Signed heads come with the entries, so in good weather nobody ever is.
	proveWithin = 10 * time.Second
	// doubtedRest is how long nothing is taken from who fed a copy that was found to be another: it may have been
	// lied to itself.
	doubtedRest = time.Minute
	// stubborn is how long voters may disagree with a copy that follows them before it stands still: then it is
	// not a parent that lies.
	stubborn = time.Minute
)

// errDoubted says that a source is no voter, while this copy is in doubt.
var errDoubted = errors.New("this copy is in doubt, and the source does not vote")

// proof is how far a follower's copy is known to be the cell's.
type proof struct {
	upto   uint64      // a voter has vouched for this entry, and so for all before
	mark   alerts.Hash // in this epoch
	since  time.Time   // since when the head has been beyond that; zero: it is not
	asking bool
}

// doubted is since when voters' words speak against this copy; zero: none does.
func (f *fold) doubted() time.Time {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.doubt
}

func (f *fold) setDoubt(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !on:
		f.doubt = time.Time{}
	case f.doubt.IsZero():
		f.doubt = time.Now()
		f.wake() // who is fed from here is let go
	}
}

// Shorten drops what stands beyond an index, in the same epoch.
func (f *fold) Shorten(keep uint64) error {
	f.feeder.Lock()
	defer f.feeder.Unlock()
	if f.Err() != nil || keep >= f.Head().Index {
		return f.Err()
	}
	if err := f.cut(f.Era(), keep, nil); err != nil {
		return f.unread(err)
	}
	return nil
}

// take feeds what a source sent. What makes no sense, or follows upon another record, stops this one only by a
// voter's word; by anybody else's voters are followed from now on, and say whether it was a lie.
func (c *Cell) take(of era, from alerts.StationID, m *more) error {
	if c.elects(from) {
		return c.fold.Feed(of.mark, m.Base, m.Chain, m.Entries)
	}
	err := c.fold.Offer(of.mark, m.Base, m.Chain, m.Entries)
	if errors.Is(err, errUnsound) && !c.votes() {
		return c.differs(from, err)
	}
	return err
}

// differs is what becomes of a voter's word that this copy is another. A voter stands still; a follower doubts.
func (c *Cell) differs(from alerts.StationID, why error) error {
	since := c.fold.doubted()
	if c.votes() || !since.IsZero() && c.elects(from) && time.Since(since) > stubborn {
		return c.fold.Stop(why)
	}
	if since.IsZero() {
		c.log.Error("this copy of the record is not the cell's; it is compared with voters'", zap.String("fed by", string(from)), zap.Error(why))
	}
	c.fold.setDoubt(true)
	return why
}

// proved notes that a voter vouches for an entry that is here.
func (c *Cell) proved(upto uint64, of era) {
	c.mu.Lock()
	if c.proof.mark != of.mark {
		c.proof.upto, c.proof.mark = 0, of.mark
	}
	c.proof.upto = max(c.proof.upto, upto)
	c.mu.Unlock()
	if upto >= c.fold.Head().Index { // of less the rest may still be another's
		c.fold.setDoubt(false)
	}
}

// shed drops, in doubt, what the leader itself does not have: nobody else can have more.
func (c *Cell) shed(from alerts.StationID, f frame) error {
	if f.News.Leader != from || !c.elects(from) || c.fold.doubted().IsZero() || f.Index >= c.fold.Head().Index {
		return nil
	}
	return c.fold.Shorten(f.Index)
}

// prove has a voter asked when this follower's head has been beyond all that voters vouch for too long.
func (c *Cell) prove() {
	if c.votes() { // raft's log tells it
		return
	}
	head, of, sure := c.fold.Head(), c.fold.Era(), c.fold.doubted().IsZero()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &c.proof
	switch {
	case sure && p.mark == of.mark && head.Index <= p.upto, head.Index < of.Base.Index:
		p.since = time.Time{}
	case p.since.IsZero():
		p.since = time.Now()
	case time.Since(p.since) >= proveWithin && !p.asking && !c.closed:
		p.since, p.asking = time.Now(), true
		c.wg.Go(func() {
			err := c.ask(of, head)
			c.mu.Lock()
			p.asking = false
			c.mu.Unlock()
			if err != nil {
				c.log.Debug("nobody vouches for this copy", zap.Error(err))
			}
		})
	}
}

// ask compares a head with voters' records: with one of them, and, if that does not have the entry, with who leads
// by its word.
func (c *Cell) ask(of era, head Head) error {
	list := slices.Clone(c.electors.of(of.mark, c.founders()))
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	asked := map[alerts.StationID]bool{c.cfg.Self: true}
	var errs []error
	for len(list) > 0 {
		s := list[0]
		list = list[1:]
		if asked[s] {
			continue
		}
		asked[s] = true
		a, err := c.inquire(s, head)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", s, err))
		case a.Place == samePlace:
			c.proved(head.Index, of)
			return nil
		case a.Place == otherPlace:
			return c.differs(s, fmt.Errorf("%w: at entry %d, says %s, which votes", ErrDiverged, head.Index, s))
		case a.Standing.Leader == s && a.Standing.Index < head.Index:
			return c.differs(s, fmt.Errorf("%w: the leader, %s, has %d entries, here are %d", ErrDiverged, s, a.Standing.Index, head.Index))
		case c.elects(a.Standing.Leader):
			list = slices.Insert(list, 0, a.Standing.Leader)
		}
	}
	return errors.Join(errs...)
}

// inquire asks a station what it has at a place.
func (c *Cell) inquire(of alerts.StationID, at Head) (answer, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.Links.patience())
	defer cancel()
	s, err := c.dial(ctx, of, opening{Purpose: forSurvey, Era: c.fold.Era().raw, Index: at.Index, Chain: at.Chain})
	if err != nil {
		return answer{}, err
	}
	s.conn.Close()
	if s.told.Standing == nil {
		return answer{}, errRefused
	}
	return s.told, nil
}

// placeOf answers where the one who asks stands. In doubt itself, or behind, it says nothing.
func (c *Cell) placeOf(o opening) uint64 {
	if o.Index == 0 || !c.fold.Whole() || !c.fold.doubted().IsZero() || c.fold.Err() != nil {
		return 0
	}
	switch ok, err := c.fold.has(Head{Index: o.Index, Chain: o.Chain}); {
	case errors.Is(err, ErrDiverged):
		return otherPlace
	case ok:
		return samePlace
	}
	return 0
}
