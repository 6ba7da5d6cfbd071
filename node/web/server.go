package web

import (
	"bufio"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Config is what a Server is made of.
type Config struct {
	Station  Station
	Demo     bool                 // sign-in without proof, for a demo county on loopback
	UI       fs.FS                // index.html, kiosk.html, patrol.html, dispatch.html and what they load
	Registry *prometheus.Registry // of the whole station; nil: one of its own
	Log      *zap.Logger          // nil: says nothing
	Now      func() time.Time     // to judge sessions by; nil: the machine's clock
}

// Server is a station's HTTP side: the API, the pages and the hub of its websockets.
type Server struct {
	station    Station
	demo       bool
	log        *zap.Logger
	api        huma.API
	handler    http.Handler
	sessions   *sessions
	hub        *hub
	allowances *allowances // what each session has used of what it may
	metrics    *metrics
	ui         fs.FS
}

// New builds the server and starts the hub; Close ends it. It opens no port: Handler goes into an
// http.Server, which must be shut down before Close returns its last socket.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Registry == nil {
		cfg.Registry = prometheus.NewRegistry()
	}
	s := &Server{
		station:  cfg.Station,
		demo:     cfg.Demo,
		log:      cfg.Log.Named("web"),
		sessions: &sessions{station: cfg.Station, now: cfg.Now, out: map[tokenKey]time.Time{}, good: map[tokenKey]verified{}},
		ui:       cfg.UI,
	}
	mux := http.NewServeMux()
	s.api = newAPI(mux, cfg.Station.Mesh().Version)
	s.allowances = newAllowances()
	s.hub = newHub(cfg.Station, s.sessions, s.allowances, s.log)
	s.metrics = newMetrics(cfg.Registry, s.hub)
	s.hub.start(s.metrics)
	s.routes(mux)
	s.handler = s.measured(s.guard(mux))
	return s
}

// Handler serves everything: pages, API, websockets.
func (s *Server) Handler() http.Handler { return s.handler }

// Close closes every socket with 4004 and waits until the hub's last goroutine has ended.
func (s *Server) Close() { s.hub.close() }

// note counts what was refused and logs, once and without personal data, what the station itself got wrong.
func (s *Server) note(p *Problem, err error) {
	s.metrics.bad(p.Code)
	if p.Status >= http.StatusInternalServerError {
		s.log.Error("request failed", zap.String("code", p.Code), zap.Error(err))
	}
}

// measured counts and times every request, and turns a panic of a handler into a problem.
func (s *Server) measured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		sw := &statusWriter{ResponseWriter: w}
		defer func() {
			if v := recover(); v != nil {
				if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(v)
				}
				s.log.Error("handler panicked", zap.Any("panic", v), zap.Stack("stack"))
				if sw.status == 0 {
					problemOf(errors.New("panic")).write(sw)
				}
			}
			s.metrics.request(r.Pattern, sw.status, time.Since(began))
		}()
		next.ServeHTTP(sw, r)
	})
}

// statusWriter remembers the status, and still lets a websocket take the connection over.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Hijack hands the connection over to a websocket.
func (w *statusWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.status = http.StatusSwitchingProtocols
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap lets http.ResponseController reach the writer beneath.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
