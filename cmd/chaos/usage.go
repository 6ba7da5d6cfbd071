//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"hivemesh/node/sim/history"
)

const (
	usageEvery = 10 // looks
	// What a station may hold at most. A county box has 1 to 4 GB for everything; a station of five with a
	// dozen devices has some dozens of connections, each with its reader and writer.
	mostMemory     = 512 << 20
	mostFiles      = 400
	mostGoroutines = 1500
)

// usage is the most that a station's process held of each.
type usage struct{ memory, files, goroutines float64 }

// used asks the station what its process holds.
func (w *watch) used(ctx context.Context, s *station) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+httpAddr+"/metrics", nil)
	if err != nil {
		return
	}
	res, err := s.http.Do(req)
	if err != nil {
		return // asked again soon
	}
	defer res.Body.Close()
	now := map[string]float64{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			now[name] = v
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.top[s.id]
	t.memory = max(t.memory, now["process_resident_memory_bytes"])
	t.files = max(t.files, now["process_open_fds"])
	t.goroutines = max(t.goroutines, now["go_goroutines"])
	w.top[s.id] = t
}

// bounded checks Bounded.
func (w *watch) bounded() (broken []history.Violation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, t := range w.top {
		for _, x := range []struct {
			what string
			most float64
			was  float64
		}{{"bytes of memory", mostMemory, t.memory}, {"open files", mostFiles, t.files}, {"goroutines", mostGoroutines, t.goroutines}} {
			if x.was > x.most {
				broken = append(broken, history.Violation{Check: "Bounded", What: fmt.Sprintf("%s held %.0f %s, at most %.0f are allowed", id, x.was, x.what, x.most)})
			}
		}
	}
	return broken
}

// most is the highest of each over all stations.
func (w *watch) most() (t usage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.top {
		t.memory, t.files, t.goroutines = max(t.memory, x.memory), max(t.files, x.files), max(t.goroutines, x.goroutines)
	}
	return t
}
