package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
)

// patience is how long a client waits for an answer before it takes the station for dead.
const patience = 30 * time.Second

// secret stands in the note of every alert: only those who work a matter may read it, and nobody on the wire.
const secret = "not-for-the-public"

func mentions(b []byte) bool { return bytes.Contains(b, []byte(secret)) }

// answer is what a station said.
type answer struct {
	status int
	body   struct {
		Token    string            `json:"token"`
		Incident alerts.IncidentID `json:"incident"`
		Event    alerts.Hash       `json:"event"`
		Kept     Kept              `json:"kept"`
		Code     string            `json:"code"`
		Detail   string            `json:"detail"`
	}
}

// call does one HTTP request at a station, standing there.
func (w *world) call(at alerts.StationID, method, path, token, prefer string, body any) (a answer, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return a, err
	}
	ctx, cancel := context.WithTimeout(w.ending, patience)
	defer cancel()
	host := w.net.Host(string(at))
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, addr string) (net.Conn, error) { return host.Dial(ctx, addr) },
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host.Addr(httpPort)+path, bytes.NewReader(b))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if prefer != "" {
		req.Header.Set("Prefer", prefer)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	a.status = resp.StatusCode
	if err := json.Unmarshal(text, &a.body); err != nil {
		return a, fmt.Errorf("%s %s: %w in %s", method, path, err, text)
	}
	return a, nil
}

var errSignIn = errors.New("no session")

// signIn opens a session at a station for a person, or for its kiosk where person is empty.
func (w *world) signIn(at alerts.StationID, person alerts.PersonID) (string, error) {
	body := map[string]any{"person": person}
	if person == "" {
		body = map[string]any{"kiosk": true}
	}
	a, err := w.call(at, "POST", "/v1/session", "", "", body)
	if err == nil && a.body.Token == "" {
		err = fmt.Errorf("%w for %s at %s: %d %s", errSignIn, person, at, a.status, a.body.Detail)
	}
	return a.body.Token, err
}

// post does a deed and notes it in the history.
func (w *world) post(d Deed, path, token, prefer string, body map[string]any) Deed {
	life := w.life(d.Station)
	d.From, d.Begin = time.Now(), w.h.tick()
	a, err := w.call(d.Station, "POST", path, token, prefer, body)
	d.To, d.End = time.Now(), w.h.tick()
	d.Died = life == 0 || w.life(d.Station) != life
	if err == nil {
		d.Status, d.Event, d.Kept, d.Code, d.Detail = a.status, a.body.Event, a.body.Kept, a.body.Code, a.body.Detail
		if a.body.Incident != "" {
			d.Incident = a.body.Incident
		}
		if d.Kept.Recorded || a.status == http.StatusConflict {
			d.Settled = d.End
		}
	} else {
		d.Detail = err.Error()
	}
	w.h.deed(d)
	return d
}

// life numbers the runs of a station's program; 0 while it does not run.
func (w *world) life(id alerts.StationID) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.nodes[id] == nil {
		return 0
	}
	return w.lives[id]
}

// signatures checks events by what a station's ring believes, as an auditor with its directory would.
func (w *world) signatures(id alerts.StationID) (func(alerts.Event) error, error) {
	w.mu.Lock()
	dir := w.configs[id].Dir
	dirs := []string{w.configs[w.office()].Dir}
	w.mu.Unlock()
	self, err := trust.LoadIdentity(filepath.Join(dir, "identity"))
	if err != nil {
		return nil, err
	}
	ring, err := trust.NewRing(self.Root, filepath.Join(dir, "ring"))
	if err != nil {
		return nil, err
	}
	if _, err := ring.Add(self.Cert.Raw); err != nil {
		return nil, err
	}
	for _, other := range dirs { // who came later never met those that were gone by then
		more, err := trust.NewRing(self.Root, filepath.Join(other, "ring"))
		if err != nil {
			return nil, err
		}
		for _, cert := range more.Certs() {
			ring.Add(cert) // one that is gone is known already
		}
	}
	return func(e alerts.Event) error {
		cert, _ := ring.Cert(e.Station)
		by := string(e.ID[:]) + string(cert) + string(e.Raw)
		if w.proven[by] { // at another station, with the same certificate
			return nil
		}
		read, err := ring.Check(e.Raw)
		if err == nil && read.ID != e.ID {
			err = fmt.Errorf("stands as %s and is %s", e.ID.Short(), read.ID.Short())
		}
		if err == nil {
			w.proven[by] = true
		}
		return err
	}, nil
}
