package trust

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

// fuzzAuthority is the same in every process that fuzzes: seeds must mean the same to each.
func fuzzAuthority(f *testing.F) *Authority {
	f.Helper()
	dir := f.TempDir()
	err := errors.Join(
		os.Mkdir(filepath.Join(dir, issuedDir), 0o700),
		writeKey(filepath.Join(dir, rootKeyFile), testKey),
		os.WriteFile(filepath.Join(dir, gossipFile), make([]byte, gossipKeyLen), 0o600),
		writeCert(filepath.Join(dir, rootFile), kept(f, "root.hex")),
	)
	if err != nil {
		f.Fatal(err)
	}
	a, err := OpenAuthority(dir)
	if err != nil {
		f.Fatal(err)
	}
	return a
}

func kept(f *testing.F, name string) []byte {
	f.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		f.Fatal(err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		f.Fatal(err)
	}
	return b
}

// fuzzStation is xinzhuang, whose key is the authority's.
func fuzzStation(f *testing.F, a *Authority) *Identity {
	f.Helper()
	id, err := newIdentity(a.Root, kept(f, "station.hex"), testKey, a.GossipKey)
	if err != nil {
		f.Fatal(err)
	}
	return id
}

// fuzzToken is good until the year 2100.
func fuzzToken(f *testing.F, a *Authority) string {
	f.Helper()
	print := Fingerprint(a.Root)
	signed, err := wire.Canonical.Marshal(Token{
		Version: tokenVersion, County: "yongqing", Root: print[:], Number: make([]byte, tokenNumber), Until: 4102444800,
		Cell: "yongqing", Kind: alerts.Village, Name: "张永村站", Addrs: []string{"10.77.0.1:9080"},
	})
	if err != nil {
		f.Fatal(err)
	}
	text, err := tokenText(signed, ed25519.Sign(testKey, append([]byte(forToken), signed...)))
	if err != nil {
		f.Fatal(err)
	}
	return text
}

// FuzzToken: a token is read, or it is said to be none; white space changes nothing, and a token that was
// read has one form.
func FuzzToken(f *testing.F) {
	text := fuzzToken(f, fuzzAuthority(f))
	f.Add(text)
	f.Add("hive1-")
	f.Add(text[:40] + "\n" + text[40:])
	f.Fuzz(func(t *testing.T, text string) {
		read, err := ParseToken(text)
		if err != nil {
			if !errors.Is(err, ErrNotToken) && !errors.Is(err, ErrTokenBroken) {
				t.Fatalf("unnamed error: %v", err)
			}
			return
		}
		if len(read.Addrs) == 0 || len(read.Addrs) > maxAddrs {
			t.Fatalf("a token with %d addresses", len(read.Addrs))
		}
		if again, err := tokenText(read.signed, read.sig); err != nil || again != strings.Join(strings.Fields(text), "") {
			t.Fatalf("one token, two texts: %q and %q, %v", text, again, err)
		}
	})
}

// FuzzJoinAsk: what a stranger says at the mesh port lets nobody in whose token and key do not hold.
func FuzzJoinAsk(f *testing.F) {
	a, key := fuzzAuthority(f), testKey
	text := fuzzToken(f, a)
	ask := joinAsk{Version: joinVersion, Token: text, Key: key.Public().(ed25519.PublicKey), Wish: "zhangyong", Sig: ed25519.Sign(key, append([]byte(forJoin), text...))}
	for _, v := range []joinAsk{ask, {Version: joinVersion, Token: text, Key: ask.Key}, {}} {
		var b bytes.Buffer
		if err := wire.WriteFrame(&b, v); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var ask joinAsk
		if wire.ReadFrameMax(bufio.NewReader(bytes.NewReader(b)), &ask, maxJoinAsk) != nil {
			return
		}
		w, der, err := a.answer(ask)
		switch {
		case err != nil && der != nil:
			t.Fatalf("refused (%v) with a certificate", err)
		case err == nil && (ask.Token != text || !bytes.Equal(ask.Key, key.Public().(ed25519.PublicKey))):
			t.Fatalf("let in %s with another token or key", w.Station)
		}
	})
}

// FuzzJoinTold: what a newcomer is told makes it a whole identity or none.
func FuzzJoinTold(f *testing.F) {
	a, key := fuzzAuthority(f), testKey
	token, err := ParseToken(fuzzToken(f, a))
	if err != nil {
		f.Fatal(err)
	}
	b, err := wire.Canonical.Marshal(joinTold{Version: joinVersion, Cert: fuzzStation(f, a).Cert.Raw, Root: a.Root.Raw, Gossip: a.GossipKey, Config: []byte("x")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		var told joinTold
		if wire.Strict.Unmarshal(b, &told) != nil {
			return
		}
		id, _, err := keepJoined(token, told, key, dir)
		if err != nil {
			return
		}
		if back, err := LoadIdentity(dir); err != nil || back.Who != id.Who {
			t.Fatalf("joined as %+v, which comes back as %+v, %v", id, back, err)
		}
	})
}

// FuzzCertificate: a ring takes a station's certificate by this county's authority, and nothing else.
func FuzzCertificate(f *testing.F) {
	a := fuzzAuthority(f)
	id := fuzzStation(f, a)
	r, err := NewRing(a.Root, "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(id.Cert.Raw)
	f.Add(a.Root.Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		s, err := r.Add(der)
		if err != nil && !errors.Is(err, ErrForeign) {
			t.Fatalf("unnamed error: %v", err)
		}
		if err == nil && s != id.Station {
			t.Fatalf("a certificate of %s was made up", s)
		}
	})
}

