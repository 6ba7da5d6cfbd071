package sim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/memnet"
	"hivemesh/configs"
	"hivemesh/node"
)

const (
	founders  = 3 // stations that found the record together: the first of the tables, see node.MakeCounty
	httpPort  = 80
	meshPort  = 7000
	lastDrops = 3 * time.Minute // memberlist's and raft's last timers run out inside the bubble
)

// world is a county while it runs.
type world struct {
	plan *Plan
	h    *History
	log  *zap.Logger
	dir  string
	net  *memnet.Network

	mu      sync.Mutex
	nodes   map[alerts.StationID]*node.Node
	configs map[alerts.StationID]node.Config
	lives   map[alerts.StationID]int // how often it was opened
	closing map[alerts.StationID]chan struct{}
	gone    map[alerts.StationID]alerts.StationID // stations that are the county's no more, and where their people went
	thieves map[alerts.StationID]*node.Node       // stations that others have

	disks   map[alerts.StationID]*badDisk
	devices map[alerts.PersonID]*device
	frames  map[string]*told // what devices were sent, by the bytes
	proven  map[string]bool  // certificates with the bytes that they have signed
	crowd   sync.WaitGroup   // people, until the end of the run
	ending  context.Context
}

// newWorld makes the county's identities in dir.
func newWorld(p *Plan, dir string, log *zap.Logger, ending context.Context) (*world, error) {
	rules, err := node.LoadRules("")
	if err != nil {
		return nil, err
	}
	w := &world{
		plan: p, log: log, dir: dir, net: memnet.New(p.Seed), ending: ending,
		h:     &History{Plan: p, Rules: rules, Final: map[alerts.StationID]Final{}},
		nodes: map[alerts.StationID]*node.Node{}, configs: map[alerts.StationID]node.Config{},
		lives: map[alerts.StationID]int{}, closing: map[alerts.StationID]chan struct{}{},
		gone: map[alerts.StationID]alerts.StationID{}, thieves: map[alerts.StationID]*node.Node{},
		disks: map[alerts.StationID]*badDisk{}, devices: map[alerts.PersonID]*device{},
		frames: map[string]*told{}, proven: map[string]bool{},
	}
	w.tapWires()
	made, err := node.MakeCounty(filepath.Join(dir, "0"), 8080, node.Tables{County: p.County.tables(p.County.Stations), Rules: configs.Rules})
	if err != nil {
		return nil, err
	}
	var seeds []string
	for _, cfg := range made {
		seeds = append(seeds, w.net.Host(filepath.Base(cfg.Dir)).Addr(meshPort))
	}
	for k, cfg := range made {
		id := alerts.StationID(filepath.Base(cfg.Dir))
		host := w.net.Host(string(id))
		cfg.HTTP, cfg.Mesh, cfg.Links = host.Addr(httpPort), host.Addr(meshPort), p.Links
		cfg.County, cfg.Rules = filepath.Join(cfg.Dir, "county.yaml"), filepath.Join(cfg.Dir, "rules.yaml")
		cfg.Seeds = seeds[:min(k+1, founders)] // as an operator would: who was there before
		w.configs[id], w.disks[id] = cfg, &badDisk{}
		if err := writeConfig(cfg); err != nil {
			return nil, err
		}
		if err := os.WriteFile(cfg.County, p.County.tables(p.County.listed()), 0o600); err != nil {
			return nil, err
		}
	}
	for _, s := range p.County.Later {
		w.disks[s.ID] = &badDisk{}
	}
	return w, nil
}

// writeConfig writes a station's config for the commands that read it. They ask where it is, and nothing of demo,
// which is for loopback only.
func writeConfig(cfg node.Config) error {
	cfg.Demo = false
	return cfg.Save(filepath.Join(cfg.Dir, node.ConfigFile))
}

// tapWires looks for the notes of alerts on the wires between stations.
func (w *world) tapWires() {
	w.net.Tap(func(_, to net.Addr, b []byte) {
		w.h.mu.Lock()
		defer w.h.mu.Unlock()
		w.h.Carried++
		if mentions(b) {
			w.h.Leaked++
		}
	})
}

