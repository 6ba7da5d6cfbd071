package record

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

const (
	beat      = time.Second      // a head goes out at least this often
	sendBytes = 512 << 10        // of entries in a frame
	sendTime  = 10 * time.Second // a follower that takes no frame for so long is left
)

// vouch is a head that a leader signed, so that it can be believed whoever passes it on.
type vouch struct {
	By    alerts.StationID `cbor:"1,keyasint"`
	Epoch uint64           `cbor:"2,keyasint"`
	Index uint64           `cbor:"3,keyasint"`
	Chain alerts.Hash      `cbor:"4,keyasint"`
	Sig   []byte           `cbor:"5,keyasint"`
}

// signed is what the signature is over.
func (v vouch) signed(cell alerts.CellID) ([]byte, error) {
	v.Sig = nil
	return wire.Canonical.Marshal(struct {
		What string        `cbor:"1,keyasint"`
		Cell alerts.CellID `cbor:"2,keyasint"`
		Head vouch         `cbor:"3,keyasint"`
	}{"record head", cell, v})
}

// frame is what a follower is sent.
type frame struct {
	Base    uint64             `cbor:"1,keyasint"` // the entries follow upon this index
	Chain   alerts.Hash        `cbor:"2,keyasint"` // the running hash there
	Entries [][]byte           `cbor:"3,keyasint,omitempty"`
	Index   uint64             `cbor:"4,keyasint"` // where the sender stands
	Leader  alerts.StationID   `cbor:"5,keyasint,omitempty"`
	Voters  []alerts.StationID `cbor:"6,keyasint,omitempty"`
	Head    *vouch             `cbor:"7,keyasint,omitempty"` // the latest one the sender knows
	Other   bool               `cbor:"8,keyasint,omitempty"` // the follower's record is not the sender's
}

// serve sends a follower what it lacks, and then each entry as it is recorded.
func (c *Cell) serve(_ alerts.StationID, conn net.Conn, r *bufio.Reader, o opening) {
	defer conn.Close()
	if !c.begin() {
		return
	}
	defer c.wg.Done()
	defer context.AfterFunc(c.ctx, func() { conn.Close() })()
	gone := make(chan struct{})
	c.wg.Go(func() {
		defer close(gone)
		io.Copy(io.Discard, r) // a follower says nothing more: this only ends
	})
	tick := time.NewTicker(beat)
	defer tick.Stop()
	at, chain := o.Index, o.Chain
	for {
		changed := c.fold.Changed()
		f, err := c.next(at, chain)
		if err != nil {
			return
		}
		conn.SetWriteDeadline(time.Now().Add(sendTime))
		if wire.WriteFrame(conn, f) != nil || f.Other {
			return
		}
		at += uint64(len(f.Entries))
		for _, b := range f.Entries {
			chain = wire.Chain(chain, b)
		}
		if at < f.Index && len(f.Entries) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-gone:
			return
		case <-c.ctx.Done():
			return
		}
	}
}

// next is the frame for a follower who stands at an index.
func (c *Cell) next(at uint64, chain alerts.Hash) (frame, error) {
	f := frame{Base: at, Chain: chain, Leader: c.leader(), Voters: c.voters()}
	ours, here, err := c.fold.store.Chain(at)
	if err != nil {
		return f, err
	}
	if here && ours != chain {
		f.Other = true
		return f, nil
	}
	f.Index = c.fold.Head().Index
	page, err := c.fold.store.Read(at+1, maxBatch, sendBytes)
	if err != nil {
		return f, err
	}
	for _, r := range page {
		f.Entries = append(f.Entries, r.Bytes)
	}
	f.Head, err = c.vouched()
	return f, err
}

// vouched is this leader's own head, signed, or the last one heard from a leader.
func (c *Cell) vouched() (*vouch, error) {
	lead, head := c.leads(), c.fold.Head()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !lead || c.vouch != nil && c.vouch.By == c.cfg.Self && c.vouch.Index == head.Index {
		return c.vouch, nil
	}
	v := vouch{By: c.cfg.Self, Epoch: head.Epoch, Index: head.Index, Chain: head.Chain}
	b, err := v.signed(c.cfg.Cell)
	if err != nil {
		return nil, err
	}
	v.Sig = c.cfg.Identity.SignBytes(b)
	c.vouch = &v
	return c.vouch, nil
}

// Reasons to leave a source.
var (
	errBetter = errors.New("the leader itself can be followed")
	errStale  = errors.New("others are further on")
	errOther  = errors.New("its record is another one than ours")
)

// follow takes in what a station sends until there is a reason to stop. fine is called at each good frame.
func (c *Cell) follow(from alerts.StationID, fine func(frame) error) error {
	head := c.fold.Head()
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.Links.patience())
	conn, err := dial(ctx, c.cfg.Port, c.cfg.Addr, from, opening{
		Version: openVersion, Cell: c.cfg.Cell, Purpose: forFollow, Index: head.Index, Chain: head.Chain,
	})
	cancel()
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(c.ctx, func() { conn.Close() })()
	r := bufio.NewReader(conn)
	for {
		conn.SetReadDeadline(time.Now().Add(c.cfg.Links.patience()))
		var f frame
		if err := wire.ReadFrame(r, &f); err != nil {
			return err
		}
		if err := c.takeIn(from, f); err != nil {
			return err
		}
		if err := fine(f); err != nil {
			return err
		}
	}
}

func (c *Cell) takeIn(from alerts.StationID, f frame) error {
	if f.Other {
		if f.Leader == from {
			return c.fold.Stop(fmt.Errorf("%w: says its leader %s", ErrDiverged, from))
		}
		return errOther
	}
	if len(f.Entries) > 0 {
		if err := c.fold.Feed(f.Base, f.Chain, f.Entries); err != nil {
			return err
		}
	}
	c.Heard(f.Index, from)
	if f.Head == nil {
		return nil
	}
	b, err := f.Head.signed(c.cfg.Cell)
	if err != nil {
		return err
	}
	if err := c.cfg.Ring.Verify(f.Head.By, b, f.Head.Sig); err != nil {
		return fmt.Errorf("head passed on by %s: %w", from, err)
	}
	if !c.mayVote(f.Head.By) {
		return fmt.Errorf("head passed on by %s: %s has no say in this cell", from, f.Head.By)
	}
	if err := c.fold.Verify(Head{Epoch: f.Head.Epoch, Index: f.Head.Index, Chain: f.Head.Chain}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.vouch == nil || f.Head.Index >= c.vouch.Index {
		c.vouch = f.Head
	}
	return nil
}
