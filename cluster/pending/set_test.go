package pending_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/pending"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

// childDir tells this binary to be the station that is going to be killed.
const childDir = "HIVEMESH_PENDING_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		victim(dir)
	}
	goleak.VerifyTestMain(m)
}

const cell = "yongqing"

func authority(t testing.TB) *trust.Authority {
	t.Helper()
	a, err := trust.NewAuthority("yongqing", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func identity(t testing.TB, a *trust.Authority, s alerts.StationID) *trust.Identity {
	t.Helper()
	id, err := a.NewStation(trust.Who{Cell: cell, Kind: alerts.Village, Station: s})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// sign makes a note about the incident with this number.
func sign(t testing.TB, id *trust.Identity, incident int, words string) alerts.Event {
	t.Helper()
	return signed(t, id, alerts.Event{Kind: alerts.KindNote, Body: &alerts.Note{Words: words}}, incident)
}

func signed(t testing.TB, id *trust.Identity, e alerts.Event, incident int) alerts.Event {
	t.Helper()
	e.Cell, e.Incident, e.Actor = cell, incidentID(incident), "li"
	e.Prev, e.At = []alerts.Hash{{1}}, time.UnixMilli(1700000000000).UTC()
	e, err := id.Sign(e)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func incidentID(n int) alerts.IncidentID {
	return alerts.IncidentID(uuid.NewSHA1(uuid.NameSpaceOID, []byte(fmt.Sprint(n))).String())
}

func openSet(t testing.TB, path string) *pending.Set { return openSetOn(t, nil, path) }

func openSetOn(t testing.TB, d *disk.Disk, path string) *pending.Set {
	t.Helper()
	s, err := pending.OpenSet(d, path, wire.DecodeEvent, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSetShowsAtOnceAndForgetsOnlyWhatIsRemoved(t *testing.T) {
	path, id := filepath.Join(t.TempDir(), "pending.db"), identity(t, authority(t), "xinzhuang")
	s := openSet(t, path)
	var heard []string
	s.Watch(func(e alerts.Event, added bool) {
		heard = append(heard, fmt.Sprintf("%s %t", e.Body.(*alerts.Note).Words, added))
	})
	a, b, c := sign(t, id, 1, "a"), sign(t, id, 1, "b"), sign(t, id, 2, "c")
	for _, e := range []alerts.Event{a, b, c} {
		kept, added := s.Put(e)
		if !added || !s.Has(e.ID) {
			t.Error("a new event is not there")
		}
		if err := <-kept; err != nil || !s.Kept(e.ID) {
			t.Errorf("not kept: %v", err)
		}
	}
	if kept, added := s.Put(a); added || <-kept != nil {
		t.Error("a known event was added again, or is not kept")
	}
	var xor alerts.Hash
	for i := range xor {
		xor[i] = a.ID[i] ^ b.ID[i] ^ c.ID[i]
	}
	if s.Sum(cell) != xor || s.Count(cell) != 3 || len(s.List(cell)) != 3 || len(s.Of(cell, a.Incident)) != 2 {
		t.Error("sum, count or lists are wrong")
	}
	s.Remove("elsewhere", []alerts.Hash{a.ID})
	s.Remove(cell, []alerts.Hash{b.ID, c.ID, {9}})
	if want := []string{"a true", "b true", "c true", "b false", "c false"}; !slices.Equal(heard, want) {
		t.Errorf("heard %q", heard)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if kept, added := s.Put(b); added || !errors.Is(<-kept, pending.ErrClosed) {
		t.Error("a closed set took an event")
	}
	s = openSet(t, path)
	defer s.Close()
	if l := s.List(cell); len(l) != 1 || l[0].ID != a.ID || s.Sum(cell) != a.ID || !s.Kept(a.ID) {
		t.Errorf("after opening again: %v", l)
	}
}

func TestHungDiskHoldsNobodyUpAndThenWritesAllAtOnce(t *testing.T) {
	var bad disk.Trouble
	s, id := openSetOn(t, disk.Bad(bad.Faults()), filepath.Join(t.TempDir(), "pending.db")), identity(t, authority(t), "xinzhuang")
	defer s.Close()
	before := s.Commits(t)
	bad.Hang(disk.Writing())
	var waits []<-chan error
	for i := range 200 {
		kept, _ := s.Put(sign(t, id, i, "x"))
		waits = append(waits, kept)
	}
	if s.Count(cell) != 200 || s.Kept(s.List(cell)[0].ID) {
		t.Error("not visible, or called kept, while the disk hangs")
	}
	bad.Heal()
	for _, w := range waits {
		if err := <-w; err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Commits(t) - before; n > 2 {
		t.Errorf("%d commits for 200 events that waited together", n)
	}
}

func TestFailedWriteIsToldAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bad disk.Trouble
		s, id := openSetOn(t, disk.Bad(bad.Faults()), filepath.Join(t.TempDir(), "pending.db")), identity(t, authority(t), "xinzhuang")
		defer s.Close()
		var told []bool
		s.WatchKept(func(_ alerts.Hash, kept bool) { told = append(told, kept) })
		bad.Fail(syscall.ENOSPC, disk.Writing("pending"))
		e, gone := sign(t, id, 1, "a"), sign(t, id, 2, "b")
		kept, added := s.Put(e)
		if !added || <-kept == nil || !s.Has(e.ID) || s.Kept(e.ID) {
			t.Error("a broken disk: the event is to be there, and said not to be kept")
		}
		s.Put(gone)
		s.Remove(cell, []alerts.Hash{gone.ID})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s.Err() == nil || len(told) > 0 {
			t.Errorf("while it fails: trouble %v, told %v", s.Err(), told)
		}
		bad.Heal()
		time.Sleep(time.Second)
		synctest.Wait()
		if !s.Kept(e.ID) || s.Has(gone.ID) || s.Err() != nil || len(told) != 1 || !told[0] {
			t.Errorf("a mended disk is not used: trouble %v, told %v", s.Err(), told)
		}
	})
}

// A disk that fails each time is tried again once a second, also while a new file is begun for it.
func TestADiskThatFailsIsNotTriedWithoutAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bad disk.Trouble
		s, id := openSetOn(t, disk.Bad(bad.Faults()), filepath.Join(t.TempDir(), "pending.db")), identity(t, authority(t), "xinzhuang")
		defer s.Close()
		bad.Fail(syscall.EIO, func(disk.Op) bool { return true })
		kept, _ := s.Put(sign(t, id, 1, "a"))
		<-kept
		time.Sleep(20 * time.Second)
		synctest.Wait()
		tries := 0
		for _, n := range bad.Bit() {
			tries += int(n)
		}
		if tries < 10 || tries > 100 {
			t.Errorf("tried %d times in 20 s", tries)
		}
		bad.Heal()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s.Err() != nil || len(s.List(cell)) != 1 || !s.Kept(s.List(cell)[0].ID) {
			t.Errorf("the disk is well again: %v", s.Err())
		}
	})
}

// victim puts events for ever and says which are kept.
func victim(dir string) {
	a, err := trust.NewAuthority("yongqing", dir)
	if err != nil {
		panic(err)
	}
	id, err := a.NewStation(trust.Who{Cell: cell, Kind: alerts.Village, Station: "victim"})
	if err != nil {
		panic(err)
	}
	s, err := pending.OpenSet(nil, filepath.Join(dir, "pending.db"), wire.DecodeEvent, zap.NewNop())
	if err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		e, err := id.Sign(alerts.Event{Cell: cell, Incident: incidentID(i), Kind: alerts.KindNote, Body: &alerts.Note{Words: "x"}})
		if err != nil {
			panic(err)
		}
		kept, _ := s.Put(e)
		go func() {
			if <-kept == nil {
				fmt.Println(e.ID)
			}
		}()
		if i%8 == 0 {
			again, _ := s.Put(e) // the loop must not outrun the disk without bound
			<-again
		}
	}
}

func TestKillNineLosesNothingThatWasKept(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var kept []alerts.Hash
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var h alerts.Hash
		if len(lines.Text()) == 64 && h.UnmarshalText(lines.Bytes()) == nil {
			kept = append(kept, h)
		}
		if len(kept) == 300 {
			cmd.Process.Kill() // what it said before it died still counts
		}
	}
	cmd.Wait()
	if len(kept) < 300 {
		t.Fatalf("only %d were kept before the end", len(kept))
	}
	s := openSet(t, filepath.Join(dir, "pending.db"))
	defer s.Close()
	for _, h := range kept {
		if !s.Kept(h) {
			t.Errorf("%s was kept and is lost", h.Short())
		}
	}
}
