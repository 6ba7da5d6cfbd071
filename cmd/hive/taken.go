package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"hivemesh/node"
	"hivemesh/node/web"
)

const (
	lockFile  = "in-use"
	askOnWait = time.Second // for who has a port
)

// dirLock keeps a directory for one process.
type dirLock struct{ f *os.File }

// lockDir takes dir for what use says; the system lets go of it when the process dies, however it dies.
func lockDir(dir, use string) (*dirLock, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no directory %s; hive init or hive join makes a station", dir)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		by, _ := io.ReadAll(io.LimitReader(f, 200))
		return nil, fmt.Errorf("directory %s is taken by %s; stop that one (Ctrl-C there), or work in another directory",
			dir, strings.TrimSpace(string(by)))
	}
	err = errors.Join(f.Truncate(0), writeAt(f, fmt.Sprintf("process %d (%s)\n", os.Getpid(), use)))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &dirLock{f}, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

func (l *dirLock) release() error { return l.f.Close() }

// probe says of every port of cfg that is taken by whom it is taken.
func probe(cfg node.Config) error {
	var errs []error
	try := func(key, network, addr string) bool {
		var c io.Closer
		var err error
		if network == "udp" {
			c, err = net.ListenPacket(network, addr)
		} else {
			c, err = net.Listen(network, addr)
		}
		switch {
		case err == nil:
			c.Close()
			return true
		case errors.Is(err, syscall.EADDRINUSE):
			errs = append(errs, fmt.Errorf("%s port %s (%s) is taken by %s", key, addr, network, holder(addr)))
		default:
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
		return false
	}
	try("http", "tcp", cfg.HTTP)
	if try("mesh", "tcp", cfg.Mesh) {
		try("mesh", "udp", cfg.Mesh)
	}
	return errors.Join(errs...)
}

// holder asks a taken port who is there: a station says so.
func holder(addr string) string {
	ctx, cancel := context.WithTimeout(context.Background(), askOnWait)
	defer cancel()
	var m web.MeshInfo
	if err := get(ctx, "http://"+addr+"/v1/mesh", &m); err == nil && m.Station != "" {
		return fmt.Sprintf("HiveMesh station %s (process %d)", m.Station, m.PID)
	}
	return "another program, or is another station's mesh port"
}

// get reads one JSON document; a problem document becomes the error.
func get(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	return ask(req, into)
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 8 << 20

func ask(req *http.Request, into any) error {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		var p web.Problem
		if json.Unmarshal(b, &p) == nil && p.Code != "" {
			return &p
		}
		return fmt.Errorf("%s %s: %s", req.Method, req.URL, res.Status)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s %s: %w", req.Method, req.URL, err)
	}
	return nil
}