// node is the station's program, if it runs.
func (w *world) node(id alerts.StationID) *node.Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[id]
}

func (w *world) running() map[alerts.StationID]*node.Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[alerts.StationID]*node.Node{}
	for id, n := range w.nodes {
		out[id] = n
	}
	return out
}

// leader is who leads the home cell by its own word; a founder while nobody does.
func (w *world) leader() []alerts.StationID {
	nodes := w.running()
	for _, id := range w.plan.stations() {
		if n := nodes[id]; n != nil {
			for _, c := range n.Mesh().Cells {
				if c.Cell == w.plan.County.Cell && c.Role == "leader" {
					return []alerts.StationID{id}
				}
			}
		}
	}
	return w.plan.stations()[:1]
}

// start opens a station; one that was opened before goes on with its directory.
func (w *world) start(id alerts.StationID) {
	w.mu.Lock()
	closed, cfg := w.closing[id], w.configs[id]
	w.mu.Unlock()
	if closed != nil {
		<-closed
	}
	w.net.PowerOn(string(id))
	host := w.net.Host(string(id))
	listen := func(_, addr string) (net.Listener, error) {
		l, err := host.Listen(addr)
		return atTheStation{l}, err
	}
	n, err := node.OpenOn(node.Ground{Network: host, Listen: listen, Disk: w.disks[id].faults()}, cfg, w.log.Named(string(id)))
	if err != nil {
		w.broken("open %s: %v", id, err)
		return
	}
	w.mu.Lock()
	w.nodes[id] = n
	w.lives[id]++
	again := w.lives[id] > 1
	w.mu.Unlock()
	if again {
		w.sampleOne(id, n, true, true)
	}
}

// stop closes a station as SIGTERM does.
func (w *world) stop(id alerts.StationID) { w.end(id, w.node(id)) }

// crash is kill -9: the station goes on later with what was on its disk now.
func (w *world) crash(id alerts.StationID) {
	n := w.node(id)
	if n == nil {
		return
	}
	w.mu.Lock()
	delete(w.nodes, id) // whoever sees its connection end knows why
	w.mu.Unlock()
	w.net.PowerOff(string(id))
	synctest.Wait() // whoever was writing has written, and nothing more is promised to anybody
	w.mu.Lock()
	cfg := w.configs[id]
	old := cfg.Dir
	cfg.Dir = filepath.Join(w.dir, fmt.Sprint(w.lives[id]), string(id))
	w.configs[id] = cfg
	w.mu.Unlock()
	if err := copyTree(cfg.Dir, old); err != nil {
		w.broken("copy %s: %v", id, err)
	}
	w.end(id, n)
}

// steal takes a station out of the county's hands; it goes on running.
func (w *world) steal(id alerts.StationID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.nodes[id]; n != nil {
		w.thieves[id] = n
		delete(w.nodes, id)
	}
}

func (w *world) end(id alerts.StationID, n *node.Node) {
	if n == nil {
		return
	}
	done := make(chan struct{})
	w.mu.Lock()
	delete(w.nodes, id)
	w.closing[id] = done
	w.mu.Unlock()
	go func() {
		defer close(done)
		if err := n.Close(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			w.broken("close %s: %v", id, err)
		}
	}()
}

func (w *world) broken(format string, a ...any) {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	w.h.Broken = append(w.h.Broken, fmt.Sprintf(format, a...))
}

// close ends the county and waits for everything in it.
func (w *world) close() {
	for _, d := range w.devices {
		d.leave()
	}
	w.crowd.Wait()
	w.net.Heal()
	for id := range w.running() {
		w.stop(id)
	}
	for id, n := range w.thieves {
		w.end(id, n)
	}
	w.mu.Lock()
	ends := w.closing
	w.mu.Unlock()
	for _, done := range ends {
		<-done
	}
	time.Sleep(lastDrops)
}

