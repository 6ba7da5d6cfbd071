package record

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"hivemesh/cluster/memnet"
)

// oneHost is a stream layer of one host.
type oneHost struct {
	net.Listener
	host *memnet.Host
}

func (w oneHost) Dial(to raft.ServerAddress, patience time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return w.host.Dial(ctx, string(to))
}

// TestAPipelineThatTakesNothingIsClosed: the follower's disk hangs, so it reads requests and answers none. raft has
// stopped reading answers and is just handing the next request over.
func TestAPipelineThatTakesNothingIsClosed(t *testing.T) {
	for _, how := range []struct {
		name  string
		shut  bool
		least time.Duration
	}{{"after its patience", false, LAN.patience()}, {"when raft ends", true, 0}} {
		t.Run(how.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New(1)
				mute, err := n.Host("follower").Listen(":1")
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					if c, err := mute.Accept(); err == nil {
						io.Copy(io.Discard, c)
						c.Close()
					}
				}()
				own, err := n.Host("leader").Listen(":1")
				if err != nil {
					t.Fatal(err)
				}
				trans := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
					Stream: oneHost{own, n.Host("leader")}, MaxPool: poolSize, Timeout: LAN.patience(),
				})
				c := newContacts(trans, LAN.patience())
				p, err := c.AppendEntriesPipeline("follower", raft.ServerAddress(mute.Addr().String()))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { p.Close(); trans.Close(); mute.Close() }()
				if how.shut {
					time.AfterFunc(time.Millisecond, c.closePipes)
				}
				begin := time.Now()
				for range 4 { // one being answered, one waiting for that, and no more fit
					if _, err = p.AppendEntries(&raft.AppendEntriesRequest{}, &raft.AppendEntriesResponse{}); err != nil {
						break
					}
				}
				if took := time.Since(begin); !errors.Is(err, raft.ErrPipelineShutdown) || took < how.least || took > 3*LAN.patience() {
					t.Errorf("raft was let go after %v: %v", took, err)
				}
			})
		})
	}
}
