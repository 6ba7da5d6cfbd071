package pending_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/pending"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

// fixed is a station that is the same in every process that fuzzes, with a ring that knows it: the one whose
// certificate trust keeps as a golden file.
func fixed(f *testing.F) (*trust.Identity, *trust.Ring) {
	f.Helper()
	dir := f.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)))
	if err != nil {
		f.Fatal(err)
	}
	golden := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join("../trust/testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		b, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	for name, b := range map[string][]byte{
		"station.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"station.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: golden("station.hex")}),
		"root.crt":    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: golden("root.hex")}),
		"gossip.key":  make([]byte, 32),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			f.Fatal(err)
		}
	}
	id, err := trust.LoadIdentity(dir)
	if err != nil {
		f.Fatal(err)
	}
	ring, err := trust.NewRing(id.Root, "")
	if err == nil {
		_, err = ring.Add(id.Cert.Raw)
	}
	if err != nil {
		f.Fatal(err)
	}
	return id, ring
}

func FuzzFrames(f *testing.F) {
	id, ring := fixed(f)
	set := openSet(f, filepath.Join(f.TempDir(), "pending.db"))
	f.Cleanup(func() { set.Close() })
	e := sign(f, id, 1, "x")
	for _, v := range []any{
		map[int]any{1: e.Raw}, map[int]any{2: "t", 3: []byte{1}}, map[int]any{5: "x", 6: []byte{1}}, map[int]any{4: e.ID[:]},
		map[int]any{1: []any{map[int]any{1: cell, 2: 1, 3: 9, 4: []byte{1}, 5: 1, 6: []byte{2}}}},
		map[int]any{2: []any{map[int]any{1: cell, 2: []any{map[int]any{1: "i", 2: e.ID[:]}}, 3: true}}, 4: e.ID[:]},
		map[int]any{5: [][]byte{e.Raw, {1}}, 6: e.ID[:5], 7: []string{"thief"}, 8: []any{map[int]any{1: "thief", 2: id.Cert.Raw}}},
	} {
		var b bytes.Buffer
		if err := wire.WriteFrame(&b, v); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	read := pending.Reader(ring, set)
	f.Fuzz(func(t *testing.T, b []byte) {
		read(t, b)
		if n := set.Count(cell); n > 1 {
			t.Errorf("%d events are here of one that was ever signed", n)
		}
	})
}

// FuzzFile damages the file of a pending set: each three bytes of the input say where (two) and what to flip,
// and an odd length cuts the file at the first place. The station starts all the same, shows nothing that was
// not signed, and what it then says to keep is there after the next start.
func FuzzFile(f *testing.F) {
	id, ring := fixed(f)
	path := filepath.Join(f.TempDir(), "pending.db")
	s := openSet(f, path)
	was := map[alerts.Hash]bool{}
	for n := range 12 {
		e := sign(f, id, n, strings.Repeat("x", 50*n+1))
		kept, _ := s.Put(e)
		<-kept // one transaction each: the file is the same in every process
		was[e.ID] = true
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	good := compact(f, path)
	f.Add([]byte{})
	f.Add([]byte{0, 16, 1, 16, 16, 1}) // both meta pages
	f.Add([]byte{0x20, 0x00, 0xff})
	f.Add([]byte{0x30, 8, 3, 0x30, 16, 7, 0x30, 17, 0xff})
	f.Add([]byte{0x20, 0, 0, 0}) // cut
	extra := sign(f, id, 99, "after")
	f.Fuzz(func(t *testing.T, edits []byte) {
		path := filepath.Join(t.TempDir(), "pending.db")
		if err := os.WriteFile(path, damaged(good, edits), 0o600); err != nil {
			t.Fatal(err)
		}
		s := opens(t, path, ring)
		for _, e := range s.List(cell) {
			if !was[e.ID] {
				t.Errorf("shows %s, which nobody signed", e.ID)
			}
		}
		kept, _ := s.Put(extra)
		said := <-kept
		if err := s.Close(); err != nil {
			t.Log(err)
		}
		again := opens(t, path, ring)
		if said == nil && !again.Has(extra.ID) {
			t.Error("what was said to be kept is gone")
		}
		again.Close()
	})
}

// compact is the file's content laid out anew, the same in every process: bbolt's own choice of free pages is not.
func compact(f *testing.F, path string) []byte {
	f.Helper()
	src, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		f.Fatal(err)
	}
	dst, err := bbolt.Open(path+".compact", 0o600, &bbolt.Options{PageSize: 4096})
	if err == nil {
		err = bbolt.Compact(dst, src, 0)
	}
	if err = errors.Join(err, src.Close(), dst.Close()); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(path + ".compact")
	if err != nil {
		f.Fatal(err)
	}
	return b
}

func opens(t *testing.T, path string, ring *trust.Ring) *pending.Set {
	t.Helper()
	hung := time.AfterFunc(20*time.Second, func() { panic("the set hangs") })
	defer hung.Stop()
	s, err := pending.OpenSet(nil, path, ring.Check, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func damaged(good, edits []byte) []byte {
	b := bytes.Clone(good)
	for ; len(edits) >= 3; edits = edits[3:] {
		at := int(binary.BigEndian.Uint16(edits)) % len(good)
		if len(edits) == 4 {
			return b[:at]
		}
		b[at] ^= edits[2]
	}
	return b
}
