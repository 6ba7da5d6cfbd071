package alerts

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// allKinds are those of rowOf.
var allKinds = []Kind{
	KindRaised, KindEmergencyCalled, KindRegistered, KindGraded, KindWave, KindReceipts, KindAccepted, KindDeclined, KindEnRoute,
	KindOnScene, KindReleased, KindSupportRequested, KindClue, KindCardUpdated, KindAssigned, KindNote, KindCancelRequested,
	KindResolved, KindCancelled, KindStoodDown,
	KindAsked, KindReturned, KindLevelChanged, KindFeedback, KindStepped, KindWished, KindAppointed, KindSupervised, KindVerified,
	KindFollowedUp, KindAffected, KindRated, KindJudged, KindReopened, KindArchived, KindMerged, KindUnmerged, KindTransferred, KindCarried, KindHandedOver,
	KindCellChanged, KindStationPlaced, KindStationExpelled, KindKeyChanged, KindSealed,
}

// Check refuses tables that a station cannot work by, or that would break a promise; each mistake is named
// with its row.
func (r *Rules) Check() error {
	var p problems
	p.bad(len(r.Categories) == 0, "categories: the table is empty")
	for id, c := range r.Categories {
		p.category(id, c)
	}
	p.bad(r.Calls < 0 || r.Calls > maxCalls, "calls: %d is not within 0 to %d", r.Calls, maxCalls)
	p.bad(r.Archive < 0 || r.Archive > maxClock, "archive: %v is not within 0 to %v", r.Archive, maxClock)
	for g, c := range r.Clocked {
		p.bad(!g.Valid(), "clocks.%d: there is no such grade", g)
		p.clocks(fmt.Sprintf("clocks.%d", g), c)
	}
	for k, m := range r.Moves {
		p.move(k, m)
	}
	for _, k := range allKinds {
		_, there := r.Moves[k]
		row, _ := rowOf(k)
		p.bad(!there && !row.own, "moves.%s: missing, so nobody could do it", k)
		p.bad(there && row.own, "moves.%s: only stations do it, no person", k)
	}
	// Maps come in any order; people compare messages.
	slices.SortFunc(p, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(p...)
}

func (p *problems) category(id string, c Category) {
	p.text("categories."+id, id, maxID)
	p.bad(c.Name.Zh == "" || c.Name.En == "", "categories.%s.name: give zh and en", id)
	p.bad(!c.Grade.Valid(), "categories.%s.grade: %d is not 1 to 4", id, c.Grade)
	p.bad(c.Wanted < 0 || c.Wanted > maxWanted, "categories.%s.wanted: %d is not within 0 to %d", id, c.Wanted, maxWanted)
	p.bad(len(c.Rings) > 0 && len(c.Wakes) == 0, "categories.%s.wakes: an alarm that wakes nobody", id)
	p.bad(len(c.Rings) > 0 && c.Card.What == "", "categories.%s.card.what: an alarm needs a clue card", id)
	p.bad(c.Sealed && holds(c.Wakes, publicRoles), "categories.%s.wakes: a sealed matter calls the public side", id)
	for k, ring := range c.Rings {
		p.bad(!within(ring, 1, CountyRing), "categories.%s.rings: %v is not within 1 to %v metres", id, ring, float64(CountyRing))
		p.bad(k > 0 && ring <= c.Rings[k-1], "categories.%s.rings: each must be wider than the one before", id)
	}
	p.roles(c.Wakes, "categories.%s.wakes", id)
	p.template("categories."+id, c.Template)
	p.text("categories."+id+".card.what", c.Card.What, maxLine)
	p.text("categories."+id+".card.do", c.Card.Do, maxLine)
	p.text("categories."+id+".card.dont", c.Card.Dont, maxLine)
}

func (p *problems) move(k Kind, m Move) {
	_, known := rowOf(k)
	p.bad(!known, "moves.%.40s: no such kind of event", k)
	p.roles(m.By, "moves.%s.by", k)
	for _, at := range m.At {
		p.bad(!at.Valid(), "moves.%s.at: there is no kind %q of station", k, at)
	}
	for _, status := range m.From {
		p.bad(status.rank() == 0, "moves.%s.from: there is no status %q", k, status)
	}
	p.bad(FieldOf(k) == "" && len(m.From) > 0, "moves.%s.from: a fact is never refused for the status", k)
	if FieldOf(k) == "" && k != KindWave && !OfCounty(k) {
		return
	}
	// A stolen village box must not end a search or wake the county, whatever the table says.
	p.bad(len(m.At) == 0 || slices.ContainsFunc(m.At, func(s StationKind) bool { return !s.Trusted() }),
		"moves.%s.at: decisions are signed at police posts and centres only", k)
}

// roles names those that do not exist: misspelt, a role would quietly never be woken or allowed anything.
func (p *problems) roles(list []Role, where string, row any) {
	for _, r := range list {
		p.bad(!r.Valid(), where+": there is no role %q", row, r)
	}
}
