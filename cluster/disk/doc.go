// Package disk is the disk as a station's stores see it: bbolt files whose reads and writes may fail, hang or
// find damage without taking the process along, how much room is left, and the ballast that is thrown out
// when there is none.
//
// It never decides what is done about a bad disk: each store does, for the one thing that it keeps.
//
// The one rule: a write that returned nil is on disk, and nothing else is.
package disk
