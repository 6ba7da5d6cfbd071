package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
)

// TestBadInput: each mistake gets a clear problem document, and nothing is half-done.
func TestBadInput(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		villager := v.signIn("xinzhuang", "villager")
		dispatcher := v.signIn("hancun-post", "dispatcher")
		real := v.raise("xinzhuang", villager, abduction)
		v.record()
		events := "/v1/incidents/" + string(real.Incident) + "/events"
		foreign, err := v.at("xinzhuang").Sign([]byte(`{"v":1,"person":"villager","iat":1,"exp":99999999999}`))
		if err != nil {
			t.Fatal(err)
		}
		foreign = foreign[:len(foreign)-4] + "AAAA"
		place := `"place":{"lon":116.5,"lat":39.32}`
		for _, c := range []struct {
			name   string
			q      request
			status int
			code   string
			where  string
		}{
			{"nobody", request{path: "/v1/alerts", body: abduction}, 401, "not_signed_in", ""},
			{"foreign signature", request{path: "/v1/alerts", token: foreign, body: abduction}, 401, "bad_token", ""},
			{"no token at all", request{path: "/v1/alerts", token: "nonsense", body: abduction}, 401, "bad_token", ""},
			{"oversized", request{path: "/v1/alerts", token: villager, body: `{"category":"abduction",` + place + `,"note":"` + strings.Repeat("x", maxEventBody) + `"}`}, 413, "too_large", ""},
			{"oversized note", request{path: "/v1/alerts", token: villager, body: `{"category":"abduction",` + place + `,"note":"` + strings.Repeat("x", 2001) + `"}`}, 422, "invalid", "body.note"},
			{"empty", request{path: "/v1/alerts", token: villager}, 400, "malformed", ""},
			{"not JSON", request{path: "/v1/alerts", token: villager, body: `{"category"`}, 400, "malformed", "body"},
			{"a key twice", request{path: "/v1/alerts", token: villager, body: `{"category":"abduction","category":"panic",` + place + `}`}, 400, "malformed", "body"},
			{"two values", request{path: "/v1/alerts", token: villager, body: abduction + abduction}, 400, "malformed", "body"},
			{"not UTF-8", request{path: "/v1/alerts", token: villager, body: "{\"category\":\"\xff\"}"}, 400, "malformed", "body"},
			{"deep", request{path: "/v1/alerts", token: villager, body: strings.Repeat(`[`, 50) + strings.Repeat(`]`, 50)}, 400, "malformed", "body"},
			{"unknown field", request{path: "/v1/alerts", token: villager, body: `{"category":"abduction","catgory":1,` + place + `}`}, 422, "invalid", "body.catgory"},
			{"another type", request{path: "/v1/alerts", token: villager, body: `category=abduction`, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, 415, "not_json", "body"},
			{"unknown category", request{path: "/v1/alerts", token: villager, body: `{"category":"ufo",` + place + `}`}, 422, "unknown_category", "body.category"},
			{"out of range", request{path: "/v1/alerts", token: villager, body: `{"category":"abduction","place":{"lon":181,"lat":39}}`}, 422, "invalid", "body.place.lon"},
			{"half a place", request{path: "/v1/alerts", token: villager, body: `{"category":"abduction","place":{"lon":116.5}}`}, 422, "invalid", "body.place"},
			{"no place", request{path: "/v1/alerts", token: villager, body: `{"category":"abduction"}`}, 422, "no_place", "body.place"},
			{"unknown grid", request{path: "/v1/alerts", token: villager, body: `{"category":"abduction","place":{"grid":"atlantis"}}`}, 422, "unknown_grid", "body.place.grid"},
			{"a bad id", request{path: "/v1/alerts", token: villager, body: `{"id":"a b","category":"abduction",` + place + `}`}, 422, "invalid", "body.id"},
			{"a grade of one's own", request{path: "/v1/alerts", token: villager, body: `{"category":"abduction","grade":1,` + place + `}`}, 403, "forbidden", "body"},
			{"replayed id, other body", request{path: "/v1/alerts", token: villager, body: `{"id":"a1","category":"panic",` + place + `}`}, 409, "conflict", ""},
			{"called_110", request{path: "/v1/alerts", token: villager, body: `{"category":"abduction","called_110":7,` + place + `}`}, 422, "invalid", "body.called_110"},

			{"unknown incident", request{path: "/v1/incidents/none/events", token: villager, body: `{"kind":"accepted"}`}, 404, "unknown_incident", "path.id"},
			{"unknown incident, read", request{method: "GET", path: "/v1/incidents/none", token: villager}, 404, "unknown_incident", "path.id"},
			{"unknown kind", request{path: events, token: villager, body: `{"kind":"teleported"}`}, 422, "unknown", "body.kind"},
			{"raised is no deed", request{path: events, token: villager, body: `{"kind":"raised"}`}, 422, "unknown", "body.kind"},
			{"receipts are the stations'", request{path: events, token: villager, body: `{"kind":"receipts","wave":1}`}, 422, "unknown", "body.kind"},
			{"a field of another kind", request{path: events, token: dispatcher, body: `{"kind":"note","words":"x","person":"y"}`}, 422, "invalid", "body"},
			{"a kind that is no string", request{path: events, token: villager, body: `{"kind":7}`}, 400, "malformed", "body.kind"},
			{"saw nonsense", request{path: events, token: dispatcher, body: `{"kind":"graded","grade":2,"saw":"zz"}`}, 400, "malformed", "body.saw"},
			{"not an object", request{path: events, token: villager, body: `[]`}, 400, "malformed", "body"},
			{"null", request{path: events, token: villager, body: `null`}, 400, "malformed", "body"},
			{"not allowed", request{path: events, token: villager, body: `{"kind":"resolved","code":"found"}`}, 403, "forbidden", ""},
			{"not at this station", request{path: events, token: v.signIn("xinzhuang", "dispatcher"), body: `{"kind":"resolved","code":"found"}`}, 403, "forbidden", ""},

			{"unknown event", request{method: "GET", path: "/v1/events/" + strings.Repeat("0a", 32), token: villager}, 404, "unknown_event", "path.hash"},
			{"no event name", request{method: "GET", path: "/v1/events/xyz", token: villager}, 422, "invalid", "path.hash"},
			{"limit", request{method: "GET", path: "/v1/incidents?limit=0", token: villager}, 422, "invalid", "query.limit"},
			{"unknown query", request{method: "GET", path: "/v1/incidents?opn=true", token: villager}, 422, "invalid", "query.opn"},
			{"unknown category, list", request{method: "GET", path: "/v1/incidents?category=ufo", token: villager}, 422, "unknown_category", "query.category"},
			{"no route", request{method: "GET", path: "/v1/nothing", token: villager}, 404, "no_route", "path"},
			{"wrong method", request{method: "GET", path: "/v1/alerts", token: villager}, 405, "wrong_method", ""},
			{"unknown person", request{path: "/v1/session", body: `{"person":"nobody"}`}, 404, "unknown_person", "body.person"},
			{"person and kiosk", request{path: "/v1/session", body: `{"person":"villager","kiosk":true}`}, 422, "invalid", "body"},
			{"no page", request{method: "GET", path: "/nothing.html"}, 404, "no_page", "path"},
			{"no upgrade", request{method: "GET", path: "/v1/live"}, 400, "upgrade", ""},
		} {
			if c.q.method == "" {
				c.q.method = http.MethodPost
			}
			station := alerts.StationID("hancun-post")
			if c.name == "not at this station" {
				station = "xinzhuang"
			}
			before := len(v.pending)
			a := v.ask(station, c.q)
			var p Problem
			if a.status >= 400 {
				p = a.problem(t)
			}
			if a.status != c.status || p.Code != c.code || c.where != "" && p.Where != c.where {
				t.Errorf("%s: got %d %s at %q, want %d %s at %q: %s", c.name, a.status, p.Code, p.Where, c.status, c.code, c.where, a.body)
			}
			if slices.Contains([]string{"unknown_category", "unknown_grid", "unknown"}, c.code) && len(p.Known) == 0 {
				t.Errorf("%s: the problem does not list what is known: %s", c.name, a.body)
			}
			if len(v.pending) != before {
				t.Errorf("%s: half-done: %d events made", c.name, len(v.pending)-before)
			}
		}
	})
}

