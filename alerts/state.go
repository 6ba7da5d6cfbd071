package alerts

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// State is the fold of one cell's record. It has one owner, who guards it; the incidents it hands out are
// never changed.
type State struct {
	Cell  CellID
	Epoch uint64
	Index uint64 // of the last entry applied
	Chain Hash

	under     *State // a fork reads through to what it was made from
	incidents map[IncidentID]*Incident
	order     []IncidentID              // by first index; a fork's own only
	busy      map[PersonID][]IncidentID // open incidents that bind a person; lists are replaced, never changed
	entries   []Entry
	strays    map[Hash]bool       // entries that belong to no incident: refused raises, what was carried here twice
	alarms    map[IncidentID]bool // open ones of this cell
	departing map[IncidentID]bool // moved, and the cell it moved to does not have all of it yet
	directory *Directory          // nil but in the home cell of a county that changed; never changed itself
	sealed    *sealing            // nil: the record goes on
}

// NewState is the fold of an empty record.
func NewState(cell CellID) *State {
	return &State{
		Cell: cell, incidents: map[IncidentID]*Incident{}, busy: map[PersonID][]IncidentID{}, strays: map[Hash]bool{},
		alarms: map[IncidentID]bool{}, departing: map[IncidentID]bool{},
	}
}

// Fork is a scratch copy for judging a batch: what is applied to it never reaches s.
func (s *State) Fork() *State {
	f := NewState(s.Cell)
	f.Epoch, f.Index, f.Chain, f.under = s.Epoch, s.Index, s.Chain, s
	f.directory, f.sealed = s.directory, s.sealed
	maps.Copy(f.busy, s.busy)
	return f
}

// Incident returns the incident as it stands in the record.
func (s *State) Incident(id IncidentID) (*Incident, bool) {
	if i, ok := s.incidents[id]; ok {
		return i, true
	}
	if s.under != nil {
		return s.under.Incident(id)
	}
	return nil, false
}

// Incidents returns all of them in the order of their first entries.
func (s *State) Incidents() []*Incident {
	ids := s.ids()
	out := make([]*Incident, 0, len(ids))
	for _, id := range ids {
		i, _ := s.Incident(id)
		out = append(out, i)
	}
	return out
}

func (s *State) ids() []IncidentID {
	if s.under == nil {
		return s.order
	}
	return slices.Concat(s.under.ids(), s.order)
}

// Entries returns what the fold was made of, in the order of the record: what a snapshot holds. A fork keeps none.
func (s *State) Entries() []Entry { return slices.Clip(s.entries) }

// Has reports whether the event id of incident in is in the record.
func (s *State) Has(in IncidentID, id Hash) bool {
	if i, ok := s.Incident(in); ok && i.Line(id) != nil {
		return true
	}
	return in == DirectoryID && s.directory != nil && lineOf(s.directory.Log, id) != nil || s.stray(id)
}

// Directory is what this record says of the county; nil where it says nothing. It is never changed.
func (s *State) Directory() *Directory { return s.directory }

// SealedInto is the successor of a record that has ended; false while it goes on.
func (s *State) SealedInto() (CellID, bool) {
	if s.sealed == nil {
		return "", false
	}
	return s.sealed.Into, true
}

// OpenAlarms are the incidents of this cell that are being announced, in no order. What has moved to another
// cell is announced there.
func (s *State) OpenAlarms() []*Incident {
	out := make([]*Incident, 0, len(s.alarms))
	for id := range s.alarms {
		out = append(out, s.incidents[id])
	}
	return out
}

// Departing are the incidents that moved to another cell, which is not known to have all of them, in no order.
func (s *State) Departing() []*Incident {
	out := make([]*Incident, 0, len(s.departing))
	for id := range s.departing {
		out = append(out, s.incidents[id])
	}
	return out
}

func note(set map[IncidentID]bool, id IncidentID, in bool) {
	if in {
		set[id] = true
	} else {
		delete(set, id)
	}
}

func (s *State) stray(id Hash) bool {
	return s.strays[id] || s.under != nil && s.under.stray(id)
}

// Change is what one entry did. Incident is the new view of it, nil where the entry belongs to none; Directory
// the new one, nil where the entry says nothing of the county. A duplicate makes the zero Change.
type Change struct {
	Incident  *Incident
	Directory *Directory
	Entry     Entry
}

