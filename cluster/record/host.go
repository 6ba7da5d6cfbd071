package record

import (
	"bufio"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

// What a stream is for.
const (
	forRaft   = 1
	forFollow = 2

	openVersion = 1
	openTime    = 10 * time.Second // a stream that has not said by then what it is for is closed
	openLimit   = 1 << 10          // bytes of the first frame: names and a hash
)

// opening is the first frame of a stream.
type opening struct {
	Version uint64        `cbor:"1,keyasint"`
	Cell    alerts.CellID `cbor:"2,keyasint"`
	Purpose uint64        `cbor:"3,keyasint"`
	Index   uint64        `cbor:"4,keyasint,omitempty"` // follow: where the follower stands
	Chain   alerts.Hash   `cbor:"5,keyasint"`           // its running hash there
}

// Host owns trust.ProtoRecord on a port and leads each stream to its cell: several live in one process.
type Host struct {
	log *zap.Logger

	mu    sync.Mutex
	cells map[alerts.CellID]*Cell
}

// NewHost takes the port's record streams from now on.
func NewHost(port *trust.Port, log *zap.Logger) *Host {
	h := &Host{log: log, cells: map[alerts.CellID]*Cell{}}
	port.Handle(trust.ProtoRecord, h.serve)
	return h
}

// Close lets in no more streams; those of a cell end with the cell, and the port waits for all.
func (h *Host) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.cells)
	return nil
}

func (h *Host) add(c *Cell) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cells[c.cfg.Cell] = c
}

func (h *Host) remove(c *Cell) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.cells, c.cfg.Cell)
}

func (h *Host) serve(peer alerts.StationID, conn net.Conn) {
	r := bufio.NewReader(conn)
	conn.SetReadDeadline(time.Now().Add(openTime))
	var o opening
	if err := wire.ReadFrameMax(r, &o, openLimit); err != nil || o.Version != openVersion {
		h.log.Debug("a record stream did not say what it is for", zap.String("peer", string(peer)), zap.Error(err))
		conn.Close()
		return
	}
	conn.SetReadDeadline(time.Time{})
	h.mu.Lock()
	c := h.cells[o.Cell]
	h.mu.Unlock()
	switch {
	case c == nil:
		conn.Close()
	case o.Purpose == forRaft && c.mayVote(peer):
		if k := c.council(); k != nil {
			k.layer.take(conn, r)
		} else {
			conn.Close()
		}
	case o.Purpose == forFollow:
		c.serve(peer, conn, r, o)
	default:
		conn.Close()
	}
}
