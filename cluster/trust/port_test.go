package trust_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest"

	"hivemesh/alerts"
	"hivemesh/cluster/memnet"
	"hivemesh/cluster/trust"
)

func port(t *testing.T, nw trust.Network, addr string, id *trust.Identity, r *trust.Ring) *trust.Port {
	t.Helper()
	p, err := trust.OpenPort(nw, addr, id, r, zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// echo says who knocked and closes.
func echo(peer alerts.StationID, c net.Conn) {
	defer c.Close()
	io.WriteString(c, "hello "+string(peer))
}

func hears(t *testing.T, c net.Conn, want string) {
	t.Helper()
	defer c.Close()
	if got, err := io.ReadAll(c); string(got) != want || err != nil {
		t.Errorf("heard %q, %v; want %q", got, err, want)
	}
}

func TestStationsMeetAtTheMeshPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, n := county(t, "yongqing"), memnet.New(1)
		ra, rb := ring(t, a), ring(t, a)
		post := port(t, n.Host("post"), ":9080", station(t, a, "post", alerts.PolicePost), ra)
		village := port(t, n.Host("xinzhuang"), ":9081", station(t, a, "xinzhuang", alerts.Village), rb)
		defer post.Close()
		defer village.Close()
		post.Handle(trust.ProtoMesh, echo)

		c, err := village.Dial(t.Context(), trust.ProtoMesh, post.Addr(), "post")
		if err != nil {
			t.Fatal(err)
		}
		hears(t, c, "hello xinzhuang")
		if !ra.Has("xinzhuang") || !rb.Has("post") {
			t.Error("the rings did not learn from the handshake")
		}
		if _, peer, err := village.DialPeer(t.Context(), trust.ProtoMesh, post.Addr()); err != nil || peer != "post" {
			t.Errorf("met %s, %v", peer, err)
		}
		if _, err := village.Dial(t.Context(), trust.ProtoMesh, post.Addr(), "zhangyong"); err == nil || !strings.Contains(err.Error(), "is post, not zhangyong") {
			t.Errorf("another station than wanted: %v", err)
		}
		if _, err := village.Dial(t.Context(), trust.ProtoSync, post.Addr(), "post"); err == nil {
			t.Error("a protocol without a handler was served")
		}
	})
}

func TestForeignersStayOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, other, n := county(t, "yongqing"), county(t, "yongqing"), memnet.New(1)
		post := port(t, n.Host("post"), ":9080", station(t, a, "post", alerts.PolicePost), ring(t, a))
		alien := port(t, n.Host("alien"), ":9080", station(t, other, "alien", alerts.PolicePost), ring(t, other))
		defer post.Close()
		defer alien.Close()
		served := false
		post.Handle(trust.ProtoMesh, func(_ alerts.StationID, c net.Conn) { served = true; c.Close() })
		alien.Handle(trust.ProtoMesh, echo)
		if _, err := alien.Dial(t.Context(), trust.ProtoMesh, post.Addr(), ""); !errors.Is(err, trust.ErrForeign) {
			t.Errorf("the alien met ours: %v", err)
		}
		if _, err := post.Dial(t.Context(), trust.ProtoMesh, alien.Addr(), ""); !errors.Is(err, trust.ErrForeign) {
			t.Errorf("ours met the alien: %v", err)
		}
		synctest.Wait()
		if served {
			t.Error("the alien was served")
		}
	})
}

// An attacker skips every check of its own: what counts is that the station refuses.
func TestForeignClientIsRefusedByTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, n := county(t, "yongqing"), memnet.New(1)
		post := port(t, n.Host("post"), ":9080", station(t, a, "post", alerts.PolicePost), ring(t, a))
		defer post.Close()
		served := false
		post.Handle(trust.ProtoMesh, func(_ alerts.StationID, c net.Conn) { served = true; c.Close() })
		for _, with := range []string{"a foreign certificate", "no certificate"} {
			raw, err := n.Host("thief").Dial(t.Context(), post.Addr())
			if err != nil {
				t.Fatal(err)
			}
			c := careless(t, raw, with == "a foreign certificate")
			c.Handshake() // the client's side of TLS 1.3 may end before the server has looked
			if _, err := c.Read(make([]byte, 1)); err == nil || err == io.EOF {
				t.Errorf("%s: %v", with, err)
			}
			raw.Close()
		}
		synctest.Wait()
		if served {
			t.Error("a thief was served")
		}
	})
}

func TestClosingThePortEndsWhatIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, n := county(t, "yongqing"), memnet.New(1)
		post := port(t, n.Host("post"), ":9080", station(t, a, "post", alerts.PolicePost), ring(t, a))
		village := port(t, n.Host("xinzhuang"), ":9080", station(t, a, "xinzhuang", alerts.Village), ring(t, a))
		defer village.Close()
		ended := false
		post.Handle(trust.ProtoMesh, func(_ alerts.StationID, c net.Conn) { io.Copy(io.Discard, c); ended = true; c.Close() })
		c, err := village.Dial(t.Context(), trust.ProtoMesh, post.Addr(), "")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()   // the handler has it
		n.Isolate("post") // not even a goodbye gets through
		start := time.Now()
		if err := post.Close(); err != nil || !ended || time.Since(start) > time.Second {
			t.Errorf("closed after %v, handler ended %v: %v", time.Since(start), ended, err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the other end never learns")
		}
		if _, err := post.Dial(t.Context(), trust.ProtoMesh, village.Addr(), ""); err == nil {
			t.Error("a closed port dialled")
		}
		c.Close()
	})
}

func TestSilentClientIsShownOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, n := county(t, "yongqing"), memnet.New(1)
		post := port(t, n.Host("post"), ":9080", station(t, a, "post", alerts.PolicePost), ring(t, a))
		defer post.Close()
		raw, err := n.Host("thief").Dial(t.Context(), post.Addr())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := raw.Read(make([]byte, 1)); err == nil || time.Since(start) > 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		raw.Close()
	})
}

func TestWrongClocks(t *testing.T) {
	a := county(t, "yongqing") // made by a clock that is right
	id, late := station(t, a, "post", alerts.PolicePost), station(t, a, "xinzhuang", alerts.Village)
	synctest.Test(t, func(t *testing.T) { // it is the year 2000 in here: before all certificates
		n := memnet.New(1)
		open := func() (post, village *trust.Port) {
			post = port(t, n.Host("post"), ":9080", id, ring(t, a))
			post.Handle(trust.ProtoMesh, echo)
			return post, port(t, n.Host("xinzhuang"), ":9080", late, ring(t, a))
		}
		post, village := open()
		c, err := village.Dial(t.Context(), trust.ProtoMesh, post.Addr(), "post")
		if err != nil {
			t.Fatal(err)
		}
		hears(t, c, "hello xinzhuang")

		e, err := late.Sign(note())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		village.Close()
		post.Close()                          // what they say to each other every few seconds would fill the years to come
		time.Sleep(60 * 365 * 24 * time.Hour) // after all certificates
		post, village = open()
		defer post.Close()
		defer village.Close()
		if _, err := village.Dial(t.Context(), trust.ProtoMesh, post.Addr(), "post"); !errors.Is(err, trust.ErrExpired) {
			t.Errorf("an expired certificate connects: %v", err)
		}
		if _, err := ring(t, a, late).Check(e.Raw); err != nil {
			t.Errorf("expiry undid a signature: %v", err)
		}
	})
}

func TestJoining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, other, n := county(t, "yongqing"), county(t, "yongqing"), memnet.New(1)
		r := ring(t, a)
		post := port(t, n.Host("post"), ":9080", station(t, a, "post", alerts.PolicePost), r)
		defer post.Close()
		post.HandleJoin(func(c net.Conn) {
			if _, der, err := a.Enrol(c, []byte("cell: yongqing")); err == nil {
				r.Add(der)
			}
		})
		post.Handle(trust.ProtoMesh, echo)
		who := trust.Who{Cell: "yongqing", Kind: alerts.Village, Name: "张永村站"}
		token, err := a.Token(who, []string{"10.77.0.9:1", post.Addr()}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		id, config, err := trust.Join(t.Context(), n.Host("zhangyong"), token, dir, "zhangyong")
		if err != nil || string(config) != "cell: yongqing" || id.Station != "zhangyong" || id.Name != "张永村站" {
			t.Fatalf("%+v, %q, %v", id, config, err)
		}
		synctest.Wait()
		if !r.Has("zhangyong") {
			t.Error("the ring does not know the newcomer")
		}
		if id, err = trust.LoadIdentity(dir); err != nil {
			t.Fatal(err)
		}
		p := port(t, n.Host("zhangyong"), ":9080", id, ring(t, a))
		defer p.Close()
		c, err := p.Dial(t.Context(), trust.ProtoMesh, post.Addr(), "post")
		if err != nil {
			t.Fatal(err)
		}
		hears(t, c, "hello zhangyong")

		if _, _, err := trust.Join(t.Context(), n.Host("b"), token, t.TempDir(), "b"); err == nil || !strings.Contains(err.Error(), "used already") {
			t.Errorf("the same token again: %v", err)
		}
		trap, err := other.Token(who, []string{post.Addr()}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := trust.Join(t.Context(), n.Host("c"), trap, t.TempDir(), "c"); !errors.Is(err, trust.ErrForeign) {
			t.Errorf("a station of another authority than the token names: %v", err)
		}
	})
}

// On the machine's own network: real TCP and UDP on one number.
func TestRealSockets(t *testing.T) {
	a := county(t, "yongqing")
	post := port(t, trust.OS(), "127.0.0.1:0", station(t, a, "post", alerts.PolicePost), ring(t, a))
	village := port(t, trust.OS(), "127.0.0.1:0", station(t, a, "xinzhuang", alerts.Village), ring(t, a))
	defer post.Close()
	defer village.Close()
	post.Handle(trust.ProtoMesh, echo)
	c, err := village.Dial(t.Context(), trust.ProtoMesh, post.Addr(), "post")
	if err != nil {
		t.Fatal(err)
	}
	hears(t, c, "hello xinzhuang")
	if post.PacketConn().LocalAddr().String() != post.Addr() {
		t.Errorf("packets at %s, streams at %s", post.PacketConn().LocalAddr(), post.Addr())
	}
	if _, err := trust.OpenPort(trust.OS(), post.Addr(), station(t, a, "other", alerts.Village), ring(t, a), zaptest.NewLogger(t)); err == nil {
		t.Error("a port was opened twice")
	}
}
