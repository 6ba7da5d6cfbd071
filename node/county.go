package node

import (
	"errors"
	"fmt"
	"slices"

	"hivemesh/alerts"
	"hivemesh/configs"
	"hivemesh/node/web"
)

// County is a county's data: where its stations and grids are, and, until enrolment, who its people are.
type County struct {
	Name      string          `yaml:"name"`  // a slug; stands in every certificate
	Title     string          `yaml:"title"` // as people call it
	Note      string          `yaml:"note"`  // says that positions are schematic, where they are
	Cells     []alerts.CellID `yaml:"cells"`
	Stations  []StationEntry  `yaml:"stations"`
	Grids     []gridEntry     `yaml:"grids"`
	Landmarks []landmarkEntry `yaml:"landmarks"`
	People    []alerts.Person `yaml:"people"`

	people map[alerts.PersonID]alerts.Person // the same, by id: every socket's roles are looked up each second
}

// StationEntry is one station of the county's data.
type StationEntry struct {
	ID       alerts.StationID   `yaml:"id"`
	Name     string             `yaml:"name"`
	Kind     alerts.StationKind `yaml:"kind"`
	Cell     alerts.CellID      `yaml:"cell"`
	Township string             `yaml:"township"`
	Place    alerts.Point       `yaml:"place"`
}

type gridEntry struct {
	ID       string       `yaml:"id"`
	Name     string       `yaml:"name"`
	Township string       `yaml:"township"`
	Place    alerts.Point `yaml:"place"`
	Radius   float64      `yaml:"radius"` // metres
}

type landmarkEntry struct {
	Name  string       `yaml:"name"`
	Kind  string       `yaml:"kind"`
	Place alerts.Point `yaml:"place"`
}

// LoadCounty reads a county's data strictly; the shipped demo county where path is empty.
func LoadCounty(path string) (*County, error) {
	var c County
	if err := loadYAML(path, configs.County, &c); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("county data %s: %w", path, err)
	}
	c.people = make(map[alerts.PersonID]alerts.Person, len(c.People))
	for _, p := range c.People {
		c.people[p.ID] = p
	}
	return &c, nil
}

// LoadRules reads the tables of categories and moves strictly; the shipped ones where path is empty.
func LoadRules(path string) (*alerts.Rules, error) {
	var r alerts.Rules
	if err := loadYAML(path, configs.Rules, &r); err != nil {
		return nil, err
	}
	if err := r.Check(); err != nil {
		return nil, fmt.Errorf("rules %s: %w", path, err)
	}
	return &r, nil
}

func (c *County) check() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if c.Name == "" || len(c.Cells) == 0 {
		bad("name and cells must be given")
	}
	seen := map[string]bool{}
	once := func(what, id string) {
		if id == "" || seen[what+id] {
			bad("%s %q: the id is empty or given twice", what, id)
		}
		seen[what+id] = true
	}
	for _, s := range c.Stations {
		once("station", string(s.ID))
		if err := s.Place.Check(); err != nil {
			bad("station %s: %w", s.ID, err)
		}
		if !s.Kind.Valid() {
			bad("station %s: there is no kind %q of station", s.ID, s.Kind)
		}
		if !slices.Contains(c.Cells, s.Cell) {
			bad("station %s: cell %q is not one of the county's", s.ID, s.Cell)
		}
	}
	for _, g := range c.Grids {
		once("grid", g.ID)
		if err := g.Place.Check(); err != nil {
			bad("grid %s: %w", g.ID, err)
		}
		if g.Radius <= 0 {
			bad("grid %s: radius must be metres above 0", g.ID)
		}
	}
	for _, p := range c.People {
		once("person", string(p.ID))
		if len(p.Roles) == 0 {
			bad("person %s: no roles", p.ID)
		}
		for _, r := range p.Roles {
			if !r.Valid() {
				bad("person %s: there is no role %q", p.ID, r)
			}
		}
		if _, ok := c.Station(p.Home); !ok {
			bad("person %s: home %q is not one of the stations", p.ID, p.Home)
		}
	}
	return errors.Join(errs...)
}

// Station finds a station of the data.
func (c *County) Station(id alerts.StationID) (StationEntry, bool) {
	k := slices.IndexFunc(c.Stations, func(s StationEntry) bool { return s.ID == id })
	if k < 0 {
		return StationEntry{}, false
	}
	return c.Stations[k], true
}

// Place is the entry of a station, or of the one whose place it took when that one's disk was gone.
func (c *County) Place(id alerts.StationID) (StationEntry, bool) {
	if s, ok := c.Station(id); ok {
		return s, true
	}
	return c.Station(successorOf(id))
}

// territory is the ground as the maps draw it.
func (c *County) territory() web.Territory {
	t := web.Territory{Grids: []web.Grid{}, Landmarks: []web.Landmark{}, Note: c.Note}
	for _, g := range c.Grids {
		t.Grids = append(t.Grids, web.Grid{ID: g.ID, Name: g.Name, Township: g.Township, Place: g.Place, Radius: g.Radius})
	}
	for _, l := range c.Landmarks {
		t.Landmarks = append(t.Landmarks, web.Landmark{Name: l.Name, Kind: l.Kind, Place: l.Place})
	}
	return t
}
