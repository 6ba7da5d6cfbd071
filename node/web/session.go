package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"hivemesh/alerts"
)

// sessionLife is how long a token lasts: one long shift. Any station of the county accepts it meanwhile.
const sessionLife = 12 * time.Hour

// claims are what a token says; the station that signed it vouches for them.
type claims struct {
	Version int              `json:"v"`
	Person  alerts.PersonID  `json:"person,omitempty"`
	Kiosk   alerts.StationID `json:"kiosk,omitempty"` // a kiosk's own session: its station
	Issued  int64            `json:"iat"`             // Unix seconds
	Expires int64            `json:"exp"`
	Nonce   string           `json:"jti"` // two sign-ins within a second are two sessions
}

// who is one signed-in person or kiosk. Roles are those of the directory now, not those at sign-in.
type who struct {
	alerts.Subject
	name    string
	home    alerts.StationID
	kiosk   bool
	key     tokenKey
	expires time.Time
}

// tokenKey stands for a token wherever the token itself must not be kept.
type tokenKey [sha256.Size]byte

// PersonInfo is a person as sign-in shows one.
type PersonInfo struct {
	ID    alerts.PersonID  `json:"id"`
	Name  string           `json:"name"`
	Roles []alerts.Role    `json:"roles"`
	Home  alerts.StationID `json:"home"`
}

// sessions makes and checks tokens and remembers those signed out at this station.
type sessions struct {
	station Station
	now     func() time.Time // what the stations agree on, where they do: a token is good at all of them
	mu      sync.Mutex
	out     map[tokenKey]time.Time // signed out, until they would have expired
	good    map[tokenKey]verified  // tokens whose signature was checked a moment ago
}

// verified is what a token says, found to be signed by a station of this county.
type verified struct {
	claims
	until time.Time // to be checked again from then on: its station may have been expelled since
}

const (
	// goodFor is how long a checked signature is taken as good: checking one is most of the work of a request.
	goodFor = time.Minute
	// maxGood bounds the tokens remembered so; more are checked each time.
	maxGood = 4096
)

// maxSignedOut bounds what is remembered of signed-out tokens; the oldest expiry goes first.
const maxSignedOut = 10_000

func (s *sessions) open(c claims, now time.Time) (string, error) {
	c.Version, c.Issued, c.Expires, c.Nonce = 1, now.Unix(), now.Add(sessionLife).Unix(), rand.Text()
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("write claims: %w", err)
	}
	return s.station.Sign(payload)
}

func unauthorized(code, detail string) *Problem {
	return problem(http.StatusUnauthorized, code, detail, "sign in at POST /v1/session and send Authorization: Bearer <token>")
}

// identify tells who a token belongs to, as of now.
func (s *sessions) identify(token string, now time.Time) (*who, *Problem) {
	if token == "" {
		return nil, unauthorized("not_signed_in", "nobody is signed in")
	}
	key := tokenKey(sha256.Sum256([]byte(token)))
	c, p := s.read(token, key, now)
	if p != nil {
		return nil, p
	}
	expires := time.Unix(c.Expires, 0)
	if !now.Before(expires) {
		return nil, unauthorized("expired", fmt.Sprintf("the session ended at %s; this station's clock says %s",
			expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)))
	}
	s.mu.Lock()
	_, gone := s.out[key]
	s.mu.Unlock()
	if gone {
		return nil, unauthorized("signed_out", "this session was signed out")
	}
	w := &who{key: key, expires: expires, kiosk: c.Kiosk != ""}
	w.Person = c.Person
	if w.kiosk {
		w.Person, w.Station = KioskPerson(c.Kiosk), c.Kiosk
	}
	if !s.refresh(w, s.station.Self()) {
		return nil, unauthorized("unknown_person", "the directory at this station does not have this person")
	}
	return w, nil
}

// read checks who signed a token and what it says.
func (s *sessions) read(token string, key tokenKey, now time.Time) (claims, *Problem) {
	s.mu.Lock()
	known, ok := s.good[key]
	s.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.claims, nil
	}
	payload, _, err := s.station.Verify(token)
	if err != nil {
		return claims{}, unauthorized("bad_token", "no station of this county signed this token")
	}
	var c claims
	if err := decodeStrict(payload, &c); err != nil || c.Version != 1 {
		return claims{}, unauthorized("bad_token", "this version does not know this form of token")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, v := range s.good {
		if len(s.good) < maxGood {
			break
		}
		if !now.Before(v.until) {
			delete(s.good, k)
		}
	}
	if len(s.good) < maxGood {
		s.good[key] = verified{c, now.Add(goodFor)}
	}
	return c, nil
}

func KioskPerson(st alerts.StationID) alerts.PersonID { return alerts.PersonID("kiosk:" + st) }

// refresh reads w's roles from the directory as it is now; false when the person is not in it.
func (s *sessions) refresh(w *who, self StationInfo) bool {
	w.Kind = self.Kind
	if w.kiosk {
		w.name, w.home, w.Roles = string(w.Station), w.Station, []alerts.Role{alerts.KioskRole}
		return true
	}
	p, ok := s.station.Person(w.Person)
	if !ok {
		return false
	}
	w.name, w.home, w.Station = p.Name, p.Home, self.ID
	w.Roles = p.Roles
	return true
}

func (s *sessions) close(w *who, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, until := range s.out {
		if until.Before(now) || len(s.out) >= maxSignedOut {
			delete(s.out, k)
		}
	}
	s.out[w.key] = w.expires
}

func (w *who) has(roles ...alerts.Role) bool {
	for _, r := range roles {
		if slices.Contains(w.Roles, r) {
			return true
		}
	}
	return false
}

