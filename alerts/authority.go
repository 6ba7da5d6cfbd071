package alerts

import (
	"fmt"
	"slices"
	"strings"
)

// Action is something a person wants to do: a kind of event.
type Action string

// Denied refuses an action, in words: which rule, and who could.
type Denied struct{ Reason string }

func (d *Denied) Error() string { return d.Reason }

// Groups of roles that rules speak of.
var (
	dispatchRoles = []Role{Dispatcher, TownshipCentre, CountyCentre}
	policeRoles   = []Role{AuxiliaryPolice, Officer}
	kioskRoles    = []Role{KioskRole}
	callerRoles   = []Role{FollowUpCaller} // they learn of a matter when its work is over
	// publicRoles are those that a dispatcher's wide wave calls beside the category's own.
	publicRoles = []Role{Informant, GridWorker, GridLeader, Volunteer, Guard, EnterpriseMgr, VillageCadre, Mediator, KioskRole}
	fullRoles   = []Role{Dispatcher, TownshipCentre, CountyCentre, AuxiliaryPolice, Officer, Auditor, Admin}
)

func holds(roles []Role, any []Role) bool {
	return slices.ContainsFunc(roles, func(r Role) bool { return slices.Contains(any, r) })
}

// May says whether who may do this to the incident (nil for a raise), or why not, as a *Denied.
func (r *Rules) May(who Subject, do Action, in *Incident) error {
	if in != nil && r.ClassOf(who, in) == classHidden {
		return &Denied{"no incident of that id is open to you"}
	}
	if d := r.denied(Kind(do), who.Person, Standing{Roles: who.Roles, Kind: who.Kind}, in); d != nil {
		return d
	}
	return nil
}

// denied is the one place where authority is decided: (role, action, kind of the signing station).
func (r *Rules) denied(k Kind, actor PersonID, by Standing, in *Incident) *Denied {
	if actor == "" { // the station itself
		switch k {
		case KindWave, KindReceipts:
			return nil
		case KindTransferred, KindCarried, KindHandedOver, KindSealed, KindStationExpelled, KindKeyChanged, KindSupervised, KindArchived:
			// What moves a matter, ends a record, tends a course or notes what was decided of the county is signed
			// where decisions are.
			if by.Kind.Trusted() {
				return nil
			}
			return &Denied{string(k) + " is for police posts and centres"}
		}
		return &Denied{string(k) + " needs a person who does it"}
	}
	move, ok := r.Moves[k]
	if !ok {
		return &Denied{"the county's table of moves has no row for " + string(k)}
	}
	own := move.Own && in != nil && in.RaisedBy == actor
	if !own && !holds(by.Roles, move.By) || len(move.At) > 0 && !slices.Contains(move.At, by.Kind) {
		return &Denied{r.who(k)}
	}
	if in != nil && !handles(r.Categories[in.Raised.Category].Handles, k, by.Roles) {
		return &Denied{fmt.Sprintf("%s in a matter of %s is for %s", k, in.Raised.Category, join(r.Categories[in.Raised.Category].Handles))}
	}
	return nil
}

// handles reports whether a category that only some may handle leaves k to any of roles; those who dispatch may.
func handles(some []Role, k Kind, roles []Role) bool {
	if len(some) == 0 || k != KindFeedback && k != KindStepped && k != KindReturned {
		return true
	}
	return holds(roles, some) || holds(roles, dispatchRoles)
}

// who says in words who may do k, and where.
func (r *Rules) who(k Kind) string {
	move := r.Moves[k]
	if len(move.By) == 0 {
		return string(k) + " is not for persons"
	}
	text := fmt.Sprintf("%s is for %s", k, join(move.By))
	if move.Own {
		text += ", or whoever raised the matter"
	}
	if len(move.At) > 0 {
		text += ", at a station of kind " + join(move.At)
	}
	return text
}

func join[T ~string](list []T) string {
	words := make([]string, len(list))
	for k, v := range list {
		words[k] = string(v)
	}
	return strings.Join(words, ", ")
}

// Classes of disclosure. A class that depends on the person has the person's id behind it.
const (
	classHidden = ""
	classCard   = "card"
	classFull   = "full"
	// classBlind is full but for the public's verdicts, which whoever handled the matter sees when they are counted.
	classBlind = "full:blind"
)

// ClassOf names what who may know of i: two people of one class see the same, so a frame is made once a
// class. Empty: not even that it is.
func (r *Rules) ClassOf(who Subject, i *Incident) string {
	switch {
	case holds(who.Roles, fullRoles) && i.blindFor(who.Person):
		return classBlind
	case holds(who.Roles, fullRoles), i.Status.Closed() && holds(who.Roles, callerRoles):
		return classFull
	case r.own(who.Person, i):
		return classCard + ":" + string(who.Person)
	case len(i.Waves) == 0, !r.wakes(i, who.Roles):
		return classHidden
	}
	return classCard
}

// blindFor reports whether the person handled the matter, and verdicts on it are still uncounted.
func (i *Incident) blindFor(p PersonID) bool {
	return len(i.Ratings) > 0 && i.Status.rank() < StatusJudged.rank() && partOf(i.Handlers, p) != nil
}

// Full reports whether a class of disclosure is that of people who work the matter.
func Full(class string) bool { return class == classFull || class == classBlind }

// own reports whether the person has a part in the matter: raised it, was sent, or answered. An answer opens
// no sealed matter, since any station may sign one.
func (r *Rules) own(p PersonID, i *Incident) bool {
	_, answered := i.Answers[p]
	return p != "" && (i.RaisedBy == p || answered && !r.Categories[i.Raised.Category].Sealed ||
		slices.ContainsFunc(i.Assigned, func(a Assignment) bool { return a.Person == p }))
}

// sent reports whether the person was sent to handle a matter of a category that says who handles it: what he is
// to settle, he has to know. The roles that a category calls to an alarm learn the card, sent or not.
func (r *Rules) sent(who Subject, i *Incident) bool {
	return holds(who.Roles, r.Categories[i.Raised.Category].Handles) &&
		slices.ContainsFunc(i.Assigned, func(a Assignment) bool { return a.Person == who.Person })
}

// wakes reports whether any of roles may be called to i: by its category, or by a dispatcher's wide wave.
func (r *Rules) wakes(i *Incident, roles []Role) bool {
	return r.Categories[i.Raised.Category].calls(roles, i.wide())
}

// calls reports whether a wave of the category calls any of roles; a wide one calls the public side too,
// except to what is sealed.
func (c Category) calls(roles []Role, wide bool) bool {
	return holds(roles, c.Wakes) || wide && !c.Sealed && holds(roles, publicRoles)
}

// wide reports whether a dispatcher has lifted the police-only rule.
func (i *Incident) wide() bool {
	return slices.ContainsFunc(i.Waves, func(w Wave) bool { return w.Wide })
}
