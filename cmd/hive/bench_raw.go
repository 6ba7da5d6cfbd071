package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"
)

// benchRawCmd is the raw limit as a process of its own: an echo, and a websocket server as one writes it
// with gorilla alone. It ends when its input does, so never outlives who started it.
type benchRawCmd struct {
	To string `help:"Hand what POST /pass brings to the relay at this address." placeholder:"ADDR"`
}

const (
	pace     = 200 // a second
	tripSize = 64
	rawMost  = 64 // messages in one order
)

func (c benchRawCmd) Run(ctx context.Context, to console) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer echo.Close()
	live, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, make([]byte, tripSize))
			}()
		}
	}()
	r := &rawServer{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/live", r.open)
	mux.HandleFunc("POST /fan", r.fan)
	passing, err := listenRelay()
	if err != nil {
		return err
	}
	defer passing.Close()
	go r.relayed(passing)
	if c.To != "" {
		on, err := dialRelay(c.To)
		if err != nil {
			return err
		}
		defer on.to.Close()
		mux.HandleFunc("POST /pass", on.pass)
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: reachWait}
	go func() { _ = srv.Serve(live) }()
	defer srv.Close()
	fmt.Fprintln(to.out, echo.Addr(), live.Addr(), passing.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	<-ctx.Done()
	return nil
}

type rawServer struct {
	mu    sync.Mutex
	conns []*websocket.Conn
}

func (r *rawServer) open(w http.ResponseWriter, req *http.Request) {
	up := websocket.Upgrader{Subprotocols: []string{liveSpeak}}
	ws, err := up.Upgrade(w, req, nil)
	if err != nil {
		return
	}
	defer ws.Close()
	for first := true; ; first = false {
		if _, _, err := ws.ReadMessage(); err != nil {
			return
		}
		if first { // its hello
			r.mu.Lock()
			r.conns = append(r.conns, ws)
			err := ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"welcome"}`))
			r.mu.Unlock()
			if err != nil {
				return
			}
		}
	}
}

// fan writes n messages of so many bytes to everybody, one after the other.
func (r *rawServer) fan(w http.ResponseWriter, req *http.Request) {
	n, err1 := strconv.Atoi(req.FormValue("n"))
	size, err2 := strconv.Atoi(req.FormValue("size"))
	if err := errors.Join(err1, err2); err != nil || n < 1 || n > rawMost || size < 0 || size > maxLogLine {
		http.Error(w, "n and size", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for range n {
		text := alarmStart
		text += strings.Repeat("x", max(0, size-len(text)))
		m, err := websocket.NewPreparedMessage(websocket.TextMessage, []byte(text))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		for _, c := range r.conns {
			if err := c.WritePreparedMessage(m); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
	}
}

// rawChild is a running benchRawCmd.
type rawChild struct {
	cmd               *exec.Cmd
	in                io.Closer
	echo, live, relay string
}

// startRaw starts one; with to it hands requests on to another.
func startRaw(ctx context.Context, to string) (*rawChild, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "bench-raw", "--to="+to)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = childGrace
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := &rawChild{cmd: cmd, in: in}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		_, err = fmt.Sscan(line, &r.echo, &r.live, &r.relay)
	}
	if err != nil {
		r.stop()
		return nil, fmt.Errorf("bench-raw did not start: %w", err)
	}
	return r, nil
}

func (r *rawChild) stop() {
	_ = r.in.Close()
	_ = r.cmd.Wait()
}

// crowd is many sockets; what they hear is counted, and for one alarm when each heard it.
type crowd struct {
	conns   []net.Conn
	reading sync.WaitGroup
	alarms  atomic.Int64
	frames  atomic.Int64
	size    atomic.Int64 // of an alarm
	want    atomic.Int64
	all     chan time.Duration
	heard   []atomic.Int64 // by device, nanoseconds since epoch
	epoch   time.Time
}

// dialCrowd connects n devices, the k-th of them k*10 cm from where alerts are raised, in any order. Each is to
// hear so many alarms that are open already.
func dialCrowd(ctx context.Context, addr string, as *sessions, n, open int) (*crowd, error) {
	c := &crowd{heard: make([]atomic.Int64, n), all: make(chan time.Duration, 1), epoch: time.Now()}
	c.want.Store(int64(n * open))
	var (
		mu      sync.Mutex
		dialing errgroup.Group
	)
	dialing.SetLimit(dialAtOnce)
	for _, k := range rand.Perm(n) {
		dialing.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			conn, r, err := dialLive(addr, fmt.Sprintf(`{"type":"hello","token":%q,"device":"bench-%d","position":{"lon":116.5,"lat":%.7f}}`,
				as.of(k), k, 39.32+float64(k)*benchApart))
			if err != nil {
				return fmt.Errorf("socket %d: %w", k, err)
			}
			mu.Lock()
			defer mu.Unlock()
			c.conns = append(c.conns, conn)
			c.reading.Go(func() { c.read(conn, r, k) })
			return nil
		})
	}
	if err := dialing.Wait(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *crowd) close() {
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.reading.Wait()
}

// dialLive opens a websocket without gorilla, says hello and waits for the welcome: the less the clients
// need, the more of the two cores is left to who is measured.
func dialLive(addr, hello string) (net.Conn, *bufio.Reader, error) {
	conn, err := net.DialTimeout("tcp", addr, reachWait)
	if err != nil {
		return nil, nil, err
	}
	r := bufio.NewReaderSize(conn, 2048)
	err = func() error {
		_ = conn.SetDeadline(time.Now().Add(2 * reachWait))
		_, err := fmt.Fprintf(conn, "GET /v1/live HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: %s\r\n\r\n", addr, liveSpeak)
		if err != nil {
			return err
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		if res.StatusCode != http.StatusSwitchingProtocols {
			return errors.New(res.Status)
		}
		if err := writeMasked(conn, hello); err != nil {
			return err
		}
		_, _, start, err := readFrame(r)
		if err == nil && start != welcomeStart {
			err = fmt.Errorf("instead of a welcome: %s", start)
		}
		return errors.Join(err, conn.SetDeadline(time.Time{}))
	}()
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, r, nil
}

// readFrame reads one frame of a server: its opcode, how long it is and how its text starts.
func readFrame(r *bufio.Reader) (op byte, n int, start string, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return 0, 0, "", err
	}
	op, n = head[0]&0xF, int(head[1])
	switch n {
	case 126:
		_, err = io.ReadFull(r, head[:2])
		n = int(binary.BigEndian.Uint16(head[:2]))
	case 127:
		_, err = io.ReadFull(r, head[:8])
		n = int(binary.BigEndian.Uint64(head[:8]))
	}
	if err != nil {
		return op, n, "", err
	}
	peek, err := r.Peek(min(n, len(welcomeStart)))
	if err != nil {
		return op, n, "", err
	}
	switch { // known starts cost no allocation
	case string(peek[:min(n, len(alarmStart))]) == alarmStart:
		start = alarmStart
	case string(peek) == welcomeStart:
		start = welcomeStart
	case op != 1 && op != 8:
	default:
		start = string(peek)
	}
	_, err = r.Discard(n)
	return op, n, start, err
}

// read counts what the k-th device hears, and answers pings.
func (c *crowd) read(conn net.Conn, r *bufio.Reader, k int) {
	for {
		op, n, start, err := readFrame(r)
		switch {
		case err != nil:
			return
		case op == websocket.PingMessage:
			if _, err := conn.Write([]byte{0x80 | websocket.PongMessage, 0x80, 0, 0, 0, 0}); err != nil {
				return
			}
		case start == alarmStart:
			now := time.Since(c.epoch)
			c.heard[k].Store(int64(now))
			c.size.Store(int64(n))
			if c.alarms.Add(1) == c.want.Load() {
				c.all <- now
			}
		}
		c.frames.Add(1)
	}
}

// volley raises so many alarms and waits until each device has heard each of them.
func (c *crowd) volley(ctx context.Context, alarms int, shoot func(context.Context, int) error) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, benchRound)
	defer cancel()
	c.alarms.Store(0)
	c.want.Store(int64(alarms * len(c.heard)))
	begin := time.Since(c.epoch)
	shot := make(chan error, 1)
	go func() { shot <- shoot(ctx, alarms) }()
	select {
	case last := <-c.all:
		return last - begin, <-shot
	case <-ctx.Done():
		return 0, fmt.Errorf("%d of %d alarms were heard: %w", c.alarms.Load(), c.want.Load(), ctx.Err())
	}
}

// round is a volley, and waits until all is quiet.
func (c *crowd) round(ctx context.Context, alarms int, shoot func(context.Context, int) error) (time.Duration, error) {
	took, err := c.volley(ctx, alarms, shoot)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, benchRound)
	defer cancel()
	for was := int64(-1); was != c.frames.Load(); {
		was = c.frames.Load()
		if err := sleepUntil(ctx, time.Now().Add(benchQuiet)); err != nil {
			return 0, err
		}
		if c.frames.Load()-was < int64(len(c.heard)/5) { // pings go on
			break
		}
	}
	if more := c.alarms.Load() - c.want.Load(); more != 0 {
		return 0, fmt.Errorf("%d alarms were heard twice", more)
	}
	return took, nil
}

// near says when the last of the n nearest devices heard the last alarm, and as which one of all.
func (c *crowd) near(n int) (when time.Duration, rank int) {
	var last int64
	for k := range n {
		last = max(last, c.heard[k].Load())
	}
	for k := range c.heard {
		if c.heard[k].Load() <= last {
			rank++
		}
	}
	return time.Duration(last), rank
}
