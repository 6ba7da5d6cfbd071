package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
	"hivemesh/configs"
	"hivemesh/node/web"
)

// slow is how long a file of some kilobytes may take to be read or refused.
const slow = 2 * time.Second

// refused fails when an error does not say which file it is about, or says nothing.
func refused(t *testing.T, path string, err error) {
	t.Helper()
	if !strings.Contains(err.Error(), path) || strings.TrimSpace(strings.Replace(err.Error(), path, "", 1)) == ":" {
		t.Errorf("a mistake in %s is told as %q", path, err)
	}
}

// FuzzConfig: a station's config is refused with its file's name, or can work; saved, it is the same.
func FuzzConfig(f *testing.F) {
	f.Add([]byte("dir: ./county/xinzhuang\nhttp: 127.0.0.1:8081\nmesh: 127.0.0.1:9081\nseeds: [\"127.0.0.1:9080\"]\ndemo: true\nlinks: lan\nlog: info\n"))
	f.Add([]byte("dir: x\nlinks: mixed\n"))
	f.Add([]byte("a: &a [*a]\n"))
	dir := f.TempDir()
	path := filepath.Join(dir, "station.yaml")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		c, err := LoadConfig(path)
		if took := time.Since(start); took > slow {
			t.Errorf("took %v", took)
		}
		if err != nil {
			refused(t, path, err)
			return
		}
		if err := c.Check(); err != nil {
			t.Fatalf("loaded, and cannot work: %v", err)
		}
		saved := filepath.Join(dir, "saved.yaml")
		if err := c.Save(saved); err != nil {
			t.Fatal(err)
		}
		if again, err := LoadConfig(saved); err != nil || fmt.Sprint(c) != fmt.Sprint(again) {
			t.Fatalf("%+v is saved as %+v, %v", c, again, err)
		}
	})
}

// FuzzCounty: a county's data is refused with its file's name, or is one that stations and maps can work by.
func FuzzCounty(f *testing.F) {
	f.Add(configs.County)
	path := filepath.Join(f.TempDir(), "county.yaml")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		c, err := LoadCounty(path)
		if took := time.Since(start); took > slow {
			t.Errorf("took %v", took)
		}
		if err != nil {
			refused(t, path, err)
			return
		}
		for _, s := range c.Stations {
			if s.Place.Check() != nil || !s.Kind.Valid() {
				t.Errorf("station %+v was let in", s)
			}
		}
		c.territory()
	})
}

// FuzzRules: tables are refused with their file's name, or pass their own check.
func FuzzRules(f *testing.F) {
	f.Add(configs.Rules)
	path := filepath.Join(f.TempDir(), "rules.yaml")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		r, err := LoadRules(path)
		if took := time.Since(start); took > slow {
			t.Errorf("took %v", took)
		}
		if err != nil {
			refused(t, path, err)
			return
		}
		if err := r.Check(); err != nil {
			t.Fatalf("loaded, and cannot work: %v", err)
		}
	})
}

// FuzzCell: the file that says how a station's cell began.
func FuzzCell(f *testing.F) {
	f.Add([]byte(`{"founders":["hancun-post","xinzhuang"]}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, cellFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadCell(dir); err != nil {
			refused(t, cellFile, err)
		}
	})
}

// FuzzWelcome: what a newcomer is handed comes back as it was, or is refused.
func FuzzWelcome(f *testing.F) {
	b, err := wire.Canonical.Marshal(welcome{Founders: []string{"post"}, County: []byte("c"), Rules: []byte("r"), Links: LinksLAN, Demo: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var w, again welcome
		if wire.Strict.Unmarshal(b, &w) != nil {
			return
		}
		said, err := wire.Canonical.Marshal(w)
		if err == nil {
			err = wire.Strict.Unmarshal(said, &again)
		}
		if twice, e := wire.Canonical.Marshal(again); err != nil || e != nil || string(twice) != string(said) {
			t.Fatalf("%+v became %+v, %v", w, again, err)
		}
	})
}

// FuzzCast: soft state of whatever peer leaves only positions on the ground, and counts that make sense.
func FuzzCast(f *testing.F) {
	p := newPositions()
	p.moved("li", &web.Position{Person: "li", Point: alerts.Point{Lon: 116.5, Lat: 39.3}, At: time.UnixMilli(1700000000000)})
	p.moved("zhao", nil)
	f.Add(p.batch()[0])
	r := newReceipts("xinzhuang")
	k := receiptKey{"0b9d3f0e-5c0f-5b5e-9b43-8f7f5d1f2a11", 1}
	r.set(k, "xinzhuang", web.Counts{Sent: 3, Reached: 2, Opened: 1}, nil)
	b, err := r.encode(k)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		p := newPositions()
		if err := p.merge(b); err == nil {
			for who, at := range p.known {
				if at.Point.Check() != nil || at.Person != who {
					t.Errorf("took %+v of %q", at, who)
				}
			}
		} else if !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("unnamed error: %v", err)
		}
		k, n, err := decodeReceipts(b)
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("unnamed error: %v", err)
			}
			return
		}
		if n.Sent < 0 || n.Reached < 0 || n.Opened < 0 || n.Released < 0 || k.wave < 0 {
			t.Errorf("took %+v of wave %d", n, k.wave)
		}
		r := newReceipts("xinzhuang")
		r.set(k, "xinzhuang", n, nil)
		again, err := r.encode(k)
		if err != nil {
			t.Fatal(err)
		}
		if k2, n2, err := decodeReceipts(again); err != nil || k2 != k || n2 != n {
			t.Errorf("%+v became %+v, %v", n, n2, err)
		}
	})
}
