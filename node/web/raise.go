package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"hivemesh/alerts"
)

// maxWait caps Prefer: wait=N, so that a client that asks for an hour does not hold a request for one.
const maxWait = 20 * time.Second

const raiseDoc = "Answers within 500 ms and says how the alert is kept: here (on this station's disk), near (other " +
	"stations that have it on disk), recorded (in the cell's agreed record). `sent` counts the stations it was sent to. " +
	"The same `id` from the same person is the same alert, at every station: `again` is true and nothing new is made. " +
	"`Prefer: wait=N` waits up to N seconds (at most 20) for the record. An alert never replaces a call to 110."

// Called is called_110: true, or the number 110 gave the case.
type Called struct {
	Yes    bool
	Number string
}

// UnmarshalJSON takes a boolean or a string.
func (c *Called) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &c.Yes); err == nil {
		return nil
	}
	if err := json.Unmarshal(b, &c.Number); err != nil {
		return errors.New("want true, false or the number of the case at 110")
	}
	c.Yes = true
	return nil
}

// Schema names the form for OpenAPI.
func (Called) Schema(huma.Registry) *huma.Schema {
	length := 40
	return &huma.Schema{
		OneOf:       []*huma.Schema{{Type: huma.TypeBoolean}, {Type: huma.TypeString, MaxLength: &length}},
		Description: "whether 110 was called, or the number it gave the case",
	}
}

type raiseInput struct {
	Prefer string `header:"Prefer" maxLength:"100" doc:"wait=N: wait up to N seconds for the record"`
	Body   struct {
		ID       string        `json:"id,omitempty" maxLength:"64" pattern:"^[A-Za-z0-9._:-]+$" doc:"yours, so that trying again makes no second alert"`
		Category string        `json:"category" minLength:"1" maxLength:"40" doc:"one of GET /v1/rules"`
		Place    *alerts.Place `json:"place,omitempty" doc:"where; a kiosk that leaves it out means its own station"`
		Note     string        `json:"note,omitempty" maxLength:"2000"`
		Drill    bool          `json:"drill,omitempty"`
		Called   Called        `json:"called_110,omitempty"`
		Silent   bool          `json:"silent,omitempty" doc:"coercion: no sound or light at this station"`
		Source   alerts.Source `json:"source,omitempty" enum:"kiosk,patrol,phone,counter"`
		Outside  string        `json:"outside_number,omitempty" maxLength:"40" doc:"the number another service gave it (dispatch only)"`
		Grade    alerts.Grade  `json:"grade,omitempty" minimum:"1" maximum:"4" doc:"instead of the category's (dispatch only)"`
	}
}

type takenOutput struct {
	Applied  string `header:"Preference-Applied"`
	Location string `header:"Location"`
	Body     Taken
}

func (s *Server) raise(ctx context.Context, c *call, in *raiseInput) (*takenOutput, error) {
	r, err := s.raised(c.who, in)
	if err != nil {
		return nil, err
	}
	id := in.Body.ID
	if id == "" {
		id = uuid.NewString()
	}
	if err := s.station.Rules().May(c.who.Subject, alerts.Action(r.Kind()), nil); err != nil {
		return nil, err
	}
	t, err := s.station.Raise(ctx, c.who.Subject, id, *r)
	if err != nil {
		return nil, err
	}
	s.hub.own(t, c.who.Person)
	if in.Body.Called.Yes {
		// The alert stands whatever becomes of this second event, so its fsync is not waited for: on a disk that
		// hangs, the answer would be late. A refusal of it is shown by a frame.
		atOnce, cancel := context.WithCancel(ctx)
		cancel()
		call := &alerts.EmergencyCalled{Service: "110", Number: in.Body.Called.Number}
		if called, err := s.station.Do(atOnce, c.who.Subject, t.Incident, id+"/110", nil, call); err == nil {
			s.hub.own(called, c.who.Person)
		} else {
			s.note(problemOf(err), err)
		}
	}
	return s.taken(ctx, in.Prefer, t)
}

