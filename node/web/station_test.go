package web

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/google/uuid"

	"hivemesh/alerts"
)

// fakeStation is one station of the county.
type fakeStation struct {
	county   *county
	info     StationInfo
	watchers map[int]func(Change)
	next     int
	looking  bool
	hung     bool // the disk: nothing is kept
	notReady error
	warnings []string
}

func (s *fakeStation) Self() StationInfo {
	i := s.info
	i.Self = true
	return i
}

func (s *fakeStation) PlaceOf(id alerts.StationID) *alerts.Point {
	for _, st := range s.Stations() {
		if st.ID == id {
			return st.Place
		}
	}
	return nil
}

func (s *fakeStation) Stations() []StationInfo {
	list := []StationInfo{s.Self()}
	for _, o := range s.county.stations {
		if o != s {
			list = append(list, o.info)
		}
	}
	return list
}

func (s *fakeStation) Fold(alerts.CellID) alerts.Hash { return alerts.Hash{} }

func (s *fakeStation) Mesh() MeshInfo {
	return MeshInfo{Station: s.info.ID, Version: "test", PID: 1, Members: []MeshMember{}, Cells: []MeshCell{}, Gone: []MeshGone{}}
}
func (s *fakeStation) Rules() *alerts.Rules    { return s.county.rules }
func (s *fakeStation) People() []alerts.Person { return s.county.people }

func (s *fakeStation) Person(id alerts.PersonID) (alerts.Person, bool) {
	s.county.mu.Lock()
	defer s.county.mu.Unlock()
	for _, p := range s.county.people {
		if p.ID == id {
			return p, true
		}
	}
	return alerts.Person{}, false
}

func (s *fakeStation) Locate(p alerts.Place) (alerts.Place, error) {
	if p.Point != nil {
		return p, p.Point.Check()
	}
	for _, g := range s.Territory().Grids {
		if g.ID == p.Grid {
			at := g.Place
			p.Point, p.Radius = &at, g.Radius
			return p, nil
		}
	}
	return p, &GridError{Grid: p.Grid, Known: []string{"xinzhuang-1"}}
}

func (s *fakeStation) Territory() Territory {
	return Territory{
		Grids:     []Grid{{ID: "xinzhuang-1", Name: "辛屯一网格", Township: "韩村镇", Place: xinzhuang, Radius: 450}},
		Landmarks: []Landmark{}, Note: "schematic",
	}
}

func (s *fakeStation) Incident(id alerts.IncidentID) (*alerts.Incident, bool) {
	s.county.mu.Lock()
	defer s.county.mu.Unlock()
	i, ok := s.county.views[id]
	return i, ok
}

func (s *fakeStation) Incidents() []*alerts.Incident {
	s.county.mu.Lock()
	defer s.county.mu.Unlock()
	var list []*alerts.Incident
	for _, id := range s.county.order {
		list = append(list, s.county.views[id])
	}
	return list
}

func (s *fakeStation) Cursor(alerts.CellID) Cursor {
	s.county.mu.Lock()
	defer s.county.mu.Unlock()
	return s.county.head()
}
func (s *fakeStation) CellViews() []CellView {
	return []CellView{{Cell: testCell, Home: true, Townships: []string{}, Stations: []alerts.StationID{}, Followed: true}, {Cell: "east"}}
}
func (s *fakeStation) Govern(_ context.Context, by alerts.Subject, clientID string, b alerts.Body) (Taken, error) {
	return s.make(alerts.Event{Station: s.info.ID, Incident: alerts.DirectoryID, Actor: by.Person, Client: clientID, Body: b})
}
func (s *fakeStation) Cells() []alerts.CellID { return []alerts.CellID{testCell} }

func (s *fakeStation) Raise(_ context.Context, by alerts.Subject, clientID string, r alerts.Raised) (Taken, error) {
	id := alerts.IncidentID(uuid.NewSHA1(uuid.NameSpaceOID, []byte(string(by.Person)+"|"+clientID)).String())
	return s.make(alerts.Event{Station: s.info.ID, Incident: id, Actor: by.Person, Client: clientID, Body: &r})
}

func (s *fakeStation) Do(_ context.Context, by alerts.Subject, in alerts.IncidentID, clientID string, saw *alerts.Hash, b alerts.Body) (Taken, error) {
	e := alerts.Event{Station: s.info.ID, Incident: in, Actor: by.Person, Client: clientID, Body: b}
	if saw != nil {
		e.Saw = *saw
	}
	return s.make(e)
}

