package disk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Whatever single block or bit is lost or torn, the last confirmed value is there, or the file says it is not.
func TestSlotsOutliveATornWriteAndAFlippedBit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vote")
	open := func() (*Slots, []byte, error) { return (*Disk)(nil).OpenSlots("vote", "c", path) }
	s, v, err := open()
	if err != nil || v != nil {
		t.Fatalf("a new one: %q, %v", v, err)
	}
	fresh, _ := os.ReadFile(path)
	for _, v := range []string{"first", "second"} {
		if err := s.Write([]byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	whole, err := os.ReadFile(path)
	if err != nil || len(whole) != len(fresh) {
		t.Fatalf("%v, %d bytes where %d were reserved", err, len(whole), len(fresh))
	}
	half := func(a, b []byte) []byte { return append(bytes.Clone(a[:slotSize]), b[slotSize:]...) }
	flip := func(b []byte, at int) []byte { b = bytes.Clone(b); b[at] ^= 4; return b }
	junk := bytes.Repeat([]byte{0xa5}, 2*slotSize)
	for name, c := range map[string]struct {
		file []byte
		want string
		bad  bool
	}{
		"whole":                       {file: whole, want: "second"},
		"a bit of the first copy":     {file: flip(whole, 3), want: "second"},
		"a bit of the second's value": {file: flip(whole, slotSize+slotHead), want: "second"},
		"first copy torn":             {file: half(junk, whole), want: "second"},
		"very first write torn":       {file: half(junk, fresh), want: ""},
		"only the first copy written": {file: half(whole, fresh), want: "second"},
		"both copies gone":            {file: junk, bad: true},
		"cut off":                     {file: whole[:slotSize], bad: true},
	} {
		if err := os.WriteFile(path, c.file, 0o600); err != nil {
			t.Fatal(err)
		}
		s, v, err := open()
		if c.bad != errors.Is(err, ErrDamaged) || string(v) != c.want {
			t.Errorf("%s: %q, %v", name, v, err)
		}
		if err != nil {
			continue
		}
		if err := s.Write([]byte("third")); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if s, v, err = open(); err != nil || string(v) != "third" {
			t.Errorf("%s, written on: %q, %v", name, v, err)
		}
		s.Close()
	}
}
