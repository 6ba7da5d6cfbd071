package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"hivemesh/alerts"
)

// TestTheDocumentsSayWhatIsServed: both documents come from the Go types, every reference in them leads
// somewhere, and neither they nor the page name another host to load from.
func TestTheDocumentsSayWhatIsServed(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		for _, path := range []string{"/openapi.json", "/asyncapi.json"} {
			a := v.ask("xinzhuang", request{method: "GET", path: path})
			var doc map[string]any
			a.json(t, &doc)
			refs := regexp.MustCompile(`"\$ref":"([^"]+)"`).FindAllStringSubmatch(a.body, -1)
			if len(refs) < 10 {
				t.Errorf("%s has only %d references", path, len(refs))
			}
			if live, ok := doc["x-websocket"].(map[string]any); ok {
				checkRefs(t, path+" x-websocket", live["document"].(map[string]any))
				delete(doc, "x-websocket")
			}
			checkRefs(t, path, doc)
		}
		var open struct {
			OpenAPI string
			Paths   map[string]map[string]struct {
				RequestBody struct {
					Content map[string]struct {
						Schema struct {
							OneOf []struct {
								Title      string
								Properties map[string]any
							}
						}
					}
				}
			}
		}
		v.ask("xinzhuang", request{method: "GET", path: "/openapi.json"}).json(t, &open)
		if !strings.HasPrefix(open.OpenAPI, "3.1") {
			t.Errorf("OpenAPI %s", open.OpenAPI)
		}
		for _, path := range []string{"/v1/alerts", "/v1/incidents", "/v1/incidents/{id}", "/v1/incidents/{id}/events", "/v1/stations", "/v1/mesh", "/v1/people", "/v1/session", "/v1/events/{hash}", "/v1/rules", "/v1/grids"} {
			if len(open.Paths[path]) == 0 {
				t.Errorf("openapi lacks %s", path)
			}
		}
		kinds := map[string]map[string]any{}
		for _, form := range open.Paths[deedPath]["post"].RequestBody.Content["application/json"].Schema.OneOf {
			kinds[form.Title] = form.Properties
		}
		if len(kinds) != len(deedKinds) || kinds["assigned"]["person"] == nil || kinds["clue"]["place"] == nil || kinds["graded"]["saw"] == nil {
			t.Errorf("the kinds of events are not described field by field: %v", sortedKeys(kinds))
		}
		for _, file := range []string{"docs/index.html", "docs/page.js", "docs/page.css"} {
			b, err := docsFiles.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if regexp.MustCompile(`(?i)(https?:)?//[a-z0-9-]+\.[a-z]`).Match(b) {
				t.Errorf("%s names another host", file)
			}
		}
	})
}

// checkRefs follows every reference within its own document.
func checkRefs(t *testing.T, name string, doc map[string]any) {
	t.Helper()
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if to, ok := v["$ref"].(string); ok {
				var at any = doc
				for _, step := range strings.Split(strings.TrimPrefix(to, "#/"), "/") {
					m, _ := at.(map[string]any)
					at = m[step]
				}
				if at == nil {
					t.Errorf("%s: %s leads nowhere", name, to)
				}
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(doc)
}

// TestEveryFrameIsDescribed: what comes over the link is in the AsyncAPI document, field by field.
func TestEveryFrameIsDescribed(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		var doc struct {
			Components struct {
				Messages map[string]struct {
					Payload struct {
						Ref string `json:"$ref"`
					}
				}
				Schemas map[string]struct {
					Properties map[string]any
					Required   []string
				}
			}
		}
		v.ask("xinzhuang", request{method: "GET", path: "/asyncapi.json"}).json(t, &doc)
		p := v.connect("hancun-post", "dispatcher", "x1", `"position":{"lon":116.5,"lat":39.32}`)
		taken := v.raise("hancun-post", v.signIn("hancun-post", "dispatcher"), abduction)
		p.say(`{"type":"receipt","incident":"` + string(taken.Incident) + `","wave":1,"state":"opened"}`)
		p.say(`{"type":"ping"}`)
		p.say(`{"type":"nonsense"}`)
		v.record()
		v.act("hancun-post", v.signIn("hancun-post", "dispatcher"), taken.Incident, `{"kind":"stood_down"}`)
		v.at("hancun-post").county.tellStations()
		sleepTicks()
		seen := map[string]bool{}
		for _, raw := range strings.Split(p.everything(), "\n") {
			var f map[string]json.RawMessage
			if err := json.Unmarshal([]byte(raw), &f); err != nil {
				t.Fatal(err)
			}
			kind := strings.Trim(string(f["type"]), `"`)
			seen[kind] = true
			schema := doc.Components.Schemas[last(doc.Components.Messages[kind].Payload.Ref)]
			for field := range f {
				if schema.Properties[field] == nil {
					t.Errorf("%s.%s is not described", kind, field)
				}
			}
			for _, must := range schema.Required {
				if f[must] == nil {
					t.Errorf("%s lacks %s: %s", kind, must, raw)
				}
			}
		}
		for _, d := range serverFrames() {
			if !seen[d.name] && d.name != "refused" {
				t.Errorf("no %s frame came", d.name)
			}
		}
	})
}

func last(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

// TestEveryKindIsTakenOrHasAReason: a new kind must be decided about here.
func TestEveryKindIsTakenOrHasAReason(t *testing.T) {
	not := []alerts.Kind{alerts.KindRaised, alerts.KindReceipts}
	for _, k := range sortedKeys(testRules().Moves) {
		if slices.Contains(deedKinds, k) == slices.Contains(not, k) {
			t.Errorf("%s: taken or not?", k)
		}
		if body, ok := alerts.NewBody(k); !ok || reflect.TypeOf(body).Kind() != reflect.Pointer {
			t.Errorf("%s has no body", k)
		}
	}
}

// Everything the docs page has a browser load is there, and it names its icon: else the browser asks for one.
func TestTheDocsPageLacksNothing(t *testing.T) {
	s := New(Config{Station: newCounty().at("xinzhuang"), Demo: true, UI: fstest.MapFS{
		"hive.svg": {Data: []byte("<svg/>")}, "index.html": {Data: []byte("start")},
	}})
	defer s.Close()
	get := func(path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host, r.RemoteAddr = "127.0.0.1:8080", "127.0.0.1:40000"
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w
	}
	page := get("/docs").Body.String()
	if !strings.Contains(page, `rel="icon"`) {
		t.Error("the page names no icon")
	}
	found := regexp.MustCompile(`(?:href|src)="(/[^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(found) < 4 {
		t.Fatalf("only %v found in the page", found)
	}
	for _, f := range found {
		if w := get(f[1]); w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", f[1], w.Code, w.Body)
		}
	}
}
