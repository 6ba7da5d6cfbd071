package web

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// pace bounds how often something may be done: so many times a second in the long run, and so many at once.
type pace struct{ perSecond, atOnce float64 }

// What one session or one socket may do. People, and pages that work for them, stay far below; a program that
// runs wild, or a session that was stolen, is held at it and nobody else is. Each session has its own: of several
// screens that share a kiosk one that runs wild does not silence the others.
var (
	// alertPace: a person raises one alert in seconds, a desk in a storm one a second, and twice as many again
	// come at once when a link is back. An alarm is the last thing to refuse: it has a bound of its own, which
	// nothing else that the session does uses up.
	alertPace = pace{perSecond: 20, atOnce: 400}
	// requestPace: a screen asks for a handful of lists when it opens and for a matter when it is touched.
	requestPace = pace{perSecond: 100, atOnce: 500}
	// helloPace: each hello is half a millisecond's work and brings a history. A device on a bad link says one a
	// second, and several share a session.
	helloPace = pace{perSecond: 5, atOnce: 100}
	// framePace: two receipts for each alarm of a storm of 200 a second, and a burst after a reconnect. Receipts
	// must not be dropped one by one, so beyond it the socket is closed (too many) and begins anew.
	framePace = pace{perSecond: 500, atOnce: 2000}
	// pingPace: a page asks every ten seconds, and when it comes to the front.
	pingPace = pace{perSecond: 2, atOnce: 20}
)

// budget is what was used of a pace.
type budget struct {
	spent float64
	at    time.Time
}

// take uses up one, or says how long until there is one.
func (b *budget) take(p pace, now time.Time) time.Duration {
	b.spent, b.at = max(0, b.spent-now.Sub(b.at).Seconds()*p.perSecond), now
	if over := b.spent + 1 - p.atOnce; over > 0 {
		return time.Duration(over / p.perSecond * float64(time.Second))
	}
	b.spent++
	return 0
}

// idle reports whether everything that was used is free again: nothing is lost by forgetting it.
func (b *budget) idle(p pace, now time.Time) bool {
	return now.Sub(b.at).Seconds()*p.perSecond >= b.spent
}

// allowances are what sessions have used at this station.
type allowances struct {
	mu    sync.Mutex
	of    map[tokenKey]*allowance
	swept time.Time
}

type allowance struct{ alerts, requests, hellos budget }

func (a *allowance) idle(now time.Time) bool {
	return a.alerts.idle(alertPace, now) && a.requests.idle(requestPace, now) && a.hellos.idle(helloPace, now)
}

const (
	// maxAllowances is how many sessions are remembered: as many as may have a socket.
	maxAllowances = maxSockets
	// sweepEvery is how often those who have used nothing lately are forgotten.
	sweepEvery = time.Minute
)

func newAllowances() *allowances { return &allowances{of: map[tokenKey]*allowance{}} }

// alert, request and hello use up one of a session's, or say how long until there is one.
func (l *allowances) alert(key tokenKey, now time.Time) time.Duration {
	return l.take(key, now, func(a *allowance) time.Duration { return a.alerts.take(alertPace, now) })
}

func (l *allowances) request(key tokenKey, now time.Time) time.Duration {
	return l.take(key, now, func(a *allowance) time.Duration { return a.requests.take(requestPace, now) })
}

func (l *allowances) hello(key tokenKey, now time.Time) time.Duration {
	return l.take(key, now, func(a *allowance) time.Duration { return a.hellos.take(helloPace, now) })
}

func (l *allowances) take(key tokenKey, now time.Time, from func(*allowance) time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.swept) > sweepEvery {
		l.swept = now
		for k, a := range l.of {
			if a.idle(now) {
				delete(l.of, k)
			}
		}
	}
	a := l.of[key]
	if a == nil {
		for k := range l.of {
			if len(l.of) < maxAllowances {
				break
			}
			delete(l.of, k) // any: whoever it is begins anew
		}
		a = &allowance{}
		l.of[key] = a
	}
	return from(a)
}

// tooMany is the answer to a session that asks too much; alert: it raised one.
func tooMany(wait time.Duration, alert bool) *Problem {
	seconds := int(math.Ceil(wait.Seconds()))
	again := fmt.Sprintf("wait %d s and send it again", seconds)
	p := problem(http.StatusTooManyRequests, "too_many",
		fmt.Sprintf("this session sends more than %.0f requests a second; others are not held up by it", requestPace.perSecond), again)
	if alert {
		p.Detail = fmt.Sprintf("this session raises more than %.0f alerts a second; nothing else that it does is held up by it", alertPace.perSecond)
		p.Do = "call 110 where somebody is in danger; " + again + ", with the same id"
	}
	p.header = http.Header{"Retry-After": {strconv.Itoa(seconds)}}
	return p
}
