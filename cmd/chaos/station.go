//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hivemesh/alerts"
	"hivemesh/node"
)

const (
	httpAddr  = "127.0.0.1:8080" // of every station: each has a loopback of its own
	meshPort  = "9080"
	upWait    = 30 * time.Second // for a started station to answer
	pollEvery = 50 * time.Millisecond
	askWait   = 2 * time.Second // for one answer, by anybody
	stopWait  = 5 * time.Second // for a process to be seen as stopped or gone
)

// state of a station's process, as the harness made it.
type state int

const (
	down    state = iota // no process, or one that does not answer yet
	up                   // answers
	stopped              // SIGSTOP
)

// station is one host with one hive process.
type station struct {
	k     int
	id    alerts.StationID
	kind  alerts.StationKind
	place alerts.Point
	dir   string
	power *frailDisk // a disk whose power can go; nil: another one
	ns    *netns
	http  *http.Client

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
	state state
	since time.Time // in this state
	kills int       // processes that ended by SIGKILL while they answered
}

func newStation(k int, s node.StationEntry, dir string, ns *netns) *station {
	st := &station{k: k, id: s.ID, kind: s.Kind, place: s.Place, dir: filepath.Join(dir, string(s.ID)), ns: ns, since: time.Now()}
	st.http = &http.Client{Transport: &http.Transport{
		DialContext:         func(ctx context.Context, network, addr string) (net.Conn, error) { return ns.dial(ctx, network, addr) },
		MaxIdleConnsPerHost: 16, // the kiosk, and phones in the station's own WLAN
	}}
	return st
}

func (s *station) mesh() string { return address(s.k) + ":" + meshPort }

func (s *station) set(to state) {
	s.state, s.since = to, time.Now()
}

// steady reports whether the station was there all the time from begin until now.
func (s *station) steady(begin time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == up && s.since.Before(begin)
}

func (s *station) is(x state) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == x
}

func (s *station) pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// hive runs one command of the station's program on its host, to its end.
func (s *station) hive(args ...string) (out []byte, err error) {
	err = s.ns.do(func() error {
		var no error
		out, no = exec.Command(hiveProgram(), args...).Output()
		if exit, ok := errors.AsType[*exec.ExitError](no); ok {
			return fmt.Errorf("hive %s: %w: %s", args[0], no, exit.Stderr)
		}
		return no
	})
	return out, err
}

// start starts the station's process; it does not wait for an answer.
func (s *station) start() error {
	log, err := os.OpenFile(filepath.Join(workDir(), string(s.id)+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has it
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		return fmt.Errorf("%s runs already", s.id)
	}
	cmd := exec.Command(hiveProgram(), "serve", "--config", filepath.Join(s.dir, node.ConfigFile))
	cmd.Stdout, cmd.Stderr = log, log
	if err := s.ns.do(cmd.Start); err != nil {
		return fmt.Errorf("start %s: %w", s.id, err)
	}
	s.cmd, s.ended = cmd, make(chan struct{})
	s.set(down)
	ended := s.ended
	go func() {
		_ = cmd.Wait() // how it ended is asked of cmd
		s.mu.Lock()
		if s.cmd == cmd {
			s.cmd = nil
		}
		killed := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if s.state == up && killed.Signaled() && killed.Signal() == syscall.SIGKILL {
			s.kills++
		}
		s.set(down)
		s.mu.Unlock()
		close(ended)
	}()
	return nil
}

// await waits until the station answers.
func (s *station) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, upWait)
	defer cancel()
	for {
		if err := s.healthy(ctx); err == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.cmd == nil {
				return fmt.Errorf("%s answered and ended", s.id)
			}
			s.set(up)
			return nil
		}
		s.mu.Lock()
		gone := s.cmd == nil
		s.mu.Unlock()
		if gone {
			return fmt.Errorf("%s ended at its start; its log is %s", s.id, filepath.Join(workDir(), string(s.id)+".log"))
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", s.id, ctx.Err())
		}
	}
}

func (s *station) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+httpAddr+"/healthz", nil)
	if err != nil {
		return err
	}
	res, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// kill ends the process with SIGKILL and waits for its end.
func (s *station) kill() error {
	s.mu.Lock()
	cmd, ended := s.cmd, s.ended
	s.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-ended:
		return nil
	case <-time.After(stopWait):
		return fmt.Errorf("%s does not die", s.id)
	}
}

// killed counts the times that it was killed while it answered.
func (s *station) killed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kills
}

// freeze stops the process where it stands, and reports whether the kernel says so.
func (s *station) freeze() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil || s.state != up {
		return false, nil
	}
	pid := s.cmd.Process.Pid
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return false, err
	}
	s.set(stopped)
	for end := time.Now().Add(stopWait); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if processState(pid) == 'T' {
			return true, nil
		}
	}
	return false, nil
}

func (s *station) thaw() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil || s.state != stopped {
		return nil
	}
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	s.set(up)
	return nil
}

// processState is the kernel's letter for a process: T is stopped.
func processState(pid int) byte {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	for i := len(b) - 1; i > 0; i-- { // the name before it may hold anything, but ends with the last bracket
		if b[i] == ')' && i+2 < len(b) {
			return b[i+2]
		}
	}
	return 0
}

// ownDisk gives the station a small disk of its own, which can be filled; bytes.
func (s *station) ownDisk(size int) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	return unix.Mount("tmpfs", s.dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size))
}
