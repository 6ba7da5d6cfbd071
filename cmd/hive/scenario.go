package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"hivemesh/alerts"
	"hivemesh/configs"
)

// What a step can do besides making an event of the kind it names.
const (
	doAlert    = "alert"    // raise: the following steps are about this matter
	doPosition = "position" // the person moves to place
	doTell     = "tell"     // only part of the story: nothing is sent
	byKiosk    = "kiosk"    // the station itself
)

// scenario is a story as configs/scenarios holds it.
type scenario struct {
	Title  string                  `yaml:"title"`
	Note   string                  `yaml:"note"`  // what is invented
	Clock  offset                  `yaml:"clock"` // the time of day at offset zero
	Places map[string]alerts.Place `yaml:"-"`
	Named  map[string]placeEntry   `yaml:"places"`
	Steps  []step                  `yaml:"steps"`
}

type placeEntry struct {
	Lon   *float64 `yaml:"lon"`
	Lat   *float64 `yaml:"lat"`
	Grid  string   `yaml:"grid"`
	Words string   `yaml:"words"`
}

// step is one thing that somebody does.
type step struct {
	At      offset         `yaml:"at"`
	Say     string         `yaml:"say"` // the story in words
	By      string         `yaml:"by"`  // a person's id, or kiosk
	Station string         `yaml:"station"`
	Do      string         `yaml:"do"`    // alert, position, tell, or the kind of an event
	Place   string         `yaml:"place"` // one of places; for position, and for a body that takes a place
	Body    map[string]any `yaml:"body"`
	Expect  expectation    `yaml:"expect"`
}

// expectation is what must come of a step. Persons are ids, or kiosk:STATION.
type expectation struct {
	HeardBy   []string `yaml:"heard_by"`   // have sounded for the matter by then
	Silent    []string `yaml:"silent"`     // have not sounded for it until the next step
	Support   []string `yaml:"support"`    // have sounded for this call for support
	StoodDown []string `yaml:"stood_down"` // were told that it is over
	Refused   string   `yaml:"refused"`    // the code of the problem that the step must meet
	Within    wait     `yaml:"within"`     // of real time, for all of the above; 3s unless said
}

func (e expectation) people() [][]string {
	return [][]string{e.HeardBy, e.Silent, e.Support, e.StoodDown}
}

// offset is a time since the start, written 00:03:20.
type offset time.Duration

var offsetForm = regexp.MustCompile(`^(\d{2}):(\d{2}):(\d{2})$`)

func (o *offset) UnmarshalYAML(unmarshal func(any) error) error {
	var s string
	if err := unmarshal(&s); err != nil {
		return err
	}
	m := offsetForm.FindStringSubmatch(s)
	if m == nil {
		return fmt.Errorf("%q is not a time like 00:03:20", s)
	}
	var n [3]int
	for k := range n {
		n[k], _ = strconv.Atoi(m[k+1]) // two digits
	}
	*o = offset(time.Duration(n[0])*time.Hour + time.Duration(n[1])*time.Minute + time.Duration(n[2])*time.Second)
	return nil
}

func (o offset) String() string {
	d := time.Duration(o)
	return fmt.Sprintf("%02d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

// wait is a Go duration such as 500ms.
type wait time.Duration

func (w *wait) UnmarshalYAML(unmarshal func(any) error) error {
	var s string
	if err := unmarshal(&s); err != nil {
		return err
	}
	d, err := time.ParseDuration(s)
	*w = wait(d)
	return err
}

// loadScenario reads a file, or the shipped scenario of that name.
func loadScenario(name string) (*scenario, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(name, `/\`) {
		shipped := path.Join("scenarios", strings.TrimSuffix(name, ".yaml")+".yaml")
		if b, err = configs.Scenarios.ReadFile(shipped); err != nil {
			return nil, fmt.Errorf("no scenario %q: neither a file nor one of the shipped: %s", name, strings.Join(shippedScenarios(), ", "))
		}
	}
	if err != nil {
		return nil, err
	}
	s, err := parseScenario(b)
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", name, err)
	}
	return s, nil
}

func shippedScenarios() []string {
	var names []string
	entries, _ := configs.Scenarios.ReadDir("scenarios")
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// parseScenario is strict: an unknown key, a wrong type or a step that cannot be played is refused.
func parseScenario(b []byte) (*scenario, error) {
	var s scenario
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&s); err != nil {
		return nil, errors.New(yaml.FormatError(err, false, true))
	}
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if s.Title == "" || len(s.Steps) == 0 {
		bad("title and steps must be given")
	}
	s.Places = map[string]alerts.Place{}
	for name, p := range s.Named {
		at := alerts.Place{Grid: p.Grid, Words: p.Words}
		switch {
		case (p.Lon == nil) != (p.Lat == nil):
			bad("places.%s: lon and lat belong together", name)
		case p.Lon == nil && p.Grid == "":
			bad("places.%s: give lon and lat, or grid", name)
		case p.Lon != nil:
			at.Point = &alerts.Point{Lon: *p.Lon, Lat: *p.Lat}
		}
		s.Places[name] = at
	}
	raised := false
	for k, st := range s.Steps {
		where := fmt.Sprintf("step %d (%s)", k+1, st.At)
		if k > 0 && st.At < s.Steps[k-1].At {
			bad("%s is earlier than the step before it", where)
		}
		if err := s.checkStep(st, raised); err != nil {
			bad("%s: %w", where, err)
		}
		raised = raised || st.Do == doAlert
	}
	return &s, errors.Join(errs...)
}

func (s *scenario) checkStep(st step, raised bool) error {
	place, known := s.Places[st.Place]
	switch _, kind := alerts.NewBody(alerts.Kind(st.Do)); {
	case st.Place != "" && !known:
		return fmt.Errorf("place %q is not among places", st.Place)
	case st.Do == doTell:
		if st.Say == "" {
			return errors.New("tell needs say")
		}
		return nil
	case st.By == "" || st.Station == "":
		return errors.New("by and station must be given")
	case st.Do == doPosition:
		if place.Point == nil {
			return errors.New("position needs a place with lon and lat")
		}
		return nil
	case st.Do == doAlert:
		return nil
	case !kind || st.Do == string(alerts.KindRaised) || st.Do == string(alerts.KindReceipts):
		return fmt.Errorf("do %q is neither alert, position, tell nor the kind of an event that people make", st.Do)
	case !raised:
		return errors.New("nothing was raised before it")
	}
	return nil
}
