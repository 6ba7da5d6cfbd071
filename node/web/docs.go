package web

import (
	"embed"
	"encoding/json"
	"net/http"
	"reflect"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs
var docsFiles embed.FS

// frameDoc is one row of the live link's description.
type frameDoc struct {
	name, says string
	of         any
}

func clientFrames() []frameDoc {
	return []frameDoc{
		{"hello", "First, within 5 seconds. Says who (token), which device, what the device has heard, and from where history goes on.", HelloFrame{}},
		{"position", "Where the person is. It may bring them into a ring; it is shown to dispatch only while on duty or under way to somebody.", PositionFrame{}},
		{"duty", "On duty or willing to be called. Off duty nothing sounds.", DutyFrame{}},
		{"receipt", "What became of an alarm on this device. Each state counts once for a device and wave.", ReceiptFrame{}},
		{"ping", "Asks for a pong, for scripts that cannot see the protocol's own pings.", PingFrame{}},
	}
}

func serverFrames() []frameDoc {
	return []frameDoc{
		{"welcome", "Answers hello. Alarms, stand-downs and then history follow.", WelcomeFrame{}},
		{"alarm", "Sound, now. Sent once for a device and wave, before the incident's own frame.", AlarmFrame{}},
		{"stood_down", "Stop sounding: an alarm this device heard has ended. After its receipt (released) the device may drop the wave from what it heard.", StoodDownFrame{}},
		{"incident", "A matter as this person may see it, whole; it replaces what was known of it.", IncidentFrame{}},
		{"kept", "How an event that you made is kept now: here, near (n stations), recorded.", KeptFrame{}},
		{"receipts", "How far a wave got, over all stations. For those who see the matter in full, and who raised it.", ReceiptsFrame{}},
		{"refused", "An event does not count: why, and whose came first. For its maker, and dispatch.", RefusedFrame{}},
		{"positions", "Who moved, at most once a second. For dispatch roles.", PositionsFrame{}},
		{"stations", "The list of stations changed: where to go when this one is lost.", StationsFrame{}},
		{"error", "What is wrong with a frame, or with how much history can be shown; the link stays up.", ErrorFrame{}},
		{"pong", "Answers ping.", PongFrame{}},
	}
}

const liveProse = "A websocket at /v1/live, subprotocol hive.v1; every frame is one JSON object with `type`. " +
	"The client says hello first; the token may come with it, or with the upgrade as bearer or cookie. " +
	"The server pings every 10 seconds and gives up a link that was silent for 25. " +
	"Keep the cursor of the last incident frame of each cell, and what the device has heard, and say both in the next hello, " +
	"at this station or any other: what was missed comes, and nothing sounds twice. " +
	"A client that does not keep up is closed with 4000 and resumes the same way. " +
	"Frames a client does not know are to be passed over; frames the server does not know are answered with error. " +
	"Reconnect after every close but 4001 and 4002, with back-off from 0.5 to 15 seconds and full jitter, for ever."

// documents serves what describes the API: OpenAPI for the routes, AsyncAPI for the live link, both made
// from the Go types, and a page that shows both. Nothing is loaded from outside.
func (s *Server) documents(mux *http.ServeMux) {
	live := s.asyncAPI()
	serve := func(path, kind string, body func() []byte) {
		once := sync.OnceValue(body) // written down when first asked for: a small box starts without it
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			serveBytes(w, r, path, once())
		})
	}
	serve("/openapi.json", "application/openapi+json", s.openAPI(live))
	serve("/asyncapi.json", "application/asyncapi+json", func() []byte { return encode(live) })
	for path, file := range map[string]string{"/docs": "docs/index.html", "/docs/page.js": "docs/page.js", "/docs/page.css": "docs/page.css"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			body, err := docsFiles.ReadFile(file)
			if err != nil {
				s.noPage(w)
				return
			}
			serveBytes(w, r, file, body)
		})
	}
}

// openAPI writes the OpenAPI 3.1 document, with the live link beside the routes as x-websocket. What it changes
// for that it changes now: requests are checked by the same schemas.
func (s *Server) openAPI(live map[string]any) func() []byte {
	doc := s.api.OpenAPI()
	solid(doc.Components.Schemas)
	for _, ours := range []string{"ErrorModel", "ErrorDetail"} { // huma's own; what is sent is a Problem
		delete(doc.Components.Schemas.Map(), ours)
	}
	if doc.Extensions == nil {
		doc.Extensions = map[string]any{}
	}
	doc.Extensions["x-websocket"] = map[string]any{"path": "/v1/live", "subprotocol": subprotocol, "description": liveProse, "asyncapi": "/asyncapi.json", "document": live}
	return func() []byte {
		b, err := json.Marshal(doc)
		if err != nil {
			panic("openapi: " + err.Error()) // from our own types only, and a test asks for it
		}
		return b
	}
}

// asyncAPI is the AsyncAPI 3.0 document of the live link.
func (s *Server) asyncAPI() map[string]any {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	aliases(registry)
	messages, channel := map[string]any{}, map[string]any{}
	list := func(frames []frameDoc) (refs []any) {
		for _, f := range frames {
			messages[f.name] = map[string]any{
				"name": f.name, "title": f.name, "summary": f.says, "contentType": "application/json",
				"payload": registry.Schema(reflect.TypeOf(f.of), true, f.name),
			}
			channel[f.name] = ref("#/components/messages/" + f.name)
			refs = append(refs, ref("#/channels/live/messages/"+f.name))
		}
		return refs
	}
	fromClient, fromServer := list(clientFrames()), list(serverFrames())
	solid(registry)
	var codes []any
	for _, c := range closeCodes() {
		codes = append(codes, map[string]any{"code": c.code, "reason": c.reason})
	}
	return map[string]any{
		"asyncapi": "3.0.0",
		"info":     map[string]any{"title": "HiveMesh live link", "version": s.api.OpenAPI().Info.Version, "description": liveProse},
		"channels": map[string]any{"live": map[string]any{
			"address": "/v1/live", "description": liveProse, "messages": channel,
			"bindings":      map[string]any{"ws": map[string]any{"method": "GET"}},
			"x-subprotocol": subprotocol, "x-close-codes": codes,
		}},
		"operations": map[string]any{
			"fromClient": map[string]any{"action": "receive", "channel": ref("#/channels/live"), "messages": fromClient},
			"fromServer": map[string]any{"action": "send", "channel": ref("#/channels/live"), "messages": fromServer},
		},
		"components": map[string]any{"messages": messages, "schemas": registry.Map()},
	}
}

func ref(to string) map[string]any { return map[string]any{"$ref": to} }
