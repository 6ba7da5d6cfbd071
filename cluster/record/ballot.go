package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/wire"
)

// ballot is raft's term and vote, in a file of their own that needs no room: a voter on a full disk still votes.
type ballot struct {
	slots *disk.Slots
	now   ballotForm
}

type ballotForm struct {
	Version  uint64 `cbor:"1,keyasint"`
	Term     uint64 `cbor:"2,keyasint"`
	VoteTerm uint64 `cbor:"3,keyasint"`
	Vote     []byte `cbor:"4,keyasint"`
}

const ballotVersion = 1

// raft's own keys.
const (
	keyTerm     = "CurrentTerm"
	keyVoteTerm = "LastVoteTerm"
	keyVote     = "LastVoteCand"
)

func openBallot(d *disk.Disk, cell alerts.CellID, path string) (*ballot, error) {
	slots, value, err := d.OpenSlots("vote", string(cell), path)
	if err != nil {
		return nil, err
	}
	b := &ballot{slots: slots}
	if value == nil {
		return b, nil
	}
	if err := wire.Strict.Unmarshal(value, &b.now); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: term and vote: %w", disk.ErrDamaged, err), slots.Close())
	}
	if b.now.Version != ballotVersion {
		return nil, errors.Join(fmt.Errorf("term and vote are of version %d, this station reads %d", b.now.Version, ballotVersion), slots.Close())
	}
	return b, nil
}

// set writes one of raft's values.
func (b *ballot) set(k string, v []byte) error {
	next := b.now
	next.Version = ballotVersion
	switch {
	case k == keyVote:
		next.Vote = v
	case len(v) != 8:
		return fmt.Errorf("value of %q has %d bytes, want 8", k, len(v))
	case k == keyTerm:
		next.Term = binary.BigEndian.Uint64(v)
	case k == keyVoteTerm:
		next.VoteTerm = binary.BigEndian.Uint64(v)
	default:
		return fmt.Errorf("raft keeps %q, which has no place here", k)
	}
	raw, err := wire.Canonical.Marshal(next)
	if err == nil {
		err = b.slots.Write(raw)
	}
	if err == nil {
		b.now = next
	}
	return err
}

// get reads one of raft's values.
func (b *ballot) get(k string) ([]byte, error) {
	switch {
	case k == keyTerm && b.now.Term > 0:
		return key(b.now.Term), nil
	case k == keyVoteTerm && b.now.VoteTerm > 0:
		return key(b.now.VoteTerm), nil
	case k == keyVote && len(b.now.Vote) > 0:
		return b.now.Vote, nil
	}
	return nil, errNotFound
}

// errVoteless says that this station has forgotten what it said to a cell's voters: the logs that it confirmed,
// or whom it voted for. If it voted again, two leaders could be, or what was agreed could be lost.
var errVoteless = errors.New("this station has lost its part in the cell's agreement and may not vote there any more; it follows all the same; another is to vote in its place")

// mark says, beside a council's folder, that this station has had a part in its agreement, and whether it has
// lost it. It is there before the first log is kept, so that an empty folder is not taken for a new one.
type mark string

const (
	markTook = "took part\n"
	markLost = "lost: "
)

// took reports whether this station has had a part, and why it has it no more, if so.
func (m mark) took() (took bool, lost error) {
	b, err := os.ReadFile(string(m))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return true, err
	case strings.HasPrefix(string(b), markLost):
		return true, fmt.Errorf("%w (%s)", errVoteless, strings.TrimSpace(strings.TrimPrefix(string(b), markLost)))
	}
	return true, nil
}

// take notes that this station has a part from now on.
func (m mark) take() error { return m.write(markTook) }

// lose notes that it has lost it, and why.
func (m mark) lose(why error) error {
	line := strings.ReplaceAll(why.Error(), "\n", "; ")
	return errors.Join(fmt.Errorf("%w: %w", errVoteless, why), m.write(markLost+line+"\n"))
}

func (m mark) write(s string) error {
	tmp := string(m) + ".new"
	if err := disk.MakeDir(filepath.Dir(tmp)); err != nil {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(s)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return disk.Rename(tmp, string(m))
}
