package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what Prometheus may ask of the web side. Labels hold routes, codes and frame types only:
// never a person or a place.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	refusals *prometheus.CounterVec
	frames   *prometheus.CounterVec
	closes   *prometheus.CounterVec
}

func newMetrics(r *prometheus.Registry, h *hub) *metrics {
	m := &metrics{
		registry: r,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hive_http_requests_total", Help: "Requests by route and status."}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hive_http_request_seconds", Help: "How long requests took.", Buckets: []float64{.001, .005, .02, .1, .4, .5, 1, 5, 20},
		}, []string{"route"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hive_bad_input_total", Help: "Requests and frames refused, by code."}, []string{"code"}),
		frames:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hive_frames_total", Help: "Frames of incidents queued for sockets, by type."}, []string{"type"}),
		closes:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hive_sockets_closed_total", Help: "Sockets the hub closed, by reason."}, []string{"reason"}),
	}
	sockets := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "hive_sockets", Help: "Sockets that said hello."}, func() float64 {
		h.mu.Lock()
		defer h.mu.Unlock()
		return float64(len(h.socks))
	})
	r.MustRegister(m.requests, m.seconds, m.refusals, m.frames, m.closes, sockets)
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

func (m *metrics) request(route string, status int, took time.Duration) {
	if status == 0 {
		status = http.StatusOK
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	if status != http.StatusSwitchingProtocols {
		m.seconds.WithLabelValues(route).Observe(took.Seconds())
	}
}

func (m *metrics) bad(code string)    { m.refusals.WithLabelValues(code).Inc() }
func (m *metrics) closed(c closeCode) { m.closes.WithLabelValues(c.reason).Inc() }
func (m *metrics) dead()              { m.closes.WithLabelValues("silent").Inc() }

// delivered counts frames by type, and empties the counts.
func (m *metrics) delivered(counts map[string]int) {
	for kind, n := range counts {
		m.frames.WithLabelValues(kind).Add(float64(n))
	}
	clear(counts)
}
