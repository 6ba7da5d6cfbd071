package alerts

import (
	"slices"
	"time"
)

// The course of a matter is everything beside its alarm: who handles it, what was done, who checked it, what the
// public says of it.

// Level is who handles a matter; how bad it is, is its grade.
type Level string

// The levels.
const (
	LevelVillage  Level = "village"
	LevelTownship Level = "township"
	LevelCounty   Level = "county"
)

// Valid reports whether l is one of the three.
func (l Level) Valid() bool { return l == LevelVillage || l == LevelTownship || l == LevelCounty }

// Evidence shows that something was done. What is a file, a picture say, is named by its SHA-256: media never
// travel in an event.
type Evidence struct {
	Kind   EvidenceKind `cbor:"1,keyasint" json:"kind"`
	Words  string       `cbor:"2,keyasint,omitempty" json:"words,omitempty"`
	SHA256 *Hash        `cbor:"3,keyasint,omitempty" json:"sha256,omitempty"`
}

// EvidenceKind is what sort of thing shows it.
type EvidenceKind string

// The kinds of evidence.
const (
	EvidenceWords     EvidenceKind = "words"
	EvidencePhoto     EvidenceKind = "photo"
	EvidenceDocument  EvidenceKind = "document"
	EvidenceAgreement EvidenceKind = "agreement" // of the parties, as words or as a document
	EvidenceReceipt   EvidenceKind = "receipt"   // somebody else's word that he has it
)

// Valid reports whether k is one of them.
func (k EvidenceKind) Valid() bool {
	switch k {
	case EvidenceWords, EvidencePhoto, EvidenceDocument, EvidenceAgreement, EvidenceReceipt:
		return true
	}
	return false
}

// Asked is what the category's guided questions were answered with, by the question's id; a later answer to one
// question stands.
type Asked struct {
	Answers map[string]string `cbor:"1,keyasint" json:"answers"`
}

// Returned (退回) gives the matter back: whoever was sent, or is to handle it, says why it is not his.
type Returned struct {
	Reason string `cbor:"1,keyasint" json:"reason"`
}

// LevelChanged hands the matter up (上报上级) or down (下派).
type LevelChanged struct {
	Level  Level  `cbor:"1,keyasint" json:"level"`
	Reason string `cbor:"2,keyasint" json:"reason"`
}

// Feedback (反馈) is how things stand, told by somebody who handles it. Done is the code that he would resolve it
// with, where he holds it to be done: the desk resolves.
type Feedback struct {
	Words    string     `cbor:"1,keyasint" json:"words"`
	Evidence []Evidence `cbor:"2,keyasint,omitempty" json:"evidence,omitempty"`
	Done     string     `cbor:"3,keyasint,omitempty" json:"done,omitempty"`
}

// Stepped says that a step of the category's template was done, and how it came out. Due is by when what was
// asked for in it must be done.
type Stepped struct {
	Step     string     `cbor:"1,keyasint" json:"step"`
	Result   string     `cbor:"2,keyasint,omitempty" json:"result,omitempty"`
	Words    string     `cbor:"3,keyasint,omitempty" json:"words,omitempty"`
	Evidence []Evidence `cbor:"4,keyasint,omitempty" json:"evidence,omitempty"`
	Due      *time.Time `cbor:"5,keyasint,omitempty" json:"due,omitempty"`
}

// Wished is when somebody would like to be served; the desk appoints.
type Wished struct {
	At    time.Time `cbor:"1,keyasint" json:"at"`
	Words string    `cbor:"2,keyasint,omitempty" json:"words,omitempty"`
}

// Appointed fixes when a matter is dealt with, and until when that may take.
type Appointed struct {
	At    time.Time  `cbor:"1,keyasint" json:"at"`
	Until *time.Time `cbor:"2,keyasint,omitempty" json:"until,omitempty"`
	Words string     `cbor:"3,keyasint,omitempty" json:"words,omitempty"`
}

// Supervised (督办) puts an overdue matter under a superior's eye, or, Lifted, out of it.
type Supervised struct {
	Lifted bool       `cbor:"1,keyasint,omitempty" json:"lifted,omitempty"`
	Reason string     `cbor:"2,keyasint" json:"reason"`
	Due    *time.Time `cbor:"3,keyasint,omitempty" json:"due,omitempty"`
}

// Verified (核查) is what somebody found who did not handle the matter. Not passed, it is open again.
type Verified struct {
	Passed   bool       `cbor:"1,keyasint" json:"passed"`
	Words    string     `cbor:"2,keyasint,omitempty" json:"words,omitempty"`
	Evidence []Evidence `cbor:"3,keyasint,omitempty" json:"evidence,omitempty"`
}