func TestTheSameAlertTwiceIsOne(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		villager := v.signIn("xinzhuang", "villager")
		one := v.raise("xinzhuang", villager, abduction)
		two := v.raise("zhangyong", villager, abduction)
		if one.Incident != two.Incident || one.Event != two.Event || one.Again || !two.Again {
			t.Errorf("got %+v and %+v", one, two)
		}
		if other := v.raise("xinzhuang", v.signIn("xinzhuang", "worker"), abduction); other.Incident == one.Incident {
			t.Error("another person's alert of the same id is another alert")
		}
		var list struct{ Incidents []json.RawMessage }
		v.ask("xinzhuang", request{method: "GET", path: "/v1/incidents", token: v.signIn("xinzhuang", "officer")}).json(t, &list)
		if len(list.Incidents) != 2 {
			t.Errorf("%d incidents, want 2", len(list.Incidents))
		}
	})
}

func TestRaiseRecordsTheCallTo110(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		for body, number := range map[string]string{`"called_110":true`: "", `"called_110":"110-0042"`: "110-0042"} {
			taken := v.raise("xinzhuang", v.signIn("xinzhuang", "villager"), fmt.Sprintf(`{"category":"abduction","place":{"grid":"xinzhuang-1","words":"村西头"},%s}`, body))
			v.record()
			i := v.views[taken.Incident]
			if len(i.Called) != 1 || i.Called[0].Service != "110" || i.Called[0].Number != number {
				t.Errorf("%s: called %v", body, i.Called)
			}
			if i.Raised.Place.Point == nil || i.Raised.Place.Radius != 450 || i.Raised.Ring != 1000 || i.Raised.Wanted != 3 {
				t.Errorf("the station did not fill in the event: %+v", i.Raised)
			}
		}
		taken := v.raise("xinzhuang", v.signIn("xinzhuang", "villager"), `{"category":"abduction","place":{"grid":"xinzhuang-1"},"called_110":false}`)
		if n := len(v.views[taken.Incident].Called); n != 0 {
			t.Errorf("110 was not called, yet %d", n)
		}
	})
}

