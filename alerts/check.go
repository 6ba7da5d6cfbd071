package alerts

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"
)

// ErrEvent says that an event makes no sense, whoever made it.
var ErrEvent = errors.New("the event is not sane")

// Limits of what an event says.
const (
	maxWords   = 2000 // characters of a note: a page of handwriting
	maxLine    = 200  // characters of a reason, a card's line, a name of a place
	maxID      = 96   // characters of an id: a UUID with a prefix, or a name
	maxPrev    = 64   // predecessors: more heads than stations ever write at once
	maxWave    = 99   // waves of one alarm
	maxWanted  = 1000 // responders wanted
	maxDevices = 1e6  // devices at one station
	maxSealed  = 8 << 10
	maxYear    = 9000 // JSON has no way to write years of five digits; a clock this far off is broken
)

var (
	uuidText = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	headings = []string{"", "n", "ne", "e", "se", "s", "sw", "w", "nw"}
)

// problems collects what is wrong, each with the field's name.
type problems []error

func (p *problems) bad(wrong bool, format string, a ...any) {
	if wrong {
		*p = append(*p, fmt.Errorf(format, a...))
	}
}

func (p *problems) text(field, s string, most int) {
	p.bad(!utf8.ValidString(s), "%s is not UTF-8", field)
	p.bad(utf8.RuneCountInString(s) > most, "%s has %d characters, at most %d are taken", field, utf8.RuneCountInString(s), most)
}

func (p *problems) year(field string, t time.Time) {
	p.bad(t.UTC().Year() < 1 || t.UTC().Year() > maxYear, "%s is in the year %d", field, t.UTC().Year())
}

func kindOf(b Body) Kind {
	if b == nil {
		return ""
	}
	return b.Kind()
}

func (p *problems) place(field string, at *Place) {
	if at == nil {
		return
	}
	if at.Point != nil {
		if err := at.Point.Check(); err != nil {
			*p = append(*p, fmt.Errorf("%s: %w", field, err))
		}
	}
	p.text(field+".grid", at.Grid, maxID)
	p.text(field+".words", at.Words, maxLine)
	p.bad(!within(at.Radius, 0, CountyRing), "%s.radius %v is not within 0 to %v metres", field, at.Radius, float64(CountyRing))
	p.bad(at.Point == nil && at.Grid == "" && at.Words == "", "%s is empty: give lon and lat, or grid and words", field)
}

func (p *problems) card(c Card) {
	p.text("card.what", c.What, maxLine)
	p.text("card.do", c.Do, maxLine)
	p.text("card.dont", c.Dont, maxLine)
}

func within(v, low, high float64) bool { return !math.IsNaN(v) && v >= low && v <= high }

// Check refuses an event that makes no sense: sizes, ranges, an envelope that cannot be. It is asked where
// an event enters a station. Errors wrap ErrEvent and name each field.
func (e Event) Check() error {
	var p problems
	p.bad(e.Station == "", "station is empty")
	p.bad(e.Cell == "", "cell is empty")
	p.bad(!uuidText.MatchString(string(e.Incident)), "incident %.40q is not a UUID", e.Incident)
	p.bad(e.Kind == "", "kind is empty")
	p.bad(e.Body == nil, "body is missing")
	p.bad(e.Body != nil && e.Body.Kind() != e.Kind, "kind is %.40q, the body that of %.40q", e.Kind, kindOf(e.Body))
	p.year("at", e.At)
	for field, s := range map[string]string{"station": string(e.Station), "cell": string(e.Cell), "actor": string(e.Actor), "kind": string(e.Kind), "client": e.Client} {
		p.text(field, s, maxID)
	}
	p.bad(len(e.Prev) > maxPrev, "prev names %d events, at most %d are taken", len(e.Prev), maxPrev)
	p.bad(e.Kind == KindRaised && len(e.Prev) > 0, "a raising event has no predecessor")
	p.bad(e.Kind != KindRaised && e.Kind != KindCarried && !OfCounty(e.Kind) && len(e.Prev) == 0, "prev is empty: only a raising event has no predecessor")
	p.bad(OfCounty(e.Kind) != (e.Incident == DirectoryID), "incident %s does not fit an event of kind %.40q", e.Incident, e.Kind)
	p.bad(len(e.Sealed) > maxSealed, "sealed has %d bytes, at most %d are taken", len(e.Sealed), maxSealed)
	p.body(e.Body)
	if c, ok := e.Body.(*Carried); ok {
		p.carried(e, c)
	}
	if len(p) > 0 {
		return fmt.Errorf("%w: %w", ErrEvent, errors.Join(p...))
	}
	return nil
}

