package record

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
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
	// Who votes now: it says whose heads are to be believed next.
	Voters []alerts.StationID `cbor:"6,keyasint,omitempty"`
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

// frame is what a follower is sent: little, where nothing changed.
type frame struct {
	Index uint64 `cbor:"1,keyasint"` // where the sender stands
	More  *more  `cbor:"2,keyasint,omitempty"`
	News  *news  `cbor:"3,keyasint,omitempty"` // when it is another than in the frame before
	Head  *vouch `cbor:"4,keyasint,omitempty"` // the latest one the sender knows, likewise
	Other bool   `cbor:"5,keyasint,omitempty"` // the follower's record is not the sender's
}

// more is entries, and what they follow upon.
type more struct {
	Base    uint64      `cbor:"1,keyasint"`
	Chain   alerts.Hash `cbor:"2,keyasint"`
	Entries [][]byte    `cbor:"3,keyasint"`
}

// news is what a station knows of its cell's agreement.
type news struct {
	Leader alerts.StationID   `cbor:"1,keyasint,omitempty"`
	Voters []alerts.StationID `cbor:"2,keyasint,omitempty"`
	Path   []alerts.StationID `cbor:"3,keyasint,omitempty"` // from the leader down to the sender; none: no leader feeds it
}

// feeding is one follower's stream.
type feeding struct {
	conn  net.Conn
	votes bool
	since uint64 // of two the greater one came later
}