// FollowedUp (回访) is a call to whoever reported the matter. One that reached nobody is tried again, until the
// county's table lets the caller give up.
type FollowedUp struct {
	Reached bool   `cbor:"1,keyasint" json:"reached"`
	GivenUp bool   `cbor:"2,keyasint,omitempty" json:"given_up,omitempty"`
	Words   string `cbor:"3,keyasint,omitempty" json:"words,omitempty"`
}

// ReporterParty is the party that raised the matter; others are named by Affected.
const ReporterParty = "reporter"

// Affected names one more party that may give its verdict, by a label within the matter ("东邻"), never by name.
type Affected struct {
	Party string `cbor:"1,keyasint" json:"party"`
}

// Satisfaction is one party's verdict.
type Satisfaction string

// The verdicts a party may give.
const (
	Satisfied   Satisfaction = "satisfied"
	Partly      Satisfaction = "partly"
	Unsatisfied Satisfaction = "unsatisfied"
	NoOpinion   Satisfaction = "no_opinion" // asked, and would rather not say
)

// Valid reports whether s is one of the four.
func (s Satisfaction) Valid() bool {
	return s == Satisfied || s == Partly || s == Unsatisfied || s == NoOpinion
}

// Rated is one party's verdict, given by itself or told to the caller who followed up. The first one of a party
// stands; whoever handled the matter does not see it until all are counted.
type Rated struct {
	Party        string       `cbor:"1,keyasint" json:"party"`
	Satisfaction Satisfaction `cbor:"2,keyasint" json:"satisfaction"`
	Words        string       `cbor:"3,keyasint,omitempty" json:"words,omitempty"`
}

// Judged (群众评判) counts the verdicts. With one that is not satisfied the matter is open again.
type Judged struct{}

// Reopened (重办) takes a matter up again whose work was over.
type Reopened struct {
	Reason string `cbor:"1,keyasint" json:"reason"`
}

// Archived (归档) puts a matter away that nothing more is to come of.
type Archived struct{}

// Merged says that the matter is the same as another of the cell. Both keep all they have; the alarm of this one
// ends, the other's goes on.
type Merged struct {
	Into   IncidentID `cbor:"1,keyasint" json:"into"`
	Reason string     `cbor:"2,keyasint,omitempty" json:"reason,omitempty"`
}

// Unmerged takes a Merged back. The alarm that it ended stays ended: whoever needs people calls them anew.
type Unmerged struct {
	Reason string `cbor:"1,keyasint" json:"reason"`
}

// Course is what the events beside the alarm add up to.
type Course struct {
	Level       Level             `json:",omitempty"` // empty: the category's own
	Told        map[string]string `json:",omitempty"` // the guided questions' answers
	Steps       []Step            `json:",omitempty"`
	Evidence    []Evidence        `json:",omitempty"` // of this round: handed in with feedback, steps and the outcome
	Claimed     string            `json:",omitempty"` // the code that a handler says it is done with
	Appointment *Appointed        `json:",omitempty"`
	Wish        *Wished           `json:",omitempty"`
	Supervision *Supervision      `json:",omitempty"`
	Handlers    []Part            `json:",omitempty"` // everybody who ever handled it, in the order of their first part
	Checkers    []Part            `json:",omitempty"` // who checked it
	Calls       int               `json:",omitempty"` // calls after it that reached nobody, in this round
	Parties     []string          `json:",omitempty"` // beside the reporter
	Ratings     []Rating          `json:",omitempty"` // of this round
	Judgement   *Judgement        `json:",omitempty"` // the latest
	Reopened    []Ref             `json:",omitempty"` // what opened it again, once for each further round
	MergedInto  IncidentID        `json:",omitempty"`
	Unmerged    Status            `json:",omitempty"` // while merged: what it was before
}

// Part is somebody's first deed of a sort in a matter.
type Part struct {
	Person PersonID
	Ref    Ref
}

// Step is one step of the template that was done.
type Step struct {
	Stepped
	Ref         Ref
	Provisional bool
}

// Supervision is what put a matter under supervision.
type Supervision struct {
	Supervised
	Ref Ref
}

// Rating is one party's verdict; Ref.By gave it, or took it down.
type Rating struct {
	Rated
	Ref Ref
}

// Judgement is what the verdicts of a round came to.
type Judgement struct {
	Round                                     int // 0: the first
	Satisfied, Partly, Unsatisfied, NoOpinion int
	Ref                                       Ref
}

func partOf(parts []Part, p PersonID) *Ref {
	for k := range parts {
		if parts[k].Person == p {
			return &parts[k].Ref
		}
	}
	return nil
}

