package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"

	"hivemesh/alerts"
	"hivemesh/node/web"
)

const (
	benchCategory = "help" // everybody near hears it, and it never widens by itself
	benchInFlight = 64
	benchAtOnce   = 8
	benchNearest  = 50
	benchQuiet    = 500 * time.Millisecond
	benchRound    = 60 * time.Second // for the last socket to hear
	benchIdle     = 5 * time.Second  // before memory is read
	dialAtOnce    = 64
	alarmStart    = `{"type":"alarm",`
	welcomeStart  = `{"type":"welcome"`
	benchApart    = 0.1 / 111e3 // degrees of latitude between one device and the next: 10 cm
)

// benchClient keeps as many connections as there are requests in flight.
var benchClient = &http.Client{
	Transport: &http.Transport{MaxIdleConns: 2 * benchInFlight, MaxIdleConnsPerHost: 2 * benchInFlight},
	Timeout:   reachWait + recordAtEnd,
}

func benchPost(ctx context.Context, url, token, prefer string, form, into any) error {
	b, err := json.Marshal(form)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if prefer != "" {
		req.Header.Set("Prefer", prefer)
	}
	res, err := benchClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s: %s: %s", url, res.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// signIn takes a session: a person's, or with none the kiosk's.
func (t *benchCounty) signIn(ctx context.Context, station int, person string) (string, error) {
	form := map[string]any{"person": person}
	if person == "" {
		form = map[string]any{"kiosk": true}
	}
	var s struct{ Token string }
	err := benchPost(ctx, t.urls[station]+"/v1/session", "", "", form, &s)
	return s.Token, err
}

func (t *benchCounty) raise(ctx context.Context, by *sessions, prefer string) (web.Taken, error) {
	var taken web.Taken
	err := benchPost(ctx, t.urls[raiser]+"/v1/alerts", by.next(), prefer, map[string]any{"category": benchCategory}, &taken)
	return taken, err
}

// seen is when a matter was first heard of, and when it stood on the record, at the listening station.
type seen struct{ alarm, recorded time.Time }

// latency raises at one station at a steady pace and listens at another.
func (b *bench) latency(ctx context.Context, t *benchCounty) error {
	n := pace * 5
	if b.quick {
		n = pace
	}
	b.say("%d alerts at %d a second, heard at another station …", n, pace)
	kiosk, err := t.signInOften(ctx, raiser, "", benchSessions)
	if err != nil {
		return err
	}
	desk, err := t.signIn(ctx, listener, "disp-li")
	if err != nil {
		return err
	}
	dialer := websocket.Dialer{Subprotocols: []string{liveSpeak}, HandshakeTimeout: reachWait}
	ws, res, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(t.urls[listener], "http")+"/v1/live", nil)
	if err != nil {
		return err
	}
	res.Body.Close()
	var (
		mu      sync.Mutex
		matters = map[alerts.IncidentID]*seen{}
		ended   = make(chan error, 1)
	)
	note := func(in alerts.IncidentID) *seen {
		if matters[in] == nil {
			matters[in] = &seen{}
		}
		return matters[in]
	}
	if err := ws.WriteJSON(web.HelloFrame{Type: "hello", Token: desk, Device: "bench-desk"}); err != nil {
		return errors.Join(err, ws.Close())
	}
	go func() {
		for {
			_, text, err := ws.ReadMessage()
			now := time.Now()
			if err != nil {
				ended <- err
				return
			}
			mu.Lock()
			if bytes.HasPrefix(text, []byte(alarmStart)) {
				var f web.AlarmFrame
				if json.Unmarshal(text, &f) == nil {
					if s := note(f.Incident); s.alarm.IsZero() {
						s.alarm = now
					}
				}
			} else if bytes.HasPrefix(text, []byte(`{"type":"incident",`)) {
				var f struct {
					Incident struct {
						ID          alerts.IncidentID
						Provisional bool
					}
				}
				if json.Unmarshal(text, &f) == nil && !f.Incident.Provisional {
					if s := note(f.Incident.ID); s.recorded.IsZero() {
						s.recorded = now
					}
				}
			}
			mu.Unlock()
		}
	}()
	defer func() { ws.Close(); <-ended }()
	var (
		sending errgroup.Group
		begun   = make([]time.Time, n)
		taken   = make([]web.Taken, n)
	)
	// Some before, uncounted: connections are open and everything has run once.
	for range 20 {
		if _, err := t.raise(ctx, kiosk, ""); err != nil {
			return err
		}
	}
	start := time.Now()
	for k := range n {
		if err := sleepUntil(ctx, start.Add(time.Duration(k)*time.Second/pace)); err != nil {
			return err
		}
		begun[k] = time.Now()
		sending.Go(func() (err error) {
			taken[k], err = t.raise(ctx, kiosk, "")
			return err
		})
	}
	if err := sending.Wait(); err != nil {
		return err
	}
	if err := sleepUntil(ctx, time.Now().Add(2*time.Second)); err != nil {
		return err
	}
	var first, recorded []time.Duration
	mu.Lock()
	for k := range taken {
		if s := matters[taken[k].Incident]; s != nil && !s.alarm.IsZero() {
			first = append(first, s.alarm.Sub(begun[k]))
			if !s.recorded.IsZero() {
				recorded = append(recorded, s.recorded.Sub(begun[k]))
			}
		}
	}
	mu.Unlock()
	slices.Sort(first)
	slices.Sort(recorded)
	b.row("raise → first sight at another station, p50 / p99", ns(at(first, 50))+" / "+ns(at(first, 99)),
		"loopback "+ns(b.trip), times(at(first, 50).Seconds(), b.trip.Seconds()), "≤ 3x and the write")
	b.row("the same beside the bare relay", ns(at(first, 50)), "relay "+ns(b.relay), times(at(first, 50).Seconds(), b.relay.Seconds()), "")
	b.row("raise → on the record there, p50 / p99", ns(at(recorded, 50))+" / "+ns(at(recorded, 99)),
		"raft commit "+ns(b.commit), times(at(recorded, 50).Seconds(), b.commit.Seconds()), "≤ 2x")
	if len(first) < n || len(recorded) < n {
		b.notes = append(b.notes, fmt.Sprintf("Of %d alerts %d were heard and %d recorded at the other station within 2 s of the last.", n, len(first), len(recorded)))
	}
	return nil
}

