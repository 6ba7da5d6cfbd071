package pending

import (
	"bufio"
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

const (
	// syncEvery is how often one random peer is compared with.
	syncEvery = 2 * time.Second
	// exchangeTime bounds one exchange: the biggest batch over a slow link.
	exchangeTime = 30 * time.Second
	// idleTime is how long a connection is held for the next exchange: with a handful of peers, for ever.
	idleTime = 2 * time.Minute
	// maxIdle bounds the connections held open to peers: those in reach in a big county, where most others are met
	// once a day.
	maxIdle = 32
	// strangerEvery is the how manyth comparison is with anybody, where the others are with those in reach: a stranger
	// costs a handshake of 4 KB.
	strangerEvery = 15
	// maxTurns bounds the messages of one exchange; six are the usual most.
	maxTurns = 12
)

// Head is how far this station's copy of a cell's record goes.
type Head struct {
	Cell  alerts.CellID
	Epoch uint64
	Mark  alerts.Hash // of the epoch: of two with one number the higher one counts
	Index uint64
	Chain alerts.Hash // the running hash there
}

// SyncConfig is what Sync needs. The functions are called from several goroutines and must not block.
type SyncConfig struct {
	Port       *trust.Port
	Ring       *trust.Ring
	Set        *Set
	Peers      func() []Peer // whom to compare with; without this station itself
	Met        func() []Peer // of them, those in reach now, with whom most comparisons are; nil: all alike
	Heads      func() []Head // of the cells that this station follows
	Lanes      func() []Lane // of every cell of which an alarm is known to be open here; nil: none
	Holder     LaneHolder    // answers for single events of lanes; nil where Lanes is
	Recorded   func(cell alerts.CellID, incident alerts.IncidentID, id alerts.Hash) bool
	Behind     func(cell alerts.CellID, peer alerts.StationID, index uint64) // a peer's record goes further; may be nil
	Older      func(cell alerts.CellID, peer alerts.StationID)               // a peer's record is in a newer epoch; may be nil
	OnEvent    func(e alerts.Event, from alerts.StationID)                   // came in and was new; may be nil
	OnKept     func(event alerts.Hash, by alerts.StationID)                  // a peer has it on disk; may be nil
	OnEven     func(cell alerts.CellID, with alerts.StationID)               // both have the same events pending; may be nil
	OnExpelled func(from alerts.StationID)                                   // as LinksConfig's
	Ready      func()                                                        // as LinksConfig's
	Log        *zap.Logger
}

// Sync makes the pending sets of stations equal, two at a time: it compares sums, then names, then swaps
// what is missing. Whatever was lost on the way, it finds.
type Sync struct {
	cfg    SyncConfig
	take   *taker
	ctx    context.Context
	cancel context.CancelFunc
	poke   chan alerts.StationID
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	busy   map[alerts.StationID]bool // true: again after this one
	idle   map[alerts.StationID]*talk
	in     map[net.Conn]struct{}
}

// talk is a connection for exchanges.
type talk struct {
	c net.Conn
	r *bufio.Reader
}

// OpenSync starts comparing and answering. Close before the port and the set.
func OpenSync(cfg SyncConfig) *Sync {
	s := &Sync{
		cfg: cfg, take: newTaker(cfg.Ring, cfg.Set, cfg.Recorded), poke: make(chan alerts.StationID, maxIdle),
		busy: map[alerts.StationID]bool{}, idle: map[alerts.StationID]*talk{}, in: map[net.Conn]struct{}{},
	}
	s.take.refused, s.take.ready = cfg.OnExpelled, cfg.Ready
	s.ctx, s.cancel = context.WithCancel(context.Background())
	cfg.Port.Handle(trust.ProtoSync, s.serve)
	s.wg.Go(s.run)
	return s
}

// Poke compares with a peer at once, as after it came back. It never blocks: the round every 2 s is there too.
func (s *Sync) Poke(peer alerts.StationID) {
	select {
	case s.poke <- peer:
	default:
	}
}

// Stats says what came in by syncs so far.
func (s *Sync) Stats() Stats { return s.take.stats() }

func (s *Sync) run() {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for round := 1; ; {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			peers := s.cfg.Peers()
			if round++; s.cfg.Met != nil && round%strangerEvery != 0 {
				if met := s.cfg.Met(); len(met) > 0 {
					peers = met
				}
			}
			if len(peers) > 0 {
				s.begin(peers[rand.IntN(len(peers))])
			}
		case peer := <-s.poke:
			for _, p := range s.cfg.Peers() {
				if p.Station == peer {
					s.begin(p)
				}
			}
		}
	}
}

