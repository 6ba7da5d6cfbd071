package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func FuzzPrefer(f *testing.F) {
	for _, s := range []string{"wait=5", "respond-async, wait=10", `wait="3"`, "WAIT = 7;x=1", "wait=-1", "wait=99999999999999999999", "wait", "", ",,,=", "wait=;wait=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := waitOf(s)
		if d < 0 || d > maxWait || !ok && d != 0 {
			t.Errorf("%q: %v %v", s, d, ok)
		}
	})
}

func FuzzCursor(f *testing.F) {
	for _, s := range []string{"1.a", "0.0", ".", "1.-1", "00.1", "3w5e11264sgsf.3w5e11264sgsf", "1.1.1", "１.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseCursor(s)
		if err == nil && c.String() != s {
			t.Errorf("%q is read as %v: two texts, one cursor", s, c)
		}
		if again, err := parseCursor(c.String()); err != nil || again != c {
			t.Errorf("%v does not survive", c)
		}
	})
}

func FuzzHello(f *testing.F) {
	for _, s := range []string{
		`{"type":"hello","device":"d","token":"x","after":{"c":"1.a"},"heard":[{"incident":"i","wave":1}],"position":{"lon":1,"lat":2},"duty":true}`,
		`{"type":"hello","device":"d","position":{"lon":1}}`, `{"type":"hello","device":""}`, `null`, `{}`, `[]`, "\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHello(b)
		if err != nil {
			return
		}
		if h.Device == "" || len(h.Device) > 64 || len(h.Heard) > maxHeard {
			t.Errorf("passed: %+v", h)
		}
		if h.Position != nil {
			if p, err := h.Position.point(); err != nil || p.Check() != nil {
				t.Errorf("passed position %v", h.Position)
			}
		}
	})
}

func FuzzDeed(f *testing.F) {
	for _, s := range []string{
		`{"kind":"accepted"}`, `{"kind":"note","words":"x","id":"a"}`, `{"kind":"clue","seen":true,"place":{"lon":1,"lat":2},"seen_at":"2026-01-01T00:00:00Z"}`,
		`{"kind":"graded","grade":2,"saw":"` + strings.Repeat("ab", 32) + `"}`, `{"kind":null}`, `{"kind":"wave","wave":2,"ring":3000}`, `{}`, `null`, `[`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseDeed(b)
		if err != nil {
			if p := problemOf(err); p.Status < 400 || p.Status > 499 || p.Detail == "" || p.Do == "" {
				t.Errorf("a mistake of the client's is %+v", p)
			}
			return
		}
		if d.body == nil || d.body.Kind() != d.Kind {
			t.Errorf("kind %q has body %T", d.Kind, d.body)
		}
	})
}

// FuzzAlert throws any body at the whole handler: it answers 202 or a problem, and never panics.
func FuzzAlert(f *testing.F) {
	for _, s := range []string{abduction, `{"category":"panic"}`, `{"category":"abduction","place":{"lon":1e308,"lat":0}}`, `{"category":"abduction","place":null}`, `{"called_110":[]}`, `{"place":{"lon":"x"}}`} {
		f.Add([]byte(s))
	}
	c := newCounty()
	s := New(Config{Station: c.at("xinzhuang"), Demo: true})
	f.Cleanup(s.Close)
	token, err := s.sessions.open(claims{Person: "villager"}, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := httptest.NewRequest(http.MethodPost, "/v1/alerts", strings.NewReader(string(b)))
		r.Host = "127.0.0.1:8080"
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code == http.StatusAccepted {
			return
		}
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code < 400 || w.Code > 499 || p.Code == "" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// FuzzFrame throws any frame at a socket that has said hello.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{
		`{"type":"position","place":{"lon":116.5,"lat":39.3}}`, `{"type":"duty","duty":false}`, `{"type":"receipt","incident":"x","wave":1,"state":"opened"}`,
		`{"type":"ping"}`, `{"type":"hello"}`, `{}`, `{"type":"position","place":{"lon":null}}`, "\x00", `{"type":"receipt","support":"zz"}`,
	} {
		f.Add([]byte(s))
	}
	c := newCounty()
	s := New(Config{Station: c.at("xinzhuang"), Demo: true})
	f.Cleanup(s.Close)
	f.Fuzz(func(t *testing.T, b []byte) {
		sock := &socket{hub: s.hub, slot: 0, who: &who{}, device: &device{}, conn: pipeConn{}, writing: true}
		sock.who.Person = "volunteer"
		code, err := sock.handle(b)
		if (err == nil) != (code == "") {
			t.Errorf("code %q, error %v", code, err)
		}
		if sock.at != nil && sock.at.Check() != nil {
			t.Errorf("took position %v", sock.at)
		}
	})
}
