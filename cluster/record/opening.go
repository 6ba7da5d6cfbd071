package record

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
	"hivemesh/cluster/wire"
)

// What a stream is for.
const (
	forRaft   = 1
	forFollow = 2
	forSurvey = 3 // asks how the record stands; the answer is all there is
	forMend   = 4 // lost entries after Index: pages of them follow, and an empty one at the end

	openVersion = 2
	openTime    = 10 * time.Second // a stream that has not said by then what it is for is closed
	openLimit   = 8 << 10          // bytes of the first frame: names, an epoch's statement, some places
)

// opening is the first frame of a stream.
type opening struct {
	Version uint64        `cbor:"1,keyasint"`
	Cell    alerts.CellID `cbor:"2,keyasint"`
	Purpose uint64        `cbor:"3,keyasint"`
	Index   uint64        `cbor:"4,keyasint,omitempty"` // follow, survey: where the one who asks stands
	Chain   alerts.Hash   `cbor:"5,keyasint"`           // its running hash there
	Era     []byte        `cbor:"6,keyasint,omitempty"` // the statement of its epoch; none for the first
	Places  []milestone   `cbor:"7,keyasint,omitempty"` // earlier ones, from one who may have to drop some entries
}

// milestone is an index and the running hash there.
type milestone struct {
	Index uint64      `cbor:"1,keyasint"`
	Chain alerts.Hash `cbor:"2,keyasint"`
}

// What an opening is answered with.
const (
	welcome  = 1
	tooOld   = 2 // of an epoch that is over: Era says which counts
	full     = 3 // feeds as many as it may: Feeds says whom to ask instead
	circular = 4 // follows the one who asks, by some way
	unready  = 5 // cannot serve this now
	unwanted = 6 // has no say in this cell
)

// answer is the first frame of the other side. After any but welcome the stream ends.
type answer struct {
	Says     uint64             `cbor:"1,keyasint"`
	Era      []byte             `cbor:"2,keyasint,omitempty"`
	Feeds    []alerts.StationID `cbor:"3,keyasint,omitempty"`
	Standing *Standing          `cbor:"4,keyasint,omitempty"`
	Place    uint64             `cbor:"5,keyasint,omitempty"` // survey: what is here where the one who asks stands
}

// What is said of a place. Nothing is said where no entry is here.
const (
	samePlace  = 1
	otherPlace = 2
)

// errNoAddress says that gossip has not met a station yet.
var errNoAddress = errors.New("no address is known")

// errRefused says that the other side did not let a stream go on.
var errRefused = errors.New("refused")

// errFull names those who may be asked instead.
type errFull struct{ feeds []alerts.StationID }

func (e *errFull) Error() string { return fmt.Sprintf("feeds %d others already", len(e.feeds)) }

// stream is one that was opened and welcomed.
type stream struct {
	conn net.Conn
	r    *bufio.Reader
	told answer
}

// dial opens a stream to a station, says what it is for, and hears whether it may go on. News of an epoch is
// taken in.
func (c *Cell) dial(ctx context.Context, to alerts.StationID, o opening) (_ stream, err error) {
	at, ok := c.cfg.Addr(to)
	if !ok {
		return stream{}, fmt.Errorf("%w of %s", errNoAddress, to)
	}
	conn, err := c.cfg.Port.Dial(ctx, trust.ProtoRecord, at, to)
	if err != nil {
		return stream{}, err
	}
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	o.Version, o.Cell = openVersion, c.cfg.Cell
	conn.SetDeadline(time.Now().Add(c.cfg.Links.patience()))
	if err := wire.WriteFrame(conn, o); err != nil {
		return stream{}, err
	}
	s := stream{conn: conn, r: bufio.NewReader(conn)}
	if err := wire.ReadFrameMax(s.r, &s.told, openLimit); err != nil {
		return stream{}, err
	}
	switch s.told.Says {
	case welcome:
		return s, conn.SetDeadline(time.Time{})
	case tooOld:
		return stream{}, errors.Join(ErrPast, c.learn(s.told.Era))
	case full:
		return stream{}, &errFull{s.told.Feeds}
	}
	return stream{}, fmt.Errorf("%w by %s: %d", errRefused, to, s.told.Says)
}

// receive answers an opening and serves the stream.
func (c *Cell) receive(peer alerts.StationID, conn net.Conn, r *bufio.Reader, o opening) {
	if !c.begin() {
		conn.Close()
		return
	}
	defer c.wg.Done()
	say := func(a answer) error {
		conn.SetWriteDeadline(time.Now().Add(openTime))
		err := wire.WriteFrame(conn, a)
		conn.SetWriteDeadline(time.Time{})
		return err
	}
	theirs, err := readEra(c.cfg.Cell, o.Era)
	if err == nil && theirs.newer(c.fold.Era()) {
		err = c.learn(o.Era)
	}
	ours := c.fold.Era()
	switch {
	case err != nil:
		say(answer{Says: unready})
	case ours.newer(theirs):
		say(answer{Says: tooOld, Era: ours.raw})
	case o.Purpose == forSurvey:
		s := c.Standing()
		say(answer{Says: welcome, Standing: &s, Place: c.placeOf(o)})
	case o.Purpose == forFollow:
		c.serve(peer, conn, r, o, say)
	case o.Purpose == forMend && c.fold.Whole():
		if say(answer{Says: welcome}) == nil {
			c.show(conn, o.Index, o.Chain)
		}
	case o.Purpose != forRaft:
		say(answer{Says: unready})
	case !c.mayVote(peer):
		say(answer{Says: unwanted})
	default:
		k := c.council()
		if k == nil || k.era.mark != theirs.mark {
			say(answer{Says: unready})
			break
		}
		if say(answer{Says: welcome}) == nil {
			k.layer.take(peer, conn, r) // raft closes it
			return
		}
	}
	conn.Close()
}