// dispatch reports whether w holds a role that takes calls, hears every alarm and sees every position.
func (w *who) dispatch() bool {
	return w.has(alerts.Dispatcher, alerts.TownshipCentre, alerts.CountyCentre)
}

func (w *who) info() PersonInfo {
	return PersonInfo{ID: w.Person, Name: w.name, Roles: w.Roles, Home: w.home}
}

// bearer takes a token from the Authorization header, else from this station's cookie.
func (s *Server) bearer(header, cookies string) string {
	if scheme, token, ok := strings.Cut(header, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	if header != "" {
		return ""
	}
	list, err := http.ParseCookie(cookies)
	if err != nil {
		return ""
	}
	for _, c := range list {
		if c.Name == s.cookieName() {
			return c.Value
		}
	}
	return ""
}

// cookieName is named by station because a cookie ignores ports: five demo stations share 127.0.0.1.
func (s *Server) cookieName() string { return "hive_" + string(s.station.Self().ID) }

func (s *Server) cookie(token string, age time.Duration) http.Cookie {
	return http.Cookie{
		Name: s.cookieName(), Value: token, Path: "/", MaxAge: int(age.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

type peopleOutput struct {
	Body struct {
		People []PersonInfo `json:"people"`
	}
}

func (s *Server) people(_ context.Context, c *call, _ *struct{}) (*peopleOutput, error) {
	if err := s.demoOnly(c); err != nil {
		return nil, err
	}
	out := &peopleOutput{}
	out.Body.People = []PersonInfo{}
	for _, p := range s.station.People() {
		out.Body.People = append(out.Body.People, PersonInfo{ID: p.ID, Name: p.Name, Roles: p.Roles, Home: p.Home})
	}
	return out, nil
}

// demoOnly guards the demo county's sign-in: on, and asked from this machine.
func (s *Server) demoOnly(c *call) error {
	if !s.demo {
		return problem(http.StatusNotFound, "no_demo", "this station has no demo sign-in", "enrol at a station of your county")
	}
	if !c.loopback {
		return problem(http.StatusForbidden, "loopback_only", "the demo county answers this machine only", "open http://127.0.0.1 on the station itself")
	}
	return nil
}

type signInInput struct {
	Body struct {
		Person alerts.PersonID `json:"person,omitempty" maxLength:"64" doc:"id of a person of GET /v1/people"`
		Kiosk  bool            `json:"kiosk,omitempty" doc:"instead of person: the session of this station's own kiosk"`
	}
}

type sessionBody struct {
	Token   string           `json:"token,omitempty" doc:"bearer token, good at every station of the county"`
	Person  PersonInfo       `json:"person"`
	Station alerts.StationID `json:"station" doc:"the station that answers"`
	Kiosk   bool             `json:"kiosk"`
	Expires alerts.Stamp     `json:"expires"`
}

type sessionOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      sessionBody
}

func (s *Server) signIn(_ context.Context, c *call, in *signInInput) (*sessionOutput, error) {
	if err := s.demoOnly(c); err != nil {
		return nil, err
	}
	if (in.Body.Person == "") == !in.Body.Kiosk {
		return nil, problem(http.StatusUnprocessableEntity, "invalid", "give either person or kiosk", "GET /v1/people lists who exists").at("body")
	}
	say := claims{Person: in.Body.Person}
	if in.Body.Kiosk {
		say.Kiosk = s.station.Self().ID
	} else if _, ok := s.station.Person(in.Body.Person); !ok {
		return nil, problem(http.StatusNotFound, "unknown_person", "no such person in the demo county", "GET /v1/people lists who exists").at("body.person")
	}
	now := s.sessions.now()
	token, err := s.sessions.open(say, now)
	if err != nil {
		return nil, err
	}
	w, p := s.sessions.identify(token, now)
	if p != nil {
		return nil, p
	}
	out := &sessionOutput{SetCookie: s.cookie(token, sessionLife), Body: s.describe(w)}
	out.Body.Token = token
	return out, nil
}

func (s *Server) describe(w *who) sessionBody {
	return sessionBody{Person: w.info(), Station: s.station.Self().ID, Kiosk: w.kiosk, Expires: alerts.Stamp(w.expires)}
}

type whoOutput struct{ Body sessionBody }

func (s *Server) whoAmI(_ context.Context, c *call, _ *struct{}) (*whoOutput, error) {
	if !s.demo {
		return nil, s.demoOnly(c)
	}
	return &whoOutput{Body: s.describe(c.who)}, nil
}

type signOutOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (s *Server) signOut(_ context.Context, c *call, _ *struct{}) (*signOutOutput, error) {
	if !s.demo {
		return nil, s.demoOnly(c)
	}
	s.sessions.close(c.who, s.sessions.now())
	s.hub.signedOut(c.who.key)
	return &signOutOutput{SetCookie: s.cookie("", -time.Second)}, nil
}

// identified runs before a huma operation: it finds out who asks, and refuses where nobody may, or where that
// session asks too much.
func (s *Server) identified(need access, alert bool) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		c := &call{loopback: s.loopback(ctx.RemoteAddr(), ctx.Host())}
		token := s.bearer(ctx.Header("Authorization"), ctx.Header("Cookie"))
		w, p := s.sessions.identify(token, s.sessions.now())
		c.who = w
		if p != nil && (need == signedIn || need == localOrSignedIn && !c.loopback) {
			s.metrics.bad(p.Code)
			s.answer(ctx, p)
			return
		}
		if w != nil {
			use := s.allowances.request
			if alert {
				use = s.allowances.alert
			}
			if wait := use(w.key, time.Now()); wait > 0 {
				s.metrics.bad("too_many")
				s.answer(ctx, tooMany(wait, alert))
				return
			}
		}
		next(huma.WithValue(ctx, callKey{}, c))
	}
}