func withPart(parts []Part, p PersonID, ref Ref) []Part {
	if p == "" || partOf(parts, p) != nil {
		return parts
	}
	return append(slices.Clone(parts), Part{p, ref})
}

// goOn lets an accepted line of the course have its effect.
func (i *Incident) goOn(l Line, ref Ref) {
	switch b := l.Event.Body.(type) {
	case *Asked:
		i.Told = cloned(i.Told)
		for q, a := range b.Answers {
			i.Told[q] = a
		}
	case *Returned:
		i.giveBack(l, *b)
	case *LevelChanged:
		i.Level = b.Level
	case *Feedback:
		i.handled(ref, b.Evidence)
		i.Claimed = b.Done
	case *Stepped:
		i.handled(ref, b.Evidence)
		i.Steps = append(slices.Clone(i.Steps), Step{*b, ref, l.Provisional})
	case *Wished:
		i.Wish = b
	case *Appointed:
		i.Appointment = b
	case *Supervised:
		i.Supervision = nil
		if !b.Lifted {
			i.Supervision = &Supervision{*b, ref}
		}
	case *Merged:
		i.MergedInto, i.Unmerged = b.Into, i.Status
		i.end(StatusMerged, ref)
	case *Unmerged:
		i.MergedInto, i.Status, i.Unmerged = "", i.Unmerged, ""
	default:
		i.lookBack(l, ref)
	}
}

// lookBack is for what comes when the work is over.
func (i *Incident) lookBack(l Line, ref Ref) {
	switch b := l.Event.Body.(type) {
	case *Verified:
		i.Checkers = withPart(i.Checkers, l.Event.Actor, ref)
		i.Status = StatusVerified
		if !b.Passed {
			i.reopen(ref)
		}
	case *FollowedUp:
		if b.Reached || b.GivenUp {
			i.Status = StatusFollowedUp
		} else {
			i.Calls++
		}
	case *Affected:
		i.Parties = append(slices.Clone(i.Parties), b.Party)
	case *Rated:
		i.Ratings = append(slices.Clone(i.Ratings), Rating{*b, ref})
	case *Judged:
		i.judge(ref)
	case *Reopened:
		i.reopen(ref)
	case *Archived:
		i.Status = StatusArchived
	}
}

// handled notes that whoever did ref has handled the matter, and what he handed in.
func (i *Incident) handled(ref Ref, evidence []Evidence) {
	i.handledBy(ref)
	i.Evidence = append(slices.Clip(i.Evidence), evidence...)
	i.forward(StatusHandling)
}

// giveBack releases whoever gives the matter back; with nobody else bound it waits to be dispatched anew.
func (i *Incident) giveBack(l Line, b Returned) {
	i.Answers = cloned(i.Answers)
	i.Answers[l.Event.Actor] = Answer{Step: KindReleased, Reason: b.Reason, At: l.At, Event: l.Event.ID, Provisional: l.Provisional}
	if i.Status.Closed() || i.Status.rank() < StatusDispatched.rank() {
		return
	}
	for _, a := range i.Assigned {
		if i.binds(a.Person) {
			return
		}
	}
	if i.Coming() == 0 {
		i.Status = StatusReturned
	}
}

// judge counts the round's verdicts.
func (i *Incident) judge(ref Ref) {
	j := Judgement{Round: len(i.Reopened), Ref: ref}
	for _, r := range i.Ratings {
		switch r.Satisfaction {
		case Satisfied:
			j.Satisfied++
		case Partly:
			j.Partly++
		case Unsatisfied:
			j.Unsatisfied++
		case NoOpinion:
			j.NoOpinion++
		}
	}
	i.Judgement = &j
	i.Status = StatusJudged
	if j.Unsatisfied > 0 {
		i.reopen(ref)
	}
}

// reopen begins another round: nobody is bound by the old one, and what was handed in for it proves nothing now.
func (i *Incident) reopen(by Ref) {
	i.Status = StatusReopened
	i.Reopened = append(slices.Clone(i.Reopened), by)
	i.Assigned, i.Answers = nil, nil
	i.Steps, i.Evidence, i.Claimed = nil, nil, ""
	i.Calls, i.Ratings = 0, nil
}

// rated finds what a party said already.
func (i *Incident) rated(party string) *Rating {
	for k := range i.Ratings {
		if i.Ratings[k].Party == party {
			return &i.Ratings[k]
		}
	}
	return nil
}

// handledBy notes somebody's first part in handling the matter.
func (i *Incident) handledBy(ref Ref) { i.Handlers = withPart(i.Handlers, ref.By, ref) }
