//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"hivemesh/node/web"
)

// refused is an answer that says no.
type refused struct{ web.Problem }

func (r *refused) Error() string { return r.Problem.Error() }

// ask does one request at the station, from its own host. What the station says no to is *refused.
func (s *station) ask(ctx context.Context, method, path, token string, form, into any) (http.Header, error) {
	return s.send(ctx, askWait, 0, method, path, token, form, into)
}

// send asks with all that can be said: how long to wait for the answer, and for the record before it.
func (s *station) send(ctx context.Context, within, wait time.Duration, method, path, token string, form, into any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, within+wait)
	defer cancel()
	var body io.Reader
	if form != nil {
		b, err := json.Marshal(form)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+httpAddr+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if wait > 0 {
		req.Header.Set("Prefer", "wait="+strconv.Itoa(int(wait.Seconds())))
	}
	res, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusBadRequest {
		no := &refused{}
		if err := json.NewDecoder(res.Body).Decode(&no.Problem); err != nil {
			return nil, fmt.Errorf("%s %s: %s, and no problem document: %w", method, path, res.Status, err)
		}
		return nil, no
	}
	return res.Header, json.NewDecoder(res.Body).Decode(into)
}

// codeOf is the code of a refusal; empty for any other error.
func codeOf(err error) string {
	if no, ok := errors.AsType[*refused](err); ok {
		return no.Code
	}
	return ""
}

// signIn gets a token that every station accepts.
func (s *station) signIn(ctx context.Context, form map[string]any) (string, error) {
	var session struct{ Token string }
	if _, err := s.ask(ctx, "POST", "/v1/session", "", form, &session); err != nil {
		return "", fmt.Errorf("sign in at %s: %w", s.id, err)
	}
	return session.Token, nil
}
