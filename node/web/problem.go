package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"hivemesh/alerts"
)

// Problem is an RFC 9457 problem document. It says what is wrong (detail), where, and what to do.
type Problem struct {
	Type    string   `json:"type" doc:"where the docs page explains the code"`
	Title   string   `json:"title" doc:"the HTTP status in words"`
	Status  int      `json:"status" doc:"the HTTP status"`
	Code    string   `json:"code" doc:"stable name for programs"`
	Detail  string   `json:"detail" doc:"what is wrong, and what still works"`
	Where   string   `json:"where,omitempty" doc:"the place of the mistake, e.g. body.place.lon"`
	Do      string   `json:"do,omitempty" doc:"what to do about it"`
	Known   []string `json:"known,omitempty" doc:"the values that would have been known"`
	Lost    *Lost    `json:"lost,omitempty" doc:"what this lost to: one history, nothing silently overwritten"`
	Missing []string `json:"missing,omitempty" doc:"lacking: what the category asks for before this, each as what: which"`
	Errors  []Fault  `json:"errors,omitempty" doc:"every mistake, when there are several"`

	header http.Header // what goes beside it, as Retry-After
}

// Lost names the event that another one lost to.
type Lost struct {
	Event alerts.Hash     `json:"event"`
	Kind  alerts.Kind     `json:"kind"`
	By    alerts.PersonID `json:"by"`
	At    alerts.Stamp    `json:"at"`
}

// Fault is one of several mistakes in a request.
type Fault struct {
	Where   string `json:"where"`
	Message string `json:"message"`
}

// Error is the detail.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus tells huma the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType names the problem's own media type.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func problem(status int, code, detail, do string) *Problem {
	return &Problem{
		Type: "/docs#problem-" + code, Title: http.StatusText(status), Status: status,
		Code: code, Detail: detail, Do: do,
	}
}

func (p *Problem) at(where string) *Problem {
	p.Where = where
	return p
}

// write answers with the problem outside huma.
func (p *Problem) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// humaCodes name what huma itself finds wrong with a request.
func humaCode(status int) (code, do string) {
	switch status {
	case http.StatusBadRequest:
		return "malformed", "send one JSON object as the docs page describes it"
	case http.StatusRequestTimeout:
		return "too_slow", "send the body within five seconds"
	case http.StatusRequestEntityTooLarge:
		return "too_large", "send less: a body has at most 16 KiB"
	case http.StatusUnsupportedMediaType:
		return "not_json", "send Content-Type: application/json"
	case http.StatusUnprocessableEntity:
		return "invalid", "correct the fields that are named"
	}
	return "internal", "try again; if it happens again, look into the station's log"
}

// fromHuma turns huma's own errors into problems. Values sent are not echoed: they may be personal.
func fromHuma(m *huma.ErrorModel) *Problem {
	code, do := humaCode(m.Status)
	p := problem(m.Status, code, m.Detail, do)
	if m.Status >= http.StatusInternalServerError {
		p.Detail = "the station failed to answer this"
		return p
	}
	var said []string
	for _, e := range m.Errors {
		if e == nil {
			continue
		}
		p.Errors = append(p.Errors, Fault{Where: e.Location, Message: e.Message})
		said = append(said, strings.TrimSpace(e.Location+" "+e.Message))
	}
	if len(said) > 0 {
		p.Where, p.Detail = p.Errors[0].Where, strings.Join(said, "; ")
	}
	if len(p.Errors) == 1 {
		p.Errors = nil
	}
	return p
}

// problemOf is the one place that maps errors of the station and the rules to problems.
func problemOf(err error) *Problem {
	var (
		p      *Problem
		refuse *Refusal
		denied *alerts.Denied
		grid   *GridError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refuse):
		return refuse.problem()
	case errors.As(err, &denied):
		return problem(http.StatusForbidden, "forbidden", denied.Error(), "ask somebody who holds one of the roles named")
	case errors.As(err, &grid):
		p = problem(http.StatusUnprocessableEntity, "unknown_grid", grid.Error(), "use one of the known grids, or lon and lat").at("body.place.grid")
		p.Known = grid.Known
		return p
	case errors.Is(err, ErrUnknownIncident):
		return unknownIncident()
	case errors.Is(err, ErrLeaving):
		return problem(http.StatusServiceUnavailable, "leaving", err.Error(),
			"call 110 now; then try again with the same id at another station")
	case errors.Is(err, ErrNotKept):
		return problem(http.StatusServiceUnavailable, "not_kept", err.Error(),
			"call 110 now; then try again with the same id, here or at another station")
	case errors.Is(err, alerts.ErrPlace):
		return problem(http.StatusUnprocessableEntity, "out_of_range", err.Error(), "give WGS-84 degrees").at("body.place")
	case errors.Is(err, alerts.ErrEvent):
		return problem(http.StatusUnprocessableEntity, "invalid", err.Error(), "correct the fields that are named").at("body")
	}
	return problem(http.StatusInternalServerError, "internal", "the station failed to answer this",
		"try again with the same id; if it happens again, look into the station's log")
}

func unknownIncident() *Problem {
	return problem(http.StatusNotFound, "unknown_incident",
		"no incident of that id that you may see is known at this station",
		"check the id; a new one may take seconds to arrive from another station").at("path.id")
}

// problem says why an event does not count, and to whom it lost.
func (r *Refusal) problem() *Problem {
	status, do := http.StatusConflict, "look at the matter as it is now, then decide again"
	switch r.Code {
	case alerts.Forbidden:
		status, do = http.StatusForbidden, "ask somebody who may"
	case alerts.WrongCell:
		do = "send it to a station of the incident's cell"
	case alerts.Conflict:
		do = "the id is taken by another alert of yours: use a new id for a new alert"
	case alerts.Unknown:
		status, do = http.StatusUnprocessableEntity, "use a kind that the docs page lists"
	}
	p := problem(status, string(r.Code), r.Reason, do)
	p.Lost, p.Missing = lostOf(r.Lost), r.Missing
	return p
}

func lostOf(ref *alerts.Ref) *Lost {
	if ref == nil {
		return nil
	}
	return &Lost{Event: ref.Event, Kind: ref.Kind, By: ref.By, At: alerts.Stamp(ref.At)}
}
