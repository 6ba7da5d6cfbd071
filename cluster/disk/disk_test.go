package disk

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bucket = []byte("b")

func put(b *DB, k string) error {
	return b.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(k), []byte("v")) })
}

func has(t *testing.T, b *DB, k string) (yes bool) {
	t.Helper()
	if err := b.View(func(tx *bbolt.Tx) error { yes = tx.Bucket(bucket).Get([]byte(k)) != nil; return nil }); err != nil {
		t.Fatal(err)
	}
	return yes
}

// A full disk: the ballast goes, the write is tried again, and when there is room the ballast comes back.
func TestBallastMakesRoomForWhatMatters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var bad Trouble
		leave := func(free uint64) { bad.Leave(func() uint64 { return free }) }
		leave(4 << 30)
		d := Open(dir, bad.Faults(), zap.NewNop())
		defer d.Close()
		ballast := func() bool { return reserved(filepath.Join(dir, ballastFile)) >= BallastSize }
		b, err := d.Open("record", "c", filepath.Join(dir, "x.db"), bucket)
		if err != nil || !ballast() || d.Space().Level != Roomy {
			t.Fatalf("%v, ballast %v, %+v", err, ballast(), d.Space())
		}
		defer b.Close()
		full := func(op Op) bool { return op.Do == Writes && ballast() }
		leave(0)
		bad.Fail(syscall.ENOSPC, full)
		if err := put(b, "alarm"); err != nil || ballast() || d.Space().Ballast || d.Space().Failed != 1 || !has(t, b, "alarm") {
			t.Errorf("%v, ballast %v, %+v", err, ballast(), d.Space())
		}
		bad.Fail(syscall.ENOSPC, Writing())
		if err := put(b, "more"); !errors.Is(err, syscall.ENOSPC) || has(t, b, "more") {
			t.Errorf("no ballast left: %v", err)
		}
		for _, at := range []struct {
			free    uint64
			level   Level
			ballast bool
		}{{YieldBelow - 1, Yield, false}, {ShedBelow - 1, Shed, true}, {LowBelow - 1, Low, true}, {LowBelow, Roomy, true}} {
			leave(at.free)
			time.Sleep(lookEvery)
			synctest.Wait()
			if s := d.Space(); s.Level != at.level || s.Ballast != at.ballast || ballast() != at.ballast {
				t.Errorf("%d free: %+v, want %+v", at.free, s, at)
			}
		}
		bad.Heal()
		if err := put(b, "more"); err != nil || !has(t, b, "more") {
			t.Errorf("room again: %v", err)
		}
	})
}

func TestSmallDisksHaveSmallerMarks(t *testing.T) {
	const small = 200 << 20
	for free, want := range map[uint64]Level{30 << 20: Roomy, 15 << 20: Low, 8 << 20: Shed, 3 << 20: Yield} {
		if got := levelOf(free, small); got != want {
			t.Errorf("%d MiB of 200 free: %s, want %s", free>>20, got, want)
		}
	}
}

// What bbolt says of a file's content is damage; what the disk says is not.
func TestAFileCutOffIsDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, []byte("cut off"), 0o600); err != nil {
		t.Fatal(err)
	}
	var d *Disk
	if _, err := d.Open("record", "c", path, bucket); !errors.Is(err, ErrDamaged) {
		t.Errorf("cut off: %v", err)
	}
	if _, err := d.Open("record", "c", filepath.Join(path, "x.db"), bucket); err == nil || errors.Is(err, ErrDamaged) {
		t.Errorf("no folder: %v", err)
	}
}

func TestAnotherProcessHasTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	var d *Disk
	b, err := d.Open("record", "c", path, bucket)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := d.Open("record", "c", path, bucket); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
}

// A page that cannot be read in the midst of a write may leave bbolt's lock taken: nobody waits for it.
func TestABadPageEndsNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	var d *Disk
	b, err := d.Open("record", "c", path, bucket)
	if err == nil {
		for _, k := range []string{"a", "b", "c"} {
			err = errors.Join(err, put(b, k))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(2*os.Getpagesize())); err != nil { // reads beyond are SIGBUS
		t.Fatal(err)
	}
	if err := b.View(func(tx *bbolt.Tx) error { tx.Bucket(bucket).Get([]byte("a")); return nil }); !errors.Is(err, ErrDamaged) {
		t.Errorf("read: %v", err)
	}
	for range 2 {
		if err := put(b, "d"); !errors.Is(err, ErrDamaged) {
			t.Errorf("write: %v", err)
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestClosingAHungFileIsGivenUp(t *testing.T) {
	b, err := (*Disk)(nil).Open("record", "c", filepath.Join(t.TempDir(), "x.db"), bucket)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := b.db.Begin(true) // as a transaction whose fsync hangs
	if err != nil {
		t.Fatal(err)
	}
	b.late = time.Millisecond
	if err := b.Close(); !errors.Is(err, ErrHangs) {
		t.Errorf("closed with %v", err)
	}
	tx.Rollback()
}
