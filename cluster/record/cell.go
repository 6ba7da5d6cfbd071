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
	"sync/atomic"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
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
	Founders []alerts.StationID                           // the first voters, the same list at each of them
	Addr     func(alerts.StationID) (string, bool)        // where a station's mesh port is now
	Alive    func() []alerts.StationID                    // the cell's stations that are up: who may become a voter
	Member   func(alerts.StationID) bool                  // who is of the cell now; nil: as the certificates say
	Wanted   func() int                                   // how many voters the directory asks for; nil or 0: it leaves that open
	Power    func(alerts.StationID) (wired, battery bool) // what a station says of its link and power; nil: the best of all
	Rules    *alerts.Rules                                //
	Standing func(alerts.Event) alerts.Standing           // may read the record
	Pending  func() []alerts.Event                        // of this cell
	Returned func([]alerts.Event) error                   // takes events of dropped entries into the pending set; answers after the fsync
	Links    Profile
	Disk     *disk.Disk // what the station's stores share; nil: a good one
	Log      *zap.Logger

	FollowOnly bool // this station only reads the record: the cell is not its own
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
	Depth  int              // stations between here and the leader, this one included; -1: none leads there
	Feeds  int              // stations that follow this one
	Mark   alerts.Hash      // of the epoch: two of one number may have been begun
	Err    error            // why the record stands still here
}

// Cell is one cell's record at this station. It is safe for concurrent use.
type Cell struct {
	cfg   Config
	log   *zap.Logger
	host  *Host
	store *store
	fold  *fold
	sits  atomic.Pointer[council] // raft's part; nil between two of them
	anew  chan struct{}           // the council is to be opened anew
	well  chan struct{}           // the store's disk works again
	lost  chan span               // entries that cannot be read here any more
	poke  chan struct{}

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	turning sync.Mutex // an epoch is adopted, or the council changed, by one at a time

	mu     sync.Mutex // guards the rest; never held while anything else is called
	closed bool
	heard  map[alerts.StationID]uint64   // how far others said they are
	from   alerts.StationID              // whom we follow
	news   news                          // what it said last
	vouch  *vouch                        // the latest head a leader signed
	proof  proof                         // how far voters' words say that this copy is the cell's
	fed    map[alerts.StationID]*feeding // who follows us
	meets  map[alerts.StationID]bool     // whom we ask for their epoch just now

	leaving  leaving
	electors *electors
}

// Open opens a record and takes part in its cell. The fold shows all that is kept here when it returns.
func Open(h *Host, cfg Config) (_ *Cell, err error) {
	c := &Cell{
		cfg: cfg, log: cfg.Log.With(zap.String("cell", string(cfg.Cell))), host: h, poke: make(chan struct{}, 1),
		anew: make(chan struct{}, 1), well: make(chan struct{}, 1), lost: make(chan span, 1), heard: map[alerts.StationID]uint64{},
		fed: map[alerts.StationID]*feeding{}, meets: map[alerts.StationID]bool{}, electors: openElectors(cfg.Dir),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open the record of cell %s: %w", cfg.Cell, err), c.closeStores())
			c.cancel()
		}
	}()
	if c.store, err = openStore(cfg.Disk, cfg.Cell, filepath.Join(cfg.Dir, "record.db"), c.log, c.storeWatch()); err != nil {
		return nil, err
	}
	c.fold, err = newFold(cfg.Cell, c.store)
	if errors.Is(err, errRotten) || errors.Is(err, disk.ErrDamaged) {
		if err = c.store.Repair(err); err == nil {
			c.fold, err = newFold(cfg.Cell, c.store)
		}
	}
	if err != nil && c.store.Err() == nil {
		c.fold.Stop(err) // the station lives on and says so
	}
	c.leaving.forget(c.store.Kept())
	c.fold.Watch(c.leaving.recorded)
	c.fold.back = cfg.Returned
	if err := c.fold.GiveBack(); err != nil {
		c.log.Warn("events of dropped entries wait", zap.Error(err))
	}
	if !cfg.FollowOnly {
		c.convoke()
		c.wg.Go(c.keepCouncil)
	}
	h.add(c)
	c.wg.Go(c.tend)
	c.wg.Go(c.keepSound)
	c.wg.Go((&source{c: c, rest: map[alerts.StationID]rest{}}).run)
	return c, nil
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

// Close hands over the lead, ends everything and waits for it.
func (c *Cell) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	if k := c.council(); k != nil {
		k.handOver()
	}
	c.host.remove(c)
	c.cancel()
	c.wg.Wait()
	var err error
	if k := c.council(); k != nil {
		err = k.close()
	}
	return errors.Join(err, c.closeStores())
}

