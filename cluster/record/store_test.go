package record

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

func openTestLogs(dir string, dead func(error)) (*logStore, error) {
	return openLogStore(nil, cellID, dir, mark(filepath.Join(dir, "mark")), dead)
}

func openLogs(t *testing.T) *logStore {
	t.Helper()
	s, err := openTestLogs(t.TempDir(), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func logs(from, to uint64) (out []*raft.Log) {
	for i := from; i <= to; i++ {
		out = append(out, &raft.Log{Index: i, Term: 3, Type: raft.LogCommand, Data: []byte{byte(i)}, Extensions: []byte("x"), AppendedAt: time.Unix(0, 42)})
	}
	return out
}

func TestLogStoreKeepsItsContract(t *testing.T) {
	s := openLogs(t)
	if _, err := s.GetUint64([]byte("CurrentTerm")); err == nil || err.Error() != "not found" {
		t.Errorf("a key that is not there: %v", err)
	}
	if err := s.StoreLogs(logs(1, 5)); err != nil {
		t.Fatal(err)
	}
	var l raft.Log
	if err := s.GetLog(3, &l); err != nil || l.Term != 3 || !bytes.Equal(l.Data, []byte{3}) || string(l.Extensions) != "x" || l.AppendedAt.UnixNano() != 42 {
		t.Errorf("log 3 came back as %+v, %v", l, err)
	}
	if err := s.DeleteRange(1, 2); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteRange(5, 5); err != nil {
		t.Fatal(err)
	}
	first, _ := s.FirstIndex()
	last, _ := s.LastIndex()
	if first != 3 || last != 4 {
		t.Errorf("from %d to %d, want 3 to 4", first, last)
	}
	if err := s.GetLog(5, &l); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("a deleted log: %v", err)
	}
	if err := s.DeleteRange(1, 100); err != nil {
		t.Fatal(err)
	}
	if last, _ := s.LastIndex(); last != 0 {
		t.Errorf("last index %d of an empty log", last)
	}
	if !s.IsMonotonic() {
		t.Error("raft must clear the log after a snapshot")
	}
}

// raft panics on an error of its stable store, in a goroutine of its own.
func TestFailingStoreParksItsCaller(t *testing.T) {
	said := make(chan error, 1)
	s, err := openTestLogs(t.TempDir(), func(err error) { said <- err })
	if err != nil {
		t.Fatal(err)
	}
	s.parks.Store(true)
	s.ballot.slots.Close()
	ended, returned := make(chan struct{}), false
	go func() {
		defer close(ended)
		s.SetUint64([]byte("CurrentTerm"), 4)
		returned = true
	}()
	if err := <-said; !errors.Is(err, os.ErrClosed) {
		t.Errorf("said %v", err)
	}
	select {
	case <-ended:
		t.Error("not parked")
	default:
	}
	s.Release()
	<-ended
	if returned {
		t.Error("the failure came back to raft")
	}
}

func rawEntries(t testing.TB, c *county, n int) [][]byte {
	t.Helper()
	var out [][]byte
	for i := range n {
		b, err := wire.EncodeEntry(alerts.Entry{Epoch: firstEpoch, Index: uint64(i + 1), Event: c.raise("post"), Verdict: alerts.Verdict{Code: alerts.Accepted}, At: time.UnixMilli(1)})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func newTestFold(t testing.TB) *fold {
	t.Helper()
	s, err := openStore(nil, cellID, filepath.Join(t.TempDir(), "record.db"), zap.NewNop(), storeWatch{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	f, err := newFold(cellID, s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// signer is a county of which no station is up.
func signer(t *testing.T) *county {
	c := newCounty(t, []alerts.StationID{"post"})
	c.stop("post")
	return c
}

type sink struct{ bytes.Buffer }

func (*sink) ID() string    { return "1" }
func (*sink) Cancel() error { return errors.New("cancelled") }
func (*sink) Close() error  { return nil }

func TestFoldTakesEachEntryOnceFromBothSides(t *testing.T) {
	list := rawEntries(t, signer(t), 6)
	f := newTestFold(t)
	var heard []uint64
	f.Watch(func(c alerts.Change) { heard = append(heard, c.Entry.Index) })
	log := func(m *fsm, b batch) any {
		b.Version = batchVersion
		data, err := b.encode()
		if err != nil {
			t.Fatal(err)
		}
		return m.Apply(&raft.Log{Data: data})
	}
	m := &fsm{fold: f, at: Head{Epoch: firstEpoch}}
	if err := f.Feed(alerts.Hash{}, 0, alerts.Hash{}, list[:2]); err != nil { // the stream is in the midst of a batch
		t.Fatal(err)
	}
	if err := log(m, batch{Entries: list[:4]}); err != nil {
		t.Fatal(err)
	}
	log(m, batch{Entries: list[:4]}) // logged twice
	if at := f.Head(); at.Index != 4 || m.at != at {
		t.Fatalf("fold at %d, raft's side at %d, want 4", at.Index, m.at.Index)
	}
	if err := f.Feed(alerts.Hash{}, 5, alerts.Hash{}, list[5:]); !errors.Is(err, errGap) || f.Err() != nil {
		t.Errorf("a gap: %v; the record stands still: %v", err, f.Err())
	}
	if err := log(m, batch{Base: 4, Chain: m.at.Chain, Entries: list[4:]}); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(heard) != "[1 2 3 4 5 6]" {
		t.Errorf("watchers heard %v", heard)
	}

	// a snapshot brings another station to the same place, whatever it had already
	var s sink
	snap, err := m.Snapshot()
	if err == nil {
		err = snap.Persist(&s)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, had := range []int{0, 3, 6} {
		g := newTestFold(t)
		if err := g.Feed(alerts.Hash{}, 0, alerts.Hash{}, list[:had]); err != nil {
			t.Fatal(err)
		}
		n := &fsm{fold: g, at: Head{Epoch: firstEpoch}}
		if err := n.Restore(io.NopCloser(bytes.NewReader(s.Bytes()))); err != nil || g.Head() != f.Head() || n.at != f.Head() || g.state.Hash() != f.state.Hash() {
			t.Errorf("with %d entries: %v, at %d", had, err, g.Head().Index)
		}
	}

	// another entry in a place taken stops the record, and only that
	if err := f.Verify(Head{Epoch: firstEpoch, Index: 3, Chain: alerts.Hash{1}}); !errors.Is(err, ErrDiverged) || !errors.Is(f.Err(), ErrDiverged) {
		t.Errorf("another chain: %v", err)
	}
	if _, err := m.Snapshot(); err == nil {
		t.Error("a record that stands still let raft drop its logs")
	}
}

func TestEntriesUponAnotherRecordAreNotTaken(t *testing.T) {
	list := rawEntries(t, signer(t), 5)
	f := newTestFold(t)
	if err := f.Feed(alerts.Hash{}, 0, alerts.Hash{}, list[:3]); err != nil {
		t.Fatal(err)
	}
	err := f.Feed(alerts.Hash{}, 3, alerts.Hash{1}, list[3:])
	if !errors.Is(err, ErrDiverged) || !errors.Is(f.Err(), ErrDiverged) || f.Head().Index != 3 {
		t.Errorf("entries upon another record: %v; at %d, stands still: %v", err, f.Head().Index, f.Err())
	}
}

// TestASnapshotKnowsWhatItHolds: what comes again after a restore counts no second time, neither where the whole
// record came by the snapshot nor where it lay here before.
func TestASnapshotKnowsWhatItHolds(t *testing.T) {
	list := rawEntries(t, signer(t), 4)
	f := newTestFold(t)
	m := &fsm{fold: f, at: Head{Epoch: firstEpoch}}
	data, err := batch{Version: batchVersion, Entries: list}.encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Apply(&raft.Log{Data: data}); err != nil {
		t.Fatal(err)
	}
	var s sink
	if err := (snapshot{f, m.at}).write(&s); err != nil {
		t.Fatal(err)
	}
	for _, had := range []int{0, len(list)} {
		g := newTestFold(t)
		if err := g.Feed(alerts.Hash{}, 0, alerts.Hash{}, list[:had]); err != nil {
			t.Fatal(err)
		}
		if err := (&fsm{fold: g, at: Head{Epoch: firstEpoch}}).Restore(io.NopCloser(bytes.NewReader(s.Bytes()))); err != nil {
			t.Fatal(err)
		}
		knowsAll(t, g, list, "snapshot")
	}
}

// TestARestartKnowsWhatItHolds: the same of what is folded from the disk.
func TestARestartKnowsWhatItHolds(t *testing.T) {
	list := rawEntries(t, signer(t), 4)
	f := newTestFold(t)
	if err := f.Feed(alerts.Hash{}, 0, alerts.Hash{}, list); err != nil {
		t.Fatal(err)
	}
	if err := f.store.Settle(); err != nil {
		t.Fatal(err)
	}
	again, err := newFold(cellID, f.store)
	if err != nil || again.Head() != f.Head() {
		t.Fatalf("%v; at %d", err, again.Head().Index)
	}
	knowsAll(t, again, list, "disk")
}

// knowsAll hands the fold each entry again, which came to it from there.
func knowsAll(t *testing.T, f *fold, list [][]byte, there string) {
	t.Helper()
	for _, b := range list {
		e, err := wire.DecodeEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		before := f.state.Hash()
		if v := rules().Judge(f.state, e.Event, alerts.Standing{}, e.At); v.Code != alerts.Duplicate {
			t.Errorf("entry %d of the %s comes again and is %v", e.Index, there, v.Code)
		}
		if f.state.Apply(e); f.state.Hash() != before {
			t.Errorf("entry %d of the %s counts twice", e.Index, there)
		}
	}
}

const childEnv = "HIVEMESH_RECORD_CHILD"

// child writes logs and entries until it is killed, and says after each that it is kept.
func child() bool {
	dir := os.Getenv(childEnv)
	if dir == "" {
		return false
	}
	l, err := openTestLogs(dir, func(error) { os.Exit(3) })
	if err != nil {
		os.Exit(4)
	}
	s, err := openStore(nil, cellID, filepath.Join(dir, "record.db"), zap.NewNop(), storeWatch{})
	if err != nil {
		os.Exit(5)
	}
	var chain alerts.Hash
	for i := uint64(1); ; i++ {
		chain = wire.Chain(chain, key(i))
		if l.StoreLogs(logs(i, i)) != nil || l.SetUint64([]byte("CurrentTerm"), i) != nil || s.Append([]Raw{{Index: i, Bytes: key(i), Chain: chain}}) != nil || s.Settle() != nil {
			os.Exit(6)
		}
		fmt.Println(i)
	}
}

func TestWhatWasSaidToBeKeptSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kept := uint64(0)
	for r := bufio.NewScanner(out); r.Scan(); {
		if kept, err = strconv.ParseUint(strings.TrimSpace(r.Text()), 10, 64); err != nil {
			t.Fatal(err)
		}
		if kept == 50 {
			cmd.Process.Kill() // SIGKILL; what it still says until then counts as well
		}
	}
	cmd.Wait()
	if kept < 50 {
		t.Fatalf("the child ended after %d", kept)
	}
	l, err := openTestLogs(dir, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := openStore(nil, cellID, filepath.Join(dir, "record.db"), zap.NewNop(), storeWatch{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	last, _ := l.LastIndex()
	term, _ := l.GetUint64([]byte("CurrentTerm"))
	entries, err := s.Read(1, 1<<20, 1<<30)
	if err != nil || last < kept || term < kept || uint64(len(entries)) < kept {
		t.Errorf("said %d; log %d, term %d, record %d, %v", kept, last, term, len(entries), err)
	}
}
