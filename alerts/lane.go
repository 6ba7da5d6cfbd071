package alerts

// Lane is how urgent something is where not all can be sent, judged or shown at once. A lower lane never
// waits for a higher one; under overload the highest are thinned or dropped first, alarms never.
type Lane uint8

// The lanes, most urgent first.
const (
	LaneAlarm     Lane = iota // what starts, widens or ends the sounding of an alarm
	LaneDecision              // what people act on: decisions, answers, clues
	LaneNote                  // what they read
	LanePosition              // where people are
	LaneStatistic             // counts of receipts, lists of stations
	Lanes                     // how many there are
)

// LaneOf is the lane of events of kind k. Nobody here waits for a kind that this version does not know.
func LaneOf(k Kind) Lane {
	switch row, known := rowOf(k); {
	case row.alarm:
		return LaneAlarm
	case k == KindReceipts:
		return LaneStatistic
	case k == KindNote || !known:
		return LaneNote
	}
	return LaneDecision
}

// Lane is the lane of e. What is carried into another cell is as urgent there as it was.
func (e Event) Lane() Lane { return LaneOf(carriedOr(e).Kind) }
