package disk

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// used is a file with two buckets, one inline, one of several levels, and pages that were freed; the same in
// every process.
func used(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "used.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistArrayType, PageSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 40 {
		err = db.Update(func(tx *bbolt.Tx) error {
			small, err := tx.CreateBucketIfNotExists([]byte("small"))
			if err != nil {
				return err
			}
			if err := small.Put([]byte("a"), []byte{byte(n)}); err != nil {
				return err
			}
			many, err := tx.CreateBucketIfNotExists([]byte("many"))
			if err != nil {
				return err
			}
			for k := range 10 {
				if err := many.Put(fmt.Appendf(nil, "%03d", 10*n+k), bytes.Repeat([]byte{byte(n)}, 300+n)); err != nil {
					return err
				}
			}
			return many.Put([]byte("big"), bytes.Repeat([]byte{1}, 9000))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func soundOf(t testing.TB, b []byte) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return sound(path)
}

func TestShapeOfAFile(t *testing.T) {
	good := used(t)
	if err := soundOf(t, good); err != nil {
		t.Fatalf("a good file: %v", err)
	}
	s, err := shapeOf(bytes.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.walk(s.root, span{}, nil); err != nil {
		t.Fatal(err)
	}
	branch := uint64(0)
	for id := range s.seen {
		if native.Uint16(good[id*4096+8:]) == kindBranch {
			branch = id
		}
	}
	for _, c := range []struct {
		what string
		do   func(b []byte) []byte
	}{
		{"a branch that points at itself", func(b []byte) []byte {
			native.PutUint64(b[branch*4096+pageHead+8:], branch)
			return b
		}},
		{"a page whose first key is another than above", func(b []byte) []byte {
			native.PutUint16(b[branch*4096+pageHead+elementSize+4:], 2) // "000" of its second child becomes "00"
			return b
		}},
		{"a free page that is in use", func(b []byte) []byte {
			native.PutUint64(b[s.freelist*4096+pageHead:], s.root)
			return b
		}},
		{"more free pages than fit", func(b []byte) []byte {
			native.PutUint16(b[s.freelist*4096+10:], 0xFFFF)
			native.PutUint64(b[s.freelist*4096+pageHead:], 1<<40)
			return b
		}},
		{"a root of another kind", func(b []byte) []byte { b[s.root*4096+8] ^= 4; return b }},
		{"a key beyond its page", func(b []byte) []byte { b[s.root*4096+pageHead+10] = 0xff; return b }},
		{"cut off", func(b []byte) []byte { return b[:4096*(s.pages-1)] }},
		{"cut off in its first page", func(b []byte) []byte { return b[:100] }},
		{"both meta pages", func(b []byte) []byte { b[20]++; b[4096+20]++; return b }},
	} {
		if err := soundOf(t, c.do(bytes.Clone(good))); err == nil {
			t.Errorf("%s: passes", c.what)
		} else {
			t.Logf("%s: %v", c.what, err)
		}
	}
	b := bytes.Clone(good)
	native.PutUint64(b[branch*4096+pageHead+8:], branch)
	path, got := filepath.Join(t.TempDir(), "x.db"), 0
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	err = Salvage(path, []byte("many"), func(key, value []byte) {
		if len(key) != 3 || len(value) < 300 {
			t.Errorf("salvaged %q", key)
		}
		got++
	})
	if err == nil || got < 200 {
		t.Errorf("salvaged %d of 401: %v", got, err)
	}
	torn := bytes.Clone(good)
	torn[20]++
	if err := soundOf(t, torn); err != nil {
		t.Errorf("one torn meta page, as after a power cut: %v", err)
	}
}