func TestADecisionUponWhatIsNoLongerSoIsRefused(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		taken := v.raise("xinzhuang", v.signIn("xinzhuang", "villager"), abduction)
		v.record()
		one, two := v.signIn("hancun-post", "dispatcher"), v.signIn("caojiawu-post", "dispatcher2")
		if a := v.act("hancun-post", one, taken.Incident, `{"kind":"graded","grade":2}`); a.status != 202 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		v.record()
		saw := v.views[taken.Incident].Latest["grade"].Event
		if a := v.act("hancun-post", one, taken.Incident, fmt.Sprintf(`{"kind":"graded","grade":3,"saw":%q}`, saw)); a.status != 202 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		v.record()
		a := v.act("caojiawu-post", two, taken.Incident, fmt.Sprintf(`{"kind":"graded","grade":4,"saw":%q}`, saw))
		p := a.problem(t)
		if a.status != 409 || p.Code != "stale" || p.Lost == nil || p.Lost.By != "dispatcher" || p.Lost.Kind != "graded" {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})
}

// Another desk's decision comes first in the record. Who waits for the record is told so, and not that his
// own is "on the record", where it stands as refused.
func TestWhoWaitsIsToldThatHisDecisionLost(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		taken := v.raise("xinzhuang", v.signIn("xinzhuang", "villager"), abduction)
		v.record()
		desk := v.signIn("hancun-post", "dispatcher")
		first := v.complete(alerts.Event{Station: "caojiawu-post", Incident: taken.Incident, Actor: "dispatcher2", Body: &alerts.Graded{Grade: alerts.Grade3}})
		told := make(chan answer)
		go func() {
			told <- v.ask("hancun-post", request{method: "POST", path: "/v1/incidents/" + string(taken.Incident) + "/events", token: desk,
				body: `{"kind":"graded","grade":2,"saw":""}`, header: map[string]string{"Prefer": "wait=10"}})
		}()
		synctest.Wait()
		v.mu.Lock()
		v.pending = append([]alerts.Event{first}, v.pending...)
		v.mu.Unlock()
		v.record()
		a := <-told
		if a.status != http.StatusConflict {
			t.Fatalf("told %d %s", a.status, a.body)
		}
		if p := a.problem(t); p.Code != "stale" || p.Lost == nil || p.Lost.By != "dispatcher2" {
			t.Errorf("told %s", a.body)
		}
	})
}

