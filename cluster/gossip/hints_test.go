package gossip

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

func sampleHints() Hints {
	return Hints{
		Name: "韩村镇派出所", Township: "韩村镇", Cell: "yongqing", Kind: alerts.PolicePost, Mesh: "192.168.100.200:9080",
		HTTP: "http://192.168.100.200:8080", Point: &alerts.Point{Lon: 116.5, Lat: 39.321234}, PID: 4194304, Looking: true,
	}
}

func TestHintsStayAsTheyAre(t *testing.T) {
	b, err := sampleHints().encode()
	if err != nil {
		t.Fatal(err)
	}
	text := hex.EncodeToString(b) + "\n"
	if *update {
		if err := os.WriteFile("testdata/hints.hex", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/hints.hex")
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("the form changed:\n got %swant %s", text, want)
	}
	got, err := decodeHints(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sampleHints(), got); d != "" {
		t.Error(d)
	}
}

func FuzzHints(f *testing.F) {
	b, err := sampleHints().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHints(b)
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("unnamed error: %v", err)
			}
			return
		}
		again, err := h.encode()
		if err != nil {
			t.Fatalf("%+v was let in and cannot be passed on: %v", h, err)
		}
		if back, err := decodeHints(again); err != nil || !cmp.Equal(h, back) {
			t.Fatalf("%+v became %+v: %v", h, back, err)
		}
	})
}

func FuzzPacket(f *testing.F) {
	f.Add([]byte("\x04post!"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if from, rest, ok := unpack(b); ok && !bytes.Equal(pack(from, rest), b) {
			t.Fatalf("%x is read as %q from %q", b, rest, from)
		}
	})
}

// FuzzPeers: whatever became of the file of known peers, it is read or refused, and what was read is kept so.
func FuzzPeers(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "peers")
	m := newMembers("xinzhuang", nil)
	m.all["post"] = Member{Station: "post", Hints: sampleHints(), addr: "10.0.0.1:9080"}
	m.dirty = true
	if err := m.save(path); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		m, again := newMembers("xinzhuang", nil), newMembers("xinzhuang", nil)
		if err := m.load(path); err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("unnamed error: %v", err)
			}
			return
		}
		m.dirty = true
		if err := errors.Join(m.save(path), again.load(path)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m.all, again.all, cmp.AllowUnexported(Member{})); d != "" {
			t.Fatalf("kept, they are others: %s", d)
		}
	})
}
