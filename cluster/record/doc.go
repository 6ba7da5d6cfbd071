// Package record keeps a cell's record: the order in which its events were agreed upon, each judged once.
//
// The voters of a cell agree by raft; everybody else, and every voter that does not lead, also follows the
// leader's stream of entries. Both feed one fold, by index, so it does not matter which is faster. The
// leader takes the cell's pending events, judges them, and logs what it judged; it never waits for an event
// of the alarm lane, and an alarm never waits for a record.
//
// It never decides who hears what, never holds pending events, and never hands an error of a store to raft,
// which would panic: such a cell is parked, says so in its status, and the rest of the station lives on.
//
// The one rule: a batch counts only upon the very head (index and running hash) it was judged on. Whatever
// was logged twice, or by a leader that had lost its place, is passed over by everyone alike.
package record
