// Package trust decides whom a station believes: the county's authority and its join tokens, the
// certificates of the stations, notices that one of them is gone, the gossip key, signatures under events, and
// the one mesh port over which stations meet (TLS 1.3 with both sides' certificates; what a connection is for
// is said by ALPN).
//
// It never decides what an event may do: a valid signature says who made it, and package alerts judges.
// It never copies the authority's key anywhere, except into a file that its owner asks for.
//
// The one rule: expiry ends a station's right to connect, never the worth of what it signed; only an expulsion
// does that, and it too leaves what was held before.
package trust
