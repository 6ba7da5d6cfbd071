package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// pages serves the screens. Every page has one address; what pages load lies beside them.
func (s *Server) pages(mux *http.ServeMux) {
	for address, file := range map[string]string{
		"/{$}": "index.html", "/kiosk": "kiosk.html", "/patrol": "patrol.html", "/dispatch": "dispatch.html",
	} {
		mux.HandleFunc("GET "+address, func(w http.ResponseWriter, r *http.Request) { s.file(w, r, file) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			problem(http.StatusMethodNotAllowed, "wrong_method", "pages are only read", "the API is under /v1").write(w)
			return
		}
		s.file(w, r, strings.TrimPrefix(path.Clean(r.URL.Path), "/"))
	})
}

// file answers with one file of the screens. Names under assets carry the hash of what they hold, so they
// may be kept for ever; a page is asked for anew each time and costs nothing when it is the same.
func (s *Server) file(w http.ResponseWriter, r *http.Request, name string) {
	if s.ui == nil || !fs.ValidPath(name) {
		s.noPage(w)
		return
	}
	if info, err := fs.Stat(s.ui, name); err != nil || info.IsDir() {
		s.noPage(w)
		return
	}
	body, err := fs.ReadFile(s.ui, name)
	if err != nil {
		s.noPage(w)
		return
	}
	serveBytes(w, r, name, body)
}

func serveBytes(w http.ResponseWriter, r *http.Request, name string, body []byte) {
	h := w.Header()
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		sum := sha256.Sum256(body)
		h.Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
		h.Set("Cache-Control", "no-cache")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
}

func (s *Server) noPage(w http.ResponseWriter) {
	problem(http.StatusNotFound, "no_page", "there is no such page", "start at /").at("path").write(w)
}
