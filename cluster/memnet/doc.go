// Package memnet is a network in memory, for tests in virtual time: hosts with streams and packets, and
// links that can be cut, slowed and made to lose packets. Real TLS, raft and memberlist run on it inside a
// testing/synctest bubble.
//
// It does no real I/O, starts no goroutine of its own, and never blocks one for ever: what a cut link
// holds up ends by its user's deadline or after Patience.
//
// The one rule: the network behaves as the bad ones do. A cut sends no goodbye: data stalls, and only time
// tells the two ends.
package memnet
