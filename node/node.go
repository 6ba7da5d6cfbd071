package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/gossip"
	"hivemesh/cluster/pending"
	"hivemesh/cluster/trust"
	"hivemesh/node/web"
	"hivemesh/ui"
)

// Limits of the HTTP server: a slow or silent client holds a connection, never a station.
const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	closeTimeout  = 3 * time.Second // what requests in flight get at shutdown; longer than web.KeepWait
)

// Node is one running station.
type Node struct {
	cfg      Config
	log      *zap.Logger
	identity *trust.Identity
	ring     *trust.Ring
	keys     *trust.Keys
	rules    *alerts.Rules
	data     *County
	county   *cluster.County

	making    sync.Mutex // one event is made at a time here, each seeing the one before; guards leaving
	leaving   bool       // nothing is made here any more
	view      *view
	keeping   *keeping
	receipts  *receipts
	positions *positions
	duty      *duty
	shed      shedding

	web  *web.Server
	http *http.Server
	addr net.Addr
	done chan error

	undo []func() error // what Close does, last first
}

// Open starts the station whose identity lies in cfg.Dir. collectors are figures of the whole process that
// its /metrics shows too. On error what was started is stopped again.
func Open(cfg Config, log *zap.Logger, collectors ...prometheus.Collector) (*Node, error) {
	return OpenOn(Ground{Network: trust.OS(), Listen: net.Listen}, cfg, log, collectors...)
}

// Ground is what a station stands on: this machine, or a simulated one.
type Ground struct {
	Network trust.Network                                    // between stations
	Listen  func(network, addr string) (net.Listener, error) // for its pages and API
	Disk    *disk.Faults                                     // nil: the disk is as good as it is
}

// OpenOn is Open on a given ground.
func OpenOn(on Ground, cfg Config, log *zap.Logger, collectors ...prometheus.Collector) (_ *Node, err error) {
	n := &Node{cfg: cfg, done: make(chan error, 2)} // that it left, and that it serves no more
	log = n.shed.log(log)
	n.log = log
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	if err := n.load(); err != nil {
		return nil, err
	}
	l, err := on.Listen("tcp", cfg.HTTP)
	if err != nil {
		return nil, fmt.Errorf("http address %s: %w", cfg.HTTP, err)
	}
	n.addr = l.Addr()
	n.onClose(func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) { // serving it ended it already
			return err
		}
		return nil
	})

	n.view = newView(n.rules, n, n.standing, trust.WallOf(on.Network))
	n.keeping = newKeeping(n.view.tell)
	n.receipts = newReceipts(n.identity.Station)
	n.positions = newPositions()
	if err := n.join(on); err != nil {
		return nil, err
	}
	n.showAll()
	n.county.Begin()
	n.duty = newDuty(n)
	registry := prometheus.NewRegistry()
	n.describe(registry, collectors)
	n.web = web.New(web.Config{Station: n, Demo: cfg.Demo, UI: ui.Files(), Now: n.county.Now, Log: log.Named("web"), Registry: registry})
	go n.view.run()
	n.onClose(n.view.close)
	go n.duty.run()
	n.onClose(n.duty.close)
	return n, n.serve(l)
}

func (n *Node) onClose(f func() error) { n.undo = append(n.undo, f) }

// load reads the identity and the tables this station works by.
func (n *Node) load() (err error) {
	if n.identity, err = trust.LoadIdentity(filepath.Join(n.cfg.Dir, identityDir)); err != nil {
		return fmt.Errorf("no station in %s (make one with `hive init` or `hive join`): %w", n.cfg.Dir, err)
	}
	if n.ring, err = trust.NewRing(n.identity.Root, filepath.Join(n.cfg.Dir, ringDir)); err != nil {
		return err
	}
	n.onClose(n.ring.Close)
	if _, err := n.ring.Add(n.identity.Cert.Raw); err != nil {
		return err
	}
	if err := n.left(); err != nil {
		return err
	}
	if n.keys, err = trust.OpenKeys(n.identity, filepath.Join(n.cfg.Dir, identityDir)); err != nil {
		return err
	}
	if n.data, err = LoadCounty(n.cfg.County); err != nil {
		return err
	}
	n.rules, err = LoadRules(n.cfg.Rules)
	return err
}

