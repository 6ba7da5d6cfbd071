package alerts

import (
	"slices"
	"testing"
)

// TestNoAlarmWaitsBehindABadDay: among many notes an alarm's end, and the note that it names, go first; the note
// stands before the end that names it, and what nobody waits for comes last.
func TestNoAlarmWaitsBehindABadDay(t *testing.T) {
	made := func(n byte, b Body, prev ...Hash) Event {
		return Event{ID: Hash{n}, Incident: "i", Kind: b.Kind(), Body: b, Prev: prev}
	}
	pending := []Event{made(1, &Receipts{})}
	for n := byte(2); n < 200; n++ {
		pending = append(pending, made(n, &Note{Words: "n"}))
	}
	named := made(250, &Note{Words: "named"})
	pending = append(pending, named,
		made(251, &StoodDown{}, named.ID),
		made(252, &Responded{Step: KindAccepted}),
		made(253, &Raised{}),
		made(254, &Note{Words: "after the end"}, Hash{251}),
	)
	var got []byte
	for _, e := range InOrder(pending) {
		got = append(got, e.ID[0])
	}
	if first, want := got[:4], []byte{253, 250, 251, 252}; !slices.Equal(first, want) {
		t.Errorf("judged first: %v, want %v", first, want)
	}
	if last := got[len(got)-2:]; !slices.Equal(last, []byte{254, 1}) {
		t.Errorf("judged last: %v, want the note after the end, and the receipts", last)
	}
	slices.Reverse(pending)
	var again []byte
	for _, e := range InOrder(pending) {
		again = append(again, e.ID[0])
	}
	if !slices.Equal(got, again) {
		t.Error("the order depends on how the events came")
	}
}