func TestPreferWaitWaitsForTheRecord(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		villager := v.signIn("xinzhuang", "villager")
		go func() {
			time.Sleep(3 * time.Second)
			v.record()
		}()
		began := time.Now()
		a := v.ask("xinzhuang", request{method: "POST", path: "/v1/alerts", token: villager, body: abduction, header: map[string]string{"Prefer": "respond-async, wait=10"}})
		var taken Taken
		a.json(t, &taken)
		if !taken.Kept.Recorded || a.header.Get("Preference-Applied") != "wait=10" {
			t.Errorf("%d %v %s", a.status, a.header, a.body)
		}
		if took := time.Since(began); took < 3*time.Second || took > 4*time.Second {
			t.Errorf("took %v", took)
		}
		// It never becomes recorded: the wait is capped, and the answer says how it is kept.
		within(t, maxWait+time.Second, func() {
			a = v.ask("xinzhuang", request{method: "POST", path: "/v1/alerts", token: villager, body: strings.Replace(abduction, "a1", "a2", 1), header: map[string]string{"Prefer": "wait=3600"}})
		})
		a.json(t, &taken)
		if a.status != 202 || taken.Kept.Recorded || !taken.Kept.Here || a.header.Get("Preference-Applied") != "wait=20" {
			t.Errorf("%d %v %s", a.status, a.header, a.body)
		}
		v.record()
		var kept struct{ Kept Kept }
		v.ask("xinzhuang", request{method: "GET", path: "/v1/events/" + taken.Event.String(), token: villager}).json(t, &kept)
		if !kept.Kept.Recorded {
			t.Errorf("got %+v", kept)
		}
	})
}

func TestNotKeptIsSaidAndSoIs110(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		v.at("xinzhuang").hung = true
		a := v.ask("xinzhuang", request{method: "POST", path: "/v1/alerts", token: v.signIn("xinzhuang", "villager"), body: abduction})
		if p := a.problem(t); a.status != 503 || p.Code != "not_kept" || !strings.Contains(p.Do, "110") {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})
}

