// Package faultfs is a FUSE file system for tests: what is done in it is done in a folder below, except that
// any operation can be made to fail, and that the power can go, which takes with it whatever was not fsynced.
//
// It never makes up a fault that a disk of a station could not have: see durable.go for what a power cut
// leaves.
//
// The one rule: content is durable by fsync of the file, a name by fsync of its folder, and nothing else is.
package faultfs
