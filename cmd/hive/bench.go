package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"hivemesh/alerts"
	"hivemesh/node"
	"hivemesh/node/web"
)

type benchCmd struct {
	Quick   bool   `help:"A short run: fewer alerts, fewer rounds, 1,000 sockets unless --sockets says otherwise."`
	Sockets []int  `help:"How many sockets to fan out to; 1000,10000 unless --quick." placeholder:"N,…"`
	Profile string `help:"Keep CPU profiles of the stations in this directory, one of each station and measurement." type:"path" placeholder:"DIR"`
}

func (benchCmd) Help() string {
	return "Starts three stations of the demo county as processes of their own in a temporary directory, on free ports of\nloopback, and measures them beside what this machine can do without them. Everything it started is ended."
}

const (
	benchStations = 3
	benchMost     = 8 * time.Minute  // for all of it
	benchUp       = 30 * time.Second // for a county to have a leader everywhere
	benchPorts    = 18000            // free ones are looked for from here, below those the system lends
	benchPortsEnd = 30000
	benchPortStep = 10
	benchSpare    = 500 // file descriptors beside one for each socket
	commitSize    = 800 // bytes of a raft log with one alert
	raiser        = 1   // xinzhuang: where alerts are raised
	listener      = 0   // hancun-post: where they are heard
)

func (c benchCmd) Run(ctx context.Context, to console) (err error) {
	if len(c.Sockets) == 0 {
		c.Sockets = []int{1000}
		if !c.Quick {
			c.Sockets = append(c.Sockets, 10000)
		}
	}
	if err := roomFor(slices.Max(c.Sockets)); err != nil {
		return err
	}
	if slices.Min(c.Sockets) < 1 {
		return errors.New("--sockets: at least 1")
	}
	ctx, cancel := context.WithTimeout(ctx, benchMost)
	defer cancel()
	dir, err := os.MkdirTemp("", "hive-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if c.Profile != "" {
		if err := os.MkdirAll(c.Profile, 0o755); err != nil {
			return err
		}
	}
	b := &bench{dir: dir, quick: c.Quick, profile: c.Profile, say: func(f string, a ...any) { fmt.Fprintf(to.err, f+"\n", a...) }}
	b.rows = [][]string{{"what", "measured", "the raw limit", "ratio", "aim"}}
	if err := b.all(ctx, c.Sockets); err != nil {
		return err
	}
	fmt.Fprintf(to.out, "\n%d cores, %s/%s, %s; stations, raw server and clients are processes of their own and share the cores\n\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	table(to.out, b.rows)
	for _, n := range b.notes {
		fmt.Fprintln(to.out, "\n"+n)
	}
	return nil
}

// roomFor raises the limit of open files; children inherit it.
func roomFor(sockets int) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	if need := uint64(sockets + benchSpare); l.Max < need {
		return fmt.Errorf("%d sockets need %d open files, and the limit is %d: ulimit -Hn %d, or fewer --sockets", sockets, need, l.Max, need)
	}
	l.Cur = l.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
}

// bench is one run: its directory and the table it fills.
type bench struct {
	dir      string
	quick    bool
	profile  string // where CPU profiles go; empty: none are made
	say      func(string, ...any)
	rows     [][]string
	notes    []string
	counties int

	fsync, trip, relay, commit time.Duration // the raw limits, p50
}

func (b *bench) row(cells ...string) { b.rows = append(b.rows, cells) }

// all measures one thing after the other, so that none disturbs another.
func (b *bench) all(ctx context.Context, sockets []int) error {
	if err := b.limits(ctx); err != nil {
		return fmt.Errorf("the raw limits: %w", err)
	}
	if err := b.alone(ctx, b.latency); err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	if err := b.alone(ctx, b.throughput); err != nil {
		return fmt.Errorf("throughput: %w", err)
	}
	for _, n := range sockets {
		// A county of its own: sockets that come are not told of what others raised.
		var station fanned
		err := b.alone(ctx, func(ctx context.Context, t *benchCounty) (err error) {
			station, err = b.fan(ctx, t, n)
			return err
		})
		if err != nil {
			return fmt.Errorf("fan-out, %d sockets: %w", n, err)
		}
		raw, err := b.rawFan(ctx, n, station.size)
		if err != nil {
			return fmt.Errorf("raw server, %d sockets: %w", n, err)
		}
		b.compare(n, station, raw)
	}
	if err := b.alone(ctx, b.overload); err != nil {
		return fmt.Errorf("overload: %w", err)
	}
	b.notes = append(b.notes, "An alarm is raised at one station and heard at another; the loop writes to its own sockets at once. Only alarms\n"+
		"count as deliveries: a station writes the matter itself to each socket too, provisional and recorded. Memory is\n"+
		"resident memory as it stands 5 s after the last connected, what connecting left behind included.")
	return nil
}

