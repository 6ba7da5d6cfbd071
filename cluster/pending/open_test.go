package pending_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/pending"
	"hivemesh/cluster/wire"
)

// filled is a file with n kept events.
func filled(t *testing.T, n int) (path string, events []alerts.Event) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pending.db")
	s, id := openSet(t, path), identity(t, authority(t), "xinzhuang")
	for i := range n {
		e := sign(t, id, i, "x")
		s.Put(e)
		events = append(events, e)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path, events
}

// openLogged opens a set and gives the errors that it logged.
func openLogged(t *testing.T, path string) (*pending.Set, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.ErrorLevel)
	s, err := pending.OpenSet(nil, path, wire.DecodeEvent, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	return s, logs
}

func TestDamagedEventIsReportedAndNotShown(t *testing.T) {
	path, events := filled(t, 3)
	flipped, renamed, good := events[0], events[1], events[2]
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("events"))
		raw := bytes.Clone(flipped.Raw)
		raw[bytes.IndexByte(raw, 'x')] ^= 2 // one bit, in the words of the note or before them
		if err := b.Put(flipped.ID[:], raw); err != nil {
			return err
		}
		if err := b.Delete(renamed.ID[:]); err != nil {
			return err
		}
		return b.Put(bytes.Repeat([]byte{7}, 32), renamed.Raw)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, logs := openLogged(t, path)
	defer s.Close()
	if l := s.List(cell); len(l) != 1 || l[0].ID != good.ID {
		t.Errorf("%d events are shown, want the good one", len(l))
	}
	if l := logs.All(); len(l) != 1 || l[0].ContextMap()["events"] != int64(2) {
		t.Errorf("logged %v, want one line about two events", l)
	}
}

func TestDamagedFileIsPutAsideAndTheStationStarts(t *testing.T) {
	const page = 4096
	for name, damage := range map[string]func(b, last []byte) []byte{
		"the page of the last event": func(b, last []byte) []byte {
			for i := bytes.Index(b, last); i >= 0; i = bytes.Index(b, last) { // older copies, too
				copy(b[i/page*page:], bytes.Repeat([]byte{0xa5}, page))
			}
			return b
		},
		"pages": func(b, _ []byte) []byte { // every third one: some are in use
			for i := 2 * page; i+page <= len(b); i += 3 * page {
				copy(b[i:], bytes.Repeat([]byte{0xa5}, page))
			}
			return b
		},
		"both heads": func(b, _ []byte) []byte { clear(b[:2*page]); return b },
		"cut short":  func(b, _ []byte) []byte { return b[:page/2] },
	} {
		t.Run(name, func(t *testing.T) {
			path, events := filled(t, 500)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			last := slices.MaxFunc(events, func(a, b alerts.Event) int { return bytes.Compare(a.ID[:], b.ID[:]) })
			if err := os.WriteFile(path, damage(b, last.Raw), 0o600); err != nil {
				t.Fatal(err)
			}
			s, logs := openLogged(t, path)
			if logs.Len() != 1 {
				t.Errorf("logged %v, want one line", logs.All())
			}
			if aside, _ := filepath.Glob(path + ".damaged-*"); len(aside) != 1 {
				t.Errorf("the damaged file is not there any more: %v", aside)
			}
			read := s.Count(cell)
			if name == "the page of the last event" && (read < len(events)/2 || read == len(events)) {
				t.Errorf("%d of %d events were read past the damage", read, len(events))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s = openSet(t, path); s.Count(cell) != read {
				t.Errorf("%d were read, and %d of them kept anew", read, s.Count(cell))
			}
			added := 0
			for _, e := range events { // as the others would bring them
				kept, isNew := s.Put(e)
				if err := <-kept; err != nil {
					t.Fatal(err)
				}
				if isNew {
					added++
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s, logs = openLogged(t, path)
			defer s.Close()
			if read+added != len(events) || s.Count(cell) != len(events) || logs.Len() != 0 {
				t.Errorf("read %d, added %d, then %d of %d are kept, logged %v", read, added, s.Count(cell), len(events), logs.All())
			}
		})
	}
}

func TestOpeningWritesNothing(t *testing.T) {
	path, _ := filled(t, 1)
	s := openSet(t, path)
	before := s.Commits(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSet(t, path) // as it would have to on a full disk
	defer s.Close()
	if n := s.Commits(t); n != before {
		t.Errorf("%d commits by opening, want 0", n-before)
	}
}

func all(disk.Op) bool { return true }

// Full, read-only or broken at the start: the station opens, shows what can be read, and keeps when it can.
func TestBadDiskAtTheStartKeepsNobodyFromOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, events := filled(t, 3)
		var bad disk.Trouble
		bad.Fail(syscall.EIO, all)
		s := openSetOn(t, disk.Bad(bad.Faults()), path)
		reloads := 0
		s.WatchReload(func() { reloads++ })
		fresh := sign(t, identity(t, authority(t), "post"), 9, "fresh")
		kept, _ := s.Put(fresh)
		if err := <-kept; err == nil || !s.Has(fresh.ID) || s.Kept(fresh.ID) {
			t.Errorf("answered %v", err)
		}
		s.Remove(cell, []alerts.Hash{fresh.ID})
		kept, _ = s.Put(events[0]) // heard of from another station: it is on disk, and cannot be read
		<-kept
		bad.Heal()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s.Count(cell) != 3 || !s.Kept(events[0].ID) || !s.Kept(events[2].ID) || s.Has(fresh.ID) || reloads != 1 {
			t.Errorf("on the mended disk %d of 3 events are there, %d reloads", s.Count(cell), reloads)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openSet(t, path)
		defer s.Close()
		if s.Count(cell) != 3 {
			t.Errorf("opened again, %d of 3 events are there", s.Count(cell))
		}
	})
}

func TestClosingDoesNotWaitForAHungDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, _ := filled(t, 0)
		var bad disk.Trouble
		s := openSetOn(t, disk.Bad(bad.Faults()), path)
		bad.Hang(disk.Writing())
		e := sign(t, identity(t, authority(t), "post"), 1, "x")
		s.Put(e)
		start := time.Now()
		if err := s.Close(); !errors.Is(err, disk.ErrHangs) || time.Since(start) > 10*time.Second {
			t.Errorf("closed after %v with %v", time.Since(start), err)
		}
		bad.Heal()
		synctest.Wait()
		s = openSet(t, path)
		defer s.Close()
		if !s.Kept(e.ID) {
			t.Error("the disk answered after all, and the event is not there")
		}
	})
}

