package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"
)

// rotten is a disk that has lost a bit of a file, until it is written to.
type rotten struct {
	direct
	at    int64
	write int64 // of the file when it rotted
	err   error // instead of the bit
	path  string
}

func (r *rotten) ReadAt(b []byte, at int64) (int, error) {
	n, err := r.direct.ReadAt(b, at)
	info, e := os.Stat(r.path)
	if e != nil || info.ModTime().UnixNano() != r.write || r.at < at || r.at >= at+int64(n) {
		return n, err
	}
	if r.err != nil {
		return 0, r.err
	}
	b[r.at-at] ^= 1
	return n, err
}

// refreshed runs one whole look and says what it told.
func refreshed(b *DB) (rewritten int, err error) {
	b.Refresh(RefreshBytes, func(n int, e error) { rewritten, err = n, e })
	b.refresh.wg.Wait()
	return rewritten, err
}

func openToRefresh(t *testing.T) (*DB, string) {
	t.Helper()
	dir := t.TempDir()
	d := Open(dir, nil, zap.NewNop())
	t.Cleanup(func() { d.Close() })
	path := filepath.Join(dir, "x.db")
	b, err := d.Open("record", "c", path, bucket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if f, err := openDirect(path); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the file system of the temporary folder has no way past the kernel's memory")
	} else if err == nil {
		f.Close()
	}
	return b, path
}

// A bit flips, or a sector goes, below a page that the kernel has in memory: it is written again, once.
func TestWhatRotsBelowAGoodPageIsWrittenAgain(t *testing.T) {
	for _, bad := range []error{nil, syscall.EIO} {
		b, path := openToRefresh(t)
		for k := range 100 {
			if err := put(b, fmt.Sprint("key ", k)); err != nil {
				t.Fatal(err)
			}
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := refreshed(b); n != 0 || err != nil {
			t.Errorf("a good disk: %d rewritten, %v", n, err)
		}
		was, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b.refresh.open = func(p string) (direct, error) {
			f, err := openDirect(p)
			return &rotten{direct: f, at: 9000, write: info.ModTime().UnixNano(), err: bad, path: p}, err
		}
		if n, err := refreshed(b); n != 1 || err != nil {
			t.Errorf("%v: %d rewritten, %v, want the one", bad, n, err)
		}
		if n, err := refreshed(b); n != 0 || err != nil {
			t.Errorf("afterwards: %d rewritten, %v", n, err)
		}
		if is, err := os.ReadFile(path); err != nil || string(is) != string(was) {
			t.Errorf("the file is not as it was: %v", err)
		}
	}
}

// Comparing beside writes finds nothing wrong and breaks nothing.
func TestRefreshingBesideWrites(t *testing.T) {
	b, _ := openToRefresh(t)
	for k := range 200 {
		b.Refresh(RefreshBytes, func(n int, err error) { t.Errorf("%d rewritten, %v", n, err) })
		if err := b.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket(bucket).Put(fmt.Append(nil, "key ", k), make([]byte, 3000))
		}); err != nil {
			t.Fatal(err)
		}
	}
	b.refresh.wg.Wait()
	if err := b.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			return err
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
