//go:build linux

package faultfs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// mount gives a folder below and its mount.
func mount(t *testing.T, plan func(Op) Fault) (f *FS, below, at string) {
	t.Helper()
	below, at = filepath.Join(t.TempDir(), "below"), filepath.Join(t.TempDir(), "at")
	for _, d := range []string{below, at} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Mount(below, at, plan)
	if errors.Is(err, ErrNoFUSE) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Unmount() })
	return f, below, at
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func syncDir(t *testing.T, dir string) {
	t.Helper()
	d, err := os.Open(dir)
	must(t, err)
	must(t, errors.Join(d.Sync(), d.Close()))
}

// A power cut takes what was not fsynced, of content and of names, and nothing else.
func TestAPowerCutTakesWhatWasNotSynced(t *testing.T) {
	f, below, at := mount(t, nil)
	path := func(name string) string { return filepath.Join(at, name) }
	file, err := os.Create(path("kept"))
	must(t, err)
	_, err = file.WriteAt(bytes.Repeat([]byte("a"), 10000), 0)
	must(t, errors.Join(err, file.Sync()))
	syncDir(t, at)
	_, err = file.WriteAt([]byte("bbbb"), 4094) // over two pages, and not synced
	must(t, err)
	must(t, file.Truncate(20000))
	must(t, os.WriteFile(path("no name"), []byte("x"), 0o600))
	must(t, os.WriteFile(path("old"), []byte("old"), 0o600))
	syncDir(t, at)
	must(t, os.Remove(path("no name")))
	must(t, os.WriteFile(path("new"), []byte("new"), 0o600))
	must(t, os.Rename(path("new"), path("old")))
	must(t, os.Mkdir(path("folder"), 0o700))
	must(t, f.CutPower())
	if _, err := file.WriteAt([]byte("c"), 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("written after the power had gone: %v", err)
	}
	file.Close()
	b, err := os.ReadFile(filepath.Join(below, "kept"))
	if err != nil || !bytes.Equal(b, bytes.Repeat([]byte("a"), 10000)) {
		t.Errorf("what was synced: %d bytes, %v", len(b), err)
	}
	// the names of old and "no name" were synced, their content was not
	for _, name := range []string{"old", "no name"} {
		if b, err := os.ReadFile(filepath.Join(below, name)); err != nil || len(b) != 0 {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for _, name := range []string{"new", "folder"} {
		if _, err := os.Stat(filepath.Join(below, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A folder that is filled, given its name and only then kept by an fsync of the one above, as raft makes its
// snapshots, is there after a power cut with what was fsynced in it.
func TestAPowerCutAfterAFolderGotItsName(t *testing.T) {
	f, below, at := mount(t, nil)
	must(t, os.Mkdir(filepath.Join(at, "x.tmp"), 0o700))
	file, err := os.Create(filepath.Join(at, "x.tmp", "state"))
	must(t, err)
	_, err = file.WriteString("kept")
	must(t, errors.Join(err, file.Sync(), file.Close()))
	must(t, os.Rename(filepath.Join(at, "x.tmp"), filepath.Join(at, "x")))
	syncDir(t, at)
	must(t, f.CutPower())
	if b, err := os.ReadFile(filepath.Join(below, "x", "state")); err != nil || string(b) != "kept" {
		t.Errorf("%q, %v", b, err)
	}
}

// An fsync that failed has lost what it was to save: the next one, which works, does not bring it back.
func TestAFailedSyncLosesWhatItWasToSave(t *testing.T) {
	syncs := 0
	f, below, at := mount(t, func(op Op) Fault {
		if op.Kind == Sync {
			if syncs++; syncs == 2 {
				return EIO
			}
		}
		return None
	})
	file, err := os.Create(filepath.Join(at, "x"))
	must(t, err)
	defer file.Close()
	write := func(s string, at int64) { _, err := file.WriteAt([]byte(s), at); must(t, err) }
	write("one", 0)
	write("one", page)
	must(t, file.Sync())
	syncDir(t, at)
	write("two", 0)
	write("two", page)
	if err := file.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("the second fsync: %v", err)
	}
	write("two", page) // once more
	must(t, file.Sync())
	must(t, f.CutPower())
	b, err := os.ReadFile(filepath.Join(below, "x"))
	must(t, err)
	if string(b[:3]) != "one" || string(b[page:page+3]) != "two" {
		t.Errorf("%q and %q", b[:3], b[page:page+3])
	}
	if n := f.Bit()[EIO]; n != 1 {
		t.Errorf("%d faults", n)
	}
}

// A torn power cut leaves sectors whole, each old or new.
func TestATornWriteTearsBetweenSectors(t *testing.T) {
	seen := map[byte]int{}
	f, below, at := mount(t, nil)
	f.Tear(1)
	file, err := os.Create(filepath.Join(at, "x"))
	must(t, err)
	defer file.Close()
	_, err = file.WriteAt(bytes.Repeat([]byte("a"), 4*page), 0)
	must(t, errors.Join(err, file.Sync()))
	syncDir(t, at)
	_, err = file.WriteAt(bytes.Repeat([]byte("b"), 4*page), 0)
	must(t, errors.Join(err, f.CutPower()))
	b, err := os.ReadFile(filepath.Join(below, "x"))
	must(t, err)
	for i := 0; i < len(b); i += sector {
		if !bytes.Equal(b[i:i+sector], bytes.Repeat(b[i:i+1], sector)) {
			t.Errorf("sector %d is neither", i/sector)
		}
		seen[b[i]]++
	}
	if seen['a'] == 0 || seen['b'] == 0 {
		t.Errorf("%v: not torn", seen)
	}
}

func TestEachFaultAtItsOperation(t *testing.T) {
	for fault, want := range map[Fault]error{EIO: syscall.EIO, ENOSPC: syscall.ENOSPC, PowerCut: syscall.EIO, Short: nil} {
		f, below, at := mount(t, Nth(2, fault)) // create, write
		file, err := os.Create(filepath.Join(at, "x"))
		must(t, err)
		n, err := syscall.Pwrite(int(file.Fd()), []byte("1234"), 0)
		if want != nil && !errors.Is(err, want) || want == nil && (err != nil || n != 2) {
			t.Errorf("%v: %d written, %v", fault, n, err)
		}
		file.Close()
		_, err = os.Stat(filepath.Join(below, "x"))
		if (fault == PowerCut) != errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v: afterwards %v", fault, err)
		}
		if f.Ops() < 2 || f.Bit()[fault] != 1 {
			t.Errorf("%v: %d operations, bit %v", fault, f.Ops(), f.Bit())
		}
	}
}
