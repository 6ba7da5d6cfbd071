package alerts

import (
	"fmt"
	"slices"
	"time"
)

// Template is what a category asks of those who handle a matter of it. The zero one asks nothing.
type Template struct {
	Level    Level          `yaml:"level"`    // who handles it; empty: the township
	Handles  []Role         `yaml:"handles"`  // who may be sent and report; empty: everybody whom the table of moves lets
	Asks     []Question     `yaml:"asks"`     // guided questions, in their order
	Codes    []Outcome      `yaml:"codes"`    // what it may be resolved with; empty: any
	Evidence []EvidenceKind `yaml:"evidence"` // needed to resolve it
	Steps    []StepRow      `yaml:"steps"`    // what is done on the way
	Clocks   Clocks         `yaml:"clocks"`   // instead of the grade's, where given
}

// Coded is an id with its text in both languages.
type Coded struct {
	ID   string `yaml:"id" json:"id"`
	Name Text   `yaml:"name" json:"name"`
}

// Outcome is a code that a matter may be resolved with, and the steps that must have been done for it.
type Outcome struct {
	Coded `yaml:",inline"`
	Needs []string `yaml:"needs" json:"needs,omitempty"`
}

// Question is one guided question. With choices it is answered by one of their ids, else in words.
type Question struct {
	ID      string  `yaml:"id" json:"id"`
	Name    Text    `yaml:"name" json:"name"`
	Choices []Coded `yaml:"choices" json:"choices,omitempty"`
}

// StepRow is one step of a template: what it is called, who may do it, how it may come out, what it needs.
type StepRow struct {
	ID       string         `yaml:"id" json:"id"`
	Name     Text           `yaml:"name" json:"name"`
	By       []Role         `yaml:"by" json:"by,omitempty"`             // empty: whoever handles it
	Results  []Coded        `yaml:"results" json:"results,omitempty"`   // empty: it has none
	Needed   bool           `yaml:"needed" json:"needed,omitempty"`     // before the matter is resolved
	Passes   []string       `yaml:"passes" json:"passes,omitempty"`     // the results that count as done; empty: all
	After    string         `yaml:"after" json:"after,omitempty"`       // the step that must have been done
	Evidence []EvidenceKind `yaml:"evidence" json:"evidence,omitempty"` // it must bring
	Dated    bool           `yaml:"dated" json:"dated,omitempty"`       // it names by when
}

func (t Template) step(id string) *StepRow {
	for k := range t.Steps {
		if t.Steps[k].ID == id {
			return &t.Steps[k]
		}
	}
	return nil
}

// done reports whether the latest time the step was done in this round counts as done.
func (i *Incident) done(row *StepRow) bool {
	for _, s := range slices.Backward(i.Steps) {
		if s.Step == row.ID {
			return len(row.Passes) == 0 || slices.Contains(row.Passes, s.Result)
		}
	}
	return false
}

// lacksEvidence names the kinds that are not there. What somebody writes beside it is words.
func lacksEvidence(want []EvidenceKind, words string, have ...[]Evidence) (missing []string) {
	all := slices.Concat(have...)
	for _, k := range want {
		if k == EvidenceWords && words != "" {
			continue
		}
		if !slices.ContainsFunc(all, func(e Evidence) bool { return e.Kind == k }) {
			missing = append(missing, "evidence: "+string(k))
		}
	}
	return missing
}

func hasCode(list []Coded, id string) bool {
	return slices.ContainsFunc(list, func(c Coded) bool { return c.ID == id })
}

// missing names what the category asks for and a body lacks, each as "what: which one"; nil: nothing.
func (r *Rules) missing(i *Incident, body Body) []string {
	t := r.Categories[i.Raised.Category].Template
	switch b := body.(type) {
	case *Asked:
		return t.missingAnswers(b)
	case *Stepped:
		return t.missingStep(i, b)
	case *Feedback:
		if b.Done != "" && len(t.Codes) > 0 && t.outcome(b.Done) == nil {
			return []string{"code: " + b.Done + " is none of the category's"}
		}
	case *Resolved:
		return t.missingOutcome(i, b)
	case *FollowedUp:
		if b.GivenUp && i.Calls < r.Calls {
			return []string{fmt.Sprintf("calls: %d of %d made before giving up", i.Calls, r.Calls)}
		}
	case *Judged:
		if i.rated(ReporterParty) == nil && i.Calls < r.Calls {
			return []string{"verdict: " + ReporterParty}
		}
	}
	return nil
}

func (t Template) missingAnswers(b *Asked) (missing []string) {
	for id, answer := range b.Answers {
		k := slices.IndexFunc(t.Asks, func(q Question) bool { return q.ID == id })
		switch {
		case k < 0:
			missing = append(missing, "question: "+id+" is none of the category's")
		case len(t.Asks[k].Choices) > 0 && !hasCode(t.Asks[k].Choices, answer):
			missing = append(missing, "answer: "+id+" has no choice "+answer)
		}
	}
	slices.Sort(missing)
	return missing
}

func (t Template) missingStep(i *Incident, b *Stepped) (missing []string) {
	row := t.step(b.Step)
	if row == nil {
		return []string{"step: " + b.Step + " is none of the category's"}
	}
	if len(row.Results) > 0 && !hasCode(row.Results, b.Result) {
		missing = append(missing, "result: "+b.Step+" has none called "+b.Result)
	}
	if before := t.step(row.After); before != nil && !i.done(before) {
		missing = append(missing, "step: "+row.After)
	}
	if row.Dated && b.Due == nil {
		missing = append(missing, "due: by when")
	}
	return append(missing, lacksEvidence(row.Evidence, b.Words, b.Evidence)...)
}

func (t Template) outcome(code string) *Outcome {
	for k := range t.Codes {
		if t.Codes[k].ID == code {
			return &t.Codes[k]
		}
	}
	return nil
}

func (t Template) missingOutcome(i *Incident, b *Resolved) (missing []string) {
	out := t.outcome(b.Code)
	if out == nil && len(t.Codes) > 0 {
		missing = append(missing, "code: "+b.Code+" is none of the category's")
	}
	for k := range t.Steps {
		row := &t.Steps[k]
		if (row.Needed || out != nil && slices.Contains(out.Needs, row.ID)) && !i.done(row) {
			missing = append(missing, "step: "+row.ID)
		}
	}
	return append(missing, lacksEvidence(t.Evidence, b.Words, i.Evidence, b.Evidence)...)
}

// Clocks are the times a matter may take from one point of its course to the next; 0: no clock.
type Clocks struct {
	Answer   time.Duration `yaml:"answer"`    // reported → somebody of the desk or a responder has reacted
	Dispatch time.Duration `yaml:"dispatch"`  // reported → graded and somebody is sent, or comes
	Arrive   time.Duration `yaml:"arrive"`    // dispatched → the first is there
	Feedback time.Duration `yaml:"feedback"`  // dispatched → the first word from there
	Close    time.Duration `yaml:"close"`     // registered → resolved
	Verify   time.Duration `yaml:"verify"`    // resolved → checked
	FollowUp time.Duration `yaml:"follow_up"` // checked → the reporter was called
}
