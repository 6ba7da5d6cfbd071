package web

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

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
