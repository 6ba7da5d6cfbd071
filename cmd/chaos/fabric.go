//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// fabric is the wiring between the hosts 0 … n-1. Every trouble lasts until calm. Both are real: the
// kernel's bridge cuts and thins, the switch of our own delays and doubles as well.
type fabric interface {
	// host is the namespace of host k.
	host(k int) *netns
	// listen lets heard see every frame between the hosts until stop is called.
	listen(heard func(frame []byte)) (stop func(), err error)
	// cut lets no frame from a to b; the other way is another cut.
	cut(a, b int) error
	// thin drops a tenth, thinner a third, of the frames from a to b.
	thin(a, b int) error
	thinner(a, b int) error
	// late delays the frames from a to b, each its own time, and doubles some; ErrUnsupported: it cannot.
	late(a, b int) error
	// unplug takes the cable out of host k.
	unplug(k int) error
	// slow makes k's link a thin one, both ways.
	slow(k int) error
	// calm ends all troubles.
	calm() error
	// bites counts what the troubles did since the start, by kind.
	bites() (map[string]int, error)
	close() error
}

// Kinds of bites, as bites counts them.
const (
	biteCut    = "cut"
	biteThin   = "thin"
	biteSlow   = "slow"
	biteUnplug = "unplug"
	biteDelay  = "delay"
	biteDouble = "double"
)

const (
	network  = "10.77.0"
	slowRate = "512kbit" // a bad mobile link
	slowWait = "600ms"   // what a slow link may queue before it drops
)

func address(k int) string { return fmt.Sprintf("%s.%d", network, k+1) }

// bridge is the kernel's own bridge, in a namespace of its own.
type bridge struct {
	sw    *netns
	hosts []*netns
	slowN int // frames held up by slow links that are over
}

const table = `
table bridge chaos {
	counter cut { }
	counter thin { }
	set cuts { type ifname . ifname; }
	set tenth { type ifname . ifname; }
	set third { type ifname . ifname; }
	chain between {
		type filter hook forward priority 0; policy accept;
		iifname . oifname @cuts counter name cut drop
		iifname . oifname @tenth numgen random mod 100 < 10 counter name thin drop
		iifname . oifname @third numgen random mod 100 < 33 counter name thin drop
	}
}`

func newBridge(n int) (_ *bridge, err error) {
	b := &bridge{}
	if b.sw, err = newNetns("switch"); err != nil {
		return nil, err
	}
	if err := run("ip", "-n", "switch", "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"); err != nil {
		return nil, err
	}
	if err := run("ip", "-n", "switch", "link", "set", "br0", "up"); err != nil {
		return nil, err
	}
	for k := range n {
		h, err := newNetns(fmt.Sprint("host", k))
		if err != nil {
			return nil, err
		}
		b.hosts = append(b.hosts, h)
		for _, args := range [][]string{
			{"-n", "switch", "link", "add", port(k), "type", "veth", "peer", "name", "eth0", "netns", h.name},
			{"-n", "switch", "link", "set", port(k), "master", "br0", "up"},
			{"-n", h.name, "addr", "add", address(k) + "/24", "dev", "eth0"},
			{"-n", h.name, "link", "set", "eth0", "up"},
		} {
			if err := run("ip", args...); err != nil {
				return nil, err
			}
		}
	}
	return b, b.nft(table)
}

func port(k int) string { return fmt.Sprint("port", k) }

func (b *bridge) host(k int) *netns { return b.hosts[k] }

// nft runs a script of rules in the bridge's namespace.
func (b *bridge) nft(script string) error {
	return b.sw.do(func() error {
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("nft: %w: %s", err, out)
		}
		return nil
	})
}

func (b *bridge) pair(set string, x, y int) error {
	return b.nft(fmt.Sprintf("add element bridge chaos %s { %q . %q }", set, port(x), port(y)))
}

func (b *bridge) cut(x, y int) error     { return b.pair("cuts", x, y) }
func (b *bridge) thin(x, y int) error    { return b.pair("tenth", x, y) }
func (b *bridge) thinner(x, y int) error { return b.pair("third", x, y) }
func (b *bridge) late(int, int) error    { return errors.ErrUnsupported } // the kernels here have no netem

func (b *bridge) unplug(k int) error {
	return run("ip", "-n", "switch", "link", "set", port(k), "down")
}

func (b *bridge) slow(k int) error {
	shape := []string{"root", "tbf", "rate", slowRate, "burst", "16kb", "latency", slowWait}
	if err := run("tc", append([]string{"-n", "switch", "qdisc", "replace", "dev", port(k)}, shape...)...); err != nil {
		return err
	}
	return run("tc", append([]string{"-n", b.hosts[k].name, "qdisc", "replace", "dev", "eth0"}, shape...)...)
}

func (b *bridge) calm() error {
	if err := b.nft("flush set bridge chaos cuts\nflush set bridge chaos tenth\nflush set bridge chaos third"); err != nil {
		return err
	}
	held, err := b.held()
	if err != nil {
		return err
	}
	b.slowN += held
	for k, h := range b.hosts {
		_ = run("tc", "-n", "switch", "qdisc", "del", "dev", port(k), "root") // most have none
		_ = run("tc", "-n", h.name, "qdisc", "del", "dev", "eth0", "root")
		if err := run("ip", "-n", "switch", "link", "set", port(k), "up"); err != nil {
			return err
		}
	}
	return nil
}

// held counts the frames that the slow links of now held back.
func (b *bridge) held() (n int, err error) {
	for _, ns := range append([]*netns{b.sw}, b.hosts...) {
		out, err := output("tc", "-n", ns.name, "-s", "-j", "qdisc", "show")
		if err != nil {
			return 0, err
		}
		var queues []struct {
			Kind       string
			Overlimits int
		}
		if err := json.Unmarshal([]byte(out), &queues); err != nil {
			return 0, fmt.Errorf("tc: %w", err)
		}
		for _, q := range queues {
			if q.Kind == "tbf" {
				n += q.Overlimits
			}
		}
	}
	return n, nil
}

// unplugged counts the hosts that see no carrier.
func (b *bridge) unplugged() (n int, err error) {
	for _, h := range b.hosts {
		out, err := output("ip", "-n", h.name, "-j", "link", "show", "eth0")
		if err != nil {
			return 0, err
		}
		var links []struct{ Flags []string }
		if err := json.Unmarshal([]byte(out), &links); err != nil {
			return 0, fmt.Errorf("ip: %w", err)
		}
		if len(links) == 1 && strings.Contains(strings.Join(links[0].Flags, " "), "NO-CARRIER") {
			n++
		}
	}
	return n, nil
}

func (b *bridge) bites() (map[string]int, error) {
	var out []byte
	err := b.sw.do(func() (err error) {
		out, err = exec.Command("nft", "-j", "list", "counters", "table", "bridge", "chaos").Output()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("nft: %w", err)
	}
	var listed struct {
		Nftables []struct {
			Counter *struct {
				Name    string
				Packets int
			}
		}
	}
	if err := json.Unmarshal(out, &listed); err != nil {
		return nil, fmt.Errorf("nft: %w", err)
	}
	bit := map[string]int{}
	for _, l := range listed.Nftables {
		if l.Counter != nil {
			bit[l.Counter.Name] = l.Counter.Packets
		}
	}
	held, err := b.held()
	if err != nil {
		return nil, err
	}
	bit[biteSlow] = b.slowN + held
	bit[biteUnplug], err = b.unplugged()
	return bit, err
}

func (b *bridge) close() error { return nil } // the namespaces go with the process
