package record

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

// errEra says that a new epoch was announced by somebody who may not.
var errEra = errors.New("not one who may begin an epoch")

// Epoch is the one the record is in.
func (c *Cell) Epoch() uint64 { return c.fold.Era().Epoch }

// founders are the first voters of the record's epoch.
func (c *Cell) founders() []alerts.StationID {
	if e := c.fold.Era(); len(e.Voters) > 0 {
		return e.Voters
	}
	return c.cfg.Founders
}

// mayBegin reports whether a station's word can begin an epoch: it votes, as far as is known here, or it is of
// a kind that is not left alone in a village.
func (c *Cell) mayBegin(s alerts.StationID) bool {
	if slices.Contains(c.cfg.Founders, s) || slices.Contains(c.founders(), s) || slices.Contains(c.voters(), s) {
		return true
	}
	kind, _ := c.cfg.Ring.Kind(s)
	return kind.Trusted() && c.mayVote(s)
}

// learn takes in an epoch that another station told of.
func (c *Cell) learn(raw []byte) error {
	e, err := readEra(c.cfg.Cell, raw)
	if err != nil || !e.newer(c.fold.Era()) {
		return err
	}
	if err := e.verify(c.cfg.Ring); err != nil {
		return fmt.Errorf("epoch %d: %w", e.Epoch, err)
	}
	if !e.Root && !c.mayBegin(e.By) || !slices.Contains(e.Voters, e.By) {
		return fmt.Errorf("epoch %d: %w: %s", e.Epoch, errEra, e.By)
	}
	return c.adopt(e, nil)
}

// adopt passes over to an epoch. own are entries of this station's that it begins with.
func (c *Cell) adopt(e era, own [][]byte) error {
	c.turning.Lock()
	defer c.turning.Unlock()
	from, was := c.fold.Era(), c.fold.Head()
	if !e.newer(from) {
		return nil
	}
	if err := c.fold.Turn(e, own, c.council().loose(e.Base.Index)); err != nil {
		return fmt.Errorf("pass over to epoch %d: %w", e.Epoch, err)
	}
	c.mu.Lock()
	clear(c.heard)
	c.vouch, c.news = nil, news{}
	c.mu.Unlock()
	c.reseat()
	c.log.Warn("the record goes on in a new epoch", zap.Uint64("epoch", e.Epoch), zap.Uint64("upon", e.Base.Index),
		zap.Uint64("was at", was.Index), zap.Uint64("is at", c.fold.Head().Index), zap.String("said by", string(e.By)))
	return nil
}

// Meet tells a station of our epoch, or hears of its: the one that is behind passes over.
func (c *Cell) Meet(peer alerts.StationID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.meets[peer] {
		return
	}
	c.meets[peer] = true
	c.wg.Go(func() {
		defer func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.meets, peer)
		}()
		if _, err := c.survey(c.ctx, peer); err != nil {
			c.log.Debug("not met", zap.String("station", string(peer)), zap.Error(err))
		}
	})
}

// survey asks a station how its record stands.
func (c *Cell) survey(ctx context.Context, peer alerts.StationID) (Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Links.patience())
	defer cancel()
	s, err := c.dial(ctx, peer, opening{Purpose: forSurvey, Era: c.fold.Era().raw})
	if err != nil {
		return Standing{}, err
	}
	s.conn.Close()
	if s.told.Standing == nil {
		return Standing{}, fmt.Errorf("%w: an answer without a standing", wire.ErrMalformed)
	}
	return *s.told.Standing, nil
}

// batches runs f over what raft's log holds, in its order, until it says no. What cannot be read ends it too.
func (k *council) batches(f func(batch) bool) {
	if k == nil || k.logs == nil {
		return
	}
	first, err := k.logs.FirstIndex()
	last, err2 := k.logs.LastIndex()
	for i := max(first, 1); err == nil && err2 == nil && i <= last; i++ {
		var l raft.Log
		if err = k.logs.GetLog(i, &l); err != nil {
			break
		}
		if l.Type != raft.LogCommand {
			continue
		}
		b, bad := decodeBatch(l.Data)
		if bad != nil || !f(b) {
			err = bad
			break
		}
	}
	if err = errors.Join(err, err2); err != nil {
		k.log.Warn("not all of raft's log can be read", zap.Error(err))
	}
}

// loose are the events that raft's log holds beyond an index: agreed upon, perhaps, but not known to be.
func (k *council) loose(beyond uint64) (out []alerts.Event) {
	k.batches(func(b batch) bool {
		if b.Base+uint64(len(b.Entries)) <= beyond {
			return true
		}
		for _, raw := range b.Entries {
			if e, err := wire.DecodeEntry(raw); err == nil {
				out = append(out, e.Event)
			}
		}
		return true
	})
	return out
}

// tail are the entries that raft's log holds beyond the head, each batch upon the one before: what a majority
// may have agreed on before it was lost.
func (k *council) tail(head Head) (out [][]byte) {
	k.batches(func(b batch) bool {
		if b.Base == head.Index && b.Chain == head.Chain {
			for _, raw := range b.Entries {
				head = Head{Index: head.Index + 1, Chain: wire.Chain(head.Chain, raw)}
			}
			out = append(out, b.Entries...)
		}
		return true
	})
	return out
}
