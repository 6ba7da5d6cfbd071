package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/gossip"
	"hivemesh/cluster/pending"
	"hivemesh/cluster/record"
	"hivemesh/cluster/trust"
)

// PeersFile lies in a station's directory and names the stations it knows of.
const PeersFile = "peers"

// Config is what a station needs to take part in its county.
type Config struct {
	Identity *trust.Identity
	Ring     *trust.Ring
	Network  trust.Network
	Listen   string      // host:port of the mesh port
	Dir      string      // this station's data; one folder a cell below it
	Keys     *trust.Keys // the county's gossip keys
	Seeds    []string
	Hints    gossip.Hints
	Home     Cell // the cell that every station follows; its record holds the directory
	Mixed    bool // slow or metered links between voters
	Rules    *alerts.Rules
	Standing func(alerts.Event) alerts.Standing
	Events   Events
	Join     trust.JoinHandler // nil where the authority's key is not
	Faults   *disk.Faults      // a bad disk, in tests; nil in the field
	Log      *zap.Logger
}

// Cell is a cell, and the stations that founded its record together.
type Cell struct {
	ID       alerts.CellID
	Founders []alerts.StationID
}

// Events are told what happens, each from one goroutine at a time per cause, in order. None may block.
type Events struct {
	Pending  func(e alerts.Event)                                // entered the pending set, or, of a cell not followed, left it
	Recorded func(cell alerts.CellID, c alerts.Change)           // stands in the record
	Reset    func(cell alerts.CellID)                            // a newer epoch dropped entries: all of the cell is to be read anew
	Here     func(event alerts.Hash, kept bool)                  // an event is fsynced here, or a damaged disk lost it again
	Kept     func(event alerts.Hash, by alerts.StationID)        // another station fsynced it
	Settled  func(e alerts.Event, d pending.Done)                // stands in the record of a cell not followed here
	Opened   func(cell alerts.CellID)                            // its record is followed from now on, or no longer
	Member   func(m gossip.Member)                               // came, went or changed
	Cast     func(topic string, from alerts.StationID, b []byte) // soft state from another station
}

// County is a station's part in it.
type County struct {
	cfg      Config
	log      *zap.Logger
	disk     *disk.Disk
	port     *trust.Port
	news     *trust.News
	compares compares
	caution  caution
	evens    evens
	began    time.Time
	nearby   nearby
	gossip   atomic.Pointer[gossip.Gossip] // nil until everything that it would wake is there
	set      *pending.Set
	links    *pending.Links
	swaps    *pending.Sync
	host     *record.Host

	directory   atomic.Pointer[alerts.Directory]
	postless    atomic.Pointer[map[alerts.CellID]bool] // cells without a post or centre of their own
	follow      chan struct{}                          // the directory has changed
	refollowing sync.Mutex                             // one opens and closes records at a time
	begun       atomic.Bool                            // whoever has this County hears of cells that open and close

	cellsMu sync.RWMutex // never held while a record works
	cells   map[alerts.CellID]*record.Cell
	has     map[alerts.CellID]part

	laneMu sync.Mutex
	lanes  lanes

	ctx    context.Context // ends what is under way at Close
	cancel context.CancelFunc
	undo   []func() error // what Close does, last first
}

// Open starts everything; on error what was started is stopped again.
func Open(cfg Config) (_ *County, err error) {
	c := &County{
		cfg: cfg, log: cfg.Log, began: time.Now(), follow: make(chan struct{}, 1),
		cells: map[alerts.CellID]*record.Cell{}, has: map[alerts.CellID]part{},
	}
	c.lanes.sure, c.lanes.ended = map[alerts.Hash]pending.Done{}, map[farKey]time.Time{}
	c.evens.at, c.evens.far = map[alerts.CellID]time.Time{}, map[alerts.Hash]bool{}
	c.compares.last = map[alerts.StationID]time.Time{}
	c.caution.over = make(chan struct{})
	c.postless.Store(&map[alerts.CellID]bool{})
	c.ctx, c.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("station directory: %w", err)
	}
	c.disk = disk.Open(cfg.Dir, cfg.Faults, cfg.Log.Named("disk"))
	c.onClose(c.disk.Close)
	if c.set, err = pending.OpenSet(c.disk, filepath.Join(cfg.Dir, "pending.db"), cfg.Ring.Check, cfg.Log.Named("pending")); err != nil {
		return nil, err
	}
	c.onClose(c.set.Close)
	c.set.Watch(c.pendingChanged)
	c.set.WatchKept(cfg.Events.Here)
	if c.port, err = trust.OpenPort(cfg.Network, cfg.Listen, cfg.Identity, cfg.Ring, cfg.Log.Named("port")); err != nil {
		return nil, err
	}
	c.onClose(c.port.Close)
	if err := c.openRecords(); err != nil {
		return nil, err
	}
	c.openNews() // first: links and syncs wait for it
	c.openLinks()
	c.openLeave()
	if cfg.Join != nil {
		c.port.HandleJoin(cfg.Join)
	}
	return c, c.openGossip()
}

func (c *County) onClose(f func() error) { c.undo = append(c.undo, f) }

// Close stops everything in the reverse order of its start.
func (c *County) Close() error {
	c.cancel()
	var errs []error
	for len(c.undo) > 0 {
		last := c.undo[len(c.undo)-1]
		c.undo = c.undo[:len(c.undo)-1]
		errs = append(errs, last())
	}
	return errors.Join(errs...)
}
