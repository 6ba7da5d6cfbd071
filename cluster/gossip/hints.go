package gossip

import (
	"fmt"
	"math"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

// MaxHints is the longest encoding of Hints in bytes: it rides in every message about a member.
const MaxHints = 200

// Hints are what a station tells about itself: for screens and for finding it, never for authority.
type Hints struct {
	Name     string
	Township string
	Cell     alerts.CellID
	Kind     alerts.StationKind
	Mesh     string        // host:port of the mesh port
	HTTP     string        // where its pages are, e.g. http://127.0.0.1:8081
	Point    *alerts.Point // kept to a millionth of a degree, 0.1 m
	PID      int
	Looking  bool   // a dispatcher is looking: positions are wanted there
	Wired    bool   // its link is not a mobile one
	Battery  bool   // it outlives a power cut
	Trust    uint64 // digest of what it knows of stations' standing: who differs should meet
	KeyGen   uint64 // the latest generation of the gossip key it has
}

type hintsForm struct {
	Version  int    `cbor:"0,keyasint"`
	Name     string `cbor:"1,keyasint,omitempty"`
	Township string `cbor:"2,keyasint,omitempty"`
	Cell     string `cbor:"3,keyasint,omitempty"`
	Kind     string `cbor:"4,keyasint,omitempty"`
	Mesh     string `cbor:"5,keyasint,omitempty"`
	HTTP     string `cbor:"6,keyasint,omitempty"`
	Point    []int  `cbor:"7,keyasint,omitempty"` // lon, lat in millionths of a degree
	PID      int    `cbor:"8,keyasint,omitempty"`
	Looking  bool   `cbor:"9,keyasint,omitempty"`
	Trust    uint64 `cbor:"10,keyasint,omitempty"`
	KeyGen   uint64 `cbor:"11,keyasint,omitempty"`
	Battery  bool   `cbor:"12,keyasint,omitempty"`
	Wired    bool   `cbor:"13,keyasint,omitempty"`
}

const (
	hintsVersion = 1
	micro        = 1e6
)

// encode refuses hints that are too long, saying by how much.
func (h Hints) encode() ([]byte, error) {
	f := hintsForm{
		Version: hintsVersion, Name: h.Name, Township: h.Township, Cell: string(h.Cell), Kind: string(h.Kind),
		Mesh: h.Mesh, HTTP: h.HTTP, PID: h.PID, Looking: h.Looking, Wired: h.Wired, Battery: h.Battery, Trust: h.Trust, KeyGen: h.KeyGen,
	}
	if h.Point != nil {
		if err := h.Point.Check(); err != nil {
			return nil, fmt.Errorf("hints of a station: %w", err)
		}
		f.Point = []int{int(math.Round(h.Point.Lon * micro)), int(math.Round(h.Point.Lat * micro))}
	}
	b, err := wire.Canonical.Marshal(f)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxHints {
		return nil, fmt.Errorf("hints of a station take %d bytes, at most %d fit: shorten the name (%d bytes), township (%d) or addresses (%d)",
			len(b), MaxHints, len(h.Name), len(h.Township), len(h.Mesh)+len(h.HTTP))
	}
	return b, nil
}

// decodeHints errors wrap wire.ErrMalformed.
func decodeHints(b []byte) (Hints, error) {
	if len(b) > MaxHints {
		return Hints{}, fmt.Errorf("%w: hints of %d bytes", wire.ErrMalformed, len(b))
	}
	var f hintsForm
	if err := wire.Tolerant.Unmarshal(b, &f); err != nil {
		return Hints{}, fmt.Errorf("%w: hints: %w", wire.ErrMalformed, err)
	}
	h := Hints{
		Name: f.Name, Township: f.Township, Cell: alerts.CellID(f.Cell), Kind: alerts.StationKind(f.Kind),
		Mesh: f.Mesh, HTTP: f.HTTP, PID: f.PID, Looking: f.Looking, Wired: f.Wired, Battery: f.Battery, Trust: f.Trust, KeyGen: f.KeyGen,
	}
	if len(f.Point) == 2 {
		p := alerts.Point{Lon: float64(f.Point[0]) / micro, Lat: float64(f.Point[1]) / micro}
		if err := p.Check(); err != nil {
			return Hints{}, fmt.Errorf("%w: hints: %w", wire.ErrMalformed, err)
		}
		h.Point = &p
	}
	return h, nil
}
