package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

// Config is what a cell's record needs from the station around it.
type Config struct {
	Cell     alerts.CellID
	Dir      string // this record's own; made if need be
	Self     alerts.StationID
	Identity *trust.Identity
	Ring     *trust.Ring
	Port     *trust.Port
	Founders []alerts.StationID                    // the first voters, the same list at each of them
	Addr     func(alerts.StationID) (string, bool) // where a station's mesh port is now
	Alive    func() []alerts.StationID             // the cell's stations that are up: who may become a voter
	Rules    *alerts.Rules                         //
	Standing func(alerts.Event) alerts.Standing    // may read the record
	Pending  func() []alerts.Event                 // of this cell
	Links    Profile
	Log      *zap.Logger
}

// Role is what a station is to a record.
type Role string

// The roles.
const (
	Leader   Role = "leader"
	Voter    Role = "voter"
	Follower Role = "follower"
)

// Status is how a record stands at this station.
type Status struct {
	Role   Role
	Leader alerts.StationID // empty: none in reach
	Voters []alerts.StationID
	Epoch  uint64
	Index  uint64
	Chain  alerts.Hash
	Term   uint64           // raft's; 0 at a station that has never voted
	Lag    uint64           // entries behind the highest index heard of
	Source alerts.StationID // who is followed
	Err    error            // why the record stands still here
}

// Cell is one cell's record at this station. It is safe for concurrent use.
type Cell struct {
	cfg   Config
	log   *zap.Logger
	host  *Host
	store *store
	logs  *logStore
	fold  *fold
	layer *layer
	trans *raft.NetworkTransport
	raft  *raft.Raft // nil where its store could not be opened: this station follows all the same
	poke  chan struct{}

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex // guards the rest; never held while anything else is called
	closed bool
	dead   error                       // why raft is no longer taking part
	heard  map[alerts.StationID]uint64 // how far others said they are
	from   alerts.StationID            // whom we follow
	told   frame                       // what it said last, without entries
	vouch  *vouch                      // the latest head a leader signed
}

// Open opens a record and takes part in its cell. The fold shows all that is kept here when it returns.
func Open(h *Host, cfg Config) (_ *Cell, err error) {
	c := &Cell{cfg: cfg, log: cfg.Log.With(zap.String("cell", string(cfg.Cell))), host: h, poke: make(chan struct{}, 1), heard: map[alerts.StationID]uint64{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open the record of cell %s: %w", cfg.Cell, err), c.closeStores())
			c.cancel()
		}
	}()
	if c.store, err = openStore(filepath.Join(cfg.Dir, "record.db")); err != nil {
		return nil, err
	}
	if c.fold, err = newFold(cfg.Cell, c.store); err != nil {
		c.fold.Stop(err) // the station lives on and says so
	}
	c.layer = newLayer(cfg)
	if err := c.openRaft(); err != nil {
		c.die(fmt.Errorf("raft does not start: %w", err))
	}
	h.add(c)
	if c.raft != nil {
		c.wg.Go((&duty{c: c, seen: map[alerts.Hash]time.Time{}}).run)
		c.wg.Go((&voters{c: c, since: map[alerts.StationID]time.Time{}}).run)
	}
	c.wg.Go((&source{c: c, rest: map[alerts.StationID]rest{}}).run)
	return c, nil
}

// openRaft fails on a damaged log, which must not keep a station from its alarms: a voter that lost its
// log may not vote again, but it can follow.
func (c *Cell) openRaft() (err error) {
	if c.logs, err = openLogStore(filepath.Join(c.cfg.Dir, "raft.db"), c.die); err != nil {
		return err
	}
	log := bridge(c.log)
	conf := c.cfg.Links.raft(raft.ServerID(c.cfg.Self))
	conf.Logger = log
	snaps, err := raft.NewFileSnapshotStoreWithLogger(c.cfg.Dir, keepSnapshots, log)
	if err != nil {
		return err
	}
	c.trans = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: c.layer, MaxPool: poolSize, Timeout: c.cfg.Links.patience(), Logger: log, MsgpackUseNewTimeFormat: true,
	})
	if err := c.found(conf, snaps); err != nil {
		return err
	}
	err = guarded(func() (err error) { // it panics at a log that it cannot read
		c.raft, err = raft.NewRaft(conf, &fsm{fold: c.fold, at: Head{Epoch: firstEpoch}}, c.logs, c.logs, snaps, c.trans)
		return err
	})
	c.logs.parks.Store(true) // from now on a goroutine of raft's own asks
	return err
}

// found writes the first configuration at a founder: the same at each, so it does not matter who begins.
func (c *Cell) found(conf *raft.Config, snaps raft.SnapshotStore) error {
	had, err := raft.HasExistingState(c.logs, c.logs, snaps)
	if err != nil || had || !slices.Contains(c.cfg.Founders, c.cfg.Self) {
		return err
	}
	var first raft.Configuration
	for _, s := range c.cfg.Founders {
		first.Servers = append(first.Servers, raft.Server{ID: raft.ServerID(s), Address: raft.ServerAddress(s)})
	}
	return raft.BootstrapCluster(conf, c.logs, c.logs, snaps, c.trans, first)
}