// throughput keeps so many alerts on their way and waits for each to be recorded; before that, one at a time.
func (b *bench) throughput(ctx context.Context, t *benchCounty) error {
	most := 5 * time.Second
	if b.quick {
		most = 2 * time.Second
	}
	b.say("alerts on the record, one at a time and %d in flight …", benchInFlight)
	kiosk, err := t.signInOften(ctx, raiser, "", benchSessions)
	if err != nil {
		return err
	}
	for _, flight := range []int{1, benchInFlight} {
		var (
			sending errgroup.Group
			done    atomic.Int64 // within the time
			mu      sync.Mutex
			slowest time.Duration
			until   = time.Now().Add(most)
		)
		for range flight {
			sending.Go(func() error {
				for begin := time.Now(); begin.Before(until); begin = time.Now() {
					taken, err := t.raise(ctx, kiosk, "wait=10")
					if err != nil {
						return err
					}
					if !taken.Kept.Recorded {
						return errors.New("an alert was not recorded within 10 s")
					}
					if time.Now().Before(until) {
						done.Add(1)
					}
					mu.Lock()
					slowest = max(slowest, time.Since(begin))
					mu.Unlock()
				}
				return nil
			})
		}
		if err := sending.Wait(); err != nil {
			return err
		}
		rate := float64(done.Load()) / most.Seconds()
		b.row(fmt.Sprintf("alerts on the record, %d in flight", flight), fmt.Sprintf("%.0f/s, slowest answer %s", rate, ns(slowest)),
			fmt.Sprintf("raft commits one by one %.0f/s", 1/b.commit.Seconds()), times(rate, 1/b.commit.Seconds()), "")
	}
	return nil
}

// fanned is what fanning out to a crowd took: the middle of several rounds.
type fanned struct {
	last    time.Duration // one alarm, until the last socket has it
	rate    float64       // deliveries a second with several alarms in flight
	each    int           // bytes of memory a socket
	nearest time.Duration // until the nearest people have it
	rank    int           // of the last of them, among all
	size    int           // bytes an alarm
	work    time.Duration // of the processor, for one delivery, all rounds together
}

func (b *bench) rounds() int {
	if b.quick {
		return 3
	}
	return 7
}

// fanOut measures a connected crowd; shoot raises so many alarms at once.
func (b *bench) fanOut(ctx context.Context, c *crowd, shoot func(context.Context, int) error) (fanned, error) {
	var (
		f       fanned
		n       = len(c.heard)
		last    []time.Duration
		nearest []time.Duration
		ranks   []int
		rates   []float64
	)
	if _, err := c.round(ctx, 1, shoot); err != nil { // uncounted: everything has run once
		return f, err
	}
	for range b.rounds() {
		begin := time.Since(c.epoch)
		took, err := c.round(ctx, 1, shoot)
		if err != nil {
			return f, err
		}
		last = append(last, took)
		near, rank := c.near(min(benchNearest, n))
		nearest, ranks = append(nearest, near-begin), append(ranks, rank)
		took, err = c.round(ctx, benchAtOnce, shoot)
		if err != nil {
			return f, err
		}
		rates = append(rates, float64(benchAtOnce*n)/took.Seconds())
	}
	slices.Sort(last)
	slices.Sort(nearest)
	slices.Sort(ranks)
	slices.Sort(rates)
	f.last, f.nearest, f.rank, f.rate = at(last, 50), at(nearest, 50), ranks[len(ranks)/2], rates[len(rates)/2]
	return f, nil
}

