package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/record"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

const (
	leaveVersion = 1
	leaveAgain   = 500 * time.Millisecond // a change of voters takes some of these
	leaveTime    = 10 * time.Second       // one question and its answer
	maxLeave     = 1 << 10                // bytes of either
	byeTime      = 5 * time.Second        // for all others to hear that a station has left
)

// ErrLastVoter says that a station cannot leave: nobody else could go on with a record.
var ErrLastVoter = errors.New("it alone keeps the record; another station must have joined and been there for a while")

// leaveAsk is what a station that wants to go asks whoever leads a cell, and leaveSaid the answer.
type leaveAsk struct {
	Version uint64        `cbor:"1,keyasint"`
	Cell    alerts.CellID `cbor:"2,keyasint"`
}

type leaveSaid struct {
	Free   bool             `cbor:"1,keyasint,omitempty"` // the record does not need it any more
	Leader alerts.StationID `cbor:"2,keyasint,omitempty"` // ask this one
}

// evens is what is known to be with other stations, too.
type evens struct {
	mu  sync.Mutex
	at  map[alerts.CellID]time.Time // all that was pending of a followed cell then
	far map[alerts.Hash]bool        // pending events of cells that are not followed here
}

// kept notes that another station has an event on its disk.
func (c *County) kept(event alerts.Hash, by alerts.StationID) {
	if e, held := c.set.Event(event); held && c.cell(e.Cell) == nil {
		c.evens.mu.Lock()
		c.evens.far[event] = true
		c.evens.mu.Unlock()
	}
	c.cfg.Events.Kept(event, by)
}

// even notes that another station has all that is pending here of a cell.
func (c *County) even(cell alerts.CellID, _ alerts.StationID) {
	c.evens.mu.Lock()
	defer c.evens.mu.Unlock()
	c.evens.at[cell] = time.Now()
}

// openLeave answers stations that want to go.
func (c *County) openLeave() {
	c.port.Handle(trust.ProtoLeave, func(peer alerts.StationID, conn net.Conn) {
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(leaveTime))
		var ask leaveAsk
		if err := wire.ReadFrameMax(bufio.NewReader(conn), &ask, maxLeave); err != nil || ask.Version != leaveVersion {
			return
		}
		r := c.cell(ask.Cell)
		if r == nil {
			return
		}
		var said leaveSaid
		leads := false
		if said.Free, leads = r.Excuse(peer); !leads {
			said.Leader = r.Status().Leader
		}
		if err := wire.WriteFrame(conn, said); err != nil {
			c.log.Debug("answer who wants to leave", zap.String("station", string(peer)), zap.Error(err))
		}
	})
}

// Leave takes this station out of the county for good, as long as ctx lets it try: others get what is pending
// here, its records go on without its vote, one after the other, and everybody is told not to wait for it. Until its
// votes are given up it takes alerts as ever; then shut is called, after which no event may be made here, and what
// was made meanwhile is handed on as well. It is still to be closed.
func (c *County) Leave(ctx context.Context, shut func()) error {
	if err := c.handOff(ctx); err != nil {
		return err
	}
	for _, id := range c.Cells() {
		r := c.cell(id)
		if r == nil || c.parts(id) != votes {
			continue // only read here
		}
		if err := c.giveUpSeat(ctx, id, r); err != nil {
			return fmt.Errorf("leave the record of cell %s: %w", id, err)
		}
	}
	shut()
	if err := c.handOff(ctx); err != nil {
		return err
	}
	return c.sayBye(ctx)
}

// handOff waits until everything pending here is with another station as well.
func (c *County) handOff(ctx context.Context) error {
	begin := time.Now()
	for {
		waits := c.onlyHere(begin)
		if len(waits) == 0 {
			return nil
		}
		for _, s := range c.others() {
			c.swaps.Poke(s)
		}
		if !pause(ctx) {
			return fmt.Errorf("not yet handed on: %s (%w)", strings.Join(waits, ", "), ctx.Err())
		}
	}
}

