package web

import (
	"context"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"hivemesh/alerts"
)

// CellView is one cell of the county as the directory has it.
type CellView struct {
	Cell      alerts.CellID      `json:"cell"`
	Home      bool               `json:"home" doc:"every station follows it; its record holds the directory"`
	Epoch     uint64             `json:"epoch" doc:"how often the directory changed it"`
	Townships []string           `json:"townships"`
	Stations  []alerts.StationID `json:"stations" doc:"those that work for it now, as far as this station knows them"`
	Voters    int                `json:"voters,omitempty" doc:"how many are wanted; absent: by the number of stations"`
	Into      alerts.CellID      `json:"merged_into,omitempty" doc:"it has ended, and this is its successor"`
	Followed  bool               `json:"followed" doc:"this station follows its record"`
}

type cellsOutput struct {
	Body struct {
		Cells []CellView `json:"cells"`
	}
}

func (s *Server) cells(context.Context, *call, *struct{}) (*cellsOutput, error) {
	out := &cellsOutput{}
	out.Body.Cells = s.station.CellViews()
	return out, nil
}

const (
	cellsDoc = "For an admin at a police post or centre. A name that is new forms a cell; townships and stations named are " +
		"its own from then on, with all open matters there, and so are the stations in those townships. Stations that no " +
		"name says stay where they are. `saw` is not needed: the change is made upon the directory as this station has it, " +
		"and refused with 409 if another came first."
	mergeDoc = "For an admin at a police post or centre. Townships, stations and open matters go to the other cell; then the " +
		"record is sealed and stays as history. The home cell cannot be merged into another."
)

type cellInput struct {
	Prefer string `header:"Prefer" maxLength:"100" doc:"wait=N: wait up to N seconds (at most 20) for the record"`
	Body   struct {
		ID        string             `json:"id,omitempty" maxLength:"64" doc:"yours, so that trying again makes no second change"`
		Cell      alerts.CellID      `json:"cell" maxLength:"63" pattern:"^[a-z0-9][a-z0-9_-]*$" doc:"a new name, or one of GET /v1/cells"`
		Townships []string           `json:"townships,omitempty" maxItems:"400"`
		Stations  []alerts.StationID `json:"stations,omitempty" maxItems:"400"`
		Founders  []alerts.StationID `json:"founders,omitempty" maxItems:"7" doc:"who begins a new cell's record; left out: the steadiest of its stations"`
		Voters    int                `json:"voters,omitempty" minimum:"0" maximum:"7"`
	}
}

func (s *Server) changeCell(ctx context.Context, c *call, in *cellInput) (*takenOutput, error) {
	b := in.Body
	return s.govern(ctx, c, in.Prefer, b.ID, &alerts.CellChanged{
		Cell: b.Cell, Townships: b.Townships, Stations: b.Stations, Founders: b.Founders, Voters: b.Voters,
	})
}

type mergeInput struct {
	Cell   alerts.CellID `path:"cell" maxLength:"63"`
	Prefer string        `header:"Prefer" maxLength:"100" doc:"wait=N: wait up to N seconds (at most 20) for the record"`
	Body   struct {
		ID   string        `json:"id,omitempty" maxLength:"64" doc:"yours, so that trying again makes no second change"`
		Into alerts.CellID `json:"into" maxLength:"63"`
	}
}

func (s *Server) mergeCell(ctx context.Context, c *call, in *mergeInput) (*takenOutput, error) {
	if err := s.knownCell(in.Cell); err != nil {
		return nil, err.at("path.cell")
	}
	if err := s.knownCell(in.Body.Into); err != nil {
		return nil, err.at("body.into")
	}
	return s.govern(ctx, c, in.Prefer, in.Body.ID, &alerts.CellChanged{Cell: in.Cell, Into: in.Body.Into})
}

type placeInput struct {
	Station alerts.StationID `path:"station" maxLength:"64"`
	Prefer  string           `header:"Prefer" maxLength:"100" doc:"wait=N: wait up to N seconds (at most 20) for the record"`
	Body    struct {
		ID   string        `json:"id,omitempty" maxLength:"64" doc:"yours, so that trying again makes no second change"`
		Cell alerts.CellID `json:"cell" maxLength:"63"`
	}
}

func (s *Server) placeStation(ctx context.Context, c *call, in *placeInput) (*takenOutput, error) {
	if err := s.knownCell(in.Body.Cell); err != nil {
		return nil, err.at("body.cell")
	}
	return s.govern(ctx, c, in.Prefer, in.Body.ID, &alerts.StationPlaced{Station: in.Station, Cell: in.Body.Cell})
}

// govern makes a decision about the county itself.
func (s *Server) govern(ctx context.Context, c *call, prefer, id string, b alerts.Body) (*takenOutput, error) {
	if err := s.station.Rules().May(c.who.Subject, alerts.Action(b.Kind()), nil); err != nil {
		return nil, err
	}
	if id == "" {
		id = uuid.NewString()
	}
	t, err := s.station.Govern(ctx, c.who.Subject, id, b)
	if err != nil {
		return nil, err
	}
	s.hub.own(t, c.who.Person)
	out, err := s.taken(ctx, prefer, t)
	if out != nil {
		out.Location = "/v1/cells"
	}
	return out, err
}

// knownCell refuses a cell that is none, or no more.
func (s *Server) knownCell(id alerts.CellID) *Problem {
	var known []string
	for _, c := range s.station.CellViews() {
		if c.Into == "" {
			known = append(known, string(c.Cell))
		}
	}
	if slices.Contains(known, string(id)) {
		return nil
	}
	p := problem(http.StatusUnprocessableEntity, "unknown_cell", "the county has no such cell now", "use one of the known cells")
	p.Known = known
	return p
}
