package alerts

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
)

// DirectoryID stands in the place of the incident in events about the county itself.
const DirectoryID IncidentID = "00000000-0000-0000-0000-000000000000"

// CellChanged forms a cell or changes it. Townships and stations named are its own from then on, wherever
// they were before; those not named stay where they are.
type CellChanged struct {
	Cell      CellID      `cbor:"1,keyasint" json:"cell"`
	Townships []string    `cbor:"2,keyasint,omitempty" json:"townships,omitempty"`
	Stations  []StationID `cbor:"3,keyasint,omitempty" json:"stations,omitempty"`
	Voters    int         `cbor:"4,keyasint,omitempty" json:"voters,omitempty"`      // how many are wanted; 0: by the number of stations
	Founders  []StationID `cbor:"5,keyasint,omitempty" json:"founders,omitempty"`    // a new cell: who begins its record together
	Into      CellID      `cbor:"6,keyasint,omitempty" json:"merged_into,omitempty"` // it ends here: all that it has goes to that cell
}

// StationPlaced says for which cell one station works from now on.
type StationPlaced struct {
	Station StationID `cbor:"1,keyasint" json:"station"`
	Cell    CellID    `cbor:"2,keyasint" json:"cell"`
}

// StationExpelled records that a station is no longer believed, for whoever looks through the record later.
// Revocation is the county authority's own signed word, which counts by itself, recorded or not.
type StationExpelled struct {
	Station    StationID `cbor:"1,keyasint" json:"station"`
	Revocation []byte    `cbor:"2,keyasint" json:"revocation"`
}

// KeyChanged records that the gossip key is of a new generation. The key itself is in no record.
type KeyChanged struct {
	Generation uint64 `cbor:"1,keyasint" json:"generation"`
}

// Directory is what the home cell's record says of the county itself. Once published it is never changed.
// The methods work on nil, the directory of a county that has recorded nothing of the kind.
type Directory struct {
	Cells    []CellEntry          // by id; a cell that never changed is not there
	Stations map[StationID]CellID // those that were ever placed
	Expelled map[StationID][]byte // with the authority's word
	Key      *KeyChanged          // nil: the first one still
	Latest   map[Field]Ref        // the last accepted decision on each field
	Log      []Line
}

// CellEntry is one cell of the directory.
type CellEntry struct {
	ID        CellID
	Epoch     uint64 // counts its changes
	Townships []string
	Voters    int // wanted; 0: by the number of stations
	Founders  []StationID
	Into      CellID // not empty: it is sealed, and this is its successor
}

// Cell finds a cell; false where nothing was ever recorded of it.
func (d *Directory) Cell(id CellID) (CellEntry, bool) {
	if d == nil {
		return CellEntry{}, false
	}
	k, ok := slices.BinarySearchFunc(d.Cells, id, func(c CellEntry, id CellID) int { return cmp.Compare(c.ID, id) })
	if !ok {
		return CellEntry{}, false
	}
	return d.Cells[k], true
}

// Present is the cell that id is by now: itself, or whatever it was merged into.
func (d *Directory) Present(id CellID) CellID {
	for {
		c, _ := d.Cell(id)
		if c.Into == "" {
			return id
		}
		id = c.Into // possible refuses what would make a circle
	}
}

// CellOf is the cell a station works for: where it was placed, else the one its certificate names where that
// is one, else the home cell.
func (d *Directory) CellOf(s StationID, certificate, home CellID) CellID {
	if d != nil {
		if placed, ok := d.Stations[s]; ok {
			return d.Present(placed)
		}
	}
	if _, known := d.Cell(certificate); !known {
		return home
	}
	return d.Present(certificate)
}

// Home is the cell of a township; false where none was ever named for it.
func (d *Directory) Home(township string) (CellID, bool) {
	if d == nil || township == "" {
		return "", false
	}
	for _, c := range d.Cells {
		if c.Into == "" && slices.Contains(c.Townships, township) {
			return c.ID, true
		}
	}
	return "", false
}

// Expulsion is the index of the entry that notes a station's expulsion by these very words of the authority;
// 0: none does.
func (d *Directory) Expulsion(s StationID, word []byte) uint64 {
	return d.lastOf(func(b Body) bool {
		x, ok := b.(*StationExpelled)
		return ok && x.Station == s && bytes.Equal(x.Revocation, word)
	})
}

// KeyEntry is the index of the entry that notes a generation of the gossip key; 0: none does.
func (d *Directory) KeyEntry(generation uint64) uint64 {
	return d.lastOf(func(b Body) bool { x, ok := b.(*KeyChanged); return ok && x.Generation == generation })
}

func (d *Directory) lastOf(is func(Body) bool) uint64 {
	if d == nil {
		return 0
	}
	for _, l := range slices.Backward(d.Log) {
		if l.Verdict.Accepted() && is(l.Event.Body) {
			return l.Index
		}
	}
	return 0
}

