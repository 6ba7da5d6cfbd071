package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"hivemesh/alerts"
	"hivemesh/node/web"
)

// meet finds the stations and who may sign in. A county that has just started may not know all of its
// stations yet, so what the story lacks is looked for again for a while.
func (p *player) meet(ctx context.Context, urls []string) error {
	p.stations, p.people = map[string]web.StationInfo{}, map[string]web.PersonInfo{}
	for until := time.Now().Add(meetWait); ; {
		var errs []error
		for _, u := range urls {
			if err := p.meetAt(ctx, strings.TrimRight(u, "/")); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", u, err))
			}
		}
		if len(p.people) == 0 {
			return fmt.Errorf("no demo county found (hive demo starts one): %w", errors.Join(errs...))
		}
		lacking := p.lacking()
		if lacking == nil || time.Now().After(until) {
			return lacking
		}
		if err := sleepUntil(ctx, time.Now().Add(retryPause)); err != nil {
			return err
		}
	}
}

// lacking names the stations and people of the story that the county does not have, each once.
func (p *player) lacking() error {
	var errs []error
	said := map[string]bool{}
	lack := func(k int, what, id string) {
		if !said[what+id] {
			said[what+id] = true
			errs = append(errs, fmt.Errorf("step %d: the county has no %s %q", k+1, what, id))
		}
	}
	for k, st := range p.scenario.Steps {
		if st.Do == doTell {
			continue
		}
		if _, ok := p.stations[st.Station]; !ok {
			lack(k, "station", st.Station)
		}
		if _, ok := p.people[st.By]; !ok && st.By != byKiosk {
			lack(k, "person", st.By)
		}
	}
	return errors.Join(errs...)
}

func (p *player) meetAt(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, reachWait)
	defer cancel()
	var stations struct{ Stations []web.StationInfo }
	if err := get(ctx, url+"/v1/stations", &stations); err != nil {
		return err
	}
	for _, s := range stations.Stations {
		if _, known := p.stations[string(s.ID)]; s.Self || !known && s.Alive {
			if s.Self {
				s.URL = url
			}
			p.stations[string(s.ID)] = s
		}
	}
	var people struct{ People []web.PersonInfo }
	if err := get(ctx, url+"/v1/people", &people); err != nil {
		return err
	}
	for _, x := range people.People {
		p.people[string(x.ID)] = x
	}
	return nil
}

// connect brings everybody who is in the story to the live link of their station.
func (p *player) connect(ctx context.Context) error {
	for _, st := range p.scenario.Steps {
		who := slices.Concat(st.Expect.people()...)
		if _, ok := p.people[st.By]; ok {
			who = append(who, st.By)
		}
		for _, id := range who {
			if err := p.device(ctx, id); err != nil {
				return err
			}
		}
	}
	late := ""
	if !p.eventually(ctx, reachWait, func() bool {
		late = ""
		for id, d := range p.devices {
			if !d.ready() {
				late = id
			}
		}
		return late == ""
	}) {
		return errors.Join(fmt.Errorf("the device of %s could not connect to %s", late, p.devices[late].station), ctx.Err())
	}
	return nil
}

func (p *player) device(ctx context.Context, id string) error {
	if p.devices[id] != nil {
		return nil
	}
	d := &device{id: id, over: map[alerts.IncidentID]time.Time{}}
	if at, kiosk := strings.CutPrefix(id, byKiosk+":"); kiosk {
		d.station, d.name = at, "kiosk"
	} else if x, ok := p.people[id]; ok {
		d.station, d.name = string(x.Home), x.Name
	}
	s, ok := p.stations[d.station]
	if !ok {
		return fmt.Errorf("nobody in the county, and no kiosk, is called %q", id)
	}
	token, err := p.token(ctx, id, s.URL)
	if err != nil {
		return err
	}
	d.url, d.token = s.URL, token
	p.devices[id] = d
	p.listening.Go(func() { d.live(ctx) })
	return nil
}

// token signs a person or a kiosk in, once.
func (p *player) token(ctx context.Context, id, url string) (string, error) {
	if t, ok := p.tokens[id]; ok {
		return t, nil
	}
	form := map[string]any{"person": id}
	if strings.HasPrefix(id, byKiosk+":") {
		form = map[string]any{"kiosk": true}
	}
	var session struct {
		Token string `json:"token"`
	}
	if err := p.post(ctx, url+"/v1/session", "", form, &session); err != nil {
		return "", fmt.Errorf("sign in %s: %w", id, err)
	}
	p.tokens[id] = session.Token
	return session.Token, nil
}

// post sends one request; while the station cannot be reached it tries again, which the client's id makes safe.
func (p *player) post(ctx context.Context, url, token string, form, into any) error {
	b, err := json.Marshal(form)
	if err != nil {
		return err
	}
	for until := time.Now().Add(reachWait); ; {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(b))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		err = ask(req, into)
		if !isUnreached(err) || ctx.Err() != nil || time.Now().After(until) {
			return err
		}
		time.Sleep(retryPause)
	}
}

func isUnreached(err error) bool {
	_, unreached := errors.AsType[*url.Error](err)
	return unreached
}
