package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"hivemesh/alerts"
	"hivemesh/node/web"
)

type replayCmd struct {
	Scenario string   `arg:"" default:"xinzhuang" help:"A file, or the name of a shipped scenario."`
	URL      []string `default:"http://127.0.0.1:8080" help:"Addresses of stations; one is enough, it knows the others."`
	Speed    float64  `default:"60" help:"How many times faster than the story: 60 plays an hour in a minute. Waves that stations decide by themselves keep their own time."`
}

func (replayCmd) Help() string {
	return "Plays against a running demo county (hive demo) through its public API, as pages do: people sign in, their\ndevices listen, and what the scenario expects is checked. Watch it on /kiosk, /patrol and /dispatch. Ends with an\nerror if an expectation failed."
}

const (
	reachWait    = 5 * time.Second  // for a station to answer
	meetWait     = 10 * time.Second // for stations that have just started to know each other
	expectWait   = 3 * time.Second  // for what a step must bring, unless it says within
	recordWait   = 2 * time.Second  // for a step to be recorded before the story goes on
	recordAtEnd  = 15 * time.Second // for everything to be recorded
	settleAtEnd  = time.Second      // for an alarm that should not come
	lookEvery    = 5 * time.Millisecond
	retryPause   = 200 * time.Millisecond
	clockOfStory = "15:04"
)

func (c replayCmd) Run(ctx context.Context, to console) error {
	if c.Speed <= 0 {
		return fmt.Errorf("--speed %v: it must be above 0", c.Speed)
	}
	s, err := loadScenario(c.Scenario)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &player{scenario: s, speed: c.Speed, out: to.out, run: uuid.NewString()[:13], devices: map[string]*device{}, tokens: map[string]string{}}
	if err := p.meet(ctx, c.URL); err != nil {
		return err
	}
	defer p.listening.Wait()
	defer cancel()
	if err := p.connect(ctx); err != nil {
		return err
	}
	return p.play(ctx)
}

// player plays one scenario.
type player struct {
	scenario *scenario
	speed    float64
	out      io.Writer
	run      string // begins every client id, so that each run is a matter of its own

	stations  map[string]web.StationInfo
	people    map[string]web.PersonInfo
	tokens    map[string]string // by person or kiosk
	devices   map[string]*device
	listening sync.WaitGroup

	matter   alerts.IncidentID
	silent   []string // must not have sounded for matter until the next step
	made     []deedDone
	failures []string
}

// deedDone is an event that a station took.
type deedDone struct {
	step     int
	station  string
	event    alerts.Hash
	recorded bool
}

// play does the steps at their times.
func (p *player) play(ctx context.Context) error {
	s := p.scenario
	last := time.Duration(s.Steps[len(s.Steps)-1].At)
	fmt.Fprintf(p.out, "%s\n%s\n%d stations, %d devices listening; %s of story at %gx\n\n", s.Title, s.Note, len(p.stations), len(p.devices), offset(last), p.speed)
	start := time.Now()
	for k, st := range s.Steps {
		if err := sleepUntil(ctx, start.Add(time.Duration(float64(st.At)/p.speed))); err != nil {
			return err
		}
		p.checkSilence()
		if err := p.step(ctx, k, st); err != nil {
			return err
		}
	}
	if err := sleepUntil(ctx, time.Now().Add(settleAtEnd)); err != nil {
		return err
	}
	p.checkSilence()
	return p.summary(ctx, time.Since(start))
}

func sleepUntil(ctx context.Context, t time.Time) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(t)):
		return nil
	}
}

func (p *player) fail(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	p.failures = append(p.failures, text)
	p.line("FAILED", text)
}

func (p *player) line(label, text string) { fmt.Fprintf(p.out, "         %-9s %s\n", label, text) }

func (p *player) checkSilence() {
	for _, id := range p.silent {
		if s, ok := p.devices[id].alarm(p.matter, nil); ok {
			p.fail("%s sounded (wave %d), and should have stayed silent", p.called(id), s.wave)
		}
	}
	p.silent = nil
}

// called is a person as the timeline names one.
func (p *player) called(id string) string {
	d := p.devices[id]
	return d.name + "@" + p.stationName(d.station)
}