// benchCounty is three running stations.
type benchCounty struct {
	ids  []alerts.StationID
	urls []string
	pids []int
}

// alone runs f with a new county and ends the county.
func (b *bench) alone(ctx context.Context, f func(context.Context, *benchCounty) error) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	port, err := benchPort()
	if err != nil {
		return err
	}
	b.counties++
	dir := filepath.Join(b.dir, strconv.Itoa(b.counties))
	cfgs, err := node.DemoCounty(dir, port)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "stations.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	t := &benchCounty{}
	for _, cfg := range cfgs[:benchStations] {
		id := filepath.Base(cfg.Dir)
		args := []string{"serve", "--config", filepath.Join(cfg.Dir, node.ConfigFile)}
		if b.profile != "" {
			args = append(args, "--cpu-profile", filepath.Join(b.profile, fmt.Sprintf("%d-%s.pprof", b.counties, id)))
		}
		cmd := exec.CommandContext(ctx, self, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C comes once, from here
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = childGrace
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			return err
		}
		wg.Go(func() {
			err := cmd.Wait()
			if ctx.Err() == nil {
				text, _ := os.ReadFile(log.Name())
				cancel(fmt.Errorf("station %s ended (%s): %s", id, endOf(err), strings.TrimSpace(string(text))))
			}
		})
		t.ids = append(t.ids, alerts.StationID(id))
		t.urls = append(t.urls, "http://"+cfg.HTTP)
		t.pids = append(t.pids, cmd.Process.Pid)
	}
	err = t.ready(ctx)
	if err == nil {
		err = f(ctx, t)
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cmp.Or(cause, err)
	}
	return err
}

// ready waits until every station knows the others and who leads.
func (t *benchCounty) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, benchUp)
	defer cancel()
	for _, url := range t.urls {
		for !t.knows(ctx, url) {
			if err := sleepUntil(ctx, time.Now().Add(retryPause)); err != nil {
				return fmt.Errorf("station at %s did not get ready: %w", url, err)
			}
		}
	}
	return sleepUntil(ctx, time.Now().Add(2*time.Second)) // links between stations open
}

func (t *benchCounty) knows(ctx context.Context, url string) bool {
	var m web.MeshInfo
	if get(ctx, url+"/v1/mesh", &m) != nil {
		return false
	}
	alive := 0
	for _, member := range m.Members {
		if member.Alive {
			alive++
		}
	}
	return alive >= len(t.urls) && len(m.Cells) > 0 && m.Cells[0].Leader != ""
}

// benchPort finds a first port from which a county has room.
func benchPort() (int, error) {
	span := (benchPortsEnd - benchPorts) / benchPortStep
	first := os.Getpid() % span
	for k := range span {
		port := benchPorts + (first+k)%span*benchPortStep
		free := true
		for n := range benchStations {
			addr := func(p int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p)) }
			free = free && probe(node.Config{HTTP: addr(port + n), Mesh: addr(port + n + meshPortGap)}) == nil
		}
		if free {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free ports between %d and %d", benchPorts, benchPortsEnd)
}

// at is the p-th percentile of a sorted list.
func at(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}

func ns(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.2f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
}

func us(d time.Duration) string { return fmt.Sprintf("%.1f µs", d.Seconds()*1e6) }

func times(a, b float64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2fx", a/b)
}

// resident is a process's memory in bytes.
func resident(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(text), "VmRSS:")
	if !ok {
		return 0, errors.New("/proc says no VmRSS")
	}
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	return kb << 10, err
}

// clockTick is the unit of processor times in /proc, on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// processorTime is what a process has used of the processors so far.
func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(text), ") ") // the name before may hold spaces
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, errors.New("/proc says no times")
	}
	var ticks int64
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}
