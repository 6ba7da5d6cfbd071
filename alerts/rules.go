package alerts

import "time"

// Rules are the county's tables: categories and moves. They are data, loaded strictly by whoever starts a
// station, checked by Check, and never changed while in use.
type Rules struct {
	Version    uint64              `yaml:"version"`
	Categories map[string]Category `yaml:"categories"`
	Moves      map[Kind]Move       `yaml:"moves"`
	Clocked    map[Grade]Clocks    `yaml:"clocks"`  // by grade, where the category has none of its own
	Archive    time.Duration       `yaml:"archive"` // after a matter's end a station puts it away; 0: never
	Calls      int                 `yaml:"calls"`   // made after a matter before the caller may give up
}

// Category is one row of the category table.
type Category struct {
	Name   Text      `yaml:"name"`
	Grade  Grade     `yaml:"grade"`  // default grade
	Wanted int       `yaml:"wanted"` // responders wanted; widening stops when so many are coming
	Rings  []float64 `yaml:"rings"`  // metres of waves 1, 2, 3 …; empty: a matter without an alarm
	Wakes  []Role    `yaml:"wakes"`  // roles that may be woken
	Sealed bool      `yaml:"sealed"` // the public side learns nothing of it, not even that it is
	Card   Card      `yaml:"card"`   // the default clue card
	Order  int       `yaml:"order"`  // place among a kiosk's buttons; 0: not on the first page

	Template `yaml:",inline"`
}

// Text is a text in both languages of the screens.
type Text struct {
	Zh string `yaml:"zh" json:"zh"`
	En string `yaml:"en" json:"en"`
}

// Move is one row of the table of moves: who may do it, at which kinds of station, from which status.
type Move struct {
	By   []Role        `yaml:"by"`   // roles that may; "own" rights are in May
	At   []StationKind `yaml:"at"`   // kinds of station that may sign it; empty: any
	From []Status      `yaml:"from"` // decisions only: the statuses it is possible from; empty: any open one
	Own  bool          `yaml:"own"`  // the incident's own reporter or raising kiosk may as well
}

// WidenAfter is how long a wave of a red alarm may stay short of answers before the next one.
const WidenAfter = 60 * time.Second
