package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hivemesh/cluster/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, made string) (kept string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(made+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return ofOld(t, name)
}

// ofOld is a golden file as it is.
func ofOld(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))

// Certificates and tokens that were handed out must be good for as long as they say, whatever the program
// became since: these files were made once.
func TestWhatWasHandedOutStaysGood(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	pub := testKey.Public().(ed25519.PublicKey)
	root, err := newRoot("yongqing", pub, testKey, now)
	if err != nil {
		t.Fatal(err)
	}
	who := Who{County: "yongqing", Cell: "yongqing", Kind: "village", Station: "xinzhuang", Name: "辛屯村站"}
	der, err := newStation(root, testKey, who, pub, now)
	if err != nil {
		t.Fatal(err)
	}
	print := Fingerprint(root)
	signed, err := wire.Canonical.Marshal(Token{
		Version: tokenVersion, County: "yongqing", Root: print[:], Number: bytes.Repeat([]byte{5}, tokenNumber),
		Until: now.Add(time.Hour).Unix(), Cell: "yongqing", Kind: "village", Name: "张永村站", Addrs: []string{"192.168.1.2:9080"},
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := tokenText(signed, ed25519.Sign(testKey, append([]byte(forToken), signed...)))
	if err != nil {
		t.Fatal(err)
	}

	oldRoot, err := x509.ParseCertificate(unhex(t, golden(t, "root.hex", hex.EncodeToString(root.Raw))))
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := parseStation(oldRoot, unhex(t, golden(t, "station.hex", hex.EncodeToString(der)))); err != nil || got != who {
		t.Errorf("certificate of old: %+v, %v", got, err)
	}
	tok, err := ParseToken(golden(t, "token.txt", text))
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.check(oldRoot, now); err != nil || tok.Name != "张永村站" || tok.Addrs[0] != "192.168.1.2:9080" {
		t.Errorf("token of old: %+v, %v", tok, err)
	}
	if err := tok.check(oldRoot, now.Add(2*time.Hour)); !errors.Is(err, ErrTokenExpired) {
		t.Errorf("token of old, later: %v", err)
	}
	// A forger has no key of the authority: the sum at the end is not what keeps him out.
	forged, err := tokenText(signed, ed25519.Sign(newKey(), append([]byte(forToken), signed...)))
	if err != nil {
		t.Fatal(err)
	}
	if tok, err = ParseToken(forged); err != nil {
		t.Fatal(err)
	}
	if err := tok.check(root, now); !errors.Is(err, ErrSignature) {
		t.Errorf("forged token: %v", err)
	}
}

func TestJoinFormsStayAsTheyAre(t *testing.T) {
	for name, v := range map[string]any{
		"ask.hex":  joinAsk{Version: 1, Token: "hive1-abc", Key: []byte{1}, Wish: "xinzhuang", Sig: []byte{2}},
		"news.hex": newsFrame{Version: 1, Digest: []byte{1}, Notices: [][]byte{{2}}, Key: []byte{3}, Now: 1767323045000},
		"told.hex": joinTold{Version: 1, Cert: []byte{1}, Root: []byte{2}, Gossip: []byte{3}, Config: []byte{4}},
	} {
		b, err := wire.Canonical.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(b); golden(t, name, got) != got {
			t.Errorf("%s: the form changed: %s", name, got)
		}
	}
}

// What the authority said once must be good for ever.
func TestNoticesAndKeysStayGood(t *testing.T) {
	root, err := x509.ParseCertificate(unhex(t, ofOld(t, "root.hex")))
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRing(root, "")
	if err != nil {
		t.Fatal(err)
	}
	expelled, err := sealNotice(Notice{Version: noticeVersion, County: "yongqing", Station: "xinzhuang", Why: Expelled, At: 1767323045}, testKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	left, err := sealNotice(Notice{Version: noticeVersion, County: "yongqing", Station: "xinzhuang", Why: Left, At: 1767323045}, testKey, unhex(t, ofOld(t, "station.hex")))
	if err != nil {
		t.Fatal(err)
	}
	key, err := sealKey(keyForm{Version: keyVersion, County: "yongqing", Generation: 2, Key: bytes.Repeat([]byte{7}, gossipKeyLen), Urgent: true}, testKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name string
		made []byte
		why  Why
	}{{"left.hex", left, Left}, {"expelled.hex", expelled, Expelled}} {
		isNew, err := r.TakeNotice(unhex(t, golden(t, x.name, hex.EncodeToString(x.made))))
		if n, _ := r.Gone("xinzhuang"); !isNew || err != nil || n.Why != x.why {
			t.Errorf("%s: %v, %v", x.name, n.Why, err)
		}
		if got := hex.EncodeToString(x.made); golden(t, x.name, got) != got {
			t.Errorf("%s: the form changed: %s", x.name, got)
		}
	}
	f, err := openKey(root.PublicKey.(ed25519.PublicKey), "yongqing", unhex(t, golden(t, "gossipkey.hex", hex.EncodeToString(key))))
	if err != nil || f.Generation != 2 || !f.Urgent || len(f.Key) != gossipKeyLen {
		t.Errorf("gossip key of old: %+v, %v", f, err)
	}
	if got := hex.EncodeToString(key); golden(t, "gossipkey.hex", got) != got {
		t.Errorf("the form of a gossip key changed: %s", got)
	}
}

func TestSignaturesStayAsTheyAre(t *testing.T) {
	id := Identity{key: testKey}
	got := hex.EncodeToString(id.SignBytes([]byte("head"))) + " " + hex.EncodeToString(id.sign(forEvent, []byte("event")))
	if golden(t, "signatures.hex", got) != got {
		t.Error("what is signed changed: nobody's old signatures would hold")
	}
}