func TestOnlyPagesOfTheCountyMayTalk(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		token := v.signIn("xinzhuang", "villager")
		cookie := "hive_xinzhuang=" + token
		post := func(origin, host string) answer {
			return v.ask("xinzhuang", request{method: "POST", path: "/v1/alerts", body: strings.Replace(abduction, "a1", "o-"+fmt.Sprint(len(v.order)), 1),
				header: map[string]string{"Origin": origin, "Cookie": cookie, "Host": host}})
		}
		for _, c := range []struct {
			origin, host string
			ok           bool
		}{
			{"http://127.0.0.1:8080", "127.0.0.1:8080", true},
			{"http://zhangyong.test:8080", "127.0.0.1:8080", true},
			{"http://localhost:8080", "localhost:8080", true},
			{"https://evil.example", "127.0.0.1:8080", false},
			{"http://zhangyong.test:9999", "127.0.0.1:8080", false},
			{"null", "127.0.0.1:8080", false},
			{"http://evil.example:8080", "evil.example:8080", false}, // a name of somebody else's that points here
		} {
			a := post(c.origin, c.host)
			if ok := a.status == 202; ok != c.ok {
				t.Errorf("origin %s at %s: %d %s", c.origin, c.host, a.status, a.body)
			}
			if got := a.header.Get("Access-Control-Allow-Origin"); (got == c.origin) != c.ok {
				t.Errorf("origin %s: allowed %q", c.origin, got)
			}
		}
		pre := v.ask("xinzhuang", request{method: "OPTIONS", path: "/v1/alerts", header: map[string]string{"Origin": "http://zhangyong.test:8080", "Access-Control-Request-Method": "POST"}})
		if pre.status != 204 || !strings.Contains(pre.header.Get("Access-Control-Allow-Headers"), "Authorization") || pre.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("preflight %d %v", pre.status, pre.header)
		}
		ws := v.ask("xinzhuang", request{method: "GET", path: "/v1/live", header: map[string]string{"Origin": "https://evil.example"}})
		if p := ws.problem(t); ws.status != 403 || p.Code != "foreign_origin" {
			t.Errorf("live: %d %s", ws.status, ws.body)
		}
		people := v.ask("xinzhuang", request{method: "GET", path: "/v1/people", header: map[string]string{"Host": "evil.example:8080"}})
		if people.status != 403 {
			t.Errorf("people by another name: %d", people.status)
		}
		page := v.ask("xinzhuang", request{method: "GET", path: "/kiosk"})
		csp := page.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'self'", "http://zhangyong.test:8080", "ws://zhangyong.test:8080", "ws://127.0.0.1:8080", "img-src 'self' data: blob:", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("policy lacks %s: %s", want, csp)
			}
		}
	})
}

func TestSessions(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		a := v.ask("xinzhuang", request{method: "POST", path: "/v1/session", body: `{"person":"officer"}`})
		cookie := a.header.Get("Set-Cookie")
		if !strings.HasPrefix(cookie, "hive_xinzhuang=") || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
			t.Errorf("cookie %q", cookie)
		}
		var in sessionBody
		a.json(t, &in)
		if in.Person.ID != "officer" || in.Person.Name != "姓名-officer" || in.Station != "xinzhuang" || !slices.Contains(in.Person.Roles, "officer") {
			t.Errorf("got %+v", in)
		}
		byCookie := v.ask("xinzhuang", request{method: "GET", path: "/v1/session", header: map[string]string{"Cookie": strings.Split(cookie, ";")[0]}})
		elsewhere := v.ask("zhangyong", request{method: "GET", path: "/v1/session", token: in.Token})
		wrong := v.ask("zhangyong", request{method: "GET", path: "/v1/session", header: map[string]string{"Cookie": strings.Split(cookie, ";")[0]}})
		if byCookie.status != 200 || elsewhere.status != 200 || wrong.status != 401 {
			t.Errorf("cookie here %d, token at another station %d, cookie of another station %d", byCookie.status, elsewhere.status, wrong.status)
		}
		// Signing out ends this session and not another of the same person, opened in the same second.
		one, two := v.signIn("xinzhuang", "villager"), v.signIn("xinzhuang", "villager")
		v.ask("xinzhuang", request{method: "DELETE", path: "/v1/session", token: one})
		if a := v.ask("xinzhuang", request{method: "GET", path: "/v1/session", token: two}); one == two || a.status != 200 {
			t.Errorf("the other session: %d %s", a.status, a.body)
		}
		if life := time.Until(time.Time(in.Expires)); life < sessionLife-time.Second || life > sessionLife {
			t.Errorf("a session lasts %v", life)
		}
		short := v.shortLived("officer", time.Minute)
		time.Sleep(time.Minute)
		old := v.ask("xinzhuang", request{method: "GET", path: "/v1/session", token: short})
		if p := old.problem(t); old.status != 401 || p.Code != "expired" || old.header.Get("WWW-Authenticate") == "" {
			t.Errorf("got %d %s", old.status, old.body)
		}
		v.ports["xinzhuang"].server.demo = false
		for _, q := range []request{{method: "GET", path: "/v1/people"}, {method: "POST", path: "/v1/session", body: `{"person":"officer"}`}} {
			if a := v.ask("xinzhuang", q); a.status != 404 || a.problem(t).Code != "no_demo" {
				t.Errorf("demo off: %d %s", a.status, a.body)
			}
		}
	})
}

