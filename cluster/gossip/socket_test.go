package gossip_test

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/gossip"
	"hivemesh/cluster/trust"
)

// Two stations on real sockets of this machine: one TCP and one UDP port each.
func TestRealSocketsFindEachOther(t *testing.T) {
	a, err := trust.NewAuthority("yongqing", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	open := func(s alerts.StationID, seeds ...string) (*gossip.Gossip, *trust.Port) {
		id, err := a.NewStation(trust.Who{Cell: "yongqing", Kind: alerts.Village, Station: s})
		if err != nil {
			t.Fatal(err)
		}
		ring, err := trust.NewRing(a.Root, "")
		if err != nil {
			t.Fatal(err)
		}
		p, err := trust.OpenPort(trust.OS(), "127.0.0.1:0", id, ring, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		keys, err := trust.OpenKeys(id, "")
		if err != nil {
			t.Fatal(err)
		}
		g, err := gossip.Open(gossip.Config{Port: p, Self: s, Hints: gossip.Hints{Name: "站", Mesh: "127.0.0.1:0"}, Keys: keys, Seeds: seeds, Log: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		return g, p
	}
	post, postPort := open("post")
	village, villagePort := open("xinzhuang", postPort.Addr())
	met := make(chan gossip.Member, 8)
	post.OnChange(func(m gossip.Member) {
		if m.Station == "xinzhuang" {
			met <- m
		}
	})
	select {
	case m := <-met:
		if !m.Alive || m.Mesh != villagePort.Addr() {
			t.Errorf("met %+v", m)
		}
	case <-time.After(20 * time.Second):
		t.Error("the post never met the village")
	}
	got := make(chan string, 1)
	village.OnPacket(func(from alerts.StationID, b []byte) { got <- string(from) + string(b) })
	if err := post.Send("xinzhuang", []byte(" calls")); err != nil {
		t.Error(err)
	}
	select {
	case s := <-got:
		if s != "post calls" {
			t.Errorf("heard %q", s)
		}
	case <-time.After(20 * time.Second):
		t.Error("no packet over loopback")
	}
	for _, close := range []func() error{village.Close, post.Close, villagePort.Close, postPort.Close} {
		if err := close(); err != nil {
			t.Error(err)
		}
	}
}