func (p *problems) body(body Body) {
	switch b := body.(type) {
	case *Raised:
		p.raised(b)
	case *EmergencyCalled:
		p.bad(b.Service == "", "service is empty: 110, 119 or 120")
		p.text("service", b.Service, maxID)
		p.text("number", b.Number, maxID)
	case *Registered:
		p.bad(b.Void && b.Reason == "", "a void registration needs a reason")
		p.text("reason", b.Reason, maxLine)
	case *Graded:
		p.bad(!b.Grade.Valid(), "grade %d is not 1 to 4", b.Grade)
		p.text("reason", b.Reason, maxLine)
	case *Waved:
		p.bad(b.Number < 2 || b.Number > maxWave, "wave %d is not 2 to %d", b.Number, maxWave)
		p.bad(!within(b.Ring, 1, CountyRing), "ring %v is not within 1 to %v metres", b.Ring, float64(CountyRing))
		p.text("reason", b.Reason, maxLine)
	case *Receipts:
		p.receipts(b)
	case *Responded:
		p.text("reason", b.Reason, maxLine)
		p.place("place", b.At)
	case *SupportRequested:
		p.text("words", b.Words, maxWords)
		p.place("place", b.Place)
	case *Clue:
		p.place("place", &b.Place)
		p.bad(b.SeenAt.IsZero(), "seen_at is missing")
		p.year("seen_at", b.SeenAt)
		p.text("words", b.Words, maxWords)
		p.bad(!slices.Contains(headings, b.Heading), "heading %.10q is not one of n, ne, e, se, s, sw, w, nw", b.Heading)
	case *CardUpdated:
		p.bad(b.Card.What == "", "card.what is empty")
		p.card(b.Card)
	case *Assigned:
		p.bad(b.Person == "", "person is empty")
		p.text("person", string(b.Person), maxID)
		p.text("words", b.Words, maxWords)
	case *Note:
		p.bad(b.Words == "", "words are empty")
		p.text("words", b.Words, maxWords)
	case *CancelRequested:
		p.text("reason", b.Reason, maxLine)
	case *Resolved:
		p.bad(b.Code == "", "code is empty")
		p.text("code", b.Code, maxID)
		p.text("words", b.Words, maxWords)
		p.evidence(b.Evidence)
	case *Cancelled:
		p.bad(b.Reason == "", "reason is empty")
		p.text("reason", b.Reason, maxLine)
	case *StoodDown:
		p.text("reason", b.Reason, maxLine)
	default:
		p.courseBody(body)
	}
}

func (p *problems) raised(b *Raised) {
	p.bad(b.Category == "", "category is empty")
	p.text("category", b.Category, maxID)
	p.bad(!b.Grade.Valid(), "grade %d is not 1 to 4", b.Grade)
	p.bad(b.Place.Point == nil, "place has no point")
	p.place("place", &b.Place)
	p.text("note", b.Note, maxWords)
	p.text("source", string(b.Source), maxID)
	p.text("outside_number", b.Outside, maxID)
	p.bad(!within(b.Ring, 0, CountyRing), "ring %v is not within 0 to %v metres", b.Ring, float64(CountyRing))
	p.bad(b.Wanted < 0 || b.Wanted > maxWanted, "wanted %d is not within 0 to %d", b.Wanted, maxWanted)
	p.card(b.Card)
}

// Check refuses counts that no station can have.
func (b *Receipts) Check() error {
	var p problems
	p.receipts(b)
	return errors.Join(p...)
}

func (p *problems) receipts(b *Receipts) {
	p.bad(b.Wave < 0 || b.Wave > maxWave, "wave %d is not 0 to %d", b.Wave, maxWave)
	for field, n := range map[string]int{"sent": b.Sent, "reached": b.Reached, "opened": b.Opened, "released": b.Released} {
		p.bad(n < 0 || float64(n) > maxDevices, "%s %d is not within 0 to %d", field, n, int(maxDevices))
	}
}
