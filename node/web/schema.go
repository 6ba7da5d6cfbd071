package web

import (
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"hivemesh/alerts"
)

// aliases tell huma of the types that write themselves as JSON, and of those whose values are few.
func aliases(r huma.Registry) {
	r.RegisterTypeAlias(reflect.TypeFor[alerts.Place](), reflect.TypeFor[placeForm]())
	r.RegisterTypeAlias(reflect.TypeFor[alerts.Stamp](), reflect.TypeFor[time.Time]())
	r.RegisterTypeAlias(reflect.TypeFor[alerts.Kind](), reflect.TypeFor[kindForm]())
	r.RegisterTypeAlias(reflect.TypeFor[alerts.Status](), reflect.TypeFor[statusForm]())
	r.RegisterTypeAlias(reflect.TypeFor[alerts.Grade](), reflect.TypeFor[gradeForm]())
	r.RegisterTypeAlias(reflect.TypeFor[alerts.Source](), reflect.TypeFor[sourceForm]())
	r.RegisterTypeAlias(reflect.TypeFor[alerts.Satisfaction](), reflect.TypeFor[satisfactionForm]())
	r.RegisterTypeAlias(reflect.TypeFor[alerts.Level](), reflect.TypeFor[levelForm]())
	r.RegisterTypeAlias(reflect.TypeFor[alerts.EvidenceKind](), reflect.TypeFor[evidenceForm]())
	r.RegisterTypeAlias(reflect.TypeFor[alerts.Body](), reflect.TypeFor[bodyForm]())
}

// placeForm is alerts.Place as JSON has it: one flat object.
type placeForm struct {
	Lon    *float64 `json:"lon,omitempty" minimum:"-180" maximum:"180" dependentRequired:"lat" doc:"degrees WGS-84, with lat"`
	Lat    *float64 `json:"lat,omitempty" minimum:"-90" maximum:"90" dependentRequired:"lon" doc:"degrees WGS-84, with lon"`
	Grid   string   `json:"grid,omitempty" maxLength:"64" doc:"a grid of GET /v1/grids, instead of lon and lat"`
	Words  string   `json:"words,omitempty" maxLength:"200" doc:"where, as people say it"`
	Radius float64  `json:"radius,omitempty" minimum:"0" maximum:"20000" doc:"metres of uncertainty"`
}

type (
	kindForm   string
	statusForm string
	sourceForm string
	gradeForm  int
	bodyForm   map[string]any

	satisfactionForm string
	levelForm        string
	evidenceForm     string
)

// Schema implements huma.SchemaProvider.
func (satisfactionForm) Schema(huma.Registry) *huma.Schema {
	return oneOf([]alerts.Satisfaction{alerts.Satisfied, alerts.Partly, alerts.Unsatisfied, alerts.NoOpinion})
}

// Schema implements huma.SchemaProvider.
func (levelForm) Schema(huma.Registry) *huma.Schema {
	return oneOf([]alerts.Level{alerts.LevelVillage, alerts.LevelTownship, alerts.LevelCounty})
}

// Schema implements huma.SchemaProvider.
func (evidenceForm) Schema(huma.Registry) *huma.Schema {
	return oneOf([]alerts.EvidenceKind{
		alerts.EvidenceWords, alerts.EvidencePhoto, alerts.EvidenceDocument, alerts.EvidenceAgreement, alerts.EvidenceReceipt,
	})
}

// Schema implements huma.SchemaProvider.
func (kindForm) Schema(huma.Registry) *huma.Schema {
	return oneOf(append([]alerts.Kind{alerts.KindRaised, alerts.KindReceipts, alerts.KindHandedOver}, deedKinds...))
}

// Schema implements huma.SchemaProvider.
func (statusForm) Schema(huma.Registry) *huma.Schema {
	return oneOf([]alerts.Status{
		alerts.StatusReported, alerts.StatusRegistered, alerts.StatusGraded, alerts.StatusReturned, alerts.StatusReopened,
		alerts.StatusDispatched, alerts.StatusHandling, alerts.StatusResolved, alerts.StatusVoid, alerts.StatusCancelled,
		alerts.StatusMerged, alerts.StatusVerified, alerts.StatusFollowedUp, alerts.StatusJudged, alerts.StatusArchived,
	})
}

// Schema implements huma.SchemaProvider.
func (sourceForm) Schema(huma.Registry) *huma.Schema {
	return oneOf([]alerts.Source{alerts.FromKiosk, alerts.FromPatrol, alerts.FromPhone, alerts.FromCounter})
}

// Schema implements huma.SchemaProvider.
func (gradeForm) Schema(huma.Registry) *huma.Schema {
	// As numbers of JSON, for huma compares them with what it has read.
	return &huma.Schema{Type: huma.TypeInteger, Enum: []any{1.0, 2.0, 3.0, 4.0}}
}

// Schema implements huma.SchemaProvider.
func (bodyForm) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: "the fields of its kind"}
}

func oneOf[T ~string](all []T) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, v := range all {
		s.Enum = append(s.Enum, string(v))
	}
	return s
}

// solid says of every list that it is never null: an answer without items has an empty list, or none.
func solid(r huma.Registry) {
	for _, s := range r.Map() {
		for _, p := range s.Properties {
			if p.Type == huma.TypeArray {
				p.Nullable = false
			}
		}
	}
}
