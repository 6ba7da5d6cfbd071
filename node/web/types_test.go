package web

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the screens' types are made from")

// typesFile is what `npm run types` makes the screens' types from.
const typesFile = "../../ui/src/lib/api.schema.json"

// TestTheScreensKnowWhatIsServed: the schemas that the screens' types are made from are those of the two
// documents. Where they differ: go test ./node/web -run ScreensKnow -update, and npm run types in ui.
func TestTheScreensKnowWhatIsServed(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		type schemas = map[string]any
		var open struct {
			Paths map[string]map[string]struct {
				RequestBody struct {
					Content map[string]struct{ Schema any }
				}
			}
			Components struct{ Schemas schemas }
		}
		var live struct {
			Components struct {
				Messages map[string]struct{ Payload any }
				Schemas  schemas
			}
		}
		v.ask("xinzhuang", request{method: "GET", path: "/openapi.json"}).json(t, &open)
		v.ask("xinzhuang", request{method: "GET", path: "/asyncapi.json"}).json(t, &live)
		defs := open.Components.Schemas
		maps.Copy(defs, live.Components.Schemas)
		defs["Deed"] = open.Paths[deedPath]["post"].RequestBody.Content["application/json"].Schema
		union := func(frames []frameDoc) any {
			var of []any
			for _, f := range frames {
				of = append(of, live.Components.Messages[f.name].Payload)
			}
			return schemas{"oneOf": of}
		}
		defs["ServerFrame"], defs["ClientFrame"] = union(serverFrames()), union(clientFrames())
		bare(defs)
		b, err := json.MarshalIndent(schemas{"$defs": defs}, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		b = append([]byte(strings.ReplaceAll(string(b), "#/components/schemas/", "#/$defs/")), '\n')
		if *update {
			if err := os.WriteFile(typesFile, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		had, err := os.ReadFile(typesFile)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(had, b) {
			t.Error("the screens' types are of another API: run this test with -update, then npm run types in ui")
		}
	})
}

// bare takes out what would make two types of one: words beside a reference, and titles.
func bare(of any) {
	switch of := of.(type) {
	case map[string]any:
		if _, ok := of["$ref"]; ok {
			delete(of, "description")
		}
		if _, ok := of["title"].(string); ok {
			delete(of, "title")
		}
		for _, v := range of {
			bare(v)
		}
	case []any:
		for _, v := range of {
			bare(v)
		}
	}
}
