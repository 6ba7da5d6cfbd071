package node

import (
	"testing"

	"hivemesh/alerts"
	"hivemesh/node/web"
)

// A station that restarts counts from nothing again. What it recorded or said before stands, here and at the
// others: whoever raised the alert never sees a count go down, and nothing is recorded that is less.
func TestReceiptsNeverGoDown(t *testing.T) {
	k := receiptKey{"0b9d3f0e-5c0f-5b5e-9b43-8f7f5d1f2a11", 1}
	i := &alerts.Incident{Receipts: map[alerts.StationID]map[int]alerts.Receipts{
		"xinzhuang": {1: {Wave: 1, Sent: 9, Reached: 8, Opened: 5}}, "post": {1: {Wave: 1, Sent: 2}},
	}}
	r := newReceipts("xinzhuang") // restarted: only the record knows of before
	if got, news := r.set(k, "xinzhuang", web.Counts{Sent: 1, Opened: 6}, i); !news || got != (web.Counts{Sent: 11, Reached: 8, Opened: 6}) {
		t.Errorf("after the restart: %+v, %t", got, news)
	}
	if got, news := r.set(k, "xinzhuang", web.Counts{Sent: 2, Opened: 6}, i); news || got.Sent != 11 {
		t.Errorf("fewer than the record has: %+v, %t", got, news)
	}
	r.set(k, "post", web.Counts{Sent: 7, Reached: 7}, i)
	if got, _ := r.set(k, "post", web.Counts{Sent: 1}, i); got != (web.Counts{Sent: 16, Reached: 15, Opened: 6}) { // post restarted
		t.Errorf("after the other's restart: %+v", got)
	}
	if got := r.total(k, nil); got != (web.Counts{Sent: 16, Reached: 15, Opened: 6}) {
		t.Errorf("before the record is read: %+v", got)
	}
	due := r.due(func(alerts.IncidentID) bool { return true })
	if len(due) != 1 || due[0].n != (web.Counts{Sent: 9, Reached: 8, Opened: 6}) {
		t.Errorf("for the record: %+v", due)
	}
	if due := r.due(func(alerts.IncidentID) bool { return true }); due != nil {
		t.Errorf("the same once more: %+v", due)
	}
}