// copyTree copies a station's directory. Locks and open files stay with the old one.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
}

// atTheStation makes every visitor one who stands at the station: the demo sign-in answers its own machine only.
type atTheStation struct{ net.Listener }

func (l atTheStation) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return local{c}, err
}

type local struct{ net.Conn }

func (local) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000} }

// settled: every running station sees all running ones alive, and a leader.
func (w *world) settled() bool {
	nodes := w.running()
	for _, n := range nodes {
		alive := 0
		for _, m := range n.Mesh().Members {
			if m.Alive {
				alive++
			}
		}
		if alive != len(nodes) || n.Ready() != nil {
			return false
		}
	}
	return true
}

// apart says why the running stations are not one yet; empty: they are.
func (w *world) apart() string {
	nodes := w.running()
	heads := map[alerts.CellID]string{}
	for _, id := range w.members() {
		n := nodes[id]
		if n == nil {
			return fmt.Sprintf("%s does not run", id)
		}
		alive := 0
		mesh := n.Mesh()
		for _, m := range mesh.Members {
			if m.Alive {
				alive++
			}
		}
		if alive != len(nodes) {
			return fmt.Sprintf("%s sees %d of %d stations alive", id, alive, len(nodes))
		}
		if err := n.Ready(); err != nil {
			return fmt.Sprintf("%s: %v", id, err)
		}
		for _, c := range mesh.Cells {
			head := fmt.Sprintf("%d.%d %s", c.Epoch, c.Index, c.Chain)
			switch first, known := heads[c.Cell]; {
			case c.Pending > 0:
				return fmt.Sprintf("%s has %d pending events of cell %s", id, c.Pending, c.Cell)
			case known && first != head:
				return fmt.Sprintf("%s stands at %s of cell %s, others at %s", id, head, c.Cell, first)
			}
			heads[c.Cell] = head
		}
	}
	return ""
}

// sample asks every running station how it sees the county; deep takes the hash of what it folded as well.
func (w *world) sample(deep bool) {
	for id, n := range w.running() {
		w.sampleOne(id, n, false, deep)
	}
}

func (w *world) sampleOne(id alerts.StationID, n *node.Node, fresh, deep bool) {
	mesh := n.Mesh()
	base := Sample{At: time.Now(), Station: id, Fresh: fresh}
	for _, m := range mesh.Members {
		if m.Alive {
			base.Alive = append(base.Alive, m.Station)
		} else {
			base.Dead = append(base.Dead, m.Station)
		}
	}
	for _, cell := range n.Cells() {
		s := base
		s.Cell = cell
		n.Record(cell, func(st *alerts.State) {
			s.Epoch, s.Index, s.Chain = st.Epoch, st.Index, st.Chain.String()
			if deep {
				s.Hash = st.Hash()
			}
		})
		for _, c := range mesh.Cells {
			if c.Cell == cell {
				s.Leader, s.Leads = c.Leader, c.Role == "leader"
			}
		}
		w.h.mu.Lock()
		w.h.Samples = append(w.h.Samples, s)
		w.h.mu.Unlock()
	}
}

// finish notes what every station holds.
func (w *world) finish() {
	for id, n := range w.running() {
		f := Final{Cells: map[alerts.CellID]Held{}, Shown: slices.Clone(n.Incidents())}
		check, err := w.signatures(id)
		if err != nil {
			w.broken("ring of %s: %v", id, err)
			continue
		}
		for _, c := range n.Mesh().Cells {
			held := Held{Pending: c.Pending}
			n.Record(c.Cell, func(s *alerts.State) { held.Entries, held.Hash = s.Entries(), s.Hash() })
			for _, e := range held.Entries {
				if err := check(e.Event); err != nil {
					held.Bad = append(held.Bad, fmt.Sprintf("entry %d: %v", e.Index, err))
				}
			}
			f.Cells[c.Cell] = held
		}
		w.h.Final[id] = f
	}
	w.h.Ended = time.Now()
}
