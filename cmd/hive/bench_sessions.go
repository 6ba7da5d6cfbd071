package main

import (
	"context"
	"sync/atomic"
)

const (
	// benchSessions is in how many sessions of one kiosk alerts are raised: a station bounds what one may do.
	benchSessions = 160
	// benchShare is how many sockets of a crowd share a session, for the same reason.
	benchShare = 25
)

// sessions are several of the same person or kiosk, taken in turn.
type sessions struct {
	tokens []string
	turn   atomic.Int64
}

func (s *sessions) next() string {
	return s.of(int(s.turn.Add(1)))
}

// of is the session of the k-th client; none where nobody signs in.
func (s *sessions) of(k int) string {
	if s == nil {
		return ""
	}
	return s.tokens[k%len(s.tokens)]
}

// signInOften takes n sessions of a person, or with none of the kiosk.
func (t *benchCounty) signInOften(ctx context.Context, station int, person string, n int) (*sessions, error) {
	s := &sessions{}
	for range n {
		token, err := t.signIn(ctx, station, person)
		if err != nil {
			return nil, err
		}
		s.tokens = append(s.tokens, token)
	}
	return s, nil
}
