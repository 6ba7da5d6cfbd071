package web

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"hivemesh/alerts"
)

const (
	// maxEventBody is what the body of an alert or an event may weigh: as much as an event itself (16 KiB).
	maxEventBody = 16 << 10
	// maxBody bounds every request body, also where no route reads it.
	maxBody = 64 << 10
)

// access is the decision that every route has: who may use it at all. What they see is Redact's.
type access int

const (
	// open: tables and addresses that a page needs before sign-in; nothing personal.
	open access = iota
	// localOrSignedIn: how the mesh is doing, for whoever is at the machine or signed in.
	localOrSignedIn
	// signedIn: everything about incidents.
	signedIn
)

// call is what a handler knows of the request besides its input.
type call struct {
	who      *who // nil unless somebody is signed in
	loopback bool
}

type callKey struct{}

// raiseID names the operation that raises an alert.
const raiseID = "raise"

// add registers one operation with its decision.
func add[I, O any](s *Server, need access, op huma.Operation, h func(context.Context, *call, *I) (*O, error)) {
	op.Middlewares = huma.Middlewares{s.identified(need, op.OperationID == raiseID)}
	op.Responses = map[string]*huma.Response{"default": {
		Description: "A problem document (RFC 9457)",
		Content: map[string]*huma.MediaType{"application/problem+json": {
			Schema: s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem"),
		}},
	}}
	if need != open {
		op.Security = []map[string][]string{{"bearer": {}}, {"cookie": {}}}
	}
	op.MaxBodyBytes = maxEventBody
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		c, _ := ctx.Value(callKey{}).(*call)
		out, err := h(ctx, c, in)
		if err != nil {
			p := problemOf(err)
			s.note(p, err)
			return nil, p
		}
		return out, nil
	})
}

// routes is the whole API in one block.
func (s *Server) routes(mux *http.ServeMux) {
	get := func(path, id, summary string, tags ...string) huma.Operation {
		return huma.Operation{Method: http.MethodGet, Path: path, OperationID: id, Summary: summary, Tags: tags}
	}
	post := func(path, id, summary string, status int, tags ...string) huma.Operation {
		return huma.Operation{Method: http.MethodPost, Path: path, OperationID: id, Summary: summary, DefaultStatus: status, Tags: tags}
	}

	add(s, open, get("/v1/people", "list-people", "Who may sign in (demo county, loopback only)", "session"), s.people)
	add(s, open, post("/v1/session", "sign-in", "Sign in as a demo person, or as this station's kiosk (loopback only)", 200, "session"), s.signIn)
	add(s, signedIn, get("/v1/session", "who-am-i", "Who I am", "session"), s.whoAmI)
	add(s, signedIn, huma.Operation{Method: http.MethodDelete, Path: "/v1/session", OperationID: "sign-out", Summary: "Sign out", Tags: []string{"session"}}, s.signOut)

	add(s, open, get("/v1/rules", "get-rules", "The tables in force: categories and moves", "county"), s.rules)
	add(s, open, get("/v1/grids", "list-grids", "Grids and landmarks of the schematic map", "county"), s.grids)
	add(s, open, get("/v1/stations", "list-stations", "Every station known, this one first", "county"), s.stations)
	add(s, localOrSignedIn, get("/v1/mesh", "get-mesh", "Members, cells, voters, leader, index, chain head, pids", "county"), s.mesh)
	add(s, open, get("/v1/cells", "list-cells", "The county's cells", "county"), s.cells)
	form := post("/v1/cells", "change-cell", "Form a cell, or give one more townships or stations", 202, "county")
	form.Description = cellsDoc
	add(s, signedIn, form, s.changeCell)
	merge := post("/v1/cells/{cell}/merge", "merge-cell", "Merge a cell into another", 202, "county")
	merge.Description = mergeDoc
	add(s, signedIn, merge, s.mergeCell)
	add(s, signedIn, post("/v1/stations/{station}/cell", "place-station", "Say for which cell one station works", 202, "county"), s.placeStation)

	raise := post("/v1/alerts", raiseID, "Raise an alert", 202, "incidents")
	raise.Description = raiseDoc
	add(s, signedIn, raise, s.raise)
	add(s, signedIn, deedOperation(), s.deed)
	s.describeDeeds()
	add(s, signedIn, get("/v1/incidents", "list-incidents", "Incidents as you may see them, newest first", "incidents"), s.incidents)
	add(s, signedIn, get("/v1/incidents/{id}", "get-incident", "One incident as you may see it", "incidents"), s.incident)
	add(s, signedIn, get("/v1/events/{hash}", "get-event", "How one event is kept now", "incidents"), s.event)

	mux.HandleFunc("GET /v1/live", s.live)
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.metrics.handler())
	mux.HandleFunc("/v1/", noRoute(mux))
	s.documents(mux)
	s.pages(mux)
}

// newAPI prepares huma: our strict JSON, our problems, no pages of its own (its docs page loads from a CDN).
func newAPI(mux *http.ServeMux, version string) huma.API {
	config := huma.DefaultConfig("HiveMesh", version)
	config.Info.Description = "One station of a county's beehive safety network. The live link is described at /asyncapi.json."
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.CreateHooks = nil
	config.RejectUnknownQueryParameters = true
	config.Formats = map[string]huma.Format{"application/json": jsonFormat(), "json": jsonFormat()}
	config.Transformers = []huma.Transformer{func(_ huma.Context, _ string, v any) (any, error) {
		if m, ok := v.(*huma.ErrorModel); ok {
			return fromHuma(m), nil
		}
		return v, nil
	}}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "the token of POST /v1/session"},
		"cookie": {Type: "apiKey", In: "cookie", Name: "hive_{station id}", Description: "set by POST /v1/session"},
	}
	aliases(config.Components.Schemas)
	return humago.New(mux, config)
}

// answer writes a problem from a middleware.
func (s *Server) answer(ctx huma.Context, p *Problem) {
	ctx.SetHeader("Content-Type", p.ContentType(""))
	for name, values := range p.header {
		ctx.SetHeader(name, values[0])
	}
	if p.Status == http.StatusUnauthorized {
		ctx.SetHeader("WWW-Authenticate", "Bearer")
	}
	ctx.SetStatus(p.Status)
	_ = json.NewEncoder(ctx.BodyWriter()).Encode(p)
}

// noRoute answers what no route of the API takes: a problem with the methods that would do.
func noRoute(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allow []string
		for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			try := r.Clone(r.Context())
			try.Method = m
			if _, pattern := mux.Handler(try); strings.HasPrefix(pattern, m+" ") {
				allow = append(allow, m)
			}
		}
		if len(allow) > 0 {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			p := problem(http.StatusMethodNotAllowed, "wrong_method", "this path does not take "+r.Method, "use one of the methods it takes")
			p.Known = allow
			p.write(w)
			return
		}
		problem(http.StatusNotFound, "no_route", "the API has no such path", "see /docs").at("path").write(w)
	}
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]any{"alive": true, "at": alerts.Stamp(time.Now())})
}

// readyz says whether this station serves in full, else why not. The alarm lane may well work meanwhile.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := s.station.Ready(); err != nil {
		problem(http.StatusServiceUnavailable, "not_ready", err.Error(), "alerts can be raised all the same; see /v1/mesh").write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	said := map[string]any{"ready": true, "disk": s.station.Mesh().Disk.Level}
	if warnings := s.station.Warnings(); len(warnings) > 0 {
		said["warnings"] = warnings
	}
	_ = json.NewEncoder(w).Encode(said)
}
