package gossip

import (
	"encoding/hex"
	"errors"
	"flag"
	"os"
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
		if _, err := decodeHints(b); err != nil && !errors.Is(err, wire.ErrMalformed) {
			t.Fatalf("unnamed error: %v", err)
		}
	})
}

func FuzzPacket(f *testing.F) {
	f.Add([]byte("\x04post!"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if from, rest, ok := unpack(b); ok && 1+len(from)+len(rest) != len(b) {
			t.Fatal("bytes got lost")
		}
	})
}
