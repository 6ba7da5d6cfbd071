package web

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"hivemesh/alerts"
)

// deedKinds are the kinds that POST /v1/incidents/{id}/events takes. Not among them: raised, which opens an
// incident, and receipts, which stations make themselves.
var deedKinds = []alerts.Kind{
	alerts.KindEmergencyCalled, alerts.KindRegistered, alerts.KindGraded, alerts.KindWave,
	alerts.KindAccepted, alerts.KindDeclined, alerts.KindEnRoute, alerts.KindOnScene, alerts.KindReleased,
	alerts.KindSupportRequested, alerts.KindClue, alerts.KindCardUpdated, alerts.KindAssigned, alerts.KindNote,
	alerts.KindCancelRequested, alerts.KindResolved, alerts.KindCancelled, alerts.KindStoodDown, alerts.KindTransferred,
	alerts.KindAsked, alerts.KindReturned, alerts.KindLevelChanged, alerts.KindFeedback, alerts.KindStepped, alerts.KindWished,
	alerts.KindAppointed, alerts.KindSupervised, alerts.KindVerified, alerts.KindFollowedUp, alerts.KindAffected, alerts.KindRated,
	alerts.KindJudged, alerts.KindReopened, alerts.KindArchived, alerts.KindMerged, alerts.KindUnmerged,
}

var clientID = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

const deedDoc = "One fact or decision about the incident; `kind` says which, and the body's own fields stand flat beside it. " +
	"A decision names in `saw` the event of `latest` on its field that you saw: if another came first, yours is refused " +
	"with 409 and `lost` says whose it was. An empty `saw` says that you saw none; without `saw` it is what the station shows. " +
	"`id` is yours: trying again with it makes no second event. A wave without " +
	"its number is the next one."

type deedInput struct {
	ID      alerts.IncidentID `path:"id" maxLength:"64"`
	Prefer  string            `header:"Prefer" maxLength:"100" doc:"wait=N: wait up to N seconds (at most 20) for the record"`
	RawBody []byte            `contentType:"application/json"`
}

// deed is what a request says: an event of one kind.
type deed struct {
	Kind alerts.Kind  `json:"kind"`
	ID   string       `json:"id,omitempty"`
	Saw  *alerts.Hash `json:"saw,omitempty"`
	body alerts.Body
}

func (s *Server) deed(ctx context.Context, c *call, in *deedInput) (*takenOutput, error) {
	i, ok := s.station.Incident(in.ID)
	if !ok || s.station.Rules().ClassOf(c.who.Subject, i) == "" {
		return nil, unknownIncident()
	}
	d, err := parseDeed(in.RawBody)
	if err != nil {
		return nil, err
	}
	if err := s.complete(d, i); err != nil {
		return nil, err
	}
	if err := s.station.Rules().May(c.who.Subject, alerts.Action(d.Kind), i); err != nil {
		return nil, err
	}
	if d.ID == "" {
		d.ID = uuid.NewString()
	}
	t, err := s.station.Do(ctx, c.who.Subject, in.ID, d.ID, d.Saw, d.body)
	if err != nil {
		return nil, err
	}
	s.hub.own(t, c.who.Person)
	return s.taken(ctx, in.Prefer, t)
}