// die takes raft off the network: its store does not answer, and a leader like that would go on sending
// heartbeats. It may be called by raft itself.
func (c *Cell) die(err error) {
	c.mu.Lock()
	first := c.dead == nil
	if first {
		c.dead = err
	}
	c.mu.Unlock()
	if first {
		c.log.Error("this station no longer takes part in the cell's record", zap.Error(err))
		c.closeTransport()
	}
}

func (c *Cell) closeTransport() {
	if c.trans != nil {
		c.trans.Close()
		c.trans.CloseStreams()
	}
	c.layer.Close()
}

// begin counts a stream in, unless the cell is closing.
func (c *Cell) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.wg.Add(1)
	return true
}

// Close ends everything and waits for it.
func (c *Cell) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	c.host.remove(c)
	c.cancel()
	var err error
	if c.raft != nil {
		end := c.raft.Shutdown()
		c.logs.Release()
		c.closeTransport() // raft waits for what it has on its way, over links that may be cut
		err = end.Error()
	}
	c.wg.Wait()
	return errors.Join(err, c.closeStores())
}

func (c *Cell) closeStores() (err error) {
	if c.logs != nil {
		err = c.logs.Close()
	}
	if c.store != nil {
		err = errors.Join(err, c.store.Close())
	}
	return err
}

// Poke says that the pending events have changed.
func (c *Cell) Poke() {
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

// Read runs f on the fold under the reader's lock. f must not keep the State, nor call Read.
func (c *Cell) Read(f func(*alerts.State)) {
	c.fold.mu.RLock()
	defer c.fold.mu.RUnlock()
	f(c.fold.state)
}

// Watch has f told of every entry from now on, after it is kept, in order. f must not block.
func (c *Cell) Watch(f func(alerts.Change)) { c.fold.Watch(f) }

// Entries returns at most max entries from an index on.
func (c *Cell) Entries(from uint64, max int) ([]Raw, error) {
	return c.store.Read(from, max, wire.MaxFrame)
}

// Heard notes that another station said how far it is.
func (c *Cell) Heard(index uint64, from alerts.StationID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard[from] = index
}

// ahead lists who said to be further on than we are, the furthest first.
func (c *Cell) ahead() []alerts.StationID {
	at := c.fold.Head().Index
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []alerts.StationID
	for s, i := range c.heard {
		if i > at {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b alerts.StationID) int {
		return cmp.Or(cmp.Compare(c.heard[b], c.heard[a]), cmp.Compare(a, b))
	})
	return out
}

func (c *Cell) setSource(from alerts.StationID, f frame) {
	f.Entries = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.from, c.told = from, f
}

// mayVote: only stations of the cell, and its founders, have a say in it.
func (c *Cell) mayVote(s alerts.StationID) bool {
	who, ok := c.cfg.Ring.Who(s)
	return slices.Contains(c.cfg.Founders, s) || ok && who.Cell == c.cfg.Cell
}

func (c *Cell) leads() bool {
	return c.raft != nil && c.raft.State() == raft.Leader && c.Err() == nil
}

// raftLeader is who leads as raft here knows; empty where it does not know, or no longer takes part.
func (c *Cell) raftLeader() alerts.StationID {
	if c.gone() {
		return ""
	}
	_, id := c.raft.LeaderWithID()
	return alerts.StationID(id)
}

// leader is who leads, by raft where this station votes, else as the station it follows says.
func (c *Cell) leader() alerts.StationID {
	if l := c.raftLeader(); l != "" || c.votes() && !c.gone() {
		return l
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told.Leader == c.cfg.Self {
		return "" // said by one who still believes what this station said before it stood down
	}
	return c.told.Leader
}

func (c *Cell) votes() bool { return slices.Contains(c.raftVoters(), c.cfg.Self) }

// voters are the cell's, as raft or the station we follow says.
func (c *Cell) voters() []alerts.StationID {
	if v := c.raftVoters(); len(v) > 0 {
		return v
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told.Voters
}

func (c *Cell) raftVoters() (out []alerts.StationID) {
	if c.raft == nil {
		return nil
	}
	for _, s := range c.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter {
			out = append(out, alerts.StationID(s.ID))
		}
	}
	return out
}

// gone reports whether raft has been taken off the network.
func (c *Cell) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead != nil
}

// Err is why this record stands still here, or nil.
func (c *Cell) Err() error {
	if err := c.fold.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// Status is how the record stands here.
func (c *Cell) Status() Status {
	head := c.fold.Head()
	s := Status{
		Role: Follower, Leader: c.leader(), Voters: c.voters(),
		Epoch: head.Epoch, Index: head.Index, Chain: head.Chain, Err: c.Err(),
	}
	if c.raft != nil {
		s.Term = c.raft.CurrentTerm()
	}
	switch {
	case c.leads():
		s.Role = Leader
	case c.votes():
		s.Role = Voter
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Source = c.from
	if c.vouch != nil && c.vouch.Index > head.Index {
		s.Lag = c.vouch.Index - head.Index
	}
	for _, i := range c.heard {
		if i > head.Index {
			s.Lag = max(s.Lag, i-head.Index)
		}
	}
	return s
}
