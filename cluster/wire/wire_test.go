package wire_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"go.uber.org/goleak"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files anew")

// The deed of the founding case, as bytes: whoever changes the format sees these files change.
func sample() alerts.Event {
	return alerts.Event{
		Station: "xinzhuang-7f3a", Cell: "yongqing", Incident: "0b9d3f0e-5c0f-5b5e-9b43-8f7f5d1f2a11",
		Actor: "li-grid", Kind: alerts.KindClue, Prev: []alerts.Hash{{1}, {2}}, At: time.UnixMilli(1700000000123).UTC(),
		Body: &alerts.Clue{
			Seen: true, Place: alerts.Place{Point: &alerts.Point{Lon: 116.5, Lat: 39.32}, Words: "村西头", Radius: 50},
			SeenAt: time.UnixMilli(1699999900000).UTC(), Words: "往南走", Heading: "s",
		},
	}
}

func sampleRaw(t testing.TB) []byte {
	t.Helper()
	signed, err := wire.EncodeEvent(sample())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := wire.Seal(signed, bytes.Repeat([]byte{7}, 64), nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func sampleEntry(t testing.TB) []byte {
	t.Helper()
	e, err := wire.DecodeEvent(sampleRaw(t))
	if err != nil {
		t.Fatal(err)
	}
	b, err := wire.EncodeEntry(alerts.Entry{
		Epoch: 1, Index: 42, Event: e, At: time.UnixMilli(1700000001000).UTC(),
		Verdict: alerts.Verdict{Code: alerts.Stale, Lost: &alerts.Ref{Event: alerts.Hash{9}, By: "wang", At: time.UnixMilli(1700000000999).UTC(), Kind: alerts.KindAssigned}},
		By:      alerts.Standing{Roles: []alerts.Role{alerts.GridWorker}, Kind: alerts.Village, Version: 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	text := hex.EncodeToString(got) + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("%s: the form changed: stations of both versions could not read each other\n got %s\nwant %s", name, text, want)
	}
}

func TestFormsStayAsTheyAre(t *testing.T) {
	golden(t, "event.hex", sampleRaw(t))
	golden(t, "entry.hex", sampleEntry(t))
	var frame bytes.Buffer
	if err := wire.WriteFrame(&frame, alerts.Receipts{Wave: 1, Sent: 4, Reached: 3, Opened: 2}); err != nil {
		t.Fatal(err)
	}
	golden(t, "frame.hex", frame.Bytes())
}

func TestEventComesBackAsItWas(t *testing.T) {
	raw := sampleRaw(t)
	got, err := wire.DecodeEvent(raw)
	if err != nil {
		t.Fatal(err)
	}
	signed, _, _, err := wire.Unseal(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := sample()
	want.ID, want.Raw = wire.EventID(signed), raw
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEveryKindComesBack(t *testing.T) {
	kinds := []alerts.Kind{
		alerts.KindRaised, alerts.KindEmergencyCalled, alerts.KindRegistered, alerts.KindGraded, alerts.KindWave,
		alerts.KindReceipts, alerts.KindAccepted, alerts.KindDeclined, alerts.KindEnRoute, alerts.KindOnScene,
		alerts.KindReleased, alerts.KindSupportRequested, alerts.KindClue, alerts.KindCardUpdated, alerts.KindAssigned,
		alerts.KindNote, alerts.KindCancelRequested, alerts.KindResolved, alerts.KindCancelled, alerts.KindStoodDown,
	}
	for _, k := range kinds {
		e := sample()
		body, ok := alerts.NewBody(k)
		if !ok {
			t.Fatalf("%s has no body", k)
		}
		e.Kind, e.Body = k, body
		signed, err := wire.EncodeEvent(e)
		if err != nil {
			t.Fatalf("%s: %v", k, err)
		}
		raw, err := wire.Seal(signed, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := wire.DecodeEvent(raw); err != nil || got.Body.Kind() != k {
			t.Errorf("%s: %v, %v", k, got.Body, err)
		}
	}
}

func TestUnknownKindIsRelayedUnread(t *testing.T) {
	e := sample()
	e.Kind, e.Body = "of_tomorrow", &alerts.Foreign{Name: "of_tomorrow", Raw: []byte{0xa1, 0x01, 0x02}}
	signed, err := wire.EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := wire.Seal(signed, []byte{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.DecodeEvent(raw)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(e.Body, got.Body); d != "" {
		t.Error(d)
	}
}

func TestEntryComesBackAsItWas(t *testing.T) {
	b := sampleEntry(t)
	e, err := wire.DecodeEntry(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := wire.EncodeEntry(e)
	if err != nil || !bytes.Equal(again, b) {
		t.Errorf("entry came back as %x, %v", again, err)
	}
	if wire.Chain(alerts.Hash{}, b) == wire.Chain(alerts.Hash{1}, b) {
		t.Error("the running hash forgets what was before")
	}
}

func TestBadBytesAreRefused(t *testing.T) {
	raw := sampleRaw(t)
	long := append(bytes.Clone(raw), make([]byte, wire.MaxEvent)...)
	otherBody := sample()
	otherBody.Body = &alerts.Note{Words: "x"}
	if _, err := wire.EncodeEvent(otherBody); err == nil {
		t.Error("a clue with the body of a note was encoded")
	}
	for name, b := range map[string][]byte{
		"nothing":       nil,
		"too long":      long,
		"cut off":       raw[:len(raw)-1],
		"one byte more": append(bytes.Clone(raw), 0),
		"other version": bytes.Replace(raw, []byte{0xa3, 0x01, 0x01}, []byte{0xa3, 0x01, 0x02}, 1),
		// the length of a short signature written in two bytes where one would do
		"not deterministic": append(append([]byte{0xa3, 0x01, 0x01, 0x02, 0x40, 0x03}, 0x58, 0x01), 0x07),
	} {
		if _, err := wire.DecodeEvent(b); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFrames(t *testing.T) {
	var b bytes.Buffer
	for i := range 3 {
		if err := wire.WriteFrame(&b, alerts.Receipts{Wave: i}); err != nil {
			t.Fatal(err)
		}
	}
	r := bufio.NewReader(&b)
	for i := range 3 {
		var got alerts.Receipts
		if err := wire.ReadFrame(r, &got); err != nil || got.Wave != i {
			t.Fatalf("frame %d: %+v, %v", i, got, err)
		}
	}
	var v alerts.Receipts
	if err := wire.ReadFrame(r, &v); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	if err := wire.ReadFrame(bufio.NewReader(strings.NewReader("\x00\x00\x00\x05abc")), &v); err != io.ErrUnexpectedEOF {
		t.Errorf("cut off: %v", err)
	}
	if err := wire.ReadFrame(bufio.NewReader(strings.NewReader("\xff\xff\xff\xffabc")), &v); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
}

func FuzzEvent(f *testing.F) {
	f.Add(sampleRaw(f))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := wire.DecodeEvent(raw)
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("unnamed error: %v", err)
			}
			return
		}
		signed, sig, actor, err := wire.Unseal(e.Raw)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := wire.Seal(signed, sig, actor); err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("one event, two forms: %x and %x, %v", raw, again, err)
		}
	})
}

func FuzzEntry(f *testing.F) {
	f.Add(sampleEntry(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := wire.DecodeEntry(b)
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("unnamed error: %v", err)
			}
			return
		}
		if again, err := wire.EncodeEntry(e); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("one entry, two forms: %x and %x, %v", b, again, err)
		}
	})
}

// FuzzFrame: whatever a peer says, reading it costs memory in proportion, and what was read can be said again.
func FuzzFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02\xa1\x01\x02"))
	f.Add([]byte("\x00\x51\x00\x00\xa1")) // a length within the limit, and nothing behind it
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := bufio.NewReader(bytes.NewReader(b))
		for {
			var v, again alerts.Receipts
			if err := wire.ReadFrame(r, &v); err != nil {
				if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.Is(err, wire.ErrMalformed) {
					t.Fatalf("unnamed error: %v", err)
				}
				break
			}
			var out bytes.Buffer
			if err := wire.WriteFrame(&out, v); err != nil {
				t.Fatal(err)
			}
			if err := wire.ReadFrame(bufio.NewReader(&out), &again); err != nil || again != v {
				t.Fatalf("%+v came back as %+v, %v", v, again, err)
			}
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > uint64(1<<20+2000*len(b)) {
			t.Errorf("%d bytes of input took %d of memory", len(b), took)
		}
	})
}