// parseDeed reads the flat form: kind, id and saw, and beside them the fields of the kind's body.
func parseDeed(raw []byte) (*deed, error) {
	wrong := func(detail string) *Problem {
		return problem(http.StatusBadRequest, "malformed", "the body "+detail, "send one JSON object with kind and the fields of that kind").at("body")
	}
	if err := checkJSON(raw); err != nil {
		return nil, wrong(err.Error())
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		return nil, wrong("is not a JSON object")
	}
	var d deed
	envelope := map[string]any{"kind": &d.Kind, "id": &d.ID, "saw": &d.Saw}
	for _, name := range slices.Sorted(maps.Keys(envelope)) {
		given, ok := fields[name]
		if !ok {
			continue
		}
		if err := json.Unmarshal(given, envelope[name]); err != nil {
			return nil, wrong("has a bad field: " + err.Error()).at("body." + name)
		}
		delete(fields, name)
	}
	if d.ID != "" && !clientID.MatchString(d.ID) {
		return nil, problem(http.StatusUnprocessableEntity, "invalid", "id has at most 64 letters, digits and . _ : -", "use a UUID").at("body.id")
	}
	body, ok := alerts.NewBody(d.Kind)
	if !ok || !slices.Contains(deedKinds, d.Kind) {
		p := problem(http.StatusUnprocessableEntity, "unknown", "no event of this kind can be made here", "use one of the known kinds").at("body.kind")
		for _, k := range deedKinds {
			p.Known = append(p.Known, string(k))
		}
		return nil, p
	}
	rest, err := json.Marshal(fields)
	if err != nil {
		return nil, wrong(err.Error())
	}
	dec := json.NewDecoder(bytes.NewReader(rest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(body); err != nil {
		return nil, problem(http.StatusUnprocessableEntity, "invalid", string(d.Kind)+": "+strings.TrimPrefix(err.Error(), "json: "),
			"send the fields of this kind only").at("body")
	}
	d.body = body
	return &d, nil
}

// complete fills in what the station knows better than the client: places in words, the next wave's
// number, the time of a sighting just made.
func (s *Server) complete(d *deed, i *alerts.Incident) error {
	locate := func(p *alerts.Place) error {
		if p == nil || p.Point == nil && p.Grid == "" {
			return nil
		}
		at, err := s.station.Locate(*p)
		if err == nil {
			*p = at
		}
		return err
	}
	switch b := d.body.(type) {
	case *alerts.Waved:
		if b.Number == 0 {
			b.Number = len(i.Waves) + 1
		}
	case *alerts.Clue:
		if b.SeenAt.IsZero() {
			b.SeenAt = time.Now()
		}
		b.SeenAt = b.SeenAt.UTC().Truncate(time.Millisecond)
		return locate(&b.Place)
	case *alerts.Transferred:
		if err := s.knownCell(b.To); err != nil {
			return err.at("body.to")
		}
	case *alerts.Responded:
		return locate(b.At)
	case *alerts.SupportRequested:
		return locate(b.Place)
	}
	return nil
}

const deedPath = "/v1/incidents/{id}/events"

func deedOperation() huma.Operation {
	return huma.Operation{
		Method: http.MethodPost, Path: deedPath, OperationID: "act", Summary: "Add a fact or a decision",
		Description: deedDoc, DefaultStatus: http.StatusAccepted, Tags: []string{"incidents"},
		SkipValidateBody: true, // a failed oneOf would only say that none fits; parseDeed names the mistake
	}
}

// describeDeeds says in the document what parseDeed reads. It comes after the registration, because huma
// describes a raw body as opaque bytes.
func (s *Server) describeDeeds() {
	doc := s.api.OpenAPI()
	form := &huma.Schema{Description: "one of the kinds", Discriminator: &huma.Discriminator{PropertyName: "kind"}}
	for _, k := range deedKinds {
		form.OneOf = append(form.OneOf, deedSchema(doc.Components.Schemas, k))
	}
	doc.Paths[deedPath].Post.RequestBody.Content["application/json"].Schema = form
}

// deedSchema is the body of kind k with the envelope's own fields beside it.
func deedSchema(registry huma.Registry, k alerts.Kind) *huma.Schema {
	body, _ := alerts.NewBody(k)
	of := huma.SchemaFromType(registry, reflect.TypeOf(body).Elem())
	length := 64
	flat := &huma.Schema{
		Type: huma.TypeObject, Title: string(k), AdditionalProperties: false,
		Properties: map[string]*huma.Schema{
			"kind": {Type: huma.TypeString, Enum: []any{string(k)}},
			"id":   {Type: huma.TypeString, MaxLength: &length, Description: "yours, so that trying again makes no second event"},
			"saw":  {Type: huma.TypeString, Description: "the last accepted decision on this field that you saw"},
		},
		Required: []string{"kind"},
	}
	maps.Copy(flat.Properties, of.Properties)
	for _, name := range of.Required {
		if k != alerts.KindWave || name != "wave" {
			flat.Required = append(flat.Required, name)
		}
	}
	return flat
}
