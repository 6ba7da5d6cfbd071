package trust_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest"

	"hivemesh/alerts"
	"hivemesh/cluster/memnet"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

// box is one station at the mesh port, with what it knows of others' standing.
type box struct {
	id   *trust.Identity
	ring *trust.Ring
	keys *trust.Keys
	port *trust.Port
	news *trust.News
}

// boxes are stations of one county on a network; each knows the addresses of all.
func boxes(t *testing.T, a *trust.Authority, n *memnet.Network, names ...string) map[string]*box {
	t.Helper()
	all := map[string]*box{}
	addrs := func(not string) (out []string) {
		for _, s := range names {
			if s != not {
				out = append(out, n.Host(s).Addr(9080))
			}
		}
		return out
	}
	for _, s := range names {
		b := &box{id: station(t, a, s, alerts.Village), ring: ring(t, a)}
		var err error
		if b.keys, err = trust.OpenKeys(b.id, ""); err != nil {
			t.Fatal(err)
		}
		b.port = port(t, n.Host(s), ":9080", b.id, b.ring)
		b.port.Handle(trust.ProtoMesh, func(_ alerts.StationID, c net.Conn) { io.Copy(io.Discard, c); c.Close() })
		b.news = trust.OpenNews(b.port, b.keys, func() []string { return addrs(s) }, zaptest.NewLogger(t))
		all[s] = b
		t.Cleanup(func() { b.news.Close(); b.port.Close() })
	}
	return all
}

func (b *box) knows(s alerts.StationID) bool { _, gone := b.ring.Gone(s); return gone }

func expel(t *testing.T, a *trust.Authority, s alerts.StationID) []byte {
	t.Helper()
	raw, err := a.Dismiss(s, trust.Expelled)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestAStolenStationIsShutOutEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, n := county(t, "yongqing"), memnet.New(1)
		all := boxes(t, a, n, "post", "xinzhuang", "zhangyong", "works", "thief")
		open, err := all["thief"].port.Dial(t.Context(), trust.ProtoMesh, all["works"].port.Addr(), "works")
		if err != nil {
			t.Fatal(err)
		}
		before, err := all["thief"].id.Sign(note())
		if err != nil {
			t.Fatal(err)
		}
		// Said once, at one station.
		if isNew, err := all["post"].ring.TakeNotice(expel(t, a, "thief")); !isNew || err != nil {
			t.Fatal(isNew, err)
		}
		signed, generation, err := a.RotateKey(true)
		if err != nil || generation != 2 {
			t.Fatal(generation, err)
		}
		if _, err := all["post"].keys.Take(signed); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		for s, b := range all {
			if s == "thief" {
				continue
			}
			if g, key, urgent := b.keys.Latest(); !b.knows("thief") || g != 2 || !urgent || !bytes.Equal(key, a.GossipKey) {
				t.Errorf("%s: knows of the thief: %v; has key %d", s, b.knows("thief"), g)
			}
			if _, err := all["thief"].port.Dial(t.Context(), trust.ProtoMesh, b.port.Addr(), ""); err == nil {
				// TLS 1.3: the client may be through before the server has looked.
				c, _ := all["thief"].port.Dial(t.Context(), trust.ProtoMesh, b.port.Addr(), "")
				if _, err := c.Read(make([]byte, 1)); err == nil {
					t.Errorf("the thief is let in at %s", s)
				}
			}
			if _, err := b.port.Dial(t.Context(), trust.ProtoMesh, all["thief"].port.Addr(), ""); !errors.Is(err, trust.ErrGone) {
				t.Errorf("%s meets the thief: %v", s, err)
			}
		}
		if _, err := open.Read(make([]byte, 1)); err == nil {
			t.Error("an open connection lives on")
		}
		if g, _, _ := all["thief"].keys.Latest(); g != 1 {
			t.Error("the thief was handed the new gossip key")
		}
		// Its word counts no more; its signature under what was held before does.
		if err := all["works"].ring.Verify("thief", []byte("head"), all["thief"].id.SignBytes([]byte("head"))); !errors.Is(err, trust.ErrGone) {
			t.Errorf("a head of the thief: %v", err)
		}
		if _, err := all["works"].ring.Check(before.Raw); err != nil {
			t.Errorf("a copy held before: %v", err)
		}
	})
}

