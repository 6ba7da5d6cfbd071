package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sync/errgroup"

	"hivemesh/alerts"
	"hivemesh/node"
	"hivemesh/node/web"
)

type demoCmd struct {
	Port     int    `default:"8080" env:"HIVE_PORT" help:"HTTP port of the first station; the others follow, mesh ports are 1000 above."`
	Dir      string `default:"./county" help:"Where the stations keep their data." placeholder:"DIR"`
	Separate bool   `help:"Run each station as its own process, for killing and cutting."`
}

func (demoCmd) Help() string {
	return "Five stations in two townships, three of them voters. People, positions and phone numbers are invented.\nThe data stays in --dir: stop with Ctrl-C, start again and go on."
}

const (
	maxPort     = 65535
	childGrace  = 10 * time.Second // from SIGTERM to SIGKILL
	dirMode     = 0o700
	fileMode    = 0o600
	demoLog     = "demo.log"
	maxLogLine  = 1 << 20
	meshPortGap = 1000
)

func (c demoCmd) Run(ctx context.Context, to console) (err error) {
	data, err := node.LoadCounty("")
	if err != nil {
		return err
	}
	if last := c.Port + len(data.Stations) - 1 + meshPortGap; c.Port < 1 || last > maxPort {
		return fmt.Errorf("--port %d: ports %d to %d are needed", c.Port, c.Port, last)
	}
	if err := os.MkdirAll(c.Dir, dirMode); err != nil {
		return err
	}
	lock, err := lockDir(c.Dir, fmt.Sprintf("hive demo on port %d", c.Port))
	if err != nil {
		return fmt.Errorf("%w, as in: hive demo --dir ./county2 --port %d", err, c.Port+100)
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	cfgs, err := node.DemoCounty(c.Dir, c.Port)
	if err != nil {
		return err
	}
	var taken []error
	for k, cfg := range cfgs {
		if err := probe(cfg); err != nil {
			taken = append(taken, fmt.Errorf("station %s: %w", data.Stations[k].ID, err))
		}
	}
	if err := errors.Join(taken...); err != nil {
		return fmt.Errorf("the demo county cannot start:\n%w\nstop what is there, or move the county: hive demo --port %d (or HIVE_PORT=%d make run)", err, c.Port+100, c.Port+100)
	}
	if c.Separate {
		return c.separate(ctx, to, data, cfgs)
	}
	return c.together(ctx, to, data, cfgs)
}

// together runs all stations in this process.
func (c demoCmd) together(ctx context.Context, to console, data *node.County, cfgs []node.Config) (err error) {
	figures, err := processFigures()
	if err != nil {
		return err
	}
	// The console stays readable: warnings, of which an election has many, go to a file.
	file, err := os.OpenFile(filepath.Join(c.Dir, demoLog), os.O_APPEND|os.O_CREATE|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	defer file.Close()
	running := make([]*station, len(cfgs))
	defer func() {
		errs := make([]error, len(running)+1)
		var wg sync.WaitGroup
		for k, s := range running {
			if s != nil {
				wg.Go(func() { errs[k] = s.Close() })
			}
		}
		wg.Wait()
		errs[len(running)] = err
		err = errors.Join(errs...)
	}()
	var starting errgroup.Group
	for k, cfg := range cfgs {
		starting.Go(func() error {
			detail, err := logger(file, cfg.Log)
			if err != nil {
				return err
			}
			trouble, err := logger(to.err, "error")
			if err != nil {
				return err
			}
			id := data.Stations[k].ID
			log := zap.New(zapcore.NewTee(detail.Core(), trouble.Core())).Named(string(id))
			running[k], err = start(cfg, log, figures)
			if err != nil {
				return fmt.Errorf("station %s: %w", id, err)
			}
			return nil
		})
	}
	if err := starting.Wait(); err != nil {
		return err
	}
	strangers := met(ctx, cfgs)
	c.announce(to.out, data, cfgs)
	if strangers != nil {
		fmt.Fprintln(to.out, "\nNot all have met yet:", strangers)
	}
	fmt.Fprintf(to.out, "\nCtrl-C stops. The stations' log is %s.\n", file.Name())
	type end struct {
		k   int
		why error
	}
	ended := make(chan end, len(running))
	for k, s := range running {
		go func() { ended <- end{k, <-s.Done()} }()
	}
	for {
		select {
		case e := <-ended:
			id := data.Stations[e.k].ID
			if !errors.Is(e.why, node.ErrLeft) {
				return fmt.Errorf("station %s stopped serving: %w", id, errors.Join(e.why))
			}
			err := running[e.k].Close()
			running[e.k] = nil
			if err != nil {
				return fmt.Errorf("station %s: %w", id, err)
			}
			fmt.Fprintf(to.out, "station %s has left the county for good\n", id)
		case <-ctx.Done():
			fmt.Fprintln(to.out, "stopping; the data stays in", c.Dir)
			return nil
		}
	}
}

// separate runs every station as a process of its own. One that ends, for example because somebody killed
// it, leaves the others alone and is started again by hand.
func (c demoCmd) separate(ctx context.Context, to console, data *node.County, cfgs []node.Config) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var (
		wg    sync.WaitGroup
		lines = &lineWriter{w: to.out}
	)
	for k, cfg := range cfgs {
		id := string(data.Stations[k].ID)
		config := filepath.Join(cfg.Dir, node.ConfigFile)
		cmd := exec.CommandContext(ctx, self, "serve", "--config", config, "--until-eof")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C comes once, from here
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = childGrace
		// Never written to: it ends with this process, even one that was killed with -9, and the station with it.
		if _, err := cmd.StdinPipe(); err != nil {
			return err
		}
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		cmd.Stdout, cmd.Stderr = w, w
		if err := cmd.Start(); err != nil {
			return errors.Join(err, r.Close(), w.Close())
		}
		w.Close() // the child has it
		wg.Go(func() {
			defer r.Close()
			lines.copy(id, r)
		})
		wg.Go(func() {
			err := cmd.Wait()
			if ctx.Err() != nil {
				return
			}
			lines.print(id, fmt.Sprintf("process %d ended (%v); start it again with: %s serve --config %s", cmd.Process.Pid, endOf(err), self, config))
		})
		lines.print(id, fmt.Sprintf("process %d", cmd.Process.Pid))
	}
	strangers := met(ctx, cfgs)
	lines.do(func(w io.Writer) {
		c.announce(w, data, cfgs)
		if strangers != nil {
			fmt.Fprintln(w, "\nNot all have met yet:", strangers)
		}
		fmt.Fprintln(w, "\nEach station is a process of its own: kill one and see. Ctrl-C stops all of them.")
	})
	<-ctx.Done()
	lines.do(func(w io.Writer) { fmt.Fprintln(w, "stopping; the data stays in", c.Dir) })
	wg.Wait()
	return nil
}

func endOf(err error) string {
	if err == nil {
		return "by itself"
	}
	return err.Error()
}

const (
	// meetAll is how long the addresses are held back for the stations to have met: what somebody tries first
	// should not fail because they have not. It leaves room in the ten seconds that a start may take.
	meetAll = 8 * time.Second
	// lookAgain is the pause between two looks at who has met whom.
	lookAgain = 50 * time.Millisecond
)

// met waits until every station of the demo knows all of them to be alive, and says who does not in time.
func met(ctx context.Context, cfgs []node.Config) error {
	ctx, cancel := context.WithTimeout(ctx, meetAll)
	defer cancel()
	var last error
	for {
		var errs []error
		for _, cfg := range cfgs {
			if err := knows(ctx, cfg, len(cfgs)); err != nil {
				errs = append(errs, err)
			}
		}
		if ctx.Err() == nil { // else it says only that the time is up
			last = errors.Join(errs...)
		}
		if last == nil || sleepUntil(ctx, time.Now().Add(lookAgain)) != nil {
			return last
		}
	}
}

// knows says what a station lacks of all, by its own word.
func knows(ctx context.Context, cfg node.Config, all int) error {
	name, alive := filepath.Base(cfg.Dir), 0
	var m web.MeshInfo
	if err := get(ctx, "http://"+cfg.HTTP+"/v1/mesh", &m); err != nil {
		return fmt.Errorf("%s does not answer: %w", name, err)
	}
	for _, x := range m.Members {
		if x.Alive {
			alive++
		}
	}
	if alive < all {
		return fmt.Errorf("%s knows %d of %d", name, alive, all)
	}
	return nil
}

// announce prints where everything is and who may sign in.
func (c demoCmd) announce(w io.Writer, data *node.County, cfgs []node.Config) {
	fmt.Fprintf(w, "\n%s: %d stations, data in %s\n%s\n\n", data.Title, len(cfgs), c.Dir, data.Note)
	rows := [][]string{{"station", "id", "kiosk", "patrol", "dispatch", "docs"}}
	for k, s := range data.Stations {
		at := "http://" + cfgs[k].HTTP
		rows = append(rows, []string{s.Name, string(s.ID), at + "/kiosk", at + "/patrol", at + "/dispatch", at + "/docs"})
	}
	table(w, rows)
	fmt.Fprintln(w, "\nWho may sign in, at any station (choose on the page; no password in the demo):")
	table(w, byRole(data.People))
	fmt.Fprintln(w, "\nPlay the founding case: bin/hive replay xinzhuang --url http://"+cfgs[0].HTTP)
}

// byRole lists people under their first role, in the order in which roles turn up.
func byRole(people []alerts.Person) [][]string {
	var rows [][]string
	for _, p := range people {
		role := ""
		if len(p.Roles) > 0 {
			role = string(p.Roles[0])
		}
		k := slices.IndexFunc(rows, func(r []string) bool { return r[0] == role })
		if k < 0 {
			k, rows = len(rows), append(rows, []string{role, ""})
		}
		rows[k][1] = strings.TrimPrefix(rows[k][1]+", "+string(p.ID)+" "+p.Name+" ("+string(p.Home)+")", ", ")
	}
	return rows
}

// lineWriter keeps the lines of several processes whole.
type lineWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lineWriter) do(f func(io.Writer)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.w)
}

func (l *lineWriter) print(id, line string) {
	l.do(func(w io.Writer) { fmt.Fprintf(w, "%-14s| %s\n", id, line) })
}

func (l *lineWriter) copy(id string, r io.Reader) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLogLine)
	for s.Scan() {
		l.print(id, s.Text())
	}
	_, _ = io.Copy(io.Discard, r) // a line too long to show must not block the station
}
