package alerts

import (
	"fmt"
	"runtime"
	"testing"
)

// BenchmarkMemoryOfArchived is what a fold holds of each matter that was raised, answered, resolved and is over.
func BenchmarkMemoryOfArchived(b *testing.B) {
	const matters = 5_000
	for b.Loop() {
		s := NewState("yongqing")
		before := heap()
		for i := range matters {
			in := IncidentID(fmt.Sprintf("00000000-0000-5000-8000-%012d", i))
			at := Point{Lon: 116.5, Lat: 39.3}
			var prev Hash
			for k, body := range []Body{
				&Raised{Category: "dispute", Grade: Grade4, Ring: 1000, Wanted: 1, Place: Place{Point: &at}, Note: "楼上漏水", Card: Card{What: "邻里纠纷"}},
				&Registered{}, &Responded{Step: KindAccepted}, &Responded{Step: KindOnScene}, &Resolved{Code: "settled", Words: "双方和解"},
			} {
				e := Event{
					ID: Hash{byte(i), byte(i >> 8), byte(i >> 16), byte(k), 1}, Raw: make([]byte, 420), Station: "xinzhuang", Cell: "yongqing",
					Incident: in, Actor: "li", Kind: body.Kind(), Body: body,
				}
				if k > 0 {
					e.Prev = []Hash{prev}
				}
				prev = e.ID
				s.Apply(Entry{Epoch: 1, Index: uint64(i*5 + k + 1), Event: e, Verdict: Verdict{Code: Accepted}})
			}
		}
		after := heap()
		b.ReportMetric(float64(after-before)/matters, "B/matter")
		b.ReportMetric(float64(after-before)/matters/5, "B/event")
		runtime.KeepAlive(s)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
