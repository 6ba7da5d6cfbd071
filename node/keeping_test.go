package node

import (
	"runtime"
	"sync"
	"testing"

	"hivemesh/alerts"
	"hivemesh/node/web"
)

// TestHowAnEventIsKeptIsToldInOrder: it comes onto the record while another station's word is being told; what
// is told last is what holds.
func TestHowAnEventIsKeptIsToldInOrder(t *testing.T) {
	var (
		id       = alerts.Hash{1}
		k        *keeping
		mu       sync.Mutex
		last     web.Kept
		recorded sync.WaitGroup
	)
	k = newKeeping(func(c web.Change) {
		if !c.Kept.Recorded {
			recorded.Go(func() { k.recorded(id, 7, nil) })
			for range 10_000 { // it has every chance to come between
				runtime.Gosched()
			}
		}
		mu.Lock()
		defer mu.Unlock()
		last = c.Kept
	})
	k.follow(id)
	k.near(id, "a")
	recorded.Wait()
	if want := (web.Kept{Near: 1, Recorded: true, Index: 7}); last != want {
		t.Fatalf("told last: %+v, and it is kept as %+v", last, want)
	}
}

// TestWhyAnEventDoesNotCountIsToldFirst: a request that waits for the record takes the first that it hears.
func TestWhyAnEventDoesNotCountIsToldFirst(t *testing.T) {
	id, why := alerts.Hash{1}, &web.Refusal{Code: alerts.Conflict}
	var told []web.Change
	k := newKeeping(func(c web.Change) { told = append(told, c) })
	k.follow(id)
	k.recorded(id, 7, why)
	if len(told) != 2 || told[0].Refused != why || !told[1].Kept.Recorded {
		t.Errorf("told %+v", told)
	}
}
