package trust

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

// ProtoNews is spoken to even out notices and the gossip key. It needs no gossip, so whoever was away while
// the key changed gets it from any station it can still dial.
const ProtoNews = "hive-news/1"

const (
	newsVersion = 1
	maxNews     = 4 << 20          // bytes of a frame: some thousands of notices
	newsTime    = 10 * time.Second // a whole exchange
	// newsFan is how many stations one that has news tells at once: a county of 2,000 has heard in four rounds,
	// and whoever was missed sees in the others' hints that they know more.
	newsFan = 8
)

// News makes what stations know of each other's standing equal, two at a time.
type News struct {
	port  *Port
	ring  *Ring
	keys  *Keys
	peers func() []string // addresses (host:port) of whom to tell at once
	log   *zap.Logger

	ctx    context.Context
	cancel context.CancelFunc
	fresh  chan struct{} // something is known here that may be news to others
	once   sync.Once
	met    chan struct{} // closed when news have been evened out with another station
	wg     sync.WaitGroup
}

// newsFrame is one turn of an exchange: digests first, and what makes the difference where there is one.
type newsFrame struct {
	Version uint64   `cbor:"1,keyasint"`
	Digest  []byte   `cbor:"2,keyasint"`
	Notices [][]byte `cbor:"3,keyasint,omitempty"`
	Key     []byte   `cbor:"4,keyasint,omitempty"`
	Now     int64    `cbor:"5,keyasint"` // Unix milliseconds, by the sender's clock
}

// OpenNews answers other stations, and tells them what comes in. peers may be nil.
func OpenNews(port *Port, keys *Keys, peers func() []string, log *zap.Logger) *News {
	n := &News{port: port, ring: port.ring, keys: keys, peers: peers, log: log, fresh: make(chan struct{}, 1), met: make(chan struct{})}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	port.Handle(ProtoNews, n.serve)
	n.ring.OnNotice(func(Notice) { n.wake() })
	keys.OnTake(n.wake)
	n.wg.Go(n.run)
	return n
}

// Close stops telling; exchanges under way end with the port.
func (n *News) Close() error {
	n.cancel()
	n.wg.Wait()
	return nil
}

func (n *News) wake() {
	select {
	case n.fresh <- struct{}{}:
	default:
	}
}

// Digest is what stations compare: equal ones know the same.
func (n *News) Digest() uint64 {
	h := n.digest()
	return binary.BigEndian.Uint64(h[:8])
}

func (n *News) digest() []byte {
	h := n.ring.sum()
	generation, _, _ := n.keys.Latest()
	out := binary.BigEndian.AppendUint64(nil, generation)
	for i := range out {
		h[i] ^= out[i]
	}
	return h[:]
}

// run tells some others whatever is new here.
func (n *News) run() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.fresh:
		}
		if n.peers == nil {
			continue
		}
		peers := n.peers()
		rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
		var wg sync.WaitGroup
		for _, addr := range peers[:min(newsFan, len(peers))] {
			wg.Go(func() {
				if _, err := n.Meet(n.ctx, addr); err != nil {
					n.log.Debug("not told the news", zap.String("at", addr), zap.Error(err))
				}
			})
		}
		wg.Wait()
	}
}

// Meet evens out with whoever of the county is at addr, and says who that is.
func (n *News) Meet(ctx context.Context, addr string) (alerts.StationID, error) {
	c, peer, err := n.port.DialPeer(ctx, ProtoNews, addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	c.SetDeadline(time.Now().Add(newsTime))
	r := bufio.NewReader(c)
	ours := n.digest()
	if err := n.say(c, peer, nil); err != nil {
		return peer, err
	}
	theirs, err := n.hear(r, peer)
	if err != nil {
		return peer, err
	}
	if string(theirs.Digest) != string(ours) {
		if err := n.say(c, peer, theirs.Digest); err != nil {
			return peer, err
		}
		if theirs, err = n.hear(r, peer); err != nil {
			return peer, err
		}
	}
	n.even(peer, theirs.Digest)
	return peer, nil
}

// serve answers one exchange.
func (n *News) serve(peer alerts.StationID, c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(newsTime))
	r := bufio.NewReader(c)
	theirs, err := n.hear(r, peer)
	if err != nil {
		n.log.Debug("news", zap.String("peer", string(peer)), zap.Error(err))
		return
	}
	differ := string(theirs.Digest) != string(n.digest())
	if n.say(c, peer, theirs.Digest) != nil {
		return
	}
	if differ {
		if theirs, err = n.hear(r, peer); err != nil {
			return
		}
		if n.say(c, peer, theirs.Digest) != nil {
			return
		}
	}
	n.even(peer, theirs.Digest)
}

// even notes that the peer knows all that is known here, if it does.
func (n *News) even(peer alerts.StationID, theirs []byte) {
	if string(theirs) == string(n.digest()) {
		n.ring.agreed(peer)
	}
	n.once.Do(func() { close(n.met) })
}

// Met is closed once another station has told what it knows, since this start.
func (n *News) Met() <-chan struct{} { return n.met }

// say sends our digest, and all we know if it is not theirs; theirs nil: not known yet. Who is no longer of the
// county learns that much, and no key.
func (n *News) say(c net.Conn, peer alerts.StationID, theirs []byte) error {
	f := newsFrame{Version: newsVersion, Digest: n.digest(), Now: n.port.Wall().UnixMilli()}
	if theirs != nil && string(theirs) != string(f.Digest) {
		if f.Notices = n.ring.Notices(); n.port.welcomes(peer) == nil {
			f.Key = n.keys.signed()
		}
	}
	return wire.WriteFrame(c, f)
}

// hear takes in one turn. Notices come before the key: nobody may have a key that is kept from somebody without
// knowing from whom.
func (n *News) hear(r *bufio.Reader, peer alerts.StationID) (newsFrame, error) {
	var f newsFrame
	if err := wire.ReadFrameMax(r, &f, maxNews); err != nil {
		return f, err
	}
	if f.Version != newsVersion {
		return f, fmt.Errorf("news of version %d, this station reads %d", f.Version, newsVersion)
	}
	n.port.clock.heard(peer, time.UnixMilli(f.Now))
	for _, raw := range f.Notices {
		isNew, err := n.ring.TakeNotice(raw)
		if isNew {
			n.log.Info("a station is no longer of the county", n.about(raw), zap.String("told by", string(peer)))
		}
		if err != nil {
			n.log.Warn("notice", zap.String("from", string(peer)), zap.Error(err))
		}
	}
	if f.Key == nil {
		return f, nil
	}
	isNew, err := n.keys.Take(f.Key)
	if isNew {
		generation, _, urgent := n.keys.Latest()
		n.log.Info("a new gossip key", zap.Uint64("generation", generation), zap.Bool("urgent", urgent), zap.String("from", string(peer)))
	}
	if err != nil {
		n.log.Warn("gossip key", zap.String("from", string(peer)), zap.Error(err))
	}
	return f, nil
}

func (n *News) about(raw []byte) zap.Field {
	notice, err := n.ring.openNotice(raw)
	if err != nil {
		return zap.Error(err)
	}
	return zap.String("station", string(notice.Station)+" ("+notice.Why.String()+")")
}
