package web

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"hivemesh/alerts"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// StationView is StationInfo as JSON has it.
type StationView struct {
	ID       alerts.StationID   `json:"id"`
	Name     string             `json:"name"`
	Kind     alerts.StationKind `json:"kind"`
	Cell     alerts.CellID      `json:"cell"`
	Township string             `json:"township"`
	Place    *alerts.Point      `json:"place,omitempty"`
	URL      string             `json:"url" doc:"where its pages and API are"`
	Alive    bool               `json:"alive"`
	Self     bool               `json:"self"`
	SeenAt   alerts.Stamp       `json:"seen_at" doc:"when gossip last changed its mind"`
}

func viewOf(i StationInfo) StationView {
	return StationView{
		ID: i.ID, Name: i.Name, Kind: i.Kind, Cell: i.Cell, Township: i.Township, Place: i.Place,
		URL: i.URL, Alive: i.Alive, Self: i.Self, SeenAt: alerts.Stamp(i.SeenAt),
	}
}

type stationsOutput struct {
	Body struct {
		Stations []StationView `json:"stations"`
	}
}

func (s *Server) stationViews() []StationView {
	list := []StationView{}
	for _, i := range s.station.Stations() {
		list = append(list, viewOf(i))
	}
	return list
}

func (s *Server) stations(context.Context, *call, *struct{}) (*stationsOutput, error) {
	out := &stationsOutput{}
	out.Body.Stations = s.stationViews()
	return out, nil
}

type meshInput struct {
	Fold bool `query:"fold" doc:"with the hash of what each record folds to: equal at an equal index at every station; costs a pass over all matters"`
}

type meshOutput struct{ Body MeshInfo }

func (s *Server) mesh(_ context.Context, _ *call, in *meshInput) (*meshOutput, error) {
	out := &meshOutput{Body: s.station.Mesh()}
	for k := range out.Body.Cells {
		if c := &out.Body.Cells[k]; in.Fold {
			c.Fold = s.station.Fold(c.Cell).String()
		}
	}
	return out, nil
}

type gridsOutput struct{ Body Territory }

func (s *Server) grids(context.Context, *call, *struct{}) (*gridsOutput, error) {
	return &gridsOutput{Body: s.station.Territory()}, nil
}

// CategoryView is one row of the category table.
type CategoryView struct {
	ID         string        `json:"id"`
	Name       alerts.Text   `json:"name"`
	Grade      alerts.Grade  `json:"grade"`
	Wanted     int           `json:"wanted" doc:"responders wanted"`
	Rings      []float64     `json:"rings" doc:"metres of waves 1, 2, 3 …"`
	Order      int           `json:"order" doc:"place among a kiosk's buttons; 0: not on the first page"`
	Sealed     bool          `json:"sealed"`
	Alarm      bool          `json:"alarm" doc:"whether it sounds at all"`
	PoliceOnly bool          `json:"police_only" doc:"wakes police roles only, until a dispatcher says otherwise"`
	Wakes      []alerts.Role `json:"wakes"`

	Level    alerts.Level          `json:"level" doc:"who handles it"`
	Handles  []alerts.Role         `json:"handles,omitempty" doc:"who may report back, do the steps and return it, beside those who dispatch; none: all whom the moves let"`
	Asks     []alerts.Question     `json:"asks,omitempty" doc:"guided questions"`
	Codes    []alerts.Outcome      `json:"codes,omitempty" doc:"what it may be resolved with; none: any"`
	Evidence []alerts.EvidenceKind `json:"evidence,omitempty" doc:"needed to resolve it"`
	Steps    []alerts.StepRow      `json:"steps,omitempty" doc:"what is done on the way"`
}

// MoveView is one row of the table of moves.
type MoveView struct {
	Kind  alerts.Kind          `json:"kind"`
	Field alerts.Field         `json:"field,omitempty" doc:"what it decides; none: a fact"`
	By    []alerts.Role        `json:"by"`
	At    []alerts.StationKind `json:"at,omitempty" doc:"kinds of station that may sign it; none: any"`
	From  []alerts.Status      `json:"from,omitempty" doc:"statuses it is possible from; none: any open one"`
	Own   bool                 `json:"own" doc:"the reporter and the raising kiosk may as well"`
}

type rulesOutput struct {
	Body struct {
		Version    uint64         `json:"version"`
		Categories []CategoryView `json:"categories"`
		Moves      []MoveView     `json:"moves"`
	}
}

func (s *Server) rules(context.Context, *call, *struct{}) (*rulesOutput, error) {
	r := s.station.Rules()
	out := &rulesOutput{}
	out.Body.Version = r.Version
	out.Body.Categories = []CategoryView{}
	for _, id := range sortedKeys(r.Categories) {
		c := r.Categories[id]
		out.Body.Categories = append(out.Body.Categories, CategoryView{
			ID: id, Name: c.Name, Grade: c.Grade, Wanted: c.Wanted, Rings: notNil(c.Rings), Order: c.Order,
			Sealed: c.Sealed, Alarm: len(c.Rings) > 0, PoliceOnly: policeOnly(c.Wakes), Wakes: notNil(c.Wakes),
			Level: cmp.Or(c.Level, alerts.LevelTownship), Handles: c.Handles, Asks: c.Asks, Codes: c.Codes, Evidence: c.Evidence, Steps: c.Steps,
		})
	}
	out.Body.Moves = []MoveView{}
	for _, k := range sortedKeys(r.Moves) {
		m := r.Moves[k]
		out.Body.Moves = append(out.Body.Moves, MoveView{Kind: k, Field: alerts.FieldOf(k), By: notNil(m.By), At: m.At, From: m.From, Own: m.Own})
	}
	return out, nil
}

func notNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// policeOnly reports whether a category wakes nobody but the police and dispatch.
func policeOnly(wakes []alerts.Role) bool {
	for _, r := range wakes {
		switch r {
		case alerts.AuxiliaryPolice, alerts.Officer, alerts.Dispatcher, alerts.TownshipCentre, alerts.CountyCentre:
		default:
			return false
		}
	}
	return true
}

// maxPage is how many incidents one answer may hold.
const maxPage = 500

type incidentsInput struct {
	Open     bool              `query:"open" doc:"only matters not at their end"`
	Category string            `query:"category" maxLength:"40"`
	Limit    int               `query:"limit" minimum:"1" maximum:"500" default:"100"`
	Before   alerts.IncidentID `query:"before" maxLength:"64" doc:"the last id of the page before this one"`
}

type incidentsOutput struct {
	Body struct {
		Incidents []alerts.Shown           `json:"incidents"`
		Cursor    map[alerts.CellID]string `json:"cursor" doc:"where each cell's record stands in this answer; give it as after in hello"`
		More      bool                     `json:"more" doc:"there are older ones: ask again with before"`
	}
}

func (s *Server) incidents(_ context.Context, c *call, in *incidentsInput) (*incidentsOutput, error) {
	rules := s.station.Rules()
	if _, known := rules.Categories[in.Category]; in.Category != "" && !known {
		p := problem(http.StatusUnprocessableEntity, "unknown_category", "no category "+strconv.Quote(in.Category), "use one of the known categories").at("query.category")
		p.Known = sortedKeys(rules.Categories)
		return nil, p
	}
	out := &incidentsOutput{}
	out.Body.Incidents = []alerts.Shown{}
	out.Body.Cursor = map[alerts.CellID]string{}
	for _, cell := range s.station.Cells() { // before the list, so that it claims too little rather than too much
		out.Body.Cursor[cell] = s.station.Cursor(cell).String()
	}
	list := s.station.Incidents()
	skip := in.Before != ""
	for _, i := range slices.Backward(list) {
		if skip {
			skip = i.ID != in.Before
			continue
		}
		if in.Open && i.Status.Closed() || in.Category != "" && i.Raised.Category != in.Category {
			continue
		}
		shown, ok := rules.Redact(c.who.Subject, i)
		if !ok {
			continue
		}
		if len(out.Body.Incidents) == min(in.Limit, maxPage) {
			out.Body.More = true
			break
		}
		out.Body.Incidents = append(out.Body.Incidents, shown)
	}
	return out, nil
}

type incidentInput struct {
	ID alerts.IncidentID `path:"id" maxLength:"64"`
}

// IncidentDetail is one incident with what its raiser and those who work it want to know beside it.
type IncidentDetail struct {
	alerts.Shown
	Receipts []WaveReceipts `json:"receipts,omitempty" doc:"of every wave: for who sees the matter in full, and who raised it"`
	Kept     *Kept          `json:"kept,omitempty" doc:"how your own raise is kept now"`
}

// WaveReceipts are the receipts of one wave, over all stations.
type WaveReceipts struct {
	Wave     int `json:"wave"`
	Sent     int `json:"sent"`
	Reached  int `json:"reached"`
	Opened   int `json:"opened"`
	Answered int `json:"answered"`
}

type incidentOutput struct{ Body IncidentDetail }

func (s *Server) incident(_ context.Context, c *call, in *incidentInput) (*incidentOutput, error) {
	i, ok := s.station.Incident(in.ID)
	if !ok {
		return nil, unknownIncident()
	}
	rules := s.station.Rules()
	shown, ok := rules.Redact(c.who.Subject, i)
	if !ok {
		return nil, unknownIncident()
	}
	out := &incidentOutput{Body: IncidentDetail{Shown: shown}}
	if seesReceipts(rules, c.who, i) {
		for _, w := range i.Waves {
			out.Body.Receipts = append(out.Body.Receipts, receiptsOf(i, w.Number, s.station.Receipts(i.ID, w.Number)))
		}
	}
	if i.RaisedBy == c.who.Person {
		if k, ok := s.station.Kept(i.First); ok {
			out.Body.Kept = &k
		}
	}
	return out, nil
}

// seesReceipts: who sees the matter in full, and who raised it (Honest).
func seesReceipts(rules *alerts.Rules, w *who, i *alerts.Incident) bool {
	return i.RaisedBy == w.Person || alerts.Full(rules.ClassOf(w.Subject, i))
}

func receiptsOf(i *alerts.Incident, wave int, n Counts) WaveReceipts {
	return WaveReceipts{Wave: wave, Sent: n.Sent, Reached: n.Reached, Opened: n.Opened, Answered: len(i.Answers)}
}

type eventInput struct {
	Hash string `path:"hash" minLength:"64" maxLength:"64" pattern:"^[0-9a-f]+$"`
}

type eventOutput struct {
	Body struct {
		Event alerts.Hash `json:"event"`
		Kept  Kept        `json:"kept"`
	}
}

// event tells how an event is kept. Its name is known only to those who were given it, and it tells
// nothing about the matter.
func (s *Server) event(_ context.Context, _ *call, in *eventInput) (*eventOutput, error) {
	var h alerts.Hash
	if err := h.UnmarshalText([]byte(in.Hash)); err != nil {
		return nil, problem(http.StatusUnprocessableEntity, "invalid", err.Error(), "give the 64 hex digits").at("path.hash")
	}
	k, ok := s.station.Kept(h)
	if !ok {
		return nil, problem(http.StatusNotFound, "unknown_event", "this station does not know the event", "it may still be under way; ask again").at("path.hash")
	}
	out := &eventOutput{}
	out.Body.Event, out.Body.Kept = h, k
	return out, nil
}
