package web

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"hivemesh/alerts"
)

// county is what the fake stations of a test share: one record, which grows when the test says so, and the
// events that are under way. Its rules, its fold and its view are the real ones.
type county struct {
	mu       sync.Mutex
	rules    *alerts.Rules
	state    *alerts.State
	pending  []alerts.Event
	stations []*fakeStation
	people   []alerts.Person
	views    map[alerts.IncidentID]*alerts.Incident
	order    []alerts.IncidentID
	counts   map[waveKey]map[alerts.StationID]Counts
	spots    map[alerts.PersonID]Position
	seq      int
}

const testCell alerts.CellID = "yongqing"

// Where things are: a kilometre is about 0.0116 degrees of longitude here.
var (
	xinzhuang = alerts.Point{Lon: 116.50, Lat: 39.32}
	zhangyong = alerts.Point{Lon: 116.515, Lat: 39.32}  // 1.3 km east
	hancun    = alerts.Point{Lon: 116.525, Lat: 39.325} // 2.2 km
	caojiawu  = alerts.Point{Lon: 116.58, Lat: 39.32}   // 6.9 km
)

func newCounty() *county {
	c := &county{
		rules: testRules(), state: alerts.NewState(testCell), views: map[alerts.IncidentID]*alerts.Incident{},
		counts: map[waveKey]map[alerts.StationID]Counts{}, spots: map[alerts.PersonID]Position{},
	}
	for _, s := range []struct {
		id   alerts.StationID
		kind alerts.StationKind
		at   alerts.Point
	}{
		{"xinzhuang", alerts.Village, xinzhuang}, {"zhangyong", alerts.Village, zhangyong},
		{"hancun-post", alerts.PolicePost, hancun}, {"caojiawu-post", alerts.PolicePost, caojiawu},
	} {
		at := s.at
		c.stations = append(c.stations, &fakeStation{county: c, info: StationInfo{
			ID: s.id, Name: "站 " + string(s.id), Kind: s.kind, Cell: testCell, Township: "韩村镇", Place: &at,
			URL: "http://" + string(s.id) + ".test:8080", Alive: true,
		}})
	}
	person := func(id, home string, roles ...alerts.Role) {
		c.people = append(c.people, alerts.Person{ID: alerts.PersonID(id), Name: "姓名-" + id, Roles: roles, Home: alerts.StationID(home)})
	}
	person("villager", "xinzhuang", alerts.Reporter)
	person("volunteer", "xinzhuang", alerts.Volunteer)
	person("neighbour", "zhangyong", alerts.Volunteer)
	person("far", "caojiawu-post", alerts.Volunteer)
	person("worker", "xinzhuang", alerts.GridWorker)
	person("officer", "hancun-post", alerts.Officer)
	person("dispatcher", "hancun-post", alerts.Dispatcher)
	person("dispatcher2", "caojiawu-post", alerts.Dispatcher)
	return c
}

func testRules() *alerts.Rules {
	public := []alerts.Role{alerts.Reporter, alerts.Informant, alerts.GridWorker, alerts.GridLeader, alerts.Volunteer, alerts.KioskRole}
	police := []alerts.Role{alerts.AuxiliaryPolice, alerts.Officer}
	desk := []alerts.Role{alerts.Dispatcher, alerts.TownshipCentre, alerts.CountyCentre}
	staff := slices.Concat(police, desk)
	everybody := slices.Concat(public, staff)
	trusted := []alerts.StationKind{alerts.PolicePost, alerts.TownshipOffice, alerts.CountyOffice}
	return &alerts.Rules{
		Version: 1,
		Categories: map[string]alerts.Category{
			"abduction": {
				Name: alerts.Text{Zh: "疑似拐骗", En: "abduction"}, Grade: alerts.Grade1, Wanted: 3, Rings: []float64{1000, 3000, 8000, alerts.CountyRing},
				Wakes: slices.Concat(public, staff), Card: alerts.Card{What: "有人被带走", Do: "留意观察", Dont: "不要追赶"}, Order: 1,
			},
			"panic": {
				Name: alerts.Text{Zh: "紧急求助", En: "panic"}, Grade: alerts.Grade1, Wanted: 1, Rings: []float64{8000, alerts.CountyRing},
				Wakes: staff, Card: alerts.Card{What: "有人求助"}, Order: 2,
			},
			"domestic_violence": {
				Name: alerts.Text{Zh: "家庭暴力", En: "domestic violence"}, Grade: alerts.Grade2, Wanted: 1, Rings: []float64{8000},
				Wakes: staff, Sealed: true, Card: alerts.Card{What: "警情"}, Order: 3,
			},
			"dispute": {Name: alerts.Text{Zh: "矛盾纠纷", En: "dispute"}, Grade: alerts.Grade4, Wanted: 1, Wakes: everybody, Card: alerts.Card{What: "纠纷"}, Order: 4},
		},
		Moves: map[alerts.Kind]alerts.Move{
			alerts.KindRaised:           {By: everybody},
			alerts.KindEmergencyCalled:  {By: everybody, Own: true},
			alerts.KindRegistered:       {By: desk, At: trusted},
			alerts.KindGraded:           {By: desk, At: trusted},
			alerts.KindWave:             {By: desk},
			alerts.KindReceipts:         {},
			alerts.KindAccepted:         {By: everybody},
			alerts.KindDeclined:         {By: everybody},
			alerts.KindEnRoute:          {By: everybody},
			alerts.KindOnScene:          {By: everybody},
			alerts.KindReleased:         {By: everybody},
			alerts.KindSupportRequested: {By: everybody},
			alerts.KindClue:             {By: everybody},
			alerts.KindCardUpdated:      {By: desk, At: trusted},
			alerts.KindAssigned:         {By: desk, At: trusted},
			alerts.KindNote:             {By: staff, At: trusted},
			alerts.KindCancelRequested:  {By: everybody, Own: true},
			alerts.KindResolved:         {By: slices.Concat(desk, []alerts.Role{alerts.Officer}), At: trusted},
			alerts.KindCancelled:        {By: desk, At: trusted},
			alerts.KindStoodDown:        {By: desk, At: trusted},
		},
	}
}

