package memnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"hivemesh/cluster/memnet"
	"hivemesh/cluster/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ trust.Network = (*memnet.Host)(nil)

// pair is a stream from xinzhuang to post.
func pair(t *testing.T, n *memnet.Network) (client, server net.Conn) {
	t.Helper()
	l, err := n.Host("post").Listen(":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = n.Host("xinzhuang").Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

func TestStreamCarriesBothWaysAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(1)
		n.Delay("", 40*time.Millisecond)
		c, s := pair(t, n)
		start := time.Now()
		if _, err := c.Write([]byte("alarm")); err != nil {
			t.Fatal(err)
		}
		c.Close()
		got, err := io.ReadAll(s)
		if string(got) != "alarm" || err != nil || time.Since(start) != 40*time.Millisecond {
			t.Errorf("read %q, %v after %v", got, err, time.Since(start))
		}
		if _, err := s.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write to who is gone: %v", err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read from own closed end: %v", err)
		}
		s.Close()
	})
}

func TestCutStreamStallsThenGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(1)
		c, s := pair(t, n)
		n.Cut("xinzhuang", "post")
		if _, err := c.Write([]byte("late")); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(memnet.Patience-time.Second, func() { n.Heal() })
		start, b := time.Now(), make([]byte, 8)
		k, err := s.Read(b)
		if string(b[:k]) != "late" || err != nil || time.Since(start) != memnet.Patience-time.Second {
			t.Errorf("read %q, %v after %v", b[:k], err, time.Since(start))
		}
		time.Sleep(time.Minute)
		if _, err := s.Write([]byte("still here")); err != nil {
			t.Errorf("a healed stream died: %v", err)
		}
		c.Close()
		s.Close()
	})
}

func TestCutStreamDiesOfPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(1)
		c, s := pair(t, n)
		n.CutOneWay("post", "xinzhuang")
		start := time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ETIMEDOUT) || time.Since(start) != memnet.Patience {
			t.Errorf("read: %v after %v", err, time.Since(start))
		}
		if _, err := s.Write(make([]byte, 1)); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("write: %v", err)
		}
		c.Close()
		s.Close()
	})
}

func TestFullStreamWaitsForRoomOrDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := pair(t, memnet.New(1))
		start := time.Now()
		c.SetWriteDeadline(start.Add(3 * time.Second))
		k, err := c.Write(make([]byte, 1<<20))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("wrote %d, %v after %v", k, err, time.Since(start))
		}
		s.SetReadDeadline(time.Now().Add(time.Second))
		if got, err := io.ReadAll(s); len(got) != k || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read %d of %d: %v", len(got), k, err)
		}
		c.Close()
		s.Close()
	})
}

func TestDialOverACutLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(1)
		l, err := n.Host("post").Listen(":7000")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		n.Isolate("post")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := n.Host("xinzhuang").Dial(ctx, "post:7000"); err == nil || time.Since(start) != 5*time.Second {
			t.Errorf("dial: %v after %v", err, time.Since(start))
		}
		if _, err := n.Host("xinzhuang").Dial(t.Context(), "post:7000"); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("dial: %v", err)
		}
		time.AfterFunc(time.Second, func() { n.Heal("post") })
		c, err := n.Host("xinzhuang").Dial(t.Context(), "post:7000")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if _, err := n.Host("xinzhuang").Dial(t.Context(), "post:7001"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial a closed port: %v", err)
		}
		if _, err := n.Host("post").Listen(":7000"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("listen twice: %v", err)
		}
	})
}

func TestPacketsAreLostAsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(7)
		a, err := n.Host("a").ListenPacket(":1")
		if err != nil {
			t.Fatal(err)
		}
		b, err := n.Host("b").ListenPacket(":1")
		if err != nil {
			t.Fatal(err)
		}
		count := func(send int) (got int) {
			for range send {
				a.WriteTo([]byte{1}, b.LocalAddr())
			}
			b.SetReadDeadline(time.Now().Add(time.Second))
			for {
				if _, _, err := b.ReadFrom(make([]byte, 9)); err != nil {
					return got
				}
				got++
			}
		}
		if got := count(100); got != 100 {
			t.Errorf("%d of 100 arrived on a good link", got)
		}
		n.Loss("b", 0.2)
		if got := count(1000); got < 740 || got > 860 {
			t.Errorf("%d of 1000 arrived at 20 %% loss", got)
		}
		n.CutOneWay("a", "b")
		if got := count(100); got != 0 {
			t.Errorf("%d of 100 arrived on a cut link", got)
		}
		a.Close()
		b.Close()
		if _, _, err := b.ReadFrom(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read from a closed port: %v", err)
		}
	})
}

func TestPowerLossIsSilenceAndThenAReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(1)
		l, err := n.Host("a").Listen(":80")
		if err != nil {
			t.Fatal(err)
		}
		n.Delay("a", time.Second)
		c, err := n.Host("b").Dial(t.Context(), "a:80")
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		s.Write([]byte("on its way"))
		n.PowerOff("a")
		s.Write([]byte("of a dead program"))
		s.Close()
		l.Close()
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if k, err := c.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read %d bytes of a host without power: %v", k, err)
		}
		if _, err := n.Host("a").Dial(t.Context(), "a:80"); !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("a host without power reaches itself: %v", err)
		}
		n.PowerOn("a")
		c.SetReadDeadline(time.Time{})
		if k, err := c.Read(make([]byte, 10)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read %d bytes of a stream that the new program does not know: %v", k, err)
		}
		if got := n.Stats(); got.Stopped == 0 || n.Stopped("a", "b") == 0 || n.Stopped("b", "a") != 0 {
			t.Errorf("counted %+v", got)
		}
	})
}

func TestPowerLossIsNobodyElses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(1)
		own := func(name string) (client, server net.Conn) {
			l, err := n.Host(name).Listen(":80")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if client, err = n.Host(name).Dial(t.Context(), name+":80"); err != nil {
				t.Fatal(err)
			}
			if server, err = l.Accept(); err != nil {
				t.Fatal(err)
			}
			return client, server
		}
		lost, lostServer := own("a")
		kept, keptServer := own("b")
		n.PowerOff("a")
		if _, err := lost.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a host without power speaks with itself: %v", err)
		}
		if _, err := kept.Write([]byte("x")); err != nil {
			t.Errorf("another one's own stream ended, too: %v", err)
		}
		for _, c := range []net.Conn{lost, lostServer, kept, keptServer} {
			c.Close()
		}
	})
}

func TestAHostWithAnotherAddressIsFoundThereOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(1)
		h := n.Host("zhangyong")
		old := h.Addr(80)
		n.Renumber("zhangyong")
		l, err := h.Listen(h.Addr(80))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := n.Host("post").Dial(t.Context(), h.Addr(80))
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if c, err := n.Host("post").Dial(t.Context(), old); err == nil {
			c.Close()
			t.Error("somebody answers at the old address")
		}
	})
}