func (s *fakeStation) make(e alerts.Event) (Taken, error) {
	c := s.county
	c.mu.Lock()
	defer c.mu.Unlock()
	i, known := c.views[e.Incident]
	if s.hung {
		return Taken{}, ErrNotKept
	}
	if !known && e.Body.Kind() != alerts.KindRaised {
		return Taken{}, ErrUnknownIncident
	}
	if known {
		for _, l := range i.Log {
			if l.Event.Client != e.Client || l.Event.Actor != e.Actor {
				continue
			}
			was, _ := json.Marshal(l.Event.Body)
			is, _ := json.Marshal(e.Body)
			if string(was) != string(is) {
				return Taken{}, &Refusal{Event: l.Event.ID, Incident: e.Incident, Code: alerts.Conflict, Reason: "this id was used for something else"}
			}
			return Taken{Incident: e.Incident, Event: l.Event.ID, Kept: Kept{Here: true}, Again: true}, nil
		}
		if v := c.judge(e); !v.Accepted() && v.Code != alerts.Parked {
			return Taken{}, &Refusal{Incident: e.Incident, Code: v.Code, Lost: v.Lost, Reason: "another decision came first"}
		}
	}
	e = c.putLocked(e)
	return Taken{Incident: e.Incident, Event: e.ID, Kept: Kept{Here: true}, Sent: len(c.stations) - 1}, nil
}

func (s *fakeStation) Kept(event alerts.Hash) (Kept, bool) {
	s.county.mu.Lock()
	defer s.county.mu.Unlock()
	for _, e := range s.county.pending {
		if e.ID == event {
			return Kept{Here: true}, true
		}
	}
	for _, e := range s.county.state.Entries() {
		if e.Event.ID == event {
			k := Kept{Here: true, Recorded: true, Index: e.Index}
			if !e.Verdict.Accepted() {
				k.Refused = e.Verdict.Code
			}
			return k, true
		}
	}
	return Kept{}, false
}

func (s *fakeStation) Watch(f func(Change)) func() {
	s.county.mu.Lock()
	defer s.county.mu.Unlock()
	if s.watchers == nil {
		s.watchers = map[int]func(Change){}
	}
	s.next++
	n := s.next
	s.watchers[n] = f
	return func() {
		s.county.mu.Lock()
		defer s.county.mu.Unlock()
		delete(s.watchers, n)
	}
}

func (s *fakeStation) Reached(in alerts.IncidentID, wave int, n Counts) {
	s.county.mu.Lock()
	defer s.county.mu.Unlock()
	key := waveKey{in, wave}
	if s.county.counts[key] == nil {
		s.county.counts[key] = map[alerts.StationID]Counts{}
	}
	s.county.counts[key][s.info.ID] = n
	s.county.tell(Change{Counted: in, Wave: wave, Counts: s.county.sum(key)})
}

func (c *county) sum(key waveKey) (sum Counts) {
	for _, n := range c.counts[key] {
		sum.Sent += n.Sent
		sum.Reached += n.Reached
		sum.Opened += n.Opened
		sum.Released += n.Released
	}
	return sum
}

func (s *fakeStation) Receipts(in alerts.IncidentID, wave int) Counts {
	s.county.mu.Lock()
	defer s.county.mu.Unlock()
	return s.county.sum(waveKey{in, wave})
}

func (s *fakeStation) Moved(p alerts.PersonID, at *Position) {
	s.county.mu.Lock()
	defer s.county.mu.Unlock()
	if at == nil {
		delete(s.county.spots, p)
		return
	}
	s.county.spots[p] = *at
}

func (s *fakeStation) Positions() []Position {
	s.county.mu.Lock()
	defer s.county.mu.Unlock()
	var list []Position
	for _, p := range sortedKeys(s.county.spots) {
		list = append(list, s.county.spots[p])
	}
	return list
}
func (s *fakeStation) Looking(on bool) { s.looking = on }

// The county's secret stands for the stations' signatures.
func (s *fakeStation) Sign(payload []byte) (string, error) {
	mac := hmac.New(sha256.New, []byte("county"))
	mac.Write(payload)
	return base64.RawURLEncoding.EncodeToString(payload) + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

func (s *fakeStation) Verify(token string) ([]byte, alerts.StationID, error) {
	body, _, _ := strings.Cut(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return nil, "", err
	}
	if again, _ := s.Sign(payload); again != token {
		return nil, "", errors.New("foreign signature")
	}
	return payload, s.info.ID, nil
}
func (s *fakeStation) Ready() error       { return s.notReady }
func (s *fakeStation) Warnings() []string { return s.warnings }

func (c *county) tellStations() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(Change{Stations: true})
}
