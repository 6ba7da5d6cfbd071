package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

const (
	measuredVoters = 3
	measuredWait   = 10 * time.Second // for a leader, and for one commit
)

// CommitTimes makes n commits of so many bytes among three voters over loopback, one every so often, and says
// how long each took: raft on this package's log store and nothing beside it, which is the limit that a
// record has to be measured against. The stores are made under dir and left there.
func CommitTimes(ctx context.Context, dir string, n, size int, every time.Duration) (took []time.Duration, err error) {
	var close []func() error
	defer func() {
		for k := len(close) - 1; k >= 0; k-- {
			err = errors.Join(err, close[k]())
		}
	}()
	var (
		first  raft.Configuration
		trans  [measuredVoters]*raft.NetworkTransport
		voters [measuredVoters]*raft.Raft
	)
	quiet := hclog.NewNullLogger()
	for k := range trans {
		if trans[k], err = raft.NewTCPTransportWithLogger("127.0.0.1:0", nil, poolSize, measuredWait, quiet); err != nil {
			return nil, err
		}
		close = append(close, func() error { trans[k].CloseStreams(); return trans[k].Close() })
		first.Servers = append(first.Servers, raft.Server{ID: measuredID(k), Address: trans[k].LocalAddr()})
	}
	for k := range voters {
		at := filepath.Join(dir, string(measuredID(k)))
		if err := os.MkdirAll(at, 0o700); err != nil {
			return nil, err
		}
		logs, err := openLogStore(nil, "", at, mark(filepath.Join(at, "voter")), func(error) {})
		if err != nil {
			return nil, err
		}
		close = append(close, logs.Close)
		conf := LAN.raft(measuredID(k))
		conf.Logger = quiet
		snaps := raft.NewDiscardSnapshotStore()
		if err := raft.BootstrapCluster(conf, logs, logs, snaps, trans[k], first); err != nil {
			return nil, err
		}
		if voters[k], err = raft.NewRaft(conf, passOver{}, logs, logs, snaps, trans[k]); err != nil {
			return nil, err
		}
		close = append(close, func() error { return voters[k].Shutdown().Error() })
	}
	data := make([]byte, size)
	for lost := 0; len(took) < n; {
		leader, err := leaderOf(ctx, voters[:])
		if err != nil {
			return nil, err
		}
		begin := time.Now()
		err = leader.Apply(data, measuredWait).Error()
		if err != nil && lost < n { // a busy machine: there will be another leader
			lost++
			continue
		} else if err != nil {
			return nil, err
		}
		took = append(took, time.Since(begin))
		select {
		case <-time.After(time.Until(begin.Add(every))):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return took, nil
}

func measuredID(k int) raft.ServerID { return raft.ServerID(fmt.Sprint("voter-", k+1)) }

// leaderOf waits until one of the voters leads.
func leaderOf(ctx context.Context, voters []*raft.Raft) (*raft.Raft, error) {
	ctx, cancel := context.WithTimeout(ctx, measuredWait)
	defer cancel()
	for {
		for _, v := range voters {
			if v.State() == raft.Leader {
				return v, nil
			}
		}
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return nil, fmt.Errorf("no leader among the voters measured: %w", ctx.Err())
		}
	}
}

// passOver is a record that takes in nothing.
type passOver struct{}

func (passOver) Apply(*raft.Log) any                 { return nil }
func (passOver) Snapshot() (raft.FSMSnapshot, error) { return passOver{}, nil }
func (passOver) Restore(r io.ReadCloser) error       { return r.Close() }
func (passOver) Persist(s raft.SnapshotSink) error   { return s.Close() }
func (passOver) Release()                            {}
