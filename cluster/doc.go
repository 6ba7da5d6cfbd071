// Package cluster is this station's part in the county: it puts an event into the pending set, spreads it,
// and takes it out again when the record has it. It joins what its sub-packages give: trust, gossip,
// pending, record.
//
// It never judges who may do what, and shows nothing to anybody: package node does, on what Events reports.
//
// The one rule: an event leaves the pending set only when the record has it; there is no other way out.
package cluster
