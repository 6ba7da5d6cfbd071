package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"hivemesh/alerts"
)

const (
	overSockets = 1000
	deafSockets = 50  // of which never one reads
	deafAlarms  = 200 // until the kernel takes no more for them
	deafBuffer  = 4 << 10
	floodHertz  = 10 // positions a second of each device: one is asked for
	floodNotes  = 100
	overRounds  = 9
)

// overload measures what a crowd hears beside sockets that do not read, under ten times the load, and when all
// come back at once.
func (b *bench) overload(ctx context.Context, t *benchCounty) error {
	kiosk, err := t.signInOften(ctx, raiser, "", benchSessions)
	if err != nil {
		return err
	}
	as, err := t.signInOften(ctx, listener, "vol-lin", overSockets/benchShare)
	if err != nil {
		return err
	}
	addr, raised := strings.TrimPrefix(t.urls[listener], "http://"), 0
	shoot := func(ctx context.Context, alarms int) error {
		raised += alarms
		var sending errgroup.Group
		sending.SetLimit(benchAtOnce)
		for range alarms {
			sending.Go(func() error { _, err := t.raise(ctx, kiosk, ""); return err })
		}
		return sending.Wait()
	}
	b.say("%d sockets, some that do not read, ten times the load …", overSockets)
	c, err := dialCrowd(ctx, addr, as, overSockets, 0)
	if err != nil {
		return err
	}
	defer c.close()
	if _, err := c.round(ctx, 1, shoot); err != nil {
		return err
	}
	calm, err := c.volleys(ctx, shoot)
	if err != nil {
		return err
	}
	beside, err := b.besideDeaf(ctx, c, addr, as, shoot)
	if err != nil {
		return err
	}
	b.row(fmt.Sprintf("%d sockets beside %d that do not read: one alarm until the last has it", overSockets, deafSockets),
		ns(beside), "without them "+ns(calm), times(beside.Seconds(), calm.Seconds()), "≤ 1.1x")
	matter, err := t.raise(ctx, kiosk, "wait=10")
	if err != nil {
		return err
	}
	raised++
	if err := sleepUntil(ctx, time.Now().Add(benchQuiet)); err != nil {
		return err
	}
	flooded, moves, notes, err := b.flooded(ctx, t, c, matter.Incident, shoot)
	if err != nil {
		return err
	}
	b.row(fmt.Sprintf("the same under %.0f positions and %.0f notes a second", moves, notes), ns(flooded), "without "+ns(calm),
		times(flooded.Seconds(), calm.Seconds()), "alarms never thinned")
	c.close()
	return b.comeBack(ctx, addr, as, raised)
}

// volleys is the middle of several single alarms until the last socket has each.
func (c *crowd) volleys(ctx context.Context, shoot func(context.Context, int) error) (time.Duration, error) {
	var took []time.Duration
	for range overRounds {
		one, err := c.volley(ctx, 1, shoot)
		if err != nil {
			return 0, err
		}
		took = append(took, one)
		if err := sleepUntil(ctx, time.Now().Add(benchQuiet/2)); err != nil {
			return 0, err
		}
	}
	slices.Sort(took)
	return at(took, 50), nil
}

// besideDeaf opens sockets that say hello and never read, sends until nothing more goes into them, and measures
// the others.
func (b *bench) besideDeaf(ctx context.Context, c *crowd, addr string, as *sessions, shoot func(context.Context, int) error) (time.Duration, error) {
	var deaf []net.Conn
	defer func() {
		for _, conn := range deaf {
			_ = conn.Close()
		}
	}()
	for k := range deafSockets {
		conn, _, err := dialLive(addr, fmt.Sprintf(`{"type":"hello","token":%q,"device":"deaf-%d","position":{"lon":116.5,"lat":39.32}}`, as.of(k), k))
		if err != nil {
			return 0, err
		}
		deaf = append(deaf, conn)
		if err := conn.(*net.TCPConn).SetReadBuffer(deafBuffer); err != nil {
			return 0, err
		}
	}
	if _, err := c.round(ctx, deafAlarms, shoot); err != nil {
		return 0, err
	}
	return c.volleys(ctx, shoot)
}

// flooded measures the crowd while each of it moves all the time, and notes are written on a matter. It says how
// many of both a second there were.
func (b *bench) flooded(ctx context.Context, t *benchCounty, c *crowd, matter alerts.IncidentID, shoot func(context.Context, int) error) (took time.Duration, moves, notes float64, err error) {
	desk, err := t.signInOften(ctx, raiser, "disp-li", 4)
	if err != nil {
		return 0, 0, 0, err
	}
	var (
		load, stop   = context.WithCancel(ctx)
		flood        errgroup.Group
		moved, noted atomic.Int64
		begun        = time.Now()
	)
	for k, conn := range c.conns {
		flood.Go(func() error {
			for n := 0; load.Err() == nil; n++ {
				_ = sleepUntil(load, begun.Add(time.Duration(n)*time.Second/floodHertz+time.Duration(k)*time.Second/floodHertz/overSockets))
				frame := fmt.Sprintf(`{"type":"position","place":{"lon":116.5,"lat":%.7f}}`, 39.32+float64(n%10)*benchApart)
				if err := writeMasked(conn, frame); err != nil {
					return err
				}
				moved.Add(1)
			}
			return nil
		})
	}
	flood.Go(func() error {
		for n := 0; load.Err() == nil; n++ {
			_ = sleepUntil(load, begun.Add(time.Duration(n)*time.Second/floodNotes))
			form := map[string]any{"kind": alerts.KindNote, "words": "nothing new"}
			if err := benchPost(load, t.urls[raiser]+"/v1/incidents/"+string(matter)+"/events", desk.next(), "", form, nil); err != nil && load.Err() == nil {
				return err
			}
			noted.Add(1)
		}
		return nil
	})
	took, err = c.volleys(ctx, shoot)
	passed := time.Since(begun).Seconds()
	stop()
	err = errors.Join(err, flood.Wait())
	return took, float64(moved.Load()) / passed, float64(noted.Load()) / passed, err
}

// writeMasked writes a text frame as a client must; its mask is zero.
func writeMasked(conn net.Conn, text string) error {
	head := []byte{0x81, 0x80 | 126}
	head = binary.BigEndian.AppendUint16(head, uint16(len(text)))
	_, err := conn.Write(append(append(head, 0, 0, 0, 0), text...))
	return err
}

// comeBack opens all sockets anew at once, of devices that have heard nothing yet.
func (b *bench) comeBack(ctx context.Context, addr string, as *sessions, open int) error {
	b.say("%d sockets come back at once to %d open alarms …", overSockets, open)
	begun := time.Now()
	c, err := dialCrowd(ctx, addr, as, overSockets, open)
	if err != nil {
		return err
	}
	defer c.close()
	welcomed := time.Since(begun)
	select {
	case <-c.all:
	case <-time.After(benchRound):
		return fmt.Errorf("%d of %d alarms were heard by those who came back", c.alarms.Load(), c.want.Load())
	case <-ctx.Done():
		return ctx.Err()
	}
	b.row(fmt.Sprintf("%d sockets come back at once: all welcomed / all have all %d open alarms", overSockets, open),
		ns(welcomed)+" / "+ns(time.Since(begun)), "", "", "")
	return nil
}
