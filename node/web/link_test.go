package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHistoryResumesByCursorAtAnyStation(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		p := v.connect("xinzhuang", "volunteer", "d1")
		kiosk := v.signIn("xinzhuang", "kiosk")
		a := v.raise("xinzhuang", kiosk, abduction)
		v.record()
		cursor := p.last(t, "incident")["cursor"].(string)
		p.hangUp()
		b := v.raise("xinzhuang", kiosk, strings.Replace(abduction, "a1", "a2", 1))
		v.record()
		heard := fmt.Sprintf(`"heard":[{"incident":%q,"wave":1}]`, a.Incident)
		back := v.connect("zhangyong", "volunteer", "d1", heard, fmt.Sprintf(`"after":{"yongqing":%q}`, cursor))
		list := back.count(t, "incident", 1)
		if id := list[0]["incident"].(map[string]any)["id"]; id != string(b.Incident) {
			t.Errorf("resumed with %v, want what was missed", id)
		}
		back.count(t, "alarm", 1)
		if w := back.last(t, "welcome")["cursors"].(map[string]any)["yongqing"]; w != cursor {
			t.Errorf("goes on from %v", w)
		}
		back.hangUp()
		ahead := v.connect("zhangyong", "volunteer", "d2", `"after":{"yongqing":"1.zz"}`)
		if e := ahead.last(t, "error"); e["code"] != "behind" {
			t.Errorf("got %v", e)
		}
		ahead.count(t, "alarm", 2) // alarms come at once
		ahead.count(t, "incident", 0)
		anew := v.connect("zhangyong", "volunteer", "d3", `"after":{"yongqing":"0.5"}`)
		if e := anew.last(t, "error"); e["code"] != "cursor_reset" {
			t.Errorf("got %v", e)
		}
		anew.count(t, "incident", 2)
	})
}

func TestAStationBehindTheClientShowsHistoryOnceItCaughtUp(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		kiosk := v.signIn("xinzhuang", "kiosk")
		v.raise("xinzhuang", kiosk, abduction)
		v.record()
		ahead := v.connect("zhangyong", "volunteer", "d1", `"after":{"yongqing":"1.3"}`)
		ahead.count(t, "incident", 0)
		for n := range 3 {
			v.raise("xinzhuang", kiosk, strings.Replace(abduction, "a1", fmt.Sprint("b", n), 1))
			v.record()
		}
		ids := map[any]bool{}
		for _, f := range ahead.got("incident") {
			ids[f["incident"].(map[string]any)["id"]] = true
		}
		if len(ids) < 1 || len(ids) > 2 {
			t.Errorf("got %d matters, want the last one (entry 4) and at most what was at entry 3", len(ids))
		}
	})
}

// A client left its station between two frames: of one matter it saw entry 3, of others nothing after entry 1. A
// station that stands at entry 2 would show it less than it has seen.
func TestAStationBehindWhatAClientSaw(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		kiosk := v.signIn("xinzhuang", "kiosk")
		raise := func(n int) {
			v.raise("xinzhuang", kiosk, strings.Replace(abduction, "a1", fmt.Sprint("b", n), 1))
			v.record()
		}
		raise(1)
		raise(2)
		ahead := v.connect("zhangyong", "volunteer", "d1", `"after":{"yongqing":"1.1.3"}`)
		ahead.count(t, "incident", 0)
		if f := ahead.last(t, "error"); f["code"] != "behind" {
			t.Errorf("told %v", f)
		}
		raise(3)
		ids := map[any]bool{}
		for _, f := range ahead.got("incident") {
			ids[f["incident"].(map[string]any)["id"]] = true
		}
		if len(ids) != 2 {
			t.Errorf("got %d matters once it has caught up, want those of entries 2 and 3", len(ids))
		}
	})
}

func TestHeartbeatAndDeath(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		p := v.connect("xinzhuang", "volunteer", "d1")
		time.Sleep(2 * time.Minute) // a client that only answers pings lives
		p.say(`{"type":"ping"}`)
		if f := p.last(t, "pong"); f["server_time"] == nil {
			t.Errorf("pong %v", f)
		}
		p.deaf.Store(true)
		within(t, deadAfter+heartbeat, func() { <-p.done })
		_ = p.ws.Close()
		synctest.Wait()
		if n := len(v.ports["xinzhuang"].server.hub.socks); n != 0 {
			t.Errorf("%d sockets left", n)
		}
	})
}

