package alerts

import (
	"slices"
	"time"
)

// ShownCourse is what those who work a matter see of its course.
type ShownCourse struct {
	Level       Level             `json:"level,omitempty" enum:"village,township,county" doc:"who handles it"`
	Told        map[string]string `json:"told,omitempty" doc:"answers to the guided questions, by question"`
	Steps       []ShownStep       `json:"steps,omitempty" doc:"of this round, as they were done"`
	Lacks       []string          `json:"lacks,omitempty" doc:"what the category asks for before it can be resolved"`
	Evidence    []Evidence        `json:"evidence,omitempty"`
	Claimed     string            `json:"claimed,omitempty" doc:"the code that a handler says it is done with"`
	Wish        *ShownAppointment `json:"wish,omitempty"`
	Appointment *ShownAppointment `json:"appointment,omitempty"`
	Supervision *ShownSupervision `json:"supervision,omitempty"`
	Handlers    []PersonID        `json:"handlers,omitempty" doc:"who may not check it or call after it"`
	Checkers    []PersonID        `json:"checkers,omitempty" doc:"who checked it once and may not again"`
	Calls       int               `json:"calls,omitempty" doc:"calls after it that reached nobody, in this round"`
	Parties     []string          `json:"parties,omitempty" doc:"who may give a verdict beside the reporter"`
	Ratings     []ShownRating     `json:"ratings,omitempty" doc:"hidden from whoever handled the matter until they are counted"`
	Judgement   *ShownJudgement   `json:"judgement,omitempty"`
	Round       int               `json:"round,omitempty" doc:"how often it was opened again"`
	MergedInto  IncidentID        `json:"merged_into,omitempty"`
	Clocks      []ShownClock      `json:"clocks,omitempty" doc:"those that have begun"`
}

// ShownStep is one step done.
type ShownStep struct {
	Step        string     `json:"step"`
	Result      string     `json:"result,omitempty"`
	Words       string     `json:"words,omitempty"`
	Evidence    []Evidence `json:"evidence,omitempty"`
	Due         *Stamp     `json:"due,omitempty"`
	By          PersonID   `json:"by,omitempty"`
	At          Stamp      `json:"at"`
	Provisional bool       `json:"provisional,omitempty"`
}

// ShownAppointment is a time, agreed or wished for.
type ShownAppointment struct {
	At    Stamp  `json:"at"`
	Until *Stamp `json:"until,omitempty"`
	Words string `json:"words,omitempty"`
}

// ShownSupervision is what put the matter under supervision.
type ShownSupervision struct {
	Reason string   `json:"reason"`
	Due    *Stamp   `json:"due,omitempty"`
	By     PersonID `json:"by,omitempty" doc:"absent: by a station's own rule"`
	At     Stamp    `json:"at"`
}

// ShownRating is one party's verdict.
type ShownRating struct {
	Party        string       `json:"party"`
	Satisfaction Satisfaction `json:"satisfaction" enum:"satisfied,partly,unsatisfied,no_opinion"`
	Words        string       `json:"words,omitempty"`
	At           Stamp        `json:"at"`
}

// ShownJudgement is what the verdicts of a round came to.
type ShownJudgement struct {
	Round       int   `json:"round"`
	Satisfied   int   `json:"satisfied"`
	Partly      int   `json:"partly"`
	Unsatisfied int   `json:"unsatisfied"`
	NoOpinion   int   `json:"no_opinion"`
	At          Stamp `json:"at"`
}

// ShownClock is one of the matter's clocks. Limit in seconds.
type ShownClock struct {
	Name    ClockName `json:"name" enum:"answer,dispatch,arrive,feedback,close,due,verify,follow_up"`
	Began   Stamp     `json:"began"`
	Limit   float64   `json:"limit" doc:"seconds"`
	Stopped *Stamp    `json:"stopped,omitempty" doc:"absent: it runs"`
}

// LevelOf is who handles the matter: as it was handed, else as its category says.
func (r *Rules) LevelOf(i *Incident) Level {
	switch own := r.Categories[i.Raised.Category].Level; {
	case i.Level != "":
		return i.Level
	case own != "":
		return own
	}
	return LevelTownship
}

// Lacks is what the category asks for before the matter can be resolved, as Verdict.Missing says it.
func (r *Rules) Lacks(i *Incident) []string {
	t := r.Categories[i.Raised.Category].Template
	t.Codes = nil // which one, is for the resolving
	return t.missingOutcome(i, &Resolved{})
}

func (r *Rules) course(i *Incident, blind bool) *ShownCourse {
	c := &ShownCourse{
		Level: r.LevelOf(i), Told: i.Told, Evidence: i.Evidence, Claimed: i.Claimed, Wish: i.Wish.shown(),
		Appointment: i.Appointment.shown(), Calls: i.Calls, Parties: i.Parties, Round: len(i.Reopened), MergedInto: i.MergedInto,
		Handlers: persons(i.Handlers), Checkers: persons(i.Checkers),
	}
	if !i.Status.Closed() {
		c.Lacks = r.Lacks(i)
	}
	for _, s := range i.Steps {
		c.Steps = append(c.Steps, ShownStep{s.Step, s.Result, s.Words, s.Evidence, stamp(s.Due), s.Ref.By, Stamp(s.Ref.At), s.Provisional})
	}
	if s := i.Supervision; s != nil {
		c.Supervision = &ShownSupervision{s.Reason, stamp(s.Due), s.Ref.By, Stamp(s.Ref.At)}
	}
	if !blind {
		for _, v := range i.Ratings {
			c.Ratings = append(c.Ratings, ShownRating{v.Party, v.Satisfaction, v.Words, Stamp(v.Ref.At)})
		}
	}
	if j := i.Judgement; j != nil {
		c.Judgement = &ShownJudgement{j.Round, j.Satisfied, j.Partly, j.Unsatisfied, j.NoOpinion, Stamp(j.Ref.At)}
	}
	for _, k := range r.Clocks(i) {
		c.Clocks = append(c.Clocks, ShownClock{k.Name, Stamp(k.Began), k.Limit.Seconds(), stamp(k.Stopped)})
	}
	return c
}

// forHandler leaves out who else is in the matter and what the public said.
func (c *ShownCourse) forHandler() *ShownCourse {
	c.Handlers, c.Checkers, c.Parties, c.Ratings, c.Judgement = nil, nil, nil, nil, nil
	for k := range c.Steps {
		c.Steps[k].By = ""
	}
	if c.Supervision != nil {
		c.Supervision.By = ""
	}
	return c
}

// uncounted reports whether the event is one of this round's verdicts, which nobody has counted yet.
func (i *Incident) uncounted(id Hash) bool {
	return slices.ContainsFunc(i.Ratings, func(v Rating) bool { return v.Ref.Event == id })
}

func persons(parts []Part) (out []PersonID) {
	for _, p := range parts {
		out = append(out, p.Person)
	}
	return out
}

func (a *Appointed) shown() *ShownAppointment {
	if a == nil {
		return nil
	}
	return &ShownAppointment{Stamp(a.At), stamp(a.Until), a.Words}
}

func (w *Wished) shown() *ShownAppointment {
	if w == nil {
		return nil
	}
	return &ShownAppointment{At: Stamp(w.At), Words: w.Words}
}

func stamp(t *time.Time) *Stamp {
	if t == nil {
		return nil
	}
	s := Stamp(*t)
	return &s
}
