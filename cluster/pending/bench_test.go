package pending_test

import (
	"path/filepath"
	"testing"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
)

// BenchmarkPut is one event after the other, each waiting for its fsync: what the first person waits for.
func BenchmarkPut(b *testing.B) {
	s, id := openSet(b, filepath.Join(b.TempDir(), "pending.db")), identity(b, authority(b), "xinzhuang")
	defer s.Close()
	events := many(b, id)
	for b.Loop() {
		kept, _ := s.Put(events())
		if err := <-kept; err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPut64 has 64 events waiting at any time: they share an fsync.
func BenchmarkPut64(b *testing.B) {
	s, id := openSet(b, filepath.Join(b.TempDir(), "pending.db")), identity(b, authority(b), "xinzhuang")
	defer s.Close()
	events, flight := many(b, id), make(chan (<-chan error), 64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for kept := range flight {
			if err := <-kept; err != nil {
				b.Error(err)
			}
		}
	}()
	for b.Loop() {
		kept, _ := s.Put(events())
		flight <- kept
	}
	close(flight)
	<-done
}

// BenchmarkFlash is from Flash at one station to the watcher of another's set, over TLS on loopback.
func BenchmarkFlash(b *testing.B) {
	m := &mesh{t: b, a: authority(b), on: map[alerts.StationID]*station{}}
	for _, s := range []alerts.StationID{"post", "xinzhuang"} {
		m.on[s] = m.open(trust.OS(), "127.0.0.1:0", s)
	}
	heard := make(chan struct{}, 1)
	m.on["post"].set.Watch(func(alerts.Event, bool) { heard <- struct{}{} })
	m.meet()
	defer m.close()
	village := m.on["xinzhuang"]
	events := many(b, village.id)
	for first := events(); village.links.Flash(first) == 0; {
		village.links.Wake()
	}
	<-heard
	for b.Loop() {
		village.links.Flash(events())
		<-heard
	}
}

// many gives new events that were signed while nobody measured.
func many(b *testing.B, id *trust.Identity) func() alerts.Event {
	var ready []alerts.Event
	n := 0
	return func() alerts.Event {
		if len(ready) == 0 {
			b.StopTimer()
			for range 1024 {
				n++
				ready = append(ready, sign(b, id, n, "x"))
			}
			b.StartTimer()
		}
		e := ready[0]
		ready = ready[1:]
		return e
	}
}