// begin compares with p in the background; while it is at it already, once more afterwards.
func (s *Sync) begin(p Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if _, busy := s.busy[p.Station]; busy {
		s.busy[p.Station] = true
		return
	}
	s.busy[p.Station] = false
	s.wg.Go(func() {
		more, err := s.compare(p)
		if err != nil {
			s.cfg.Log.Debug("not compared", zap.String("with", string(p.Station)), zap.Error(err))
		}
		s.mu.Lock()
		again := s.busy[p.Station]
		delete(s.busy, p.Station)
		s.mu.Unlock()
		if again || more {
			s.Poke(p.Station)
		}
	})
}

// compare holds one exchange; more: there was more than one batch.
func (s *Sync) compare(p Peer) (more bool, err error) {
	t := s.held(p.Station)
	if t != nil {
		if more, err = s.exchange(t, p.Station); err == nil {
			s.hold(p.Station, t)
			return more, nil
		}
		t.c.Close() // the peer may have restarted since
	}
	c, err := s.cfg.Port.Dial(s.ctx, trust.ProtoSync, p.Addr, p.Station)
	if err != nil {
		return false, err
	}
	t = &talk{c, bufio.NewReader(c)}
	if more, err = s.exchange(t, p.Station); err != nil {
		c.Close()
		return false, err
	}
	s.hold(p.Station, t)
	return more, nil
}

func (s *Sync) held(peer alerts.StationID) *talk {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.idle[peer]
	delete(s.idle, peer)
	return t
}

func (s *Sync) hold(peer alerts.StationID, t *talk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.idle) >= maxIdle {
		s.wg.Go(func() { t.c.Close() }) // this goroutine is in wg itself, so the count is not at zero
		return
	}
	s.idle[peer] = t
}

// exchange speaks first and ends when there is nothing left to say.
func (s *Sync) exchange(t *talk, peer alerts.StationID) (more bool, err error) {
	stop := context.AfterFunc(s.ctx, func() { t.c.Close() })
	defer stop()
	if err := t.c.SetDeadline(time.Now().Add(exchangeTime)); err != nil {
		return false, err
	}
	side := s.side(peer, true)
	out := message{Heads: s.heads(side)}
	for range maxTurns {
		if err := wire.WriteFrame(t.c, out); err != nil {
			return false, err
		}
		var in message
		if err := wire.ReadFrame(t.r, &in); err != nil {
			return false, err
		}
		if out = side.step(in); out.empty() {
			break
		}
	}
	return side.more, nil
}

// serve answers a peer's exchanges on one connection until it ends.
func (s *Sync) serve(peer alerts.StationID, c net.Conn) {
	defer c.Close()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.in[c] = struct{}{}
	s.wg.Add(1)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.in, c)
		s.mu.Unlock()
		s.wg.Done()
	}()
	r := bufio.NewReader(c)
	side := s.side(peer, false)
	for {
		c.SetReadDeadline(time.Now().Add(idleTime))
		var in message
		if err := wire.ReadFrame(r, &in); err != nil {
			return
		}
		if in.Heads != nil {
			side = s.side(peer, false) // a new exchange
		}
		out := side.step(in)
		c.SetWriteDeadline(time.Now().Add(exchangeTime))
		if err := wire.WriteFrame(c, out); err != nil {
			return
		}
	}
}

// Close ends all exchanges and waits.
func (s *Sync) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for _, t := range s.idle {
		t.c.Close()
	}
	for c := range s.in {
		c.Close()
	}
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	return nil
}
