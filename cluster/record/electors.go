package record

import (
	"os"
	"path/filepath"
	"slices"
	"sync"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

const (
	electorsFile    = "electors"
	electorsVersion = 1
)

// electors are whose word for a record's head is taken: who voted when one was last believed. An epoch begins
// with its first voters, and each believed head names, under its signature, who votes now; changes of voters come
// one at a time, so from head to head somebody known signs. It is kept on disk, for a station that was off
// while voters were replaced.
type electors struct {
	path string

	mu    sync.Mutex
	mark  alerts.Hash // of the epoch they vote in
	names []alerts.StationID
}

type electorsForm struct {
	Version uint64             `cbor:"1,keyasint"`
	Mark    alerts.Hash        `cbor:"2,keyasint"`
	Names   []alerts.StationID `cbor:"3,keyasint"`
}

// openElectors reads what is kept in dir; a file that is missing or damaged means the epoch's first voters.
func openElectors(dir string) *electors {
	e := &electors{path: filepath.Join(dir, electorsFile)}
	b, err := os.ReadFile(e.path)
	var f electorsForm
	if err == nil && wire.Strict.Unmarshal(b, &f) == nil && f.Version == electorsVersion {
		e.mark, e.names = f.Mark, f.Names
	}
	return e
}

// of are the electors of an epoch; first are those it began with.
func (e *electors) of(mark alerts.Hash, first []alerts.StationID) []alerts.StationID {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mark != mark || len(e.names) == 0 {
		return first
	}
	return e.names
}

// become takes over whom a believed head names. One goroutine calls it.
func (e *electors) become(mark alerts.Hash, names []alerts.StationID) {
	e.mu.Lock()
	same := e.mark == mark && slices.Equal(e.names, names)
	if len(names) == 0 || len(names) > maxEraVoters || same {
		e.mu.Unlock()
		return
	}
	e.mark, e.names = mark, slices.Clone(names)
	e.mu.Unlock() // a disk that hangs must not hold up who asks
	b, err := wire.Canonical.Marshal(electorsForm{electorsVersion, mark, names})
	if err == nil && os.WriteFile(e.path+".new", b, 0o600) == nil {
		_ = os.Rename(e.path+".new", e.path) // what a bad disk forgets, the next head but one says again
	}
}

// elects reports whether a station's word for a head is taken: it votes, as far as is known here, or it is of a
// kind that is not left alone in a village, which helps a station that was away while all voters changed.
func (c *Cell) elects(s alerts.StationID) bool {
	if slices.Contains(c.electors.of(c.fold.Era().mark, c.founders()), s) || slices.Contains(c.raftVoters(), s) {
		return true
	}
	kind, _ := c.cfg.Ring.Kind(s)
	return kind.Trusted() && c.mayVote(s)
}
