package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"hivemesh/cluster/record"
)

// limits measures the disk and loopback by themselves.
func (b *bench) limits(ctx context.Context) error {
	times, writes := 400, 1000
	if b.quick {
		times, writes = 200, 200
	}
	synced, err := syncs(b.dir, writes)
	if err != nil {
		return err
	}
	raw, err := startRaw(ctx, "")
	if err != nil {
		return err
	}
	defer raw.stop()
	trips, err := roundTrips(ctx, raw.echo, times)
	if err != nil {
		return err
	}
	relays, err := relayTimes(ctx, times)
	if err != nil {
		return fmt.Errorf("the bare relay: %w", err)
	}
	commits, err := record.CommitTimes(ctx, filepath.Join(b.dir, "commits"), times/2, commitSize, time.Second/pace)
	if err != nil {
		return fmt.Errorf("raft commits: %w", err)
	}
	slices.Sort(commits)
	b.fsync, b.trip, b.relay, b.commit = at(synced, 50), at(trips, 50), at(relays, 50), at(commits, 50)
	b.row("4 KB write and fdatasync, p50 / p99", ns(b.fsync)+" / "+ns(at(synced, 99)), "is one", "", "")
	b.row("cold loopback TCP round trip at 200/s, p50 / p99", ns(b.trip)+" / "+ns(at(trips, 99)), "is one", "", "")
	b.row("bare relay of two processes at 200/s (HTTP, TLS, gorilla; no rules, signatures, disk), p50 / p99", ns(b.relay)+" / "+ns(at(relays, 99)),
		"loopback "+ns(b.trip), fmt.Sprintf("%.1fx", b.relay.Seconds()/b.trip.Seconds()), "")
	b.row("raft commit of three voters on the same log store at 200/s, p50 / p99", ns(b.commit)+" / "+ns(at(commits, 99)),
		"fdatasync "+ns(b.fsync), fmt.Sprintf("%.1fx", b.commit.Seconds()/b.fsync.Seconds()), "")
	return nil
}

// syncs is what the disk under dir takes to keep a page.
func syncs(dir string, n int) ([]time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "raw"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	page, list := make([]byte, 4096), make([]time.Duration, n)
	for k := range list {
		begin := time.Now()
		if _, err := f.WriteAt(page, 0); err != nil {
			return nil, err
		}
		if _, _, no := syscall.Syscall(syscall.SYS_FDATASYNC, f.Fd(), 0, 0); no != 0 {
			return nil, no
		}
		list[k] = time.Since(begin)
	}
	slices.Sort(list)
	return list, nil
}

// roundTrips sends a small message at the pace of the alerts, so that both ends have gone to sleep.
func roundTrips(ctx context.Context, addr string, n int) ([]time.Duration, error) {
	c, err := net.DialTimeout("tcp", addr, reachWait)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}
	message, list := make([]byte, tripSize), make([]time.Duration, n)
	start := time.Now()
	for k := range list {
		if err := sleepUntil(ctx, start.Add(time.Duration(k)*time.Second/pace)); err != nil {
			return nil, err
		}
		begin := time.Now()
		if _, err := c.Write(message); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(c, message); err != nil {
			return nil, err
		}
		list[k] = time.Since(begin)
	}
	slices.Sort(list)
	return list, nil
}
