package disk

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// FuzzShape damages a file: each four bytes of the input say where (three) and what to flip, and one byte more
// cuts it. What passes for sound is read and written by bbolt without a panic, and ends.
func FuzzShape(f *testing.F) {
	good := used(f)
	f.Add([]byte{})
	f.Add([]byte{0, 0, 20, 1})
	f.Add([]byte{0, 16, 20, 1, 0, 0, 20, 1})
	f.Add([]byte{1, 0x60, 24, 3, 1, 0x60, 8, 3})
	f.Add([]byte{0, 0x80, 0, 0, 0})
	f.Fuzz(func(t *testing.T, edits []byte) {
		b := bytes.Clone(good)
		for ; len(edits) >= 4; edits = edits[4:] {
			at := int(binary.BigEndian.Uint32(edits)>>8) % len(good)
			b[at%len(b)] ^= edits[3]
			if len(edits) == 5 {
				b = b[:at]
				break
			}
		}
		path := filepath.Join(t.TempDir(), "x.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if len(b) == 0 || sound(path) != nil {
			return
		}
		defer time.AfterFunc(20*time.Second, func() { panic("bbolt hangs") }).Stop()
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, NoSync: true, FreelistType: bbolt.FreelistMapType})
		if err != nil {
			t.Fatalf("sound, and bbolt does not open it: %v", err)
		}
		defer db.Close()
		err = db.Update(func(tx *bbolt.Tx) error {
			return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
				for range 3 {
					if err := b.Put([]byte("more"), bytes.Repeat([]byte{1}, 5000)); err != nil {
						return err
					}
				}
				c := b.Cursor()
				for k, _ := c.First(); k != nil; k, _ = c.Next() {
				}
				return nil
			})
		})
		if err != nil {
			t.Logf("refused: %v", err)
		}
	})
}
