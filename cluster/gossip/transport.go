package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
)

const (
	maxPacket   = 64 << 10 // bytes; what UDP can carry
	packetQueue = 1024     // packets waiting for memberlist
)

// transport carries memberlist over the mesh port: packets over UDP, streams over TLS as hive-gossip/1.
// A stream to a member by name reaches that station or nobody.
type transport struct {
	port    *trust.Port
	addr    net.IP
	number  int
	packets chan *memberlist.Packet
	streams chan net.Conn
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

var _ memberlist.NodeAwareTransport = (*transport)(nil)

func newTransport(port *trust.Port, advertise string) (*transport, error) {
	ip, number, err := resolve(advertise)
	if err != nil {
		return nil, fmt.Errorf("mesh address %s: %w", advertise, err)
	}
	t := &transport{
		port: port, addr: ip, number: number,
		packets: make(chan *memberlist.Packet, packetQueue), streams: make(chan net.Conn),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	port.Handle(trust.ProtoGossip, func(_ alerts.StationID, c net.Conn) {
		select {
		case t.streams <- t.own(c):
		case <-t.ctx.Done():
			c.Close()
		}
	})
	t.wg.Go(t.read)
	return t, nil
}

// resolve turns host:port into an address that others can reach.
func resolve(addr string) (net.IP, int, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, 0, err
	}
	number, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, 0, err
	}
	ip := net.ParseIP(host)
	switch {
	case host == "" || ip != nil && ip.IsUnspecified():
		ip, err = ownAddress()
	case ip == nil:
		var ips []net.IP
		if ips, err = net.LookupIP(host); err == nil {
			ip = ips[0]
		}
	}
	return ip, int(number), err
}

// ownAddress is the first address of this machine that others may reach: one that is not loopback.
func ownAddress() (net.IP, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && n.IP.To4() != nil {
			return n.IP, nil
		}
	}
	return nil, errors.New("this machine has no address that others could reach: name one in `mesh`")
}

func (t *transport) read() {
	pc, buf := t.port.PacketConn(), make([]byte, maxPacket)
	for {
		n, from, err := pc.ReadFrom(buf)
		if t.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// An ICMP answer to an earlier packet, most likely: the socket is still good.
			select {
			case <-t.ctx.Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		p := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: from, Timestamp: time.Now()}
		select {
		case t.packets <- p:
		default: // packets may be lost: better this one than the time of those behind it
		}
	}
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.addr, t.number, nil
}

// WriteTo implements memberlist.Transport.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return time.Time{}, err
	}
	_, err = t.port.PacketConn().WriteTo(b, net.UDPAddrFromAddrPort(to))
	return time.Now(), err
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, a.Addr)
}

// PacketCh implements memberlist.Transport.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// StreamCh implements memberlist.Transport.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

// DialTimeout implements memberlist.Transport.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	c, err := t.port.Dial(ctx, trust.ProtoGossip, a.Addr, alerts.StationID(a.Name))
	if err != nil {
		return nil, err
	}
	return t.own(c), nil
}

// stream ends with the transport, so that nothing memberlist has under way outlives Shutdown for long.
type stream struct {
	net.Conn
	stop func() bool
}

func (t *transport) own(c net.Conn) net.Conn {
	return stream{c, context.AfterFunc(t.ctx, func() { c.Close() })}
}

func (s stream) Close() error {
	s.stop()
	return s.Conn.Close()
}

// Shutdown implements memberlist.Transport. The port stays open: it is not ours.
func (t *transport) Shutdown() error {
	t.cancel()
	err := t.port.PacketConn().SetReadDeadline(time.Now()) // wakes the reader
	t.wg.Wait()
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
