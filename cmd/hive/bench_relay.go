package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// The bare relay is what any program costs that takes a request in one process and tells it in another: HTTP in,
// one TLS connection between, a gorilla websocket out; no rule, no signature, no disk. First sight stands beside it.

const (
	// relaySize is about what a station sends another of an alert, and what an alarm frame weighs.
	relaySize = 600
	relayHead = 4 // its length
)

// relay is the end that takes requests: it hands each body to the other process.
type relay struct {
	mu sync.Mutex
	to net.Conn
}

func dialRelay(addr string) (*relay, error) {
	// Only bytes are measured here: whoever listens is a child of the same bench, on loopback.
	c, err := tls.Dial("tcp", addr, &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true})
	return &relay{to: c}, err
}

func (r *relay) pass(w http.ResponseWriter, req *http.Request) {
	b, err := io.ReadAll(io.LimitReader(req.Body, maxLogLine))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	_, err = r.to.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	r.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// relayed takes what the other process hands over and writes it to every socket, until l closes.
func (r *rawServer) relayed(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			in, head := bufio.NewReader(c), make([]byte, relayHead)
			for {
				if _, err := io.ReadFull(in, head); err != nil {
					return
				}
				b := make([]byte, min(binary.BigEndian.Uint32(head), maxLogLine))
				if _, err := io.ReadFull(in, b); err != nil {
					return
				}
				r.mu.Lock()
				for _, ws := range r.conns {
					_ = ws.WriteMessage(websocket.TextMessage, b)
				}
				r.mu.Unlock()
			}
		}()
	}
}

// listenRelay opens the TLS port that relayed serves.
func listenRelay() (net.Listener, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, form, form, public, private)
	if err != nil {
		return nil, err
	}
	return tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: private}}})
}

// relayTimes sends n messages through two raw processes at the pace of the alerts and says when each was read.
func relayTimes(ctx context.Context, n int) ([]time.Duration, error) {
	out, err := startRaw(ctx, "")
	if err != nil {
		return nil, err
	}
	defer out.stop()
	in, err := startRaw(ctx, out.relay)
	if err != nil {
		return nil, err
	}
	defer in.stop()
	dialer := websocket.Dialer{Subprotocols: []string{liveSpeak}, HandshakeTimeout: reachWait}
	ws, res, err := dialer.DialContext(ctx, "ws://"+out.live+"/v1/live", nil)
	if err != nil {
		return nil, err
	}
	defer ws.Close()
	res.Body.Close()
	if err := ws.WriteMessage(websocket.TextMessage, []byte("{}")); err != nil {
		return nil, err
	}
	if err := ws.SetReadDeadline(time.Now().Add(benchMost)); err != nil {
		return nil, err
	}
	if _, _, err := ws.ReadMessage(); err != nil { // its welcome: it is one of those who hear
		return nil, err
	}
	body, list, start := bytes.Repeat([]byte("x"), relaySize), make([]time.Duration, n), time.Now()
	for k := range list {
		if err := sleepUntil(ctx, start.Add(time.Duration(k)*time.Second/pace)); err != nil {
			return nil, err
		}
		begin, sent := time.Now(), make(chan error, 1)
		go func() { sent <- handIn(ctx, "http://"+in.live+"/pass", body) }()
		if _, _, err := ws.ReadMessage(); err != nil {
			return nil, err
		}
		list[k] = time.Since(begin)
		if err := <-sent; err != nil {
			return nil, err
		}
	}
	slices.Sort(list)
	return list, nil
}

func handIn(ctx context.Context, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := benchClient.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return err
}