// serve sends a follower what it lacks, and then each entry as it is recorded.
func (c *Cell) serve(peer alerts.StationID, conn net.Conn, r *bufio.Reader, o opening, say func(answer) error) {
	of := c.fold.Era()
	if !c.fold.Whole() || !c.fold.doubted().IsZero() {
		say(answer{Says: unready})
		return
	}
	if slices.Contains(c.path(), peer) {
		say(answer{Says: circular})
		return
	}
	me, feeds := c.feed(peer, conn)
	if me == nil {
		say(answer{Says: full, Feeds: feeds})
		return
	}
	defer c.leave(peer, me)
	defer context.AfterFunc(c.ctx, func() { conn.Close() })()
	if say(answer{Says: welcome}) != nil {
		return
	}
	gone := make(chan struct{})
	c.wg.Go(func() {
		defer close(gone)
		io.Copy(io.Discard, r) // a follower says nothing more: this only ends
	})
	tick := time.NewTicker(beat)
	defer tick.Stop()
	at, chain, err := c.common(o)
	var last frame
	for err == nil && c.fold.Era().mark == of.mark && c.fold.doubted().IsZero() && !slices.Contains(last.path(), peer) {
		changed := c.fold.Changed()
		var f frame
		if f, err = c.next(at, chain); err != nil {
			return
		}
		conn.SetWriteDeadline(time.Now().Add(sendTime))
		if wire.WriteFrame(conn, f.since(last)) != nil || f.Other {
			return
		}
		last = f
		if f.More != nil {
			at += uint64(len(f.More.Entries))
			for _, b := range f.More.Entries {
				chain = wire.Chain(chain, b)
			}
			if at < f.Index {
				continue
			}
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

// since is the frame without what the one before it said.
func (f frame) since(before frame) frame {
	if before.News != nil && reflect.DeepEqual(f.News, before.News) {
		f.News = nil
	}
	if f.Head == before.Head {
		f.Head = nil
	}
	return f
}

func (f frame) path() []alerts.StationID {
	if f.News == nil {
		return nil
	}
	return f.News.Path
}

// common is the last place that a follower's record shares with ours, as far as its opening shows.
func (c *Cell) common(o opening) (uint64, alerts.Hash, error) {
	for _, p := range append([]milestone{{o.Index, o.Chain}}, o.Places...) {
		ours, here, err := c.fold.store.Chain(p.Index)
		if err != nil || here && ours == p.Chain {
			return p.Index, p.Chain, err
		}
	}
	return o.Index, o.Chain, nil
}

// next is the frame for a follower who stands at an index.
func (c *Cell) next(at uint64, chain alerts.Hash) (frame, error) {
	f := frame{News: &news{Leader: c.leader(), Voters: c.voters(), Path: c.path()}}
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
	if len(page) > 0 {
		f.More = &more{Base: at, Chain: chain}
	}
	for _, r := range page {
		f.More.Entries = append(f.More.Entries, r.Bytes)
	}
	f.Head, err = c.vouched()
	return f, err
}

// vouched is this leader's own head, signed, or the last one heard from a leader.
func (c *Cell) vouched() (*vouch, error) {
	lead, head, voters := c.leads(), c.fold.Head(), c.raftVoters()
	slices.Sort(voters)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !lead || c.vouch != nil && c.vouch.By == c.cfg.Self && c.vouch.Index == head.Index && slices.Equal(c.vouch.Voters, voters) {
		return c.vouch, nil
	}
	v := vouch{By: c.cfg.Self, Epoch: head.Epoch, Index: head.Index, Chain: head.Chain, Voters: voters}
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
	errBetter   = errors.New("somebody nearer to the leader may be followed")
	errStale    = errors.New("others are further on")
	errOther    = errors.New("its record is another one than ours")
	errCircular = errors.New("it follows this station, by some way")
)

// follow takes in what a station sends until there is a reason to stop. fine is called at each good frame.
func (c *Cell) follow(from alerts.StationID, fine func(frame) error) error {
	of := c.fold.Era()
	o, err := c.place(of)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.Links.patience())
	s, err := c.dial(ctx, from, o)
	cancel()
	if err != nil {
		return err
	}
	defer s.conn.Close()
	defer context.AfterFunc(c.ctx, func() { s.conn.Close() })()
	var last news
	for {
		s.conn.SetReadDeadline(time.Now().Add(c.cfg.Links.patience()))
		var f frame
		if err := wire.ReadFrame(s.r, &f); err != nil {
			return err
		}
		if f.News != nil {
			last = *f.News
		}
		f.News = &last
		if err := c.takeIn(of, from, f); err != nil {
			return err
		}
		if err := fine(f); err != nil {
			return err
		}
	}
}

// place says where this station stands, for a source to go on from there. One that may have to drop entries
// names earlier places as well, each twice as far back.
func (c *Cell) place(of era) (opening, error) {
	head := c.fold.Head()
	o := opening{Purpose: forFollow, Index: head.Index, Chain: head.Chain, Era: of.raw}
	if c.fold.Whole() && c.fold.doubted().IsZero() {
		return o, nil
	}
	for back := uint64(1); ; back *= 2 {
		at := head.Index - min(back, head.Index)
		chain, ok, err := c.fold.store.Chain(at)
		if err != nil || !ok {
			return o, errors.Join(errGap, err)
		}
		o.Places = append(o.Places, milestone{at, chain})
		if at == 0 {
			return o, nil
		}
	}
}

func (c *Cell) takeIn(of era, from alerts.StationID, f frame) error {
	if f.Other {
		if f.News.Leader == from && c.elects(from) && c.fold.Whole() {
			return c.differs(from, fmt.Errorf("%w: says its leader %s", ErrDiverged, from))
		}
		return errOther
	}
	if slices.Contains(f.path(), c.cfg.Self) {
		return errCircular
	}
	if f.More != nil {
		if err := c.take(of, from, f.More); err != nil {
			return err
		}
	}
	if err := c.shed(from, f); err != nil {
		return err
	}
	c.Heard(f.Index, from)
	if f.Head == nil || f.Head.Epoch != of.Epoch {
		return nil
	}
	b, err := f.Head.signed(c.cfg.Cell)
	if err != nil {
		return err
	}
	if err := c.cfg.Ring.Verify(f.Head.By, b, f.Head.Sig); err != nil {
		return fmt.Errorf("head passed on by %s: %w", from, err)
	}
	if !c.elects(f.Head.By) {
		return nil // a village box that was carried off must not be able to stop the others' records
	}
	proven, err := c.fold.has(Head{Epoch: f.Head.Epoch, Index: f.Head.Index, Chain: f.Head.Chain})
	if errors.Is(err, ErrDiverged) {
		return c.differs(from, err)
	}
	if err != nil {
		return err
	}
	if proven {
		c.proved(f.Head.Index, of)
	}
	c.mu.Lock()
	newest := c.vouch == nil || f.Head.Index >= c.vouch.Index
	if newest {
		c.vouch = f.Head
	}
	c.mu.Unlock()
	if newest {
		c.electors.become(of.mark, f.Head.Voters)
	}
	return nil
}