// Last is the decision that the next one on the field names as seen.
func (d *Directory) Last(f Field) Hash {
	if d == nil {
		return Hash{}
	}
	return d.Latest[f].Event
}

// judgeDirectory: decisions of the directory exclude each other as those of an incident do.
func (r *Rules) judgeDirectory(s *State, e Event, by Standing) Verdict {
	d := s.directory
	if d == nil {
		d = &Directory{}
	}
	if first := sameDeed(d.Log, e); first != nil {
		return Verdict{Code: Same, Lost: first}
	}
	if r.denied(e.Kind, e.Actor, by, nil) != nil {
		return Verdict{Code: Forbidden}
	}
	if field := FieldOf(e.Kind); field != "" {
		if last, ok := d.Latest[field]; meant(e.Saw, lineOf(d.Log, e.Saw)) != last.Event {
			if ok {
				return Verdict{Code: Stale, Lost: &last}
			}
			return Verdict{Code: Stale}
		}
	}
	return Verdict{Code: d.possible(e.Body, s.Cell)}
}

// possible refuses what the county as it is cannot become. home is always a cell, whatever is recorded, and
// never ends: every station follows it.
func (d *Directory) possible(body Body, home CellID) Code {
	lives := func(id CellID) bool {
		c, known := d.Cell(id)
		return id == home || known && c.Into == ""
	}
	switch b := body.(type) {
	case *CellChanged:
		old, known := d.Cell(b.Cell)
		switch {
		case old.Into != "":
			return Ended
		case b.Into != "" && (b.Cell == home || b.Cell == b.Into || !known || !lives(b.Into)):
			return NotOpen
		case !known && b.Cell != home && len(b.Founders) == 0, (known || b.Cell == home) && len(b.Founders) > 0:
			return NotOpen // only a new cell is founded
		}
	case *StationPlaced:
		if !lives(b.Cell) {
			return NotOpen
		}
	case *StationExpelled:
		if word, noted := d.Expelled[b.Station]; noted && bytes.Equal(word, b.Revocation) {
			return Same
		}
	case *KeyChanged:
		switch {
		case d.Key != nil && b.Generation == d.Key.Generation:
			return Same // two stations noted it
		case d.Key != nil && b.Generation < d.Key.Generation:
			return NotOpen
		}
	}
	return Accepted
}

// advance returns what d becomes by one more line; d itself stays as it is.
func (d *Directory) advance(l Line) *Directory {
	var n Directory
	if d != nil {
		n = *d
	}
	n.Log = append(slices.Clip(n.Log), l)
	if !l.Verdict.Accepted() {
		return &n
	}
	if f := FieldOf(l.Event.Kind); f != "" {
		n.Latest = cloned(n.Latest)
		n.Latest[f] = refOf(l)
	}
	switch b := l.Event.Body.(type) {
	case *CellChanged:
		n.change(*b)
	case *StationPlaced:
		n.Stations = cloned(n.Stations)
		n.Stations[b.Station] = b.Cell
	case *StationExpelled:
		n.Expelled = cloned(n.Expelled)
		n.Expelled[b.Station] = b.Revocation
	case *KeyChanged:
		n.Key = b
	}
	return &n
}

func (d *Directory) change(b CellChanged) {
	cells := make([]CellEntry, 0, len(d.Cells)+1)
	c := CellEntry{ID: b.Cell}
	for _, other := range d.Cells {
		if other.ID == b.Cell {
			c = other
			continue
		}
		// A township is of one cell at a time.
		if kept := without(other.Townships, b.Townships); len(kept) != len(other.Townships) {
			other.Townships, other.Epoch = kept, other.Epoch+1
		}
		cells = append(cells, other)
	}
	c.Epoch++
	c.Townships = slices.Sorted(maps.Keys(setOf(c.Townships, b.Townships)))
	c.Voters = cmp.Or(b.Voters, c.Voters)
	c.Founders = append(slices.Clip(c.Founders), b.Founders...)
	c.Into = b.Into
	if b.Into != "" {
		for k := range cells {
			if cells[k].ID == b.Into {
				cells[k].Townships = slices.Sorted(maps.Keys(setOf(cells[k].Townships, c.Townships)))
				cells[k].Epoch++
			}
		}
		c.Townships = nil
	}
	d.Cells = append(cells, c)
	slices.SortFunc(d.Cells, func(a, b CellEntry) int { return cmp.Compare(a.ID, b.ID) })
	if len(b.Stations) > 0 {
		d.Stations = cloned(d.Stations)
		for _, s := range b.Stations {
			d.Stations[s] = b.Cell
		}
	}
}

func without(list, gone []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(gone, s) })
}

func setOf(lists ...[]string) map[string]bool {
	set := map[string]bool{}
	for _, l := range lists {
		for _, s := range l {
			set[s] = true
		}
	}
	return set
}