// Three input/output errors in a row: everything goes into a new file.
func TestAFileThatTakesNoMoreWritesIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, events := filled(t, 3)
		var bad disk.Trouble
		fails := 0
		bad.Fail(syscall.EIO, func(op disk.Op) bool { // the old file's blocks are bad, not the new one's
			if op.Do == disk.Writes && fails < 3 {
				fails++
				return true
			}
			return false
		})
		s := openSetOn(t, disk.Bad(bad.Faults()), path)
		e := sign(t, identity(t, authority(t), "post"), 9, "x")
		s.Put(e)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if !s.Kept(e.ID) || !s.Kept(events[1].ID) || s.Err() != nil {
			t.Errorf("not kept in a new file: %v", s.Err())
		}
		if aside, _ := filepath.Glob(path + ".damaged-*"); len(aside) != 1 {
			t.Errorf("the old file is not there any more: %v", aside)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openSet(t, path)
		defer s.Close()
		if s.Count(cell) != 4 {
			t.Errorf("opened again, %d of 4 events are there", s.Count(cell))
		}
	})
}

// A power cut between the two renames of renew.
func TestThePowerFailsWhileANewFileTakesOver(t *testing.T) {
	path, _ := filled(t, 3)
	if err := os.Rename(path, path+".new"); err != nil {
		t.Fatal(err)
	}
	s := openSet(t, path)
	defer s.Close()
	if s.Count(cell) != 3 {
		t.Errorf("%d of 3 events are there", s.Count(cell))
	}
}

func TestScrubbingFindsWhatRotsOnDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, events := filled(t, 3)
		s := openSet(t, path)
		var told []bool
		s.WatchKept(func(_ alerts.Hash, kept bool) { told = append(told, kept) })
		s.Rot(t, events[1].ID)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if !slices.Equal(told, []bool{false, true}) || !s.Kept(events[1].ID) {
			t.Errorf("told %v", told)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, logs := openLogged(t, path)
		defer s.Close()
		if s.Count(cell) != 3 || logs.Len() != 0 {
			t.Errorf("%d of 3 events are there, logged %v", s.Count(cell), logs.All())
		}
	})
}