// An exchange that a thief began before it was expelled tells it so, and hands it no key.
func TestAnExchangeUnderwayHandsNoKeyToAThief(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, n := county(t, "yongqing"), memnet.New(1)
		all := boxes(t, a, n, "post", "thief")
		c, _, err := all["thief"].port.DialPeer(t.Context(), trust.ProtoNews, all["post"].port.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		synctest.Wait() // the post waits for what it has to say
		signed, _, err := a.RotateKey(true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := all["post"].ring.TakeNotice(expel(t, a, "thief")); err != nil {
			t.Fatal(err)
		}
		if _, err := all["post"].keys.Take(signed); err != nil {
			t.Fatal(err)
		}
		if err := wire.WriteFrame(c, map[int]any{1: 1, 2: []byte{}, 5: 0}); err != nil {
			t.Fatal(err)
		}
		var told struct {
			Version uint64   `cbor:"1,keyasint"`
			Digest  []byte   `cbor:"2,keyasint"`
			Notices [][]byte `cbor:"3,keyasint,omitempty"`
			Key     []byte   `cbor:"4,keyasint,omitempty"`
			Now     int64    `cbor:"5,keyasint"`
		}
		if err := wire.ReadFrame(bufio.NewReader(c), &told); err != nil || len(told.Notices) != 1 || told.Key != nil {
			t.Errorf("%v: told %d notices, a key of %d bytes", err, len(told.Notices), len(told.Key))
		}
	})
}

// What an expelled station made is taken from those only who know of the expulsion: they held it before.
func TestEventsOfAnExpelledStation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, n := county(t, "yongqing"), memnet.New(1)
		all := boxes(t, a, n, "post", "xinzhuang", "thief")
		e, err := all["thief"].id.Sign(note())
		if err != nil {
			t.Fatal(err)
		}
		post := all["post"].ring
		if _, err := post.Add(all["thief"].id.Cert.Raw); err != nil {
			t.Fatal(err)
		}
		if _, err := post.Admit(e.Raw, "xinzhuang"); err != nil {
			t.Errorf("before: %v", err)
		}
		n.Cut("post", "xinzhuang")
		if _, err := post.TakeNotice(expel(t, a, "thief")); err != nil {
			t.Fatal(err)
		}
		if _, err := post.Admit(e.Raw, "xinzhuang"); !errors.Is(err, trust.ErrGone) {
			t.Errorf("from one who may not have heard: %v", err)
		}
		n.Heal()
		if peer, err := all["post"].news.Meet(t.Context(), all["xinzhuang"].port.Addr()); err != nil || peer != "xinzhuang" {
			t.Fatal(peer, err)
		}
		if _, err := post.Admit(e.Raw, "xinzhuang"); err != nil {
			t.Errorf("held before by one who knows: %v", err)
		}
		if _, err := post.Admit(e.Raw, "thief"); !errors.Is(err, trust.ErrGone) {
			t.Errorf("from the thief: %v", err)
		}
	})
}

// A station that was off for two changes of key gets the present one from any that it can dial.
func TestWhoWasAwayGetsTheKeyAtTheMeshPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, n := county(t, "yongqing"), memnet.New(1)
		all := boxes(t, a, n, "post", "xinzhuang", "zhangyong")
		n.Isolate("zhangyong")
		for range 2 {
			signed, _, err := a.RotateKey(false)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := all["xinzhuang"].keys.Take(signed); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if g, _, _ := all["post"].keys.Latest(); g != 3 {
			t.Errorf("the post has key %d", g)
		}
		n.Heal()
		if _, err := all["zhangyong"].news.Meet(t.Context(), all["post"].port.Addr()); err != nil {
			t.Fatal(err)
		}
		g, key, _ := all["zhangyong"].keys.Latest()
		if g != 3 || !bytes.Equal(key, a.GossipKey) || !bytes.Equal(all["zhangyong"].keys.Before(), all["zhangyong"].id.GossipKey) {
			t.Errorf("it has key %d", g)
		}
		if all["zhangyong"].news.Digest() != all["post"].news.Digest() {
			t.Error("they still differ")
		}
	})
}