// rawFan measures the serial PreparedMessage loop, with messages of the size of an alarm.
func (b *bench) rawFan(ctx context.Context, n, size int) (f fanned, err error) {
	b.say("%d sockets, the raw gorilla server …", n)
	raw, err := startRaw(ctx, "")
	if err != nil {
		return f, err
	}
	defer raw.stop()
	return b.withCrowd(ctx, raw.live, nil, raw.cmd.Process.Pid, n, func(ctx context.Context, alarms int) error {
		return benchPost(ctx, fmt.Sprintf("http://%s/fan?n=%d&size=%d", raw.live, alarms, size), "", "", nil, nil)
	})
}

// withCrowd connects n sockets to a process, reads what they cost it, and fans out to them.
func (b *bench) withCrowd(ctx context.Context, addr string, as *sessions, pid, n int, shoot func(context.Context, int) error) (fanned, error) {
	before, err := resident(pid)
	if err != nil {
		return fanned{}, err
	}
	c, err := dialCrowd(ctx, addr, as, n, 0)
	if err != nil {
		return fanned{}, err
	}
	defer c.close()
	if err := sleepUntil(ctx, time.Now().Add(benchIdle)); err != nil {
		return fanned{}, err
	}
	after, err := resident(pid)
	if err != nil {
		return fanned{}, err
	}
	worked, err := processorTime(pid)
	if err != nil {
		return fanned{}, err
	}
	f, err := b.fanOut(ctx, c, shoot)
	if err != nil {
		return f, err
	}
	done, err := processorTime(pid)
	f.each, f.size = (after-before)/n, int(c.size.Load())
	f.work = (done - worked) / time.Duration(n*(1+b.rounds()*(1+benchAtOnce)))
	return f, err
}

// fan raises at one station for a crowd at another.
func (b *bench) fan(ctx context.Context, t *benchCounty, n int) (f fanned, err error) {
	b.say("%d sockets, a station …", n)
	kiosk, err := t.signInOften(ctx, raiser, "", benchSessions)
	if err != nil {
		return f, err
	}
	crowd, err := t.signInOften(ctx, listener, "vol-lin", n/benchShare+1)
	if err != nil {
		return f, err
	}
	return b.withCrowd(ctx, strings.TrimPrefix(t.urls[listener], "http://"), crowd, t.pids[listener], n, func(ctx context.Context, alarms int) error {
		var sending errgroup.Group
		for range alarms {
			sending.Go(func() error {
				_, err := t.raise(ctx, kiosk, "")
				return err
			})
		}
		return sending.Wait()
	})
}

// compare writes what both came to.
func (b *bench) compare(n int, f, raw fanned) {
	of := fmt.Sprintf("%d sockets: ", n)
	b.row(of+"one alarm until the last has it", ns(f.last), "gorilla loop "+ns(raw.last), times(f.last.Seconds(), raw.last.Seconds()), "≤ 0.8x")
	b.row(of+fmt.Sprintf("deliveries with %d alarms in flight", benchAtOnce), fmt.Sprintf("%.0f/s", f.rate), fmt.Sprintf("gorilla loop %.0f/s", raw.rate), times(f.rate, raw.rate), "≥ 2x")
	b.row(of+fmt.Sprintf("the nearest %d have it", min(benchNearest, n)), fmt.Sprintf("%s, last of them as number %d", ns(f.nearest), f.rank),
		fmt.Sprintf("gorilla loop %s, number %d", ns(raw.nearest), raw.rank), times(f.nearest.Seconds(), raw.nearest.Seconds()), "first")
	b.row(of+"processor time of a delivery", us(f.work), "gorilla loop "+us(raw.work), times(f.work.Seconds(), raw.work.Seconds()), "")
	b.row(of+"memory of an idle one", fmt.Sprintf("%.1f KB", float64(f.each)/1024), fmt.Sprintf("gorilla %.1f KB", float64(raw.each)/1024), times(float64(f.each), float64(raw.each)), "≤ 10 KB")
}