func (c *Cell) closeStores() error {
	if c.store == nil {
		return nil
	}
	return c.store.Close()
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

// OnReset has f told when entries were dropped, for a newer epoch, and all that Read shows is made anew. f must
// not block.
func (c *Cell) OnReset(f func()) { c.fold.OnReset(f) }

func (c *Cell) setSource(from alerts.StationID, n news) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.from, c.news = from, n
}

// mayVote: only stations of the cell, its founders, and those that its raft still counts on have a say in it.
func (c *Cell) mayVote(s alerts.StationID) bool {
	return slices.Contains(c.founders(), s) || c.member(s) || slices.Contains(c.voters(), s)
}

// member: the station works for this cell now.
func (c *Cell) member(s alerts.StationID) bool {
	if c.cfg.Member != nil {
		return c.cfg.Member(s)
	}
	who, ok := c.cfg.Ring.Who(s)
	return slices.Contains(c.founders(), s) || ok && who.Cell == c.cfg.Cell
}

// Voted reports whether a station with this folder of a record has taken part in its raft, or, of one that was
// restored, is to begin it.
func Voted(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, seatFile)); err == nil {
		return true
	}
	first, _ := filepath.Glob(filepath.Join(dir, "raft.db"))
	later, _ := filepath.Glob(filepath.Join(dir, "epoch-*", "raft.db"))
	return len(first)+len(later) > 0
}

// sealed reports whether the record has ended: there is nothing more to follow.
func (c *Cell) sealed() bool {
	c.fold.mu.RLock()
	defer c.fold.mu.RUnlock()
	_, ended := c.fold.state.SealedInto()
	return ended
}

func (c *Cell) leads() bool {
	k := c.council()
	return k != nil && k.raft != nil && k.raft.State() == raft.Leader && c.Err() == nil && k.fsm.whole()
}

// raftLeader is who leads as raft here knows; empty where it does not know, or no longer takes part.
func (c *Cell) raftLeader() alerts.StationID {
	k := c.council()
	if k == nil || k.raft == nil || k.reason() != nil {
		return ""
	}
	_, id := k.raft.LeaderWithID()
	return alerts.StationID(id)
}

// leader is who leads, by raft where this station votes, else as the station it follows says.
func (c *Cell) leader() alerts.StationID {
	if l := c.raftLeader(); l != "" || c.votes() && c.council().reason() == nil {
		return l
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.news.Leader == c.cfg.Self {
		return "" // said by one who still believes what this station said before it stood down
	}
	return c.news.Leader
}

func (c *Cell) votes() bool { return slices.Contains(c.raftVoters(), c.cfg.Self) && !c.unseated() }

// unseated: raft here still believes that this station votes, and the leader, whom it follows, says who does.
func (c *Cell) unseated() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.from != "" && c.news.Leader == c.from && len(c.news.Voters) > 0 && !slices.Contains(c.news.Voters, c.cfg.Self)
}

// voters are the cell's, as raft or the station we follow says.
func (c *Cell) voters() []alerts.StationID {
	if v := c.raftVoters(); len(v) > 0 && !c.unseated() {
		return v
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.news.Voters
}

func (c *Cell) raftVoters() (out []alerts.StationID) {
	k := c.council()
	if k == nil || k.raft == nil {
		return nil
	}
	for _, s := range k.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter {
			out = append(out, alerts.StationID(s.ID))
		}
	}
	return out
}

// Err is why this record stands still here, or nil.
func (c *Cell) Err() error {
	if err := c.fold.Err(); err != nil {
		return err
	}
	if err := c.store.Err(); err != nil {
		return fmt.Errorf("the record is not kept here: %w", err)
	}
	return c.council().reason()
}

// Status is how the record stands here.
func (c *Cell) Status() Status {
	head, of := c.fold.Head(), c.fold.Era()
	s := Status{
		Role: Follower, Leader: c.leader(), Voters: c.voters(),
		Epoch: of.Epoch, Mark: of.mark, Index: head.Index, Chain: head.Chain, Err: c.Err(), Depth: -1,
	}
	if k := c.council(); k != nil && k.raft != nil {
		s.Term = k.raft.CurrentTerm()
	}
	switch {
	case c.leads():
		s.Role = Leader
	case c.votes():
		s.Role = Voter
	}
	if path, ok := c.way(); ok {
		s.Depth = len(path)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Source, s.Feeds = c.from, len(c.fed)
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