// Apply folds one entry. It reads nothing but the entry, so all stations agree whatever their tables,
// clocks or software say. A duplicate changes nothing.
func (s *State) Apply(e Entry) Change {
	if s.Has(e.Event.Incident, e.Event.ID) {
		return Change{}
	}
	s.Epoch, s.Index, s.Chain = e.Epoch, e.Index, e.Chain
	if s.under == nil {
		s.entries = append(s.entries, e)
	}
	if OfCounty(e.Event.Kind) {
		return s.applyCounty(e)
	}
	old, known := s.Incident(e.Event.Incident)
	carried, isCarried := e.Event.Body.(*Carried)
	opens := e.Verdict.Accepted() && (e.Event.Kind == KindRaised || isCarried && carried.Event.Kind == KindRaised)
	switch {
	case isCarried && (e.Verdict.Code == Same || !e.By.Kind.Trusted()):
		s.strays[e.Event.ID] = true
		if known && e.Verdict.Code == Same && carried.Index > old.Carried[carried.From] {
			n := *old // the same alert was raised here too: nothing new, but the entries after it may come
			n.Carried = cloned(old.Carried)
			n.Carried[carried.From] = carried.Index
			s.incidents[n.ID] = &n
		}
		return Change{Entry: e}
	case !known && !opens:
		s.strays[e.Event.ID] = true
		return Change{Entry: e}
	case !known:
		s.order = append(s.order, e.Event.Incident)
	case s.under != nil:
		old = old.scratch()
	}
	i := old.advance(Line{Entry: e})
	s.incidents[i.ID] = i
	s.keepBusy(i)
	note(s.alarms, i.ID, i.AlarmOpen() && i.Moved == nil)
	note(s.departing, i.ID, i.Departing())
	return Change{Incident: i, Entry: e}
}

// applyCounty folds what is about the county or the cell itself.
func (s *State) applyCounty(e Entry) Change {
	s.directory = s.directory.advance(Line{Entry: e})
	if b, ok := e.Event.Body.(*Sealed); ok && e.Verdict.Accepted() {
		s.sealed = &sealing{Into: b.Into, Ref: Ref{Event: e.Event.ID, At: e.At, Kind: KindSealed}}
	}
	return Change{Entry: e, Directory: s.directory}
}

// keepBusy notes who is bound by the incident, and who no longer is.
func (s *State) keepBusy(i *Incident) {
	for _, a := range i.Assigned {
		in := s.busy[a.Person]
		switch bound, noted := i.binds(a.Person), slices.Contains(in, i.ID); {
		case bound && !noted:
			s.busy[a.Person] = append(slices.Clone(in), i.ID)
		case !bound && noted:
			s.busy[a.Person] = slices.DeleteFunc(slices.Clone(in), func(id IncidentID) bool { return id == i.ID })
		}
	}
}

// boundElsewhere returns the assignment that binds the person to another open incident, or nil.
func (s *State) boundElsewhere(who PersonID, in IncidentID) *Ref {
	for _, id := range s.busy[who] {
		if id == in {
			continue
		}
		i, _ := s.Incident(id)
		for _, a := range slices.Backward(i.Assigned) {
			if a.Person == who {
				return &Ref{Event: a.Event, By: a.By, At: a.At, Kind: KindAssigned}
			}
		}
	}
	return nil
}

// Hash is over everything the fold shows: equal at an equal index at every station.
func (s *State) Hash() Hash {
	h := sha256.New()
	enc := json.NewEncoder(h)
	fmt.Fprintf(h, "%q %d %d %s\n", s.Cell, s.Epoch, s.Index, s.Chain)
	for _, i := range s.Incidents() {
		// An incident is plain data, its numbers finite and its years four digits (Event.Check): it always
		// encodes, and always alike.
		if err := enc.Encode(i); err != nil {
			panic("alerts: an incident does not encode: " + err.Error())
		}
	}
	if s.directory != nil {
		if err := enc.Encode(struct {
			*Directory
			*sealing
		}{s.directory, s.sealed}); err != nil {
			panic("alerts: a directory does not encode: " + err.Error())
		}
	}
	return Hash(h.Sum(nil))
}
