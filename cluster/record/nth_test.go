//go:build linux

package record

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/faultfs"
	"hivemesh/cluster/pending"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

// acked is what the script acknowledged.
type acked struct {
	events   map[int]bool
	removing bool
	entry    uint64
	tried    uint64
	term     uint64
	vote     uint64
	log      uint64
	shorter  bool
}

func readAcked(out string) acked {
	a := acked{events: map[int]bool{}}
	for _, line := range strings.Split(out, "\n") {
		var n int
		switch {
		case strings.HasPrefix(line, "removing"):
			a.removing = true
		case line == "shortening":
			a.shorter = true
		case scan(line, "event %d", &n):
			a.events[n] = true
		case scan(line, "entry %d", &n):
			a.entry = uint64(n)
		case scan(line, "try term %d", &n):
			a.tried = uint64(n)
		case scan(line, "term %d", &n):
			a.term = uint64(n)
		case scan(line, "vote %d", &n):
			a.vote = uint64(n)
		case scan(line, "log %d", &n):
			a.log = uint64(n)
		}
	}
	return a
}

func scan(line, format string, n *int) bool { _, err := fmt.Sscanf(line, format, n); return err == nil }

// nthRun has the script run on a disk that fails as planned, and the power go at its end, and gives what is
// below.
func nthRun(t *testing.T, events string, plan func(faultfs.Op) faultfs.Fault, tear uint64) (below string, a acked, f *faultfs.FS) {
	t.Helper()
	dir := t.TempDir()
	below, at := filepath.Join(dir, "below"), filepath.Join(dir, "at")
	if err := errors.Join(os.Mkdir(below, 0o700), os.Mkdir(at, 0o700)); err != nil {
		t.Fatal(err)
	}
	f, err := faultfs.Mount(below, at, plan)
	if errors.Is(err, faultfs.ErrNoFUSE) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if tear > 0 {
		f.Tear(tear)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), nthEnv+"="+at, nthEnv+"_EVENTS="+events)
	out, err := cmd.Output()
	if cut := errors.Join(f.CutPower(), f.Unmount()); cut != nil {
		t.Fatal(cut)
	}
	if err != nil {
		t.Errorf("the station died of its disk: %v\n%s", err, stderr(err))
	}
	return below, readAcked(string(out)), f
}

func stderr(err error) []byte {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.Stderr[:min(len(exit.Stderr), 2000)]
	}
	return nil
}

// nthCheck opens the stores on what survived: what was acknowledged is there, and nothing that was never made.
func nthCheck(t *testing.T, below string, list []alerts.Event, a acked) {
	t.Helper()
	set, err := pending.OpenSet(nil, filepath.Join(below, "pending.db"), wire.DecodeEvent, zap.NewNop())
	if err != nil {
		t.Fatalf("pending set: %v", err)
	}
	made := map[alerts.Hash]bool{}
	for i, e := range list {
		made[e.ID] = true
		if a.events[i] && !set.Kept(e.ID) && !(i == 0 && a.removing) {
			t.Errorf("event %d was said to be kept and is gone", i)
		}
	}
	for _, e := range set.List(list[0].Cell) {
		if !made[e.ID] {
			t.Errorf("event %s was never made", e.ID.Short())
		}
	}
	cell := filepath.Join(below, "cells", "c")
	s, err := openStore(nil, "c", filepath.Join(cell, "record.db"), zap.NewNop(), storeWatch{})
	if err != nil {
		t.Fatalf("record store: %v", err)
	}
	got, err := s.Read(1, 100, wire.MaxFrame)
	if err != nil || s.Err() != nil || uint64(len(got)) < a.entry || len(got) > nthEntries {
		t.Errorf("record store: %d entries, %d were settled; %v, %v", len(got), a.entry, err, s.Err())
	}
	for i, r := range got {
		if want := nthRaws()[i]; r.Index != want.Index || r.Chain != want.Chain || !bytes.Equal(r.Bytes, want.Bytes) {
			t.Errorf("entry %d is another one", i+1)
		}
	}
	l, err := openLogStore(nil, "c", cell, mark(cell+".first.voter"), func(error) {})
	if err != nil {
		t.Fatalf("log store: %v", err)
	}
	nthCheckLogs(t, l, a)
	if err := errors.Join(set.Close(), s.Close(), l.Close()); err != nil {
		t.Error(err)
	}
}

