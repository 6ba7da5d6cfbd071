package node

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
	"hivemesh/node/web"
)

const (
	positionsTopic = "positions"
	// forgetPositionAfter is when a position that nobody renewed is dropped; screens grey it long before.
	forgetPositionAfter = 10 * time.Minute
	// positionsPerCast keeps one batch of positions within a frame.
	positionsPerCast = 200
)

// positions are where people on duty are: soft state in memory, the latest wins, never recorded.
type positions struct {
	mu      sync.Mutex
	known   map[alerts.PersonID]web.Position
	changed map[alerts.PersonID]bool // moved at this station since the last share
	gone    map[alerts.PersonID]time.Time
}

// positionForm is one position between stations; At in Unix milliseconds, zero degrees and Gone for "no longer shared".
type positionForm struct {
	Person string  `cbor:"1,keyasint"`
	Lon    float64 `cbor:"2,keyasint"`
	Lat    float64 `cbor:"3,keyasint"`
	At     int64   `cbor:"4,keyasint"`
	Gone   bool    `cbor:"5,keyasint,omitempty"`
}

func newPositions() *positions {
	return &positions{known: map[alerts.PersonID]web.Position{}, changed: map[alerts.PersonID]bool{}, gone: map[alerts.PersonID]time.Time{}}
}

// moved takes a position reported at this station; nil: not shared any more.
func (p *positions) moved(who alerts.PersonID, at *web.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed[who] = true
	if at == nil {
		delete(p.known, who)
		p.gone[who] = time.Now()
		return
	}
	delete(p.gone, who)
	p.known[who] = *at
}

// batch is what changed here since the last call, in slices that each fit one cast.
func (p *positions) batch() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var forms []positionForm
	for who := range p.changed {
		if at, ok := p.known[who]; ok {
			forms = append(forms, positionForm{Person: string(who), Lon: at.Point.Lon, Lat: at.Point.Lat, At: at.At.UnixMilli()})
		} else {
			forms = append(forms, positionForm{Person: string(who), At: p.gone[who].UnixMilli(), Gone: true})
		}
	}
	clear(p.changed)
	var out [][]byte
	for part := range slices.Chunk(forms, positionsPerCast) {
		if b, err := wire.Canonical.Marshal(part); err == nil {
			out = append(out, b)
		}
	}
	return out
}

// merge takes a batch from another station. Errors wrap wire.ErrMalformed.
func (p *positions) merge(b []byte) error {
	var forms []positionForm
	if err := wire.Strict.Unmarshal(b, &forms); err != nil {
		return fmt.Errorf("%w: positions: %w", wire.ErrMalformed, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range forms {
		who, at := alerts.PersonID(f.Person), time.UnixMilli(f.At).UTC()
		point := alerts.Point{Lon: f.Lon, Lat: f.Lat}
		switch have, ok := p.known[who]; {
		case ok && have.At.After(at):
		case f.Gone:
			delete(p.known, who)
		case point.Check() == nil:
			p.known[who] = web.Position{Person: who, Point: point, At: at}
		}
	}
	return nil
}

// all are the positions not yet forgotten, by person.
func (p *positions) all() []web.Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]web.Position, 0, len(p.known))
	for who, at := range p.known {
		if time.Since(at.At) > forgetPositionAfter {
			delete(p.known, who)
			continue
		}
		out = append(out, at)
	}
	slices.SortFunc(out, func(a, b web.Position) int { return cmp.Compare(a.Person, b.Person) })
	return out
}
