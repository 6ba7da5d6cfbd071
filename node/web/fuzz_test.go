package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"hivemesh/alerts"
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
		said, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseHello(said); err != nil || !reflect.DeepEqual(again, h) {
			t.Errorf("%+v became %+v, %v", h, again, err)
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
	c := newCounty()
	throw := thrower(f, c, "hancun-post", "dispatcher")
	e := c.put(alerts.Event{
		Station: "xinzhuang", Incident: "0b9d3f0e-5c0f-5b5e-9b43-8f7f5d1f2a11", Actor: "villager", Kind: alerts.KindRaised,
		Body: &alerts.Raised{Category: "abduction", Grade: alerts.Grade1, Ring: 1000, Wanted: 3, Place: alerts.Place{Point: &xinzhuang}},
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		c.forget(e)
		answer := throw(t, "/v1/incidents/"+string(e.Incident)+"/events", b)
		d, err := parseDeed(b)
		if err != nil && answer != nil {
			t.Errorf("taken, and cannot be read: %v", err)
		}
		if err == nil && (d.body == nil || d.body.Kind() != d.Kind) {
			t.Errorf("kind %q has body %T", d.Kind, d.body)
		}
	})
}

func server(f *testing.F, c *county, at alerts.StationID) *Server {
	s := New(Config{Station: c.at(at), Demo: true})
	f.Cleanup(s.Close)
	return s
}

// thrower sends bodies to a whole station, as somebody who is signed in, and fails on any answer but one of
// success or a problem document that says whose mistake it is. It returns the answer of success, nil else.
func thrower(f *testing.F, c *county, at alerts.StationID, person alerts.PersonID) func(t *testing.T, path string, body []byte) []byte {
	f.Helper()
	s := server(f, c, at)
	token, err := s.sessions.open(claims{Person: person}, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	return func(t *testing.T, path string, body []byte) []byte {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
		r.Host, r.RemoteAddr = "127.0.0.1:8080", "127.0.0.1:40000"
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code >= 200 && w.Code < 300 {
			return w.Body.Bytes()
		}
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code < 400 || w.Code > 499 || p.Code == "" || p.Do == "" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		return nil
	}
}

// forget leaves of a county only these pending events: what a million inputs did must not pile up.
func (c *county) forget(but ...alerts.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending, c.order = but, nil
	clear(c.views)
	for _, e := range but {
		c.show(e.Incident)
	}
}

// FuzzAlert: a raise is taken, and then known by what the answer names, or is the client's mistake.
func FuzzAlert(f *testing.F) {
	for _, s := range []string{abduction, `{"category":"panic"}`, `{"category":"abduction","place":{"lon":1e308,"lat":0}}`, `{"category":"abduction","place":null}`, `{"called_110":[]}`, `{"place":{"lon":"x"}}`} {
		f.Add([]byte(s))
	}
	c := newCounty()
	throw := thrower(f, c, "xinzhuang", "villager")
	f.Fuzz(func(t *testing.T, b []byte) {
		c.forget()
		answer := throw(t, "/v1/alerts", b)
		if answer == nil {
			return
		}
		var taken Taken
		if err := json.Unmarshal(answer, &taken); err != nil {
			t.Fatal(err)
		}
		if i, ok := c.at("xinzhuang").Incident(taken.Incident); !ok || i.First != taken.Event {
			t.Errorf("taken as %s, which is not known", answer)
		}
	})
}

// FuzzSession: a sign-in gives a token that is good for who was named, or is the client's mistake.
func FuzzSession(f *testing.F) {
	for _, s := range []string{`{"person":"officer"}`, `{"kiosk":true}`, `{"person":"officer","kiosk":true}`, `{"person":""}`, `{}`, `null`, `{"person":"kiosk:xinzhuang"}`} {
		f.Add([]byte(s))
	}
	c := newCounty()
	throw, s := thrower(f, c, "xinzhuang", "villager"), server(f, c, "xinzhuang").sessions
	f.Fuzz(func(t *testing.T, b []byte) {
		answer := throw(t, "/v1/session", b)
		if answer == nil {
			return
		}
		var got sessionBody
		if err := json.Unmarshal(answer, &got); err != nil {
			t.Fatal(err)
		}
		w, p := s.identify(got.Token, time.Now())
		if p != nil || w.Person != got.Person.ID || w.kiosk != got.Kiosk {
			t.Errorf("signed in as %s, and the token is of %+v: %v", answer, w, p)
		}
	})
}

// FuzzToken: no text that nobody signed signs anybody in.
func FuzzToken(f *testing.F) {
	c := newCounty()
	s := server(f, c, "xinzhuang").sessions
	for _, payload := range []string{`{"v":1,"person":"officer","iat":1,"exp":99999999999,"jti":"x"}`, `{"v":1}`, `{`, `null`} {
		token, err := c.at("xinzhuang").Sign([]byte(payload))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		w, p := s.identify(token, time.Now())
		if (w == nil) == (p == nil) {
			t.Fatalf("%+v and %+v", w, p)
		}
		if w == nil {
			return
		}
		if _, known := c.at("xinzhuang").Person(w.Person); !known && !w.kiosk {
			t.Errorf("%q signs in %+v", token, w)
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
