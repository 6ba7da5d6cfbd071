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
	if c == nil {
		conn.Close()
		return
	}
	c.receive(peer, conn, r, o)
}