func TestHealthReadinessAndTables(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		get := func(path string) answer { return v.ask("xinzhuang", request{method: "GET", path: path}) }
		for _, path := range []string{"/healthz", "/readyz", "/v1/rules", "/v1/grids", "/v1/stations", "/v1/mesh", "/v1/people", "/", "/kiosk", "/patrol", "/dispatch", "/docs", "/docs/page.js", "/docs/page.css", "/assets/app-1234.js"} {
			if a := get(path); a.status != 200 {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
		if a := get("/assets/app-1234.js"); !strings.Contains(a.header.Get("Cache-Control"), "immutable") {
			t.Errorf("assets: %v", a.header)
		}
		tag := get("/kiosk").header.Get("ETag")
		if a := v.ask("xinzhuang", request{method: "GET", path: "/kiosk", header: map[string]string{"If-None-Match": tag}}); tag == "" || a.status != 304 {
			t.Errorf("page with ETag %q: %d", tag, a.status)
		}
		v.at("xinzhuang").notReady = errors.New("the record of yongqing stands still: upgrade this station")
		if a := get("/readyz"); a.status != 503 || !strings.Contains(a.problem(t).Detail, "upgrade") {
			t.Errorf("readyz: %d %s", a.status, a.body)
		}
		v.at("xinzhuang").notReady, v.at("xinzhuang").warnings = nil, []string{"this station knows no other station yet"}
		if a := get("/readyz"); a.status != 200 || !strings.Contains(a.body, "knows no other station yet") {
			t.Errorf("readyz with a warning: %d %s", a.status, a.body)
		}
		a := get("/metrics")
		for _, want := range []string{"hive_http_requests_total", "hive_sockets", "hive_http_request_seconds"} {
			if !strings.Contains(a.body, want) {
				t.Errorf("metrics lack %s", want)
			}
		}
		for _, person := range []string{"villager", "姓名"} {
			if strings.Contains(a.body, person) {
				t.Errorf("metrics hold personal data: %s", person)
			}
		}
		var stations struct{ Stations []StationView }
		get("/v1/stations").json(t, &stations)
		if len(stations.Stations) != 4 || !stations.Stations[0].Self || stations.Stations[1].Self {
			t.Errorf("stations %+v", stations)
		}
	})
}

func TestListsPageBackwards(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		villager, officer := v.signIn("xinzhuang", "villager"), v.signIn("hancun-post", "officer")
		var made []string
		for n := range 5 {
			made = append([]string{string(v.raise("xinzhuang", villager, strings.Replace(abduction, "a1", fmt.Sprint("p", n), 1)).Incident)}, made...)
		}
		v.record()
		var got []string
		before := ""
		for range 5 {
			var page struct {
				Incidents []struct{ ID string }
				Cursor    map[string]string
				More      bool
			}
			v.ask("hancun-post", request{method: "GET", path: "/v1/incidents?open=true&category=abduction&limit=2&before=" + before, token: officer}).json(t, &page)
			for _, i := range page.Incidents {
				got = append(got, i.ID)
				before = i.ID
			}
			if page.Cursor["yongqing"] == "" {
				t.Error("a page has no cursor")
			}
			if !page.More {
				break
			}
		}
		if !slices.Equal(got, made) {
			t.Errorf("got %v, want %v", got, made)
		}
	})
}