// join brings up this station's part in the county.
func (n *Node) join(on Ground) error {
	cell, err := loadCell(n.cfg.Dir)
	if err != nil {
		return err
	}
	handler, err := n.joinHandler()
	if err != nil {
		return err
	}
	n.county, err = cluster.Open(cluster.Config{
		Identity: n.identity, Ring: n.ring, Network: on.Network, Faults: on.Disk, Listen: n.cfg.Mesh, Dir: n.cfg.Dir,
		Keys: n.keys, Seeds: n.cfg.Seeds, Hints: n.hints(),
		Home:  cluster.Cell{ID: cell.home(n.identity.Cell), Founders: cell.Founders},
		Mixed: n.cfg.Links == LinksMixed, Rules: n.rules, Standing: n.standing,
		Events: n.events(), Join: handler, Log: n.log,
	})
	if err != nil {
		return err
	}
	n.onClose(n.county.Close)
	return nil
}

// showAll brings into the view what this station knew before it started.
func (n *Node) showAll() {
	for _, cell := range n.county.KnownCells() {
		n.show(cell)
	}
	n.view.refresh()
	n.view.arrange()
}

// show brings into the view what is known of a cell's incidents.
func (n *Node) show(cell alerts.CellID) {
	known := n.view.of(cell)
	var at web.Cursor
	n.read(cell, func(s *alerts.State) {
		at = web.Cursor{Epoch: s.Epoch, Index: s.Index}
		for _, i := range s.Incidents() {
			known = append(known, i.ID)
		}
	})
	for _, e := range n.county.PendingOf(cell) {
		if !alerts.OfCounty(e.Kind) {
			known = append(known, e.Incident)
		}
	}
	for _, id := range known {
		n.view.record(cell, id, alerts.LaneDecision, at) // of all together
	}
}

// hints is what gossip tells the others of this station.
func (n *Node) hints() gossip.Hints {
	h := gossip.Hints{
		Name: n.identity.Name, Cell: n.identity.Cell, Kind: n.identity.Kind,
		Mesh: n.cfg.Mesh, HTTP: n.URL(), PID: pid(),
		Wired: n.cfg.Links == LinksLAN, Battery: n.cfg.Power == PowerBattery,
	}
	if s, ok := n.data.Place(n.identity.Station); ok {
		h.Name, h.Township, h.Point = s.Name, s.Township, &s.Place
	}
	return h
}

// events says what becomes of what the cluster reports.
func (n *Node) events() cluster.Events {
	return cluster.Events{
		Pending: func(e alerts.Event) {
			if alerts.OfCounty(e.Kind) {
				return
			}
			n.view.touch(e.Cell, e.Incident, e.Lane())
		},
		Recorded: func(cell alerts.CellID, c alerts.Change) {
			e := c.Entry.Event
			at := web.Cursor{Epoch: c.Entry.Epoch, Index: c.Entry.Index}
			if c.Directory == nil {
				n.view.record(cell, e.Incident, e.Lane(), at)
			} else {
				n.view.reach(cell, at)
			}
			n.keeping.recorded(e.ID, c.Entry.Index, n.told(c.Entry))
		},
		Settled: func(e alerts.Event, d pending.Done) {
			n.keeping.recorded(e.ID, d.Index, n.told(alerts.Entry{Event: e, Verdict: alerts.Verdict{Code: d.Code}}))
		},
		Opened: func(cell alerts.CellID) {
			n.show(cell)
			n.view.tell(web.Change{Stations: true}) // they may be of other cells now
		},
		Reset:  n.view.anew,
		Here:   n.keeping.here,
		Kept:   n.keeping.near,
		Member: func(gossip.Member) { n.view.tell(web.Change{Stations: true}) },
		Cast:   n.cast,
	}
}

// told is what an entry's maker is told: nothing where it counts, or where another cell judges it.
func (n *Node) told(e alerts.Entry) *web.Refusal {
	if e.Verdict.Accepted() || e.Verdict.Code == alerts.Forwarded {
		return nil
	}
	return n.refusal(e)
}

// serve answers HTTP until Close.
func (n *Node) serve(l net.Listener) error {
	handler, err := n.withControl(n.web.Handler())
	if err != nil {
		return err
	}
	n.http = &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		ErrorLog: zap.NewStdLog(n.log.Named("http")),
	}
	go func() {
		err := n.http.Serve(l)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		n.done <- err
	}()
	n.onClose(func() error {
		n.web.Close()
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err := n.http.Shutdown(ctx); err != nil {
			return n.http.Close()
		}
		return nil
	})
	return nil
}

// Done delivers why the station is to be closed: ErrLeft, or why it stopped serving, which is nil after Close.
func (n *Node) Done() <-chan error { return n.done }

// URL is where this station's pages and API are.
func (n *Node) URL() string { return "http://" + n.addr.String() }

// Close stops everything in the reverse order of its start.
func (n *Node) Close() error {
	var errs []error
	for len(n.undo) > 0 {
		last := n.undo[len(n.undo)-1]
		n.undo = n.undo[:len(n.undo)-1]
		errs = append(errs, last())
	}
	return errors.Join(errs...)
}
