package trust_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func county(t testing.TB, name string) *trust.Authority {
	t.Helper()
	a, err := trust.NewAuthority(name, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func station(t testing.TB, a *trust.Authority, name string, kind alerts.StationKind) *trust.Identity {
	t.Helper()
	id, err := a.NewStation(trust.Who{Cell: "yongqing", Kind: kind, Station: alerts.StationID(name), Name: name + "站"})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func ring(t testing.TB, a *trust.Authority, ids ...*trust.Identity) *trust.Ring {
	t.Helper()
	r, err := trust.NewRing(a.Root, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if _, err := r.Add(id.Cert.Raw); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func note() alerts.Event {
	return alerts.Event{
		Cell: "yongqing", Incident: "0b9d3f0e-5c0f-5b5e-9b43-8f7f5d1f2a11", Prev: []alerts.Hash{{1}},
		Actor: "li-grid", Kind: alerts.KindNote, At: time.Now(), Body: &alerts.Note{Words: "往南走"},
	}
}

func TestSignedEventIsBelievedByOthers(t *testing.T) {
	a := county(t, "yongqing")
	xinzhuang, post := station(t, a, "xinzhuang", alerts.Village), station(t, a, "post", alerts.PolicePost)
	e, err := xinzhuang.Sign(note())
	if err != nil {
		t.Fatal(err)
	}
	got, err := ring(t, a, xinzhuang, post).Check(e.Raw)
	if err != nil || got.ID != e.ID || got.Station != "xinzhuang" {
		t.Fatalf("%v, %v", got.Name(), err)
	}

	var unknown *trust.UnknownOrigin
	if _, err := ring(t, a, post).Check(e.Raw); !errors.As(err, &unknown) || unknown.Station != "xinzhuang" {
		t.Errorf("unknown origin: %v", err)
	}
}

func TestTamperedEventIsRefused(t *testing.T) {
	a := county(t, "yongqing")
	xinzhuang := station(t, a, "xinzhuang", alerts.Village)
	r := ring(t, a, xinzhuang)
	e, err := xinzhuang.Sign(note())
	if err != nil {
		t.Fatal(err)
	}
	raw := bytes.Replace(e.Raw, []byte("往南走"), []byte("往北走"), 1)
	if _, err := r.Check(raw); !errors.Is(err, trust.ErrSignature) {
		t.Errorf("other words: %v", err)
	}
	// No single flipped bit goes through.
	for i := range e.Raw {
		raw := bytes.Clone(e.Raw)
		raw[i] ^= 1
		if _, err := r.Check(raw); err == nil {
			t.Fatalf("bit flipped in byte %d: believed", i)
		}
	}
	// Signed as bytes of another purpose, it is no event.
	signed, _, _, err := wire.Unseal(e.Raw)
	if err != nil {
		t.Fatal(err)
	}
	raw, err = wire.Seal(signed, xinzhuang.SignBytes(signed), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Check(raw); !errors.Is(err, trust.ErrSignature) {
		t.Errorf("signature of another purpose: %v", err)
	}
}

func TestSignBytes(t *testing.T) {
	a := county(t, "yongqing")
	post := station(t, a, "post", alerts.PolicePost)
	r := ring(t, a, post)
	sig := post.SignBytes([]byte("head 7"))
	if err := r.Verify("post", []byte("head 7"), sig); err != nil {
		t.Error(err)
	}
	if err := r.Verify("post", []byte("head 8"), sig); !errors.Is(err, trust.ErrSignature) {
		t.Error(err)
	}
	var unknown *trust.UnknownOrigin
	if err := r.Verify("nobody", nil, nil); !errors.As(err, &unknown) {
		t.Error(err)
	}
}

func TestRingRefusesForeignersAndSecondKeys(t *testing.T) {
	a, other := county(t, "yongqing"), county(t, "yongqing") // the same name, another authority
	r := ring(t, a, station(t, a, "post", alerts.PolicePost))
	if _, err := r.Add(station(t, other, "xinzhuang", alerts.Village).Cert.Raw); !errors.Is(err, trust.ErrForeign) {
		t.Errorf("foreign certificate: %v", err)
	}
	if _, err := r.Add(a.Root.Raw); !errors.Is(err, trust.ErrForeign) {
		t.Errorf("a root as a station: %v", err)
	}
	if _, err := r.Add([]byte("no certificate")); !errors.Is(err, trust.ErrForeign) {
		t.Errorf("no certificate: %v", err)
	}
	if _, err := a.NewStation(trust.Who{Cell: "yongqing", Kind: alerts.Village, Station: "post"}); !errors.Is(err, trust.ErrTaken) {
		t.Errorf("an id given twice: %v", err)
	}
	if _, err := a.NewStation(trust.Who{Cell: "yongqing", Kind: alerts.Village, Station: "../post"}); err == nil {
		t.Error("a path as a station id was taken")
	}
}

func TestEverythingIsKeptInDirectories(t *testing.T) {
	dir := t.TempDir()
	a, err := trust.NewAuthority("yongqing", dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trust.NewAuthority("yongqing", dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second authority: %v", err)
	}
	id, home, certs := station(t, a, "post", alerts.PolicePost), t.TempDir(), t.TempDir()
	if err := id.SaveTo(home); err != nil {
		t.Fatal(err)
	}
	again, err := trust.LoadIdentity(home)
	if err != nil || again.Who != id.Who || !bytes.Equal(again.GossipKey, a.GossipKey) {
		t.Fatalf("%+v, %v", again, err)
	}
	r, err := trust.NewRing(a.Root, certs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Add(id.Cert.Raw); err != nil {
		t.Fatal(err)
	}
	if r, err = trust.NewRing(a.Root, certs); err != nil || !r.Has("post") {
		t.Fatalf("the ring forgot: %v", err)
	}
	if kind, ok := r.Kind("post"); !ok || kind != alerts.PolicePost {
		t.Errorf("kind %q", kind)
	}
	if err := r.Verify("post", []byte("x"), again.SignBytes([]byte("x"))); err != nil {
		t.Error(err)
	}
	if a, err = trust.OpenAuthority(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := a.NewStation(id.Who); !errors.Is(err, trust.ErrTaken) {
		t.Errorf("the authority forgot whom it gave an id: %v", err)
	}
	if _, err := trust.LoadIdentity(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty directory: %v", err)
	}
}

func pub(b byte) ed25519.PublicKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)).Public().(ed25519.PublicKey)
}

func TestTokenIsGoodOnce(t *testing.T) {
	dir := t.TempDir()
	a, err := trust.NewAuthority("yongqing", dir)
	if err != nil {
		t.Fatal(err)
	}
	who := trust.Who{Cell: "yongqing", Kind: alerts.Village, Name: "张永村站"}
	text, err := a.Token(who, []string{"10.77.0.1:9080"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Redeem(text, pub(1), "zhangyong"); err != nil {
		t.Fatal(err)
	}
	if a, err = trust.OpenAuthority(dir); err != nil { // as after a restart
		t.Fatal(err)
	}
	if _, _, err := a.Redeem(text, pub(2), "other"); !errors.Is(err, trust.ErrUsed) {
		t.Errorf("a second station with one token: %v", err)
	}
	if _, w, err := a.Redeem(text, pub(1), "renamed"); err != nil || w.Station != "zhangyong" || w.Name != "张永村站" {
		t.Errorf("the same station again: %+v, %v", w, err)
	}
}

func TestBadTokensSayWhy(t *testing.T) {
	a, other := county(t, "yongqing"), county(t, "gu-an")
	who := trust.Who{Cell: "yongqing", Kind: alerts.Village}
	good, err := a.Token(who, []string{"10.77.0.1:9080"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	old, err := a.Token(who, []string{"10.77.0.1:9080"}, -time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Token(who, []string{"10.77.0.1:9080"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	typo := []byte(good)
	typo[20] ^= 1
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"nothing", "", trust.ErrNotToken},
		{"something else", "https://example.org", trust.ErrNotToken},
		{"cut off", good[:len(good)-5], trust.ErrTokenBroken},
		{"mistyped", string(typo), trust.ErrTokenBroken},
		{"too late", old, trust.ErrTokenExpired},
		{"another county's", foreign, trust.ErrForeign},
	} {
		if _, _, err := a.Redeem(c.text, pub(1), ""); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	wrapped := " " + good[:40] + "\n" + good[40:] + "\r\n"
	if _, w, err := a.Redeem(wrapped, pub(1), ""); err != nil || !strings.HasPrefix(string(w.Station), "village-") {
		t.Errorf("a token that a mail wrapped: %+v, %v", w, err)
	}
	if _, err := a.Token(who, nil, time.Hour); err == nil {
		t.Error("a token without an address was made")
	}
}

func TestFullDiskStillBelieves(t *testing.T) {
	a, dir := county(t, "yongqing"), filepath.Join(t.TempDir(), "ring")
	r, err := trust.NewRing(a.Root, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil { // no place to write to any more
		t.Fatal(err)
	}
	id := station(t, a, "xinzhuang", alerts.Village)
	if _, err := r.Add(id.Cert.Raw); !errors.Is(err, trust.ErrNotKept) {
		t.Errorf("add: %v", err)
	}
	e, err := id.Sign(note())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Check(e.Raw); err != nil {
		t.Errorf("its event: %v", err)
	}
}