func (p *player) stationName(id string) string {
	return or(p.stations[id].Name, id)
}

func (p *player) step(ctx context.Context, k int, st step) error {
	at := time.Time{}.Add(time.Duration(p.scenario.Clock) + time.Duration(st.At)).Format(clockOfStory)
	if st.Do == doTell {
		fmt.Fprintf(p.out, "%s    %s\n", at, st.Say)
		return nil
	}
	name := st.By
	if x, ok := p.people[st.By]; ok {
		name = x.Name
	}
	fmt.Fprintf(p.out, "%s    %s@%s: %s  %s\n", at, name, p.stationName(st.Station), st.Do, st.Say)
	if st.Do == doPosition {
		if err := p.devices[st.By].moveTo(*p.scenario.Places[st.Place].Point); err != nil {
			p.fail("step %d: %v", k+1, err)
		}
		return nil
	}
	begin := time.Now()
	taken, err := p.send(ctx, k, st)
	if refusal, ok := errors.AsType[*web.Problem](err); ok {
		switch {
		case refusal.Code == st.Expect.Refused:
			p.line("refused", fmt.Sprintf("as it must be, %s: %s", refusal.Code, refusal.Detail))
		case st.Do == doAlert:
			return fmt.Errorf("step %d: the alert was refused: %w", k+1, err)
		default:
			p.fail("step %d: refused, %s: %s", k+1, refusal.Code, refusal.Detail)
		}
		return nil
	}
	if err != nil {
		if st.Do == doAlert || ctx.Err() != nil {
			return fmt.Errorf("step %d: %w", k+1, err)
		}
		p.fail("step %d: %v", k+1, err)
		return nil
	}
	if st.Expect.Refused != "" {
		p.fail("step %d was taken, and should have been refused (%s)", k+1, st.Expect.Refused)
	}
	if st.Do == doAlert {
		p.matter = taken.Incident
	}
	p.line("answered", fmt.Sprintf("after %s, %s, sent to %d stations", ms(time.Since(begin)), keptWords(taken.Kept), taken.Sent))
	done := deedDone{step: k, station: st.Station, event: taken.Event}
	var follow sync.WaitGroup
	var kept string
	follow.Go(func() { kept = p.follow(ctx, &done, begin, recordWait) })
	p.expect(ctx, st, taken, begin)
	follow.Wait()
	p.line("kept", kept)
	p.made = append(p.made, done)
	return ctx.Err()
}

// send makes the request of a step.
func (p *player) send(ctx context.Context, k int, st step) (web.Taken, error) {
	var taken web.Taken
	who := st.By
	if who == byKiosk {
		who += ":" + st.Station
	}
	station := p.stations[st.Station]
	token, err := p.token(ctx, who, station.URL)
	if err != nil {
		return taken, err
	}
	form := maps.Clone(st.Body)
	if form == nil {
		form = map[string]any{}
	}
	form["id"] = fmt.Sprintf("%s-%d", p.run, k+1)
	if st.Place != "" {
		form["place"] = p.scenario.Places[st.Place]
	}
	to := station.URL + "/v1/alerts"
	if st.Do != doAlert {
		form["kind"] = st.Do
		to = station.URL + "/v1/incidents/" + string(p.matter) + "/events"
	}
	return taken, p.post(ctx, to, token, form, &taken)
}

// follow waits until the event is recorded and says how it is kept.
func (p *player) follow(ctx context.Context, d *deedDone, begin time.Time, most time.Duration) string {
	var answer struct{ Kept web.Kept }
	token := p.anyToken()
	p.eventually(ctx, most, func() bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.stations[d.station].URL+"/v1/events/"+d.event.String(), nil)
		if err != nil {
			return false
		}
		req.Header.Set("Authorization", "Bearer "+token)
		d.recorded = ask(req, &answer) == nil && answer.Kept.Recorded
		return d.recorded
	})
	if d.recorded {
		return fmt.Sprintf("%s after %s", keptWords(answer.Kept), ms(time.Since(begin)))
	}
	return "not recorded yet: " + keptWords(answer.Kept)
}

func (p *player) anyToken() string {
	for _, d := range p.devices {
		return d.token
	}
	return ""
}

