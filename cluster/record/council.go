package record

import (
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
	"hivemesh/cluster/disk"
)

// convokeEvery is how often a council that should sit and does not is tried again.
const convokeEvery = time.Second

// council is a station's part in the agreement of one epoch's voters: raft and all that works by it. The
// record outlives it; a new epoch, or a disk that is well again, gets a new one.
type council struct {
	*Cell
	era   era
	dir   string
	logs  *logStore
	layer *layer
	trans *raft.NetworkTransport
	peers *contacts
	fsm   *fsm
	snaps *snapStore
	raft  *raft.Raft // nil where its store could not be opened: this station follows all the same

	ctx    context.Context // ends with this council, or with the cell
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex                     // guards the rest
	dead    error                          // why raft is no longer taking part
	excused map[alerts.StationID]time.Time // who wants to go for good, and when it last said so
}

// openCouncil never fails as a whole: a station whose raft does not start still follows, and says so.
func (c *Cell) openCouncil() *council {
	e := c.fold.Era()
	k := &council{Cell: c, era: e, dir: filepath.Join(c.cfg.Dir, e.folder()), layer: newLayer(c, e)}
	k.ctx, k.cancel = context.WithCancel(c.ctx)
	err := c.store.Err()
	if err == nil {
		err = k.openRaft()
	}
	if err != nil {
		k.die(fmt.Errorf("raft does not start: %w", err))
	}
	if k.raft != nil {
		k.work.Go((&duty{c: k, seen: map[alerts.Hash]time.Time{}}).run)
		k.work.Go(newVoters(k).run)
		k.work.Go(k.heir)
	}
	return k
}

// openRaft fails on a damaged log, which must not keep a station from its alarms: a voter that lost its
// log may not vote again, but it can follow.
func (k *council) openRaft() (err error) {
	if k.logs, err = openLogStore(k.cfg.Disk, k.cfg.Cell, k.dir, k.mark(), k.die); err != nil {
		return err
	}
	log := bridge(k.log)
	conf := k.cfg.Links.raft(raft.ServerID(k.cfg.Self))
	conf.Logger = log
	if k.snaps, err = openSnaps(k.dir, log); err != nil {
		return err
	}
	k.trans = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: k.layer, MaxPool: poolSize, Timeout: k.cfg.Links.patience(), Logger: log, MsgpackUseNewTimeFormat: true,
	})
	k.peers = newContacts(k.trans, k.cfg.Links.patience())
	if err := k.found(conf, k.snaps); err != nil {
		return err
	}
	k.fsm = newFSM(k.fold, k.era)
	err = disk.Guarded(func() (err error) { // it panics at a log that it cannot read
		k.raft, err = raft.NewRaft(conf, k.fsm, k.logs, k.logs, k.snaps, k.peers)
		return err
	})
	switch said := k.logs.failed.Load(); {
	case err != nil && k.logs.rotten.Load() != nil:
		err = k.mark().lose(err)
	case err != nil && said != nil: // raft panics there, too; but nothing is damaged, only the disk is not well yet
		err = *said
	}
	k.logs.parks.Store(true) // from now on a goroutine of raft's own asks
	return err
}

// mark lies beside the record's folder: what happens to that must not take it along.
func (k *council) mark() mark {
	of := "first"
	if k.dir != k.cfg.Dir {
		of = filepath.Base(k.dir)
	}
	return mark(k.cfg.Dir + "." + of + ".voter")
}

// curable reports whether a council that died of err may sit again when the disk is well.
func curable(err error) bool {
	return !errors.Is(err, errVoteless) && !errors.Is(err, errRotten) && !errors.Is(err, disk.ErrDamaged)
}

// found writes the first configuration at a founder: the same at each, so it does not matter who begins.
func (k *council) found(conf *raft.Config, snaps raft.SnapshotStore) error {
	had, err := raft.HasExistingState(k.logs, k.logs, snaps)
	founders := k.founders()
	if err != nil || had || !slices.Contains(founders, k.cfg.Self) {
		return err
	}
	var first raft.Configuration
	for _, s := range founders {
		first.Servers = append(first.Servers, raft.Server{ID: raft.ServerID(s), Address: raft.ServerAddress(s)})
	}
	return raft.BootstrapCluster(conf, k.logs, k.logs, snaps, k.trans, first)
}

// die takes raft off the network: its store does not answer, and a leader like that would go on sending
// heartbeats. It may be called by raft itself.
func (k *council) die(err error) {
	k.mu.Lock()
	first := k.dead == nil
	if first {
		k.dead = err
	}
	k.mu.Unlock()
	if !first {
		return
	}
	k.log.Error("this station no longer takes part in the cell's record", zap.Error(err))
	k.closeTransport()
	if k.raft != nil && !curable(err) { // what it confirmed to the others is lost
		k.log.Error("it will not again", zap.Error(k.mark().lose(err)))
	}
}

// reason is why raft has been taken off the network, or nil.
func (k *council) reason() error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dead
}

func (k *council) closeTransport() {
	if k.trans != nil {
		k.trans.Close()
		k.trans.CloseStreams()
	}
	if k.peers != nil {
		k.peers.closePipes()
	}
	k.layer.Close()
}

// close ends raft and waits for all that works by it.
func (k *council) close() error {
	k.cancel()
	var err error
	if k.raft != nil {
		end := k.raft.Shutdown()
		k.logs.Release()
		k.closeTransport() // raft waits for what it has on its way, over links that may be cut
		err = end.Error()
	}
	k.work.Wait()
	k.layer.Close()
	if k.logs != nil {
		err = errors.Join(err, k.logs.Close())
	}
	return err
}

// Err is why the record stands still here, or raft no longer takes part; nil when neither is so.
func (k *council) Err() error {
	if err := k.fold.Err(); err != nil {
		return err
	}
	return k.reason()
}

// council is the one that sits now; nil between two.
func (c *Cell) council() *council { return c.sits.Load() }

// reseat has the council opened anew, whatever it is at.
func (c *Cell) reseat() {
	select {
	case c.anew <- struct{}{}:
	default:
	}
}

// keepCouncil sees to it that the council is that of the record's epoch, opens it anew when that is asked for,
// and returns what is still owed to the pending set.
func (c *Cell) keepCouncil() {
	tick := time.NewTicker(convokeEvery)
	defer tick.Stop()
	for {
		var changed <-chan struct{}
		if c.council() == nil {
			changed = c.fold.Changed() // it may reach the base of its epoch
			c.convoke()
		}
		again := false
		select {
		case <-c.ctx.Done():
			return
		case <-c.anew:
			again = true
		case <-changed:
		case <-tick.C:
			if err := c.fold.GiveBack(); err != nil {
				c.log.Warn("events of dropped entries wait", zap.Error(err))
			}
		}
		if k := c.council(); k != nil && (again || k.era.mark != c.fold.Era().mark) {
			c.succeed(k)
		}
	}
}

// succeed puts a new council in the place of one; no epoch is adopted meanwhile, which would ask its log.
func (c *Cell) succeed(k *council) {
	c.turning.Lock()
	defer c.turning.Unlock()
	c.sits.Store(nil)
	if err := k.close(); err != nil {
		c.log.Warn("end a council", zap.Error(err))
	}
	c.convoke()
}

// convoke opens the council of the record's epoch once this copy has reached its base: whoever votes must be
// able to lead.
func (c *Cell) convoke() {
	if !c.fold.Whole() {
		return
	}
	c.sits.Store(c.openCouncil())
	if err := c.sweepCouncils(); err != nil {
		c.log.Warn("remove what is left of former epochs", zap.Error(err))
	}
}

// folder is where an epoch's raft lives, below the record's own; that of the first is the record's own.
func (e era) folder() string {
	if len(e.raw) == 0 {
		return "."
	}
	return fmt.Sprintf("%s%d-%x", eraFolder, e.Epoch, e.mark[:4])
}

const eraFolder = "epoch-"

// sweepCouncils removes raft's files of other epochs. The events in them have been returned.
func (c *Cell) sweepCouncils() error {
	e := c.fold.Era()
	old, err := filepath.Glob(filepath.Join(c.cfg.Dir, eraFolder+"*"))
	if err != nil {
		return err
	}
	if len(e.raw) > 0 {
		old = append(old, filepath.Join(c.cfg.Dir, "raft.db"), filepath.Join(c.cfg.Dir, "vote"), filepath.Join(c.cfg.Dir, "snapshots"))
	}
	if k := c.council(); k != nil && k.raft != nil { // it has begun: its own files show that from now on
		old = append(old, filepath.Join(c.cfg.Dir, seatFile))
	}
	var errs []error
	for _, path := range old {
		if filepath.Base(path) != e.folder() {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}