// FuzzCheck: an event is believed only as it was signed.
func FuzzCheck(f *testing.F) {
	a := fuzzAuthority(f)
	id := fuzzStation(f, a)
	r, err := NewRing(a.Root, "")
	if err == nil {
		_, err = r.Add(id.Cert.Raw)
	}
	if err != nil {
		f.Fatal(err)
	}
	e, err := id.Sign(alerts.Event{
		Cell: "yongqing", Incident: "0b9d3f0e-5c0f-5b5e-9b43-8f7f5d1f2a11", Prev: []alerts.Hash{{1}},
		Actor: "li-grid", Kind: alerts.KindNote, At: time.UnixMilli(1700000000000), Body: &alerts.Note{Words: "往南走"},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(e.Raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := r.Check(raw)
		if err == nil && got.ID != e.ID {
			t.Fatalf("event %s was made up", got.ID)
		}
	})
}

// FuzzFiles: whatever became of the files of an identity, it is whole or refused.
func FuzzFiles(f *testing.F) {
	id, dir := fuzzStation(f, fuzzAuthority(f)), f.TempDir()
	if err := id.SaveTo(dir); err != nil {
		f.Fatal(err)
	}
	good := map[string][]byte{}
	for n, name := range []string{keyFile, certFile, rootFile, gossipFile} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		good[name] = b
		f.Add(n, good[name])
	}
	f.Fuzz(func(t *testing.T, n int, b []byte) {
		name := []string{keyFile, certFile, rootFile, gossipFile}[uint(n)%4]
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := LoadIdentity(dir)
		if err == nil && (got.Who != id.Who || !got.key.Equal(id.key)) {
			t.Errorf("with another %s it is %+v", name, got.Who)
		}
		if err := os.WriteFile(filepath.Join(dir, name), good[name], 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzNotice: nobody is shown out of the county but by its authority, or by their own word.
func FuzzNotice(f *testing.F) {
	id := fuzzStation(f, fuzzAuthority(f))
	r, err := NewRing(id.Root, "")
	if err != nil {
		f.Fatal(err)
	}
	said := map[alerts.StationID]Why{}
	for n, why := range []Why{Expelled, Replaced} {
		notice := Notice{Version: noticeVersion, County: "yongqing", Station: alerts.StationID("thief-" + why.String()), Why: why, At: int64(n)}
		raw, err := sealNotice(notice, testKey, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		said[notice.Station] = why
	}
	raw, err := sealNotice(Notice{Version: noticeVersion, County: "yongqing", Station: id.Station, Why: Left}, testKey, id.Cert.Raw)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	said[id.Station] = Left
	f.Fuzz(func(t *testing.T, raw []byte) {
		n, err := r.openNotice(raw)
		if err != nil {
			if !errors.Is(err, ErrNotice) {
				t.Fatalf("unnamed error: %v", err)
			}
			return
		}
		if why, ok := said[n.Station]; !ok || why != n.Why {
			t.Fatalf("%s would be %s, which nobody signed", n.Station, n.Why)
		}
	})
}

// FuzzKey: gossip's key changes by the authority's word only.
func FuzzKey(f *testing.F) {
	id := fuzzStation(f, fuzzAuthority(f))
	key := bytes.Repeat([]byte{7}, gossipKeyLen)
	raw, err := sealKey(keyForm{Version: keyVersion, County: "yongqing", Generation: 2, Key: key, Urgent: true}, testKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		k, err := OpenKeys(id, "")
		if err != nil {
			t.Fatal(err)
		}
		isNew, err := k.Take(raw)
		if err != nil && !errors.Is(err, ErrKey) {
			t.Fatalf("unnamed error: %v", err)
		}
		if generation, now, _ := k.Latest(); isNew && (generation != 2 || !bytes.Equal(now, key)) || !isNew && generation != FirstKey {
			t.Fatalf("key %d was made up", generation)
		}
	})
}

// FuzzNews: what stations tell each other of notices and keys, within its limit, and so that it can be told on.
func FuzzNews(f *testing.F) {
	var b bytes.Buffer
	if err := wire.WriteFrame(&b, newsFrame{Version: newsVersion, Digest: make([]byte, 32), Notices: [][]byte{{1}, {2}}, Key: []byte{3}, Now: 1700000000000}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		var v, again newsFrame
		if err := wire.ReadFrameMax(bufio.NewReader(bytes.NewReader(b)), &v, maxNews); err != nil {
			return
		}
		said, err := wire.Canonical.Marshal(v)
		if err == nil {
			err = wire.Strict.Unmarshal(said, &again)
		}
		if twice, e := wire.Canonical.Marshal(again); err != nil || e != nil || !bytes.Equal(said, twice) {
			t.Fatalf("%+v became %+v, %v", v, again, err)
		}
	})
}

// FuzzExport: what is restored as an authority is one, and is written nowhere but in its folder.
func FuzzExport(f *testing.F) {
	a := fuzzAuthority(f)
	text, err := a.Export("")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	b, err := wire.Canonical.Marshal(exportForm{Version: exportVersion, County: "yongqing", Files: map[string][]byte{"../out": {1}, rootFile: {2}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pem.EncodeToMemory(&pem.Block{Type: plainExport, Bytes: b}))
	f.Fuzz(func(t *testing.T, text []byte) {
		if block, _ := pem.Decode(text); block != nil && block.Type != plainExport {
			return // half a minute of key derivation tells nothing about decoding
		}
		top := t.TempDir()
		dir := filepath.Join(top, "restored")
		got, err := RestoreAuthority(text, "", dir)
		if err == nil && got.County != a.County {
			t.Errorf("an authority of %s was made up", got.County)
		}
		list, err := os.ReadDir(top)
		if err != nil || len(list) > 1 || len(list) == 1 && list[0].Name() != "restored" {
			t.Errorf("it wrote %v, %v", list, err)
		}
	})
}
