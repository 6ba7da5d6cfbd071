package trust_test

import (
	"errors"
	"io/fs"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/memnet"
	"hivemesh/cluster/trust"
)

// lostAnswer is a link that breaks just when the answer is on its way.
type lostAnswer struct{ net.Conn }

func (l lostAnswer) Write([]byte) (int, error) {
	l.Close()
	return 0, net.ErrClosed
}

func TestJoiningAgainAfterTheAnswerWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, n := county(t, "yongqing"), memnet.New(1)
		post := port(t, n.Host("post"), ":9080", station(t, a, "post", alerts.PolicePost), ring(t, a))
		defer post.Close()
		tries := 0
		post.HandleJoin(func(c net.Conn) {
			if tries++; tries == 1 {
				c = lostAnswer{c}
			}
			a.Enrol(c, nil)
		})
		token, err := a.Token(trust.Who{Cell: "yongqing", Kind: alerts.Village}, []string{post.Addr()}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		dir, host := t.TempDir(), n.Host("zhangyong")
		if _, _, err := trust.Join(t.Context(), host, token, dir, "zhangyong"); err == nil {
			t.Fatal("joined without an answer")
		}
		if _, err := trust.LoadIdentity(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("half an identity: %v", err)
		}
		id, _, err := trust.Join(t.Context(), host, token, dir, "zhangyong")
		if err != nil || id.Station != "zhangyong" {
			t.Fatalf("%+v, %v", id, err)
		}
		if _, _, err := trust.Join(t.Context(), host, token, dir, "zhangyong"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over a station that is there: %v", err)
		}
	})
}

func TestNobodyWaitsForASilentJoiner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, n := county(t, "yongqing"), memnet.New(1)
		post := port(t, n.Host("post"), ":9080", station(t, a, "post", alerts.PolicePost), ring(t, a))
		defer post.Close()
		var ended time.Time
		post.HandleJoin(func(c net.Conn) { a.Enrol(c, nil); ended = time.Now() })
		raw, err := n.Host("thief").Dial(t.Context(), post.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		start := time.Now()
		if err := joiner(raw).Handshake(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if ended.IsZero() || ended.Sub(start) > 31*time.Second {
			t.Errorf("shown out after %v", ended.Sub(start))
		}
	})
}