func keptWords(k web.Kept) string {
	var words []string
	if k.Here {
		words = append(words, "kept here")
	}
	if k.Near > 0 {
		words = append(words, fmt.Sprintf("near %d", k.Near))
	}
	if k.Recorded {
		words = append(words, fmt.Sprintf("recorded as %d", k.Index))
	}
	if len(words) == 0 {
		return "not kept yet"
	}
	return strings.Join(words, ", ")
}

// expect checks what a step must bring.
func (p *player) expect(ctx context.Context, st step, taken web.Taken, begin time.Time) {
	most := time.Duration(st.Expect.Within)
	if most == 0 {
		most = expectWait
	}
	alarmed := func(support *alerts.Hash) func(*device) (time.Time, string, bool) {
		return func(d *device) (time.Time, string, bool) {
			s, ok := d.alarm(p.matter, support)
			how := ""
			if s.provisional {
				how = " provisional"
			}
			return s.at, how, ok
		}
	}
	p.await(ctx, "heard by", st.Expect.HeardBy, begin, most, alarmed(nil))
	p.await(ctx, "support", st.Expect.Support, begin, most, alarmed(&taken.Event))
	p.await(ctx, "told over", st.Expect.StoodDown, begin, most, func(d *device) (time.Time, string, bool) {
		t, ok := d.stoodDown(p.matter)
		return t, "", ok
	})
	p.silent = st.Expect.Silent
	if len(p.silent) > 0 {
		var names []string
		for _, id := range p.silent {
			names = append(names, p.called(id))
		}
		p.line("silent", strings.Join(names, ", "))
	}
}

// await waits until got holds for the device of each of ids, and prints after how long it did.
func (p *player) await(ctx context.Context, label string, ids []string, begin time.Time, most time.Duration, got func(*device) (time.Time, string, bool)) {
	if len(ids) == 0 {
		return
	}
	p.eventually(ctx, time.Until(begin.Add(most)), func() bool {
		return !slices.ContainsFunc(ids, func(id string) bool { _, _, ok := got(p.devices[id]); return !ok })
	})
	var there, missing []string
	for _, id := range ids {
		t, how, ok := got(p.devices[id])
		switch {
		case !ok:
			missing = append(missing, p.called(id))
		case t.Before(begin):
			there = append(there, p.called(id)+" before")
		default:
			there = append(there, p.called(id)+" "+ms(t.Sub(begin))+how)
		}
	}
	if len(there) > 0 {
		p.line(label, strings.Join(there, ", "))
	}
	if len(missing) > 0 && ctx.Err() == nil {
		p.fail("%s: nothing came within %s to %s", label, most, strings.Join(missing, ", "))
	}
}

// eventually looks until ok or for at most so long.
func (p *player) eventually(ctx context.Context, most time.Duration, ok func() bool) bool {
	for until := time.Now().Add(most); ; {
		if ok() {
			return true
		}
		if ctx.Err() != nil || time.Now().After(until) {
			return false
		}
		time.Sleep(lookEvery)
	}
}

// summary says what became of everything.
func (p *player) summary(ctx context.Context, took time.Duration) error {
	recorded := 0
	until := time.Now().Add(recordAtEnd)
	for k := range p.made {
		d := &p.made[k]
		if !d.recorded {
			p.follow(ctx, d, time.Now(), time.Until(until))
		}
		if d.recorded {
			recorded++
		} else {
			p.fail("step %d was taken by %s and is not recorded", d.step+1, p.stationName(d.station))
		}
	}
	sounded := 0
	for _, d := range p.devices {
		if _, ok := d.alarm(p.matter, nil); ok {
			sounded++
		}
	}
	fmt.Fprintf(p.out, "\nplayed in %s: %d events taken, %d on the record; %d of %d devices sounded; matter %s\n",
		took.Round(time.Second), len(p.made), recorded, sounded, len(p.devices), p.matter)
	if n := len(p.failures); n > 0 {
		return fmt.Errorf("%d of what was expected did not come:\n  %s", n, strings.Join(p.failures, "\n  "))
	}
	fmt.Fprintln(p.out, "every expectation held")
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }
