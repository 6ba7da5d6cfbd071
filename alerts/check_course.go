package alerts

import (
	"fmt"
	"slices"
	"time"
)

// Limits of what an event of the course says, and of a template.
const (
	maxEvidence = 20 // pieces in one event: a set of pictures
	maxAnswers  = 20 // guided questions of a category: nobody answers more while somebody waits
	maxParties  = 30 // that a matter affects, each asked for its verdict
	maxCalls    = 10 // after one matter before the caller may give up
	maxClock    = 365 * 24 * time.Hour
)

func (p *problems) courseBody(body Body) {
	switch b := body.(type) {
	case *Asked:
		p.bad(len(b.Answers) == 0, "answers are empty")
		p.bad(len(b.Answers) > maxAnswers, "answers has %d, at most %d are taken", len(b.Answers), maxAnswers)
		for q, a := range b.Answers {
			p.text("answers", q, maxID)
			p.text("answers."+q, a, maxLine)
		}
	case *Returned:
		p.needed("reason", b.Reason, maxLine)
	case *LevelChanged:
		p.bad(!b.Level.Valid(), "level %.20q is not village, township or county", b.Level)
		p.needed("reason", b.Reason, maxLine)
	case *Feedback:
		p.needed("words", b.Words, maxWords)
		p.text("done", b.Done, maxID)
		p.evidence(b.Evidence)
	case *Stepped:
		p.needed("step", b.Step, maxID)
		p.text("result", b.Result, maxID)
		p.text("words", b.Words, maxWords)
		p.evidence(b.Evidence)
		p.time("due", b.Due)
	case *Wished:
		p.time("at", &b.At)
		p.text("words", b.Words, maxLine)
	case *Appointed:
		p.time("at", &b.At)
		p.time("until", b.Until)
		p.bad(b.Until != nil && b.Until.Before(b.At), "until is before at")
		p.text("words", b.Words, maxLine)
	case *Supervised:
		p.needed("reason", b.Reason, maxLine)
		p.time("due", b.Due)
	default:
		p.afterBody(body)
	}
}

func (p *problems) afterBody(body Body) {
	switch b := body.(type) {
	case *Verified:
		p.text("words", b.Words, maxWords)
		p.bad(!b.Passed && b.Words == "", "words are empty: say what was found")
		p.evidence(b.Evidence)
	case *FollowedUp:
		p.bad(b.Reached && b.GivenUp, "given_up: somebody was reached")
		p.text("words", b.Words, maxWords)
	case *Affected:
		p.needed("party", b.Party, maxID)
		p.bad(b.Party == ReporterParty, "party: the reporter is one already")
	case *Rated:
		p.needed("party", b.Party, maxID)
		p.bad(!b.Satisfaction.Valid(), "satisfaction %.20q is not satisfied, partly, unsatisfied or no_opinion", b.Satisfaction)
		p.text("words", b.Words, maxWords)
	case *Reopened:
		p.needed("reason", b.Reason, maxLine)
	case *Merged:
		p.bad(!uuidText.MatchString(string(b.Into)), "into %.40q is not a UUID", b.Into)
		p.text("reason", b.Reason, maxLine)
	case *Unmerged:
		p.needed("reason", b.Reason, maxLine)
	default:
		p.countyBody(body)
	}
}

func (p *problems) needed(field, s string, most int) {
	p.bad(s == "", "%s is empty", field)
	p.text(field, s, most)
}

func (p *problems) time(field string, t *time.Time) {
	if t == nil {
		return
	}
	p.bad(t.IsZero(), "%s is missing", field)
	p.year(field, *t)
}

func (p *problems) evidence(list []Evidence) {
	p.bad(len(list) > maxEvidence, "evidence has %d pieces, at most %d are taken", len(list), maxEvidence)
	for k, e := range list {
		p.bad(!e.Kind.Valid(), "evidence.%d.kind %.20q is not words, photo, document, agreement or receipt", k, e.Kind)
		p.text(fmt.Sprintf("evidence.%d.words", k), e.Words, maxWords)
		p.bad(e.Words == "" && e.SHA256 == nil, "evidence.%d: give words, or the sha256 of a file", k)
		p.bad(e.Kind == EvidencePhoto && e.SHA256 == nil, "evidence.%d: a photo is named by its sha256", k)
	}
}

// template refuses what nobody could follow.
func (p *problems) template(where string, t Template) {
	p.bad(t.Level != "" && !t.Level.Valid(), "%s.level: there is no level %q", where, t.Level)
	p.roles(t.Handles, "%s.handles", where)
	p.bad(len(t.Asks) > maxAnswers, "%s.asks: %d questions, at most %d", where, len(t.Asks), maxAnswers)
	var ids []string
	for _, q := range t.Asks {
		p.coded(where+".asks", Coded{q.ID, q.Name}, &ids)
		p.list(where+".asks."+q.ID+".choices", q.Choices)
	}
	ids = nil
	for _, c := range t.Codes {
		p.coded(where+".codes", c.Coded, &ids)
		for _, step := range c.Needs {
			p.bad(t.step(step) == nil, "%s.codes.%s.needs: there is no step %q", where, c.ID, step)
		}
	}
	for _, k := range t.Evidence {
		p.bad(!k.Valid(), "%s.evidence: there is no kind %q", where, k)
	}
	ids = nil
	for _, row := range t.Steps {
		at := where + ".steps." + row.ID
		p.bad(row.After != "" && !slices.Contains(ids, row.After), "%s.after: no step %q stands before it", at, row.After)
		p.coded(where+".steps", Coded{row.ID, row.Name}, &ids)
		p.list(at+".results", row.Results)
		p.roles(row.By, "%s.by", at)
		for _, k := range row.Evidence {
			p.bad(!k.Valid(), "%s.evidence: there is no kind %q", at, k)
		}
		for _, pass := range row.Passes {
			p.bad(!hasCode(row.Results, pass), "%s.passes: %q is none of its results", at, pass)
		}
	}
	p.clocks(where+".clocks", t.Clocks)
}

func (p *problems) list(where string, list []Coded) {
	var ids []string
	for _, c := range list {
		p.coded(where, c, &ids)
	}
}

func (p *problems) coded(where string, c Coded, ids *[]string) {
	p.bad(c.ID == "", "%s: an id is empty", where)
	p.text(where, c.ID, maxID)
	p.bad(slices.Contains(*ids, c.ID), "%s: %q is there twice", where, c.ID)
	p.bad(c.Name.Zh == "" || c.Name.En == "", "%s.%s.name: give zh and en", where, c.ID)
	*ids = append(*ids, c.ID)
}

func (p *problems) clocks(where string, c Clocks) {
	for _, d := range []struct {
		name string
		d    time.Duration
	}{
		{"answer", c.Answer}, {"dispatch", c.Dispatch}, {"arrive", c.Arrive}, {"feedback", c.Feedback}, {"close", c.Close},
		{"verify", c.Verify}, {"follow_up", c.FollowUp},
	} {
		p.bad(d.d < 0 || d.d > maxClock, "%s.%s: %v is not within 0 to %v", where, d.name, d.d, maxClock)
	}
}
