package web

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"testing"
	"time"

	"hivemesh/alerts"
)

// A session that asks without end is told to wait and for how long. It raises alerts all the same, and another
// session of the same kiosk notices nothing.
func TestASessionThatAsksTooMuchWaitsAndStillRaises(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		wild, calm := v.signIn("xinzhuang", "kiosk"), v.signIn("xinzhuang", "kiosk")
		look := func(token string) answer {
			return v.ask("xinzhuang", request{method: "GET", path: "/v1/incidents", token: token})
		}
		asked := 0
		for ; asked < 10*int(requestPace.atOnce) && look(wild).status == 200; asked++ {
		}
		if asked < int(requestPace.atOnce) {
			t.Errorf("refused after %d requests, %v at once are allowed", asked, requestPace.atOnce)
		}
		a := look(wild)
		if a.status != 429 || a.problem(t).Code != "too_many" {
			t.Fatalf("after %d requests in a moment: %d %s", asked, a.status, a.body)
		}
		seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
		if err != nil || seconds < 1 || seconds > 10 {
			t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
		}
		v.raise("xinzhuang", wild, abduction)
		if a := look(calm); a.status != 200 {
			t.Errorf("the kiosk's other session: %d %s", a.status, a.body)
		}
		time.Sleep(time.Duration(seconds) * time.Second)
		if a := look(wild); a.status != 200 {
			t.Errorf("after the wait: %d %s", a.status, a.body)
		}
	})
}

// An alert is refused only beyond what any person or desk does, says what to do then, and goes out after the wait
// with the same id. Nobody else's are touched.
func TestAlertsAreBoundedFarAboveWhatPeopleDo(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		wild, calm := v.signIn("xinzhuang", "kiosk"), v.signIn("xinzhuang", "kiosk")
		alert := func(n int) string {
			return fmt.Sprintf(`{"id":"flood-%d","category":"dispute","place":{"grid":"xinzhuang-1"}}`, n)
		}
		for n := range int(alertPace.atOnce) {
			v.raise("xinzhuang", wild, alert(n))
		}
		over := request{method: "POST", path: "/v1/alerts", token: wild, body: alert(-1)}
		for a := v.ask("xinzhuang", over); ; a = v.ask("xinzhuang", over) {
			if a.status == 202 { // time passes while 400 are raised: some of them were free again
				over.body = alert(int(time.Now().UnixNano()))
				continue
			}
			if p := a.problem(t); a.status != 429 || p.Code != "too_many" || a.header.Get("Retry-After") != "1" || p.Do[:8] != "call 110" {
				t.Fatalf("the alert beyond the bound: %d %v %s", a.status, a.header, a.body)
			}
			break
		}
		v.raise("xinzhuang", calm, alert(-2))
		time.Sleep(time.Second)
		v.raise("xinzhuang", wild, over.body)
	})
}

func TestHellosOfASessionAreBounded(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		token := v.signIn("xinzhuang", "volunteer")
		hello := func() *phone {
			p := v.dial("xinzhuang", nil)
			p.say(fmt.Sprintf(`{"type":"hello","device":"flaps","token":%q}`, token))
			return p
		}
		for n := range int(helloPace.atOnce) {
			p := hello()
			if len(p.got("welcome")) != 1 {
				t.Fatalf("hello %d was refused: %s", n, p.everything())
			}
			p.hangUp()
		}
		for n := 0; ; n++ {
			p := hello()
			if len(p.got("welcome")) == 1 && n < 100 {
				p.hangUp()
				continue
			}
			if p.last(t, "error")["code"] != "too_many" || p.closedWith(t) != closeMany.code {
				t.Fatalf("the hello beyond the bound: %s", p.everything())
			}
			break
		}
		v.connect("xinzhuang", "volunteer", "another").count(t, "welcome", 1)
		time.Sleep(2 * time.Second)
		hello().count(t, "welcome", 1)
	})
}

func TestAFloodOfFramesIsToldAndClosed(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		mad := v.connect("xinzhuang", "volunteer", "mad")
		taken := v.raise("xinzhuang", v.signIn("xinzhuang", "kiosk"), abduction)
		mad.count(t, "alarm", 1)
		receipt := fmt.Sprintf(`{"type":"receipt","incident":%q,"wave":1,"state":"reached"}`, taken.Incident)
		for range int(framePace.atOnce) {
			mad.say(receipt)
		}
		if got := mad.got("error"); len(got) != 0 {
			t.Fatalf("as many receipts as are allowed at once: %v", got)
		}
		mad.say(receipt)
		if mad.last(t, "error")["code"] != "too_many" || mad.closedWith(t) != closeMany.code {
			t.Errorf("beyond it: %s", mad.everything())
		}
	})
}

func TestPingsBeyondTheBoundAreSaid(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		p := v.connect("xinzhuang", "volunteer", "d")
		for range int(pingPace.atOnce) + 3 {
			p.say(`{"type":"ping"}`)
		}
		p.count(t, "pong", int(pingPace.atOnce))
		if errs := p.count(t, "error", 3); errs[0]["code"] != "too_many" {
			t.Errorf("errors %v", errs)
		}
		time.Sleep(time.Second)
		p.say(`{"type":"ping"}`)
		p.count(t, "pong", int(pingPace.atOnce)+1)
	})
}

// Going on and off duty without end sets off no more than one look at the alarms in half a second, and the latest
// counts.
func TestAFloodOfDutyIsOneASecond(t *testing.T) {
	c := newCounty()
	h := stillHub(c)
	s := comes(h, "volunteer", alerts.Volunteer)
	h.turned(s, false)
	for range 10 {
		h.turned(s, true)
		h.turned(s, false)
	}
	h.turned(s, true)
	if s.duty || s.willing.Load() == nil {
		t.Fatalf("within half a second: on duty %v", s.duty)
	}
	h.mu.Lock()
	h.catchUp(s)
	h.mu.Unlock()
	if !s.duty || s.willing.Load() != nil {
		t.Errorf("at the next tick: on duty %v", s.duty)
	}
}

// However many sessions there were, what is remembered of them is bounded, and forgotten when it says nothing.
func TestAllowancesAreForgotten(t *testing.T) {
	l := newAllowances()
	now := time.Unix(0, 0)
	key := func(n int) tokenKey { return sha256.Sum256([]byte(strconv.Itoa(n))) }
	for n := range maxAllowances + 100 {
		l.request(key(n), now)
	}
	if len(l.of) != maxAllowances {
		t.Errorf("%d sessions are remembered, %d may be", len(l.of), maxAllowances)
	}
	now = now.Add(sweepEvery + time.Second)
	l.request(key(0), now)
	if len(l.of) != 1 {
		t.Errorf("%d sessions are remembered after a quiet minute", len(l.of))
	}
}
