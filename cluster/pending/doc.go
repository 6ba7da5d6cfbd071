// Package pending holds the events that this station knows and has not yet seen in the record: durable in a
// Set, spread at once over kept-open streams by Links, and made equal among stations by Sync, which is what
// guarantees that everybody gets everything.
//
// It never judges an event and never decides that one may go: whoever sees it in the record removes it.
//
// The one rule: an event is visible the moment it is put, whatever the disk does; "kept" is said only after
// the fsync.
package pending
