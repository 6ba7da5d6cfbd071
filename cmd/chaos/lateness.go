//go:build linux

package main

import (
	"context"
	"sync"
	"time"
)

const (
	lateEvery = 20 * time.Millisecond
	// lateMost is up to where the machine itself is on time: one that wakes a waiting program later than this,
	// once in a hundred times, says nothing about how fast a station answers.
	lateMost = 50 * time.Millisecond
)

// lateness measures how late this machine wakes a program that waits for a time: what it is busy with
// besides the county.
type lateness struct {
	mu   sync.Mutex
	list []time.Duration
}

func (l *lateness) run(ctx context.Context) {
	for {
		due := time.Now().Add(lateEvery)
		if !pause(ctx, lateEvery) {
			return
		}
		l.mu.Lock()
		l.list = append(l.list, time.Since(due))
		l.mu.Unlock()
	}
}

func (l *lateness) all() latencies {
	l.mu.Lock()
	defer l.mu.Unlock()
	return sorted(append([]time.Duration(nil), l.list...))
}