func TestCloseCodes(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		// No hello at all.
		mute := v.dial("xinzhuang", nil)
		if c := mute.closedWith(t); c != 4002 {
			t.Errorf("mute: %d", c)
		}
		// A bad one.
		bad := v.dial("xinzhuang", nil)
		bad.say(`{"type":"hello"}`)
		if c := bad.closedWith(t); c != 4002 {
			t.Errorf("bad hello: %d", c)
		}
		// Nobody.
		nobody := v.dial("xinzhuang", nil)
		nobody.say(`{"type":"hello","device":"d","token":"x.y"}`)
		if c := nobody.closedWith(t); c != 4001 {
			t.Errorf("bad token: %d", c)
		}
		// Signed out while connected: by bearer on the upgrade.
		token := v.signIn("xinzhuang", "volunteer")
		p := v.dial("xinzhuang", http.Header{"Authorization": {"Bearer " + token}})
		p.say(`{"type":"hello","device":"d1"}`)
		p.count(t, "welcome", 1)
		if a := v.ask("xinzhuang", request{method: "DELETE", path: "/v1/session", token: token}); a.status != 204 {
			t.Errorf("sign out: %d %s", a.status, a.body)
		}
		if c := p.closedWith(t); c != 4001 {
			t.Errorf("signed out: %d", c)
		}
		if a := v.ask("xinzhuang", request{method: "GET", path: "/v1/session", token: token}); a.problem(t).Code != "signed_out" {
			t.Errorf("got %s", a.body)
		}
		// The session's life is over.
		old := v.dial("xinzhuang", http.Header{"Authorization": {"Bearer " + v.shortLived("volunteer", time.Minute)}})
		old.say(`{"type":"hello","device":"d2"}`)
		old.count(t, "welcome", 1)
		time.Sleep(time.Minute + 2*time.Second)
		if c := old.closedWith(t); c != 4001 {
			t.Errorf("expired: %d", c)
		}
		// Somebody who is no longer in the directory.
		left := v.connect("xinzhuang", "volunteer", "d3")
		v.mu.Lock()
		v.people = v.people[:1]
		v.mu.Unlock()
		if c := left.closedWith(t); c != 4001 {
			t.Errorf("left: %d", c)
		}
		// Going down.
		last := v.connect("xinzhuang", "villager", "d4")
		go v.ports["xinzhuang"].server.Close()
		if c := last.closedWith(t); c != 4004 {
			t.Errorf("going down: %d", c)
		}
	})
}

func TestASlowClientIsToldToResume(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		var kiosks []string // more alerts than one session may raise
		for range 4 {
			kiosks = append(kiosks, v.signIn("xinzhuang", "kiosk"))
		}
		p := v.connect("hancun-post", "officer", "o1")
		p.hangUp()
		slow := v.stalled("hancun-post", "officer")
		sockets := func() int {
			h := v.ports["hancun-post"].server.hub
			h.mu.Lock()
			defer h.mu.Unlock()
			return len(h.socks)
		}
		if n := sockets(); n != 1 {
			t.Fatalf("%d sockets before", n)
		}
		for n := range maxQueue + 200 {
			v.raise("xinzhuang", kiosks[n%len(kiosks)], strings.Replace(abduction, "a1", fmt.Sprint("s", n), 1))
		}
		synctest.Wait()
		time.Sleep(3 * closeGrace) // well before the write that hangs is given up, and before silence is death
		if n := sockets(); n != 0 {
			t.Errorf("%d sockets left: a client that does not read must not hold the station", n)
		}
		if m := v.ask("hancun-post", request{method: "GET", path: "/metrics"}); !strings.Contains(m.body, `hive_sockets_closed_total{reason="slow, resume"} 1`) {
			t.Error("it was not told to resume")
		}
		_ = slow.Close()
	})
}