func nthCheckLogs(t *testing.T, l *logStore, a acked) {
	t.Helper()
	term, _ := l.GetUint64([]byte(keyTerm))
	voteTerm, _ := l.GetUint64([]byte(keyVoteTerm))
	vote, _ := l.Get([]byte(keyVote))
	if term < a.term || term > a.tried || voteTerm < a.vote || voteTerm > a.tried || len(vote) == 1 && uint64(vote[0]) < a.vote {
		t.Errorf("term %d, vote %x in %d: said %d and %d, tried up to %d", term, vote, voteTerm, a.term, a.vote, a.tried)
	}
	first, err1 := l.FirstIndex()
	last, err2 := l.LastIndex()
	if err1 != nil || err2 != nil || last < a.log || last > nthLogs || first > 1 && !a.shorter || first > 2 {
		t.Errorf("logs %d to %d, said up to %d; %v %v", first, last, a.log, err1, err2)
	}
	for i := max(first, 1); i <= last; i++ {
		var got raft.Log
		if err := l.GetLog(i, &got); err != nil || got.Term != 3 || !bytes.Equal(got.Data, []byte{byte(i)}) {
			t.Errorf("log %d: %+v, %v", i, got, err)
		}
	}
}

// Every operation of a scripted run of the real stores fails in turn, in each way; then the power goes.
func TestEveryNthDiskOperationFails(t *testing.T) {
	authority, err := trust.NewAuthority("yongqing", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	id, err := authority.NewStation(trust.Who{Cell: cellID, Kind: alerts.Village, Station: "post", Name: "post"})
	if err != nil {
		t.Fatal(err)
	}
	c := &county{t: t, ids: map[alerts.StationID]*trust.Identity{"post": id}}
	events := t.TempDir()
	var b bytes.Buffer
	var list []alerts.Event
	for i := range nthEvents {
		e := c.unheard("post", i)
		list = append(list, e)
		fmt.Fprintf(&b, "%x\n", e.Raw)
	}
	if err := os.WriteFile(filepath.Join(events, "events"), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	below, a, f := nthRun(t, events, nil, 0)
	if len(a.events) != nthEvents || a.entry != nthEntries || a.term != 2 || a.vote != 2 || a.log != nthLogs {
		t.Fatalf("on a good disk the script said %+v", a)
	}
	nthCheck(t, below, list, a)
	start, runs, bit := time.Now(), 0, map[faultfs.Fault]int{}
	step := 1
	if testing.Short() {
		step = 7
	}
	for n := 1; n <= f.Ops(); n += step {
		for _, fault := range []faultfs.Fault{faultfs.EIO, faultfs.ENOSPC, faultfs.Short, faultfs.PowerCut} {
			below, a, g := nthRun(t, events, faultfs.Nth(n, fault), uint64(n*int(fault)%3)) // a third loses all, the others tear
			nthCheck(t, below, list, a)
			runs++
			bit[fault] += g.Bit()[fault]
			if t.Failed() {
				t.Fatalf("operation %d of %d: %v", n, f.Ops(), fault)
			}
		}
	}
	t.Logf("%d operations, %d runs in %v, faults that bit: %v", f.Ops(), runs, time.Since(start).Round(time.Second), bit)
	if bit[faultfs.EIO] < runs/5 || bit[faultfs.PowerCut] < runs/5 {
		t.Error("the faults did not bite")
	}
}
