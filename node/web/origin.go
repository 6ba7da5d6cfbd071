package web

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// origin is scheme://host[:port] of a URL in lower case, or empty.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// origins are those of the county's stations, from the live list.
func (s *Server) origins() []string {
	var list []string
	for _, st := range s.station.Stations() {
		if o := origin(st.URL); o != "" {
			list = append(list, o)
		}
	}
	return list
}

// knownHost reports whether the request asked for this station by a name that is its own: an address of
// this machine, or a host in the county's list. Any other name is somebody else's that merely points here.
func (s *Server) knownHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	if name == "localhost" {
		return true
	}
	if ip, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil && ip.IsLoopback() {
		return true
	}
	for _, o := range s.origins() {
		if u, err := url.Parse(o); err == nil && strings.EqualFold(u.Host, host) {
			return true
		}
	}
	return false
}

// allowed reports whether a page of this origin may talk to the station: pages of the county only.
// Programs send no Origin.
func (s *Server) allowed(r *http.Request) bool {
	from := r.Header.Get("Origin")
	if from == "" {
		return true
	}
	from = origin(from)
	if from == "" {
		return false
	}
	if u, err := url.Parse(from); err == nil && strings.EqualFold(u.Host, r.Host) && s.knownHost(r.Host) {
		return true
	}
	for _, o := range s.origins() {
		if o == from {
			return true
		}
	}
	return false
}

// loopback reports whether the request comes from this machine and was meant for it: a page elsewhere whose
// name was pointed at 127.0.0.1 does not count.
func (s *Server) loopback(remote, host string) bool {
	at, err := netip.ParseAddrPort(remote)
	return err == nil && at.Addr().Unmap().IsLoopback() && s.knownHost(host)
}

// policy is the Content-Security-Policy: this station and the county's others, nothing from outside.
func (s *Server) policy(r *http.Request) string {
	talk := []string{"'self'"}
	seen := map[string]bool{}
	add := func(o string) {
		if o != "" && !seen[o] {
			seen[o] = true
			talk = append(talk, o, "ws"+strings.TrimPrefix(o, "http"))
		}
	}
	if s.knownHost(r.Host) {
		scheme := "http://"
		if r.TLS != nil {
			scheme = "https://"
		}
		add(origin(scheme + r.Host))
	}
	for _, o := range s.origins() {
		add(o)
	}
	return "default-src 'self'; connect-src " + strings.Join(talk, " ") +
		"; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

// guard wraps every route: headers, origins, size of bodies.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", s.policy(r))
		h.Add("Vary", "Origin")
		ok := s.allowed(r)
		if from := r.Header.Get("Origin"); from != "" && ok {
			h.Set("Access-Control-Allow-Origin", from)
			h.Set("Access-Control-Expose-Headers", "Location, Preference-Applied, Retry-After")
		}
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			s.preflight(w, ok)
			return
		}
		if !ok && r.Method != http.MethodGet && r.Method != http.MethodHead {
			s.metrics.bad("origin")
			problem(http.StatusForbidden, "foreign_origin",
				"this page is not served by a station of the county", "open the page at one of the county's stations").at("header.Origin").write(w)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

func (s *Server) preflight(w http.ResponseWriter, ok bool) {
	if ok {
		h := w.Header()
		h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Prefer")
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}