// raised fills the raising event from the request and, for all the rest, from the category table: nobody
// waits for a leader to know the first ring.
func (s *Server) raised(by *who, in *raiseInput) (*alerts.Raised, error) {
	b := &in.Body
	rules := s.station.Rules()
	cat, ok := rules.Categories[b.Category]
	if !ok {
		p := problem(http.StatusUnprocessableEntity, "unknown_category", "no category "+strconv.Quote(b.Category), "use one of the known categories").at("body.category")
		p.Known = sortedKeys(rules.Categories)
		return nil, p
	}
	if !by.dispatch() && (b.Grade != 0 || b.Outside != "" || b.Source == alerts.FromPhone || b.Source == alerts.FromCounter) {
		return nil, problem(http.StatusForbidden, "forbidden", "grade, outside_number and the sources phone and counter are for dispatchers and centres",
			"leave them out; the category says how bad it is").at("body")
	}
	place, err := s.place(by, b.Place)
	if err != nil {
		return nil, err
	}
	r := &alerts.Raised{
		Category: b.Category, Grade: cat.Grade, Place: place, Note: b.Note, Source: b.Source, Outside: b.Outside,
		Drill: b.Drill, Silent: b.Silent, Wanted: cat.Wanted, Card: cat.Card,
	}
	if b.Grade != 0 {
		r.Grade = b.Grade
	}
	if len(cat.Rings) > 0 {
		r.Ring = cat.Rings[0]
	}
	if r.Source == "" {
		r.Source = alerts.FromPatrol
		if by.kiosk {
			r.Source = alerts.FromKiosk
		}
	}
	return r, nil
}

func (s *Server) place(by *who, given *alerts.Place) (alerts.Place, error) {
	if by.kiosk && (given == nil || given.Point == nil && given.Grid == "") {
		if at, ok := s.around(by.Station); ok {
			if given != nil && given.Words != "" {
				at.Words = given.Words
			}
			return at, nil
		}
	}
	if given == nil || given.Point == nil && given.Grid == "" {
		return alerts.Place{}, problem(http.StatusUnprocessableEntity, "no_place", "the alert has no place", "give lon and lat, or a grid of GET /v1/grids").at("body.place")
	}
	if given.Point != nil {
		if err := given.Point.Check(); err != nil {
			return alerts.Place{}, err
		}
	}
	return s.station.Locate(*given)
}

// around is the place that a kiosk means when it names none: somewhere in its own village, so the radius is
// that of the grid the station stands in.
func (s *Server) around(id alerts.StationID) (alerts.Place, bool) {
	for _, st := range s.station.Stations() {
		if st.ID != id || st.Place == nil {
			continue
		}
		at := alerts.Place{Point: st.Place, Words: st.Name}
		for _, g := range s.station.Territory().Grids {
			if g.Place.Distance(*st.Place) <= g.Radius && (at.Grid == "" || g.Radius < at.Radius) {
				at.Grid, at.Radius = g.ID, g.Radius
			}
		}
		return at, true
	}
	return alerts.Place{}, false
}

// taken answers with how the event is kept, after waiting for the record if the client prefers so.
func (s *Server) taken(ctx context.Context, prefer string, t Taken) (*takenOutput, error) {
	out := &takenOutput{Location: "/v1/incidents/" + string(t.Incident), Body: t}
	wait, given := waitOf(prefer)
	if !given {
		return out, nil
	}
	out.Applied = "wait=" + strconv.Itoa(int(wait.Seconds()))
	k, refusal := s.hub.await(ctx, t.Event, wait)
	if refusal != nil {
		return nil, refusal
	}
	if k != nil {
		out.Body.Kept = *k
	}
	return out, nil
}

// waitOf reads Prefer: wait=N (RFC 7240), capped at maxWait. Preferences that it does not know, and what
// is not one, are ignored as the RFC says.
func waitOf(prefer string) (time.Duration, bool) {
	for part := range strings.SplitSeq(prefer, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		value, _, _ = strings.Cut(value, ";")
		n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 32)
		if err != nil {
			return 0, false
		}
		return min(time.Duration(n)*time.Second, maxWait), true
	}
	return 0, false
}