// onlyHere says how many pending events of which cells no other station is known to have since a moment.
func (c *County) onlyHere(since time.Time) (out []string) {
	for _, id := range c.KnownCells() {
		n := c.set.Count(id)
		c.evens.mu.Lock()
		even := c.evens.at[id].After(since)
		c.evens.mu.Unlock()
		if c.cell(id) == nil {
			even, n = false, c.farOnlyHere(id)
		}
		if n > 0 && !even {
			out = append(out, fmt.Sprintf("%d events of cell %s are with no other station", n, id))
		}
	}
	return out
}

// farOnlyHere counts the events made here for a cell not followed here that are neither known to be recorded there
// nor to be on another station's disk. Those of others came from somebody who holds them.
func (c *County) farOnlyHere(id alerts.CellID) (n int) {
	for _, e := range c.set.List(id) {
		c.evens.mu.Lock()
		near := c.evens.far[e.ID]
		c.evens.mu.Unlock()
		if e.Station == c.cfg.Identity.Station && !near && !c.Sure(e.ID) {
			n++
		}
	}
	return n
}

// giveUpSeat asks whoever leads until this station has no part in a record's agreement.
func (c *County) giveUpSeat(ctx context.Context, cell alerts.CellID, r *record.Cell) error {
	var last error
	for {
		s := r.Status()
		free, leads := r.Excuse(c.cfg.Identity.Station) // as a leader it hands over first
		switch {
		case leads && len(s.Voters) < 2:
			return ErrLastVoter
		case leads && free:
			return nil
		case !leads && s.Leader != "":
			said, err := c.askToLeave(ctx, cell, s.Leader)
			if said.Free {
				return nil
			}
			last = err
		case !leads:
			last = errors.New("nobody leads it: too few of its voters reach each other")
		}
		if !pause(ctx) {
			return errors.Join(ctx.Err(), last)
		}
	}
}

func (c *County) askToLeave(ctx context.Context, cell alerts.CellID, leader alerts.StationID) (said leaveSaid, err error) {
	addr, known := c.addr(leader)
	if !known {
		return said, fmt.Errorf("no address is known of %s", leader)
	}
	conn, err := c.port.Dial(ctx, trust.ProtoLeave, addr, leader)
	if err != nil {
		return said, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(leaveTime))
	if err := wire.WriteFrame(conn, leaveAsk{Version: leaveVersion, Cell: cell}); err != nil {
		return said, err
	}
	return said, wire.ReadFrameMax(bufio.NewReader(conn), &said, maxLeave)
}

// sayBye tells all others; one that heard is enough, for it tells the rest.
func (c *County) sayBye(ctx context.Context) error {
	others := c.mesh()
	raw, err := c.cfg.Identity.Farewell()
	if err == nil {
		_, err = c.cfg.Ring.TakeNotice(raw)
	}
	if err != nil || len(others) == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, byeTime)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, len(others))
	for k, addr := range others {
		wg.Go(func() { errs[k] = c.meet(ctx, addr) })
	}
	wg.Wait()
	// Who has heard it from another meanwhile does not meet this station any more: not every error is one.
	for len(c.cfg.Ring.Knows(c.cfg.Identity.Station)) == 0 {
		if pause(ctx) {
			continue
		}
		return fmt.Errorf("nobody heard that this station has left: %w", errors.Join(errs...))
	}
	if g := c.gossip.Load(); g != nil {
		return g.Leave(byeTime)
	}
	return nil
}

// others are the stations that are alive, this one not included.
func (c *County) others() (out []alerts.StationID) {
	for _, m := range c.Members() {
		if m.Alive && m.Station != c.cfg.Identity.Station {
			out = append(out, m.Station)
		}
	}
	return out
}

// pause waits a moment; false: ctx has ended.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(leaveAgain):
		return true
	}
}
