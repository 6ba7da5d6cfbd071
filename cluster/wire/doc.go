// Package wire is how events, entries of a record and what stations say to each other look as bytes:
// deterministic CBOR with integer keys, a version, an algorithm id, and limits on everything read.
//
// It never checks a signature and never judges content: package trust and package alerts do.
//
// The one rule: hashes and signatures cover bytes as they were received. What was decoded is never encoded
// again to be hashed, stored or sent on; Event.Raw is carried along for that.
package wire
