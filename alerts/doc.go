// Package alerts holds the rules of HiveMesh: what an event is, which events count (Judge), what a
// cell's record adds up to (State.Apply), what a screen shows on top of it (Look), who hears it
// (Rules.AlarmsFor), when it widens (Rules.Due), and who may do and see what (May, Redact).
//
// It is pure: the standard library only; no network, disk, log, global state or clock. The same functions
// run in production, in simulation, in fuzzing and in an auditor's replay.
//
// The one rule: State.Apply reads nothing but the entry. Whatever depends on time, a table, a position or a
// person's role is decided before an event is signed or an entry is stamped, and travels inside it.
package alerts
