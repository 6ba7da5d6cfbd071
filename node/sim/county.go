package sim

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"hivemesh/alerts"
)

// County is an invented county: where its stations are and who its people are.
type County struct {
	Cell     alerts.CellID // the home cell
	Two      bool          // a second cell is made before the chaos
	Stations []Station
	Later    []Station // those that come by a token
	People   []alerts.Person
}

// Station is one station of it.
type Station struct {
	ID       alerts.StationID
	Kind     alerts.StationKind
	At       alerts.Point
	Township string
	After    alerts.StationID // whose place it takes; the county's data knows that one's
}

// The townships: with two cells the outer one's stations have a record of their own, the inner one's keep the
// home cell, which everybody follows.
const (
	innerTownship, outerTownship = "inner", "outer"
	outerCell                    = alerts.CellID("outer")
	// fewestForTwo is from how many stations on a county may have two cells: three for the home cell, and for
	// the other enough to go on without one.
	fewestForTwo = 7
)

const (
	fewestStations, mostStations = 5, 13
	cellName                     = "sim"
	// The corner of the county and its extent in degrees, about 9 by 10 km: the first ring (1 km) holds few
	// people, the second and third more, and only the last everybody.
	west, south          = 116.45, 39.26
	extentLon, extentLat = 0.10, 0.09
	gridRadius           = 450.0 // metres: how uncertain a place is that is given by its grid
)

// drawCounty makes a county up. The first three stations found the record: two police posts and a village.
func drawCounty(r *rand.Rand) County {
	c := County{Cell: cellName}
	n := fewestStations + r.IntN(mostStations-fewestStations+1)
	for k := range n {
		kind, name := alerts.Village, "village"
		switch {
		case k == 0 || k == 2:
			kind, name = alerts.PolicePost, "post"
		case k == 4:
			kind, name = alerts.TownshipOffice, "centre"
		case k%4 == 3:
			kind, name = alerts.Enterprise, "works"
		}
		c.Stations = append(c.Stations, Station{
			ID: alerts.StationID(fmt.Sprintf("%s-%d", name, k)), Kind: kind,
			At: drawPoint(r),
		})
	}
	c.Two = n >= fewestForTwo && r.IntN(2) == 0
	for k := range c.Stations {
		c.Stations[k].Township = innerTownship
		if c.Two && k >= founders {
			c.Stations[k].Township = outerTownship
		}
	}
	c.populate(r)
	return c
}

func drawPoint(r *rand.Rand) alerts.Point {
	return alerts.Point{Lon: west + r.Float64()*extentLon, Lat: south + r.Float64()*extentLat}
}

// populate gives every trusted station a dispatcher and an officer, and every other one people of the public side.
func (c *County) populate(r *rand.Rand) {
	add := func(k int, name string, role alerts.Role) {
		id := alerts.PersonID(fmt.Sprintf("%s-%d", name, k))
		c.People = append(c.People, alerts.Person{ID: id, Name: string(id), Roles: []alerts.Role{role}, Home: c.Stations[k].ID})
	}
	public := []alerts.Role{alerts.Volunteer, alerts.GridWorker, alerts.Guard, alerts.VillageCadre, alerts.Informant}
	for k, s := range c.Stations {
		if s.Kind.Trusted() {
			add(k, "dispatcher", alerts.Dispatcher)
			add(k, "officer", alerts.Officer)
			continue
		}
		for n := range 1 + r.IntN(2) {
			role := public[r.IntN(len(public))]
			add(k, fmt.Sprintf("%s-%c", role, 'a'+n), role)
		}
	}
	add(0, "auditor", alerts.Auditor)
	add(0, "admin", alerts.Admin)
	add(1, "mediator", alerts.Mediator)
}

// tables writes the county with these stations as a station's county.yaml.
func (c *County) tables(stations []Station) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "name: sim\ntitle: 模拟县\nnote: simulated\ncells: [%s]\nstations:\n", c.Cell)
	for _, s := range stations {
		fmt.Fprintf(&b, "  - {id: %s, name: %s, kind: %s, cell: %s, township: %s, place: {lon: %v, lat: %v}}\n", s.ID, s.ID, s.Kind, c.Cell, s.Township, s.At.Lon, s.At.Lat)
	}
	b.WriteString("grids:\n")
	for _, s := range stations {
		fmt.Fprintf(&b, "  - {id: %s, name: %s, township: %s, place: {lon: %v, lat: %v}, radius: %v}\n", s.ID, s.ID, s.Township, s.At.Lon, s.At.Lat, gridRadius)
	}
	b.WriteString("landmarks: []\npeople:\n")
	for _, p := range c.People {
		fmt.Fprintf(&b, "  - {id: %s, name: %s, roles: [%s], home: %s}\n", p.ID, p.Name, p.Roles[0], p.Home)
	}
	return b.Bytes()
}

// all are the stations that there ever are.
func (c *County) all() []Station { return slices.Concat(c.Stations, c.Later) }

// grid is the one around a station.
func (s Station) grid() string { return string(cmp.Or(s.After, s.ID)) }

// listed are those that the county's data knows.
func (c *County) listed() []Station {
	return slices.DeleteFunc(c.all(), func(s Station) bool { return s.After != "" })
}

func (c *County) station(id alerts.StationID) Station {
	for _, s := range c.all() {
		if s.ID == id {
			return s
		}
	}
	return Station{}
}

// with are the people of a role.
func (c *County) with(role alerts.Role) []alerts.Person {
	var out []alerts.Person
	for _, p := range c.People {
		if p.Has(role) {
			out = append(out, p)
		}
	}
	return out
}