func (c *county) at(id alerts.StationID) *fakeStation {
	for _, s := range c.stations {
		if s.info.ID == id {
			return s
		}
	}
	panic("no station " + id)
}

// standing is what the judge knows of an event's maker.
func (c *county) standing(e alerts.Event) alerts.Standing {
	by := alerts.Standing{Version: 1, Kind: c.at(e.Station).info.Kind}
	if _, kiosk := strings.CutPrefix(string(e.Actor), "kiosk:"); kiosk {
		by.Roles = []alerts.Role{alerts.KioskRole}
	}
	for _, p := range c.people {
		if p.ID == e.Actor {
			by.Roles = p.Roles
		}
	}
	return by
}

// record puts everything that is under way on the record, in order, as a leader would.
func (c *county) record() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.pending {
		by := c.standing(e)
		v := c.rules.Judge(c.state, e, by, time.Now())
		n := uint64(len(c.state.Entries())) + 1
		c.state.Apply(alerts.Entry{Epoch: 1, Index: n, Event: e, Verdict: v, At: time.Now().UTC(), By: by})
		c.pending = c.pending[1:]
		c.show(e.Incident)
		kept := Kept{Here: true, Near: 2, Recorded: true, Index: n}
		if !v.Accepted() {
			kept.Refused = v.Code
		}
		c.tell(Change{Event: e.ID, Kept: kept})
		if !v.Accepted() {
			c.tell(Change{Event: e.ID, Refused: &Refusal{Event: e.ID, Incident: e.Incident, Code: v.Code, Lost: v.Lost, Reason: "another came first"}})
		}
	}
}

// show publishes the present view of an incident to every station.
func (c *county) show(id alerts.IncidentID) {
	i := c.rules.Look(c.state, id, c.pending, c.standing, time.Now())
	if i == nil {
		return
	}
	if _, known := c.views[id]; !known {
		c.order = append(c.order, id)
	}
	c.views[id] = i
	c.tell(Change{Incident: i, Cursor: c.head()})
}

func (c *county) head() Cursor { return Cursor{Epoch: 1, Index: uint64(len(c.state.Entries()))} }

func (c *county) tell(ch Change) {
	for _, s := range c.stations {
		for _, f := range s.watchers {
			f(ch)
		}
	}
}

// put takes an event as if it had been made at a station and spread to all.
func (c *county) put(e alerts.Event) alerts.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.putLocked(e)
}

// judge says what the leader would say of e now.
func (c *county) judge(e alerts.Event) alerts.Verdict {
	return c.rules.Judge(c.state, c.complete(e), c.standing(e), time.Now())
}

func (c *county) putLocked(e alerts.Event) alerts.Event {
	e = c.complete(e)
	c.pending = append(c.pending, e)
	c.show(e.Incident)
	return e
}

// complete fills in what a station does before it signs.
func (c *county) complete(e alerts.Event) alerts.Event {
	c.seq++
	e.Kind, e.Cell, e.At = e.Body.Kind(), testCell, time.Now().UTC().Truncate(time.Millisecond)
	if i := c.views[e.Incident]; i != nil {
		e.Prev = i.Heads
		if field := alerts.FieldOf(e.Kind); field != "" && e.Saw.IsZero() {
			e.Saw = i.Latest[field].Event
		}
	}
	b, err := json.Marshal([]any{c.seq, e.Station, e.Incident, e.Actor, e.Kind})
	if err != nil {
		panic(err)
	}
	e.ID = sha256.Sum256(b)
	return e
}

// fakeStation is one station of the county.
type fakeStation struct {
	county   *county
	info     StationInfo
	watchers map[int]func(Change)
	next     int
	looking  bool
	hung     bool // the disk: nothing is kept
	notReady error
}

func (s *fakeStation) Self() StationInfo {
	i := s.info
	i.Self = true
	return i
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
	return MeshInfo{Station: s.info.ID, Version: "test", PID: 1, Members: []MeshMember{}, Cells: []MeshCell{}}
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
func (s *fakeStation) Ready() error { return s.notReady }

func (c *county) tellStations() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(Change{Stations: true})
}
