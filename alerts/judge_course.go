package alerts

// judgeCourse is what the course of a matter asks of an event beside its field: that the category's template is
// followed, and that nobody checks his own work. Accepted where nothing stands against it. partial: this station
// holds the alarm lane only.
func (r *Rules) judgeCourse(i *Incident, e Event, by Standing, s *State, partial bool) Verdict {
	if part := i.involved(e); part != nil {
		return Verdict{Code: Involved, Lost: part}
	}
	switch b := e.Body.(type) {
	case *Rated:
		if old := i.rated(b.Party); old != nil {
			return Verdict{Code: Stands, Lost: &old.Ref}
		}
		if b.Party != ReporterParty && !holds(by.Roles, r.Moves[KindRated].By) {
			return Verdict{Code: Forbidden} // who raised it speaks for himself
		}
		if b.Party != ReporterParty && !i.party(b.Party) {
			return Verdict{Code: Lacking, Missing: []string{"party: " + b.Party + " was not named as affected"}}
		}
	case *Affected:
		if i.party(b.Party) {
			return Verdict{Code: Stands}
		}
	case *Stepped:
		row := r.Categories[i.Raised.Category].step(b.Step)
		if row != nil && len(row.By) > 0 && !holds(by.Roles, row.By) {
			return Verdict{Code: Forbidden}
		}
	case *Merged:
		if !partial {
			return judgeMerged(i, b, s)
		}
	case *Supervised:
		if b.Lifted && i.Supervision == nil {
			return Verdict{Code: NotOpen}
		}
	}
	if missing := r.missing(i, e.Body); len(missing) > 0 {
		return Verdict{Code: Lacking, Missing: missing}
	}
	return Verdict{Code: Accepted}
}

// involved is the part in the matter that keeps an event's actor from it, or nil.
func (i *Incident) involved(e Event) *Ref {
	switch e.Kind {
	case KindVerified:
		if part := partOf(i.Handlers, e.Actor); part != nil {
			return part
		}
		return partOf(i.Checkers, e.Actor) // opened again it goes to another one
	case KindFollowedUp, KindJudged:
		return partOf(i.Handlers, e.Actor)
	case KindRated:
		if e.Actor != i.RaisedBy {
			return partOf(i.Handlers, e.Actor)
		}
	}
	return nil
}

func (i *Incident) party(label string) bool {
	for _, p := range i.Parties {
		if p == label {
			return true
		}
	}
	return false
}

// judgeMerged: into another matter of the same record, and never in a circle.
func judgeMerged(i *Incident, b *Merged, s *State) Verdict {
	for id := b.Into; ; {
		into, known := s.Incident(id)
		switch {
		case !known || into.Moved != nil:
			return Verdict{Code: Lacking, Missing: []string{"into: " + string(b.Into) + " is no matter of this cell"}}
		case id == i.ID:
			return Verdict{Code: Lacking, Missing: []string{"into: " + string(b.Into) + " is this matter, or was merged into it"}}
		case into.MergedInto == "":
			return Verdict{Code: Accepted}
		}
		id = into.MergedInto
	}
}