func TestNoticesAndKeysOfOthersAreNotBelieved(t *testing.T) {
	a, other := county(t, "yongqing"), county(t, "yongqing")
	post, village := station(t, a, "post", alerts.PolicePost), station(t, a, "xinzhuang", alerts.Village)
	station(t, other, "post", alerts.PolicePost)
	r := ring(t, a, post, village)
	if _, err := r.TakeNotice(expel(t, other, "post")); !errors.Is(err, trust.ErrNotice) {
		t.Errorf("another county's authority expels the post: %v", err)
	}
	good := expel(t, a, "xinzhuang")
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if _, err := r.TakeNotice(bad); err == nil {
			t.Fatalf("bit flipped in byte %d: believed", i)
		}
	}
	bye, err := village.Farewell()
	if err != nil {
		t.Fatal(err)
	}
	if isNew, err := r.TakeNotice(bye); !isNew || err != nil {
		t.Errorf("a farewell: %v, %v", isNew, err)
	}
	if err := r.Verify("xinzhuang", []byte("x"), village.SignBytes([]byte("x"))); err != nil {
		t.Errorf("leaving undid a signature: %v", err)
	}
	if isNew, err := r.TakeNotice(good); !isNew || err != nil {
		t.Errorf("an expulsion outweighs a farewell: %v, %v", isNew, err)
	}
	if isNew, err := r.TakeNotice(bye); isNew || err != nil {
		t.Errorf("a farewell undid an expulsion: %v, %v", isNew, err)
	}
	// Nobody leaves in another's name.
	forged := bytes.Replace(bye, []byte("xinzhuang"), []byte("zhangyong"), 1)
	if _, err := r.TakeNotice(forged); !errors.Is(err, trust.ErrNotice) {
		t.Errorf("a forged farewell: %v", err)
	}
	keys, err := trust.OpenKeys(post, "")
	if err != nil {
		t.Fatal(err)
	}
	foreign, _, err := other.RotateKey(true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Take(foreign); !errors.Is(err, trust.ErrKey) {
		t.Errorf("another county's key: %v", err)
	}
}

func TestNoticesAndKeysAreKept(t *testing.T) {
	dir, home, certs := t.TempDir(), t.TempDir(), t.TempDir()
	a, err := trust.NewAuthority("yongqing", dir)
	if err != nil {
		t.Fatal(err)
	}
	id := station(t, a, "post", alerts.PolicePost)
	station(t, a, "thief", alerts.Village)
	if err := id.SaveTo(home); err != nil {
		t.Fatal(err)
	}
	r, err := trust.NewRing(a.Root, certs)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := trust.OpenKeys(id, home)
	if err != nil {
		t.Fatal(err)
	}
	first := a.GossipKey
	signed, _, err := a.RotateKey(false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.TakeNotice(expel(t, a, "thief")); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Take(signed); err != nil {
		t.Fatal(err)
	}
	open := func() (*trust.Ring, *trust.Keys) {
		t.Helper()
		r, err := trust.NewRing(a.Root, certs)
		if err != nil {
			t.Fatal(err)
		}
		again, err := trust.LoadIdentity(home)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := trust.OpenKeys(again, home)
		if err != nil {
			t.Fatal(err)
		}
		return r, keys
	}
	if isNew, err := keys.Take(signed); isNew || err != nil {
		t.Errorf("the same key again: %v, %v", isNew, err)
	}
	r, keys = open()
	if g, key, _ := keys.Latest(); g != 2 || !bytes.Equal(key, a.GossipKey) || !bytes.Equal(keys.Before(), first) {
		t.Errorf("after a restart it has key %d", g)
	}
	if _, gone := r.Gone("thief"); !gone {
		t.Error("the ring forgot whom it must not meet")
	}
	if err := keys.DropBefore(); err != nil {
		t.Fatal(err)
	}
	if _, keys = open(); keys.Before() != nil {
		t.Error("a dropped key is back after a restart")
	}
	if a, err = trust.OpenAuthority(dir); err != nil {
		t.Fatal(err)
	}
	if _, generation, err := a.RotateKey(false); err != nil || generation != 3 {
		t.Errorf("the authority forgot which key is next: %d, %v", generation, err)
	}
	if _, err := a.NewStation(trust.Who{Cell: "yongqing", Kind: alerts.Village, Station: "thief"}); err == nil {
		t.Error("the thief's id was given again")
	}
	if _, err := a.Dismiss("nobody", trust.Expelled); !errors.Is(err, trust.ErrNeverIssued) {
		t.Errorf("expelled whom nobody knows: %v", err)
	}
	// A file that a bad disk spoilt does not keep the station from starting.
	if err := os.WriteFile(filepath.Join(certs, "thief.gone"), []byte("rust"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, _ = open()
	if _, gone := r.Gone("thief"); gone {
		t.Error("rust was believed")
	}
	if _, err := os.Stat(filepath.Join(certs, "thief.gone.bad")); err != nil {
		t.Error(err)
	}
}

// `hive init` that died between giving the id and keeping the key could never be done again.
func TestInitThatWasInterruptedCanBeDoneAgain(t *testing.T) {
	a, dir := county(t, "yongqing"), t.TempDir()
	w := trust.Who{Cell: "yongqing", Kind: alerts.PolicePost, Station: "post"}
	if _, err := a.Settle(w, dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "station.crt")); err != nil { // the power went before the last file
		t.Fatal(err)
	}
	id, err := a.Settle(w, dir)
	if err != nil || id.Station != "post" {
		t.Fatalf("not again: %v", err)
	}
	if _, err := a.Settle(w, dir); err == nil || !strings.Contains(err.Error(), "holds a station already") {
		t.Errorf("a third time: %v", err)
	}
}
