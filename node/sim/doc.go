// Package sim lets whole counties live in virtual time, one a seed, and checks afterwards whether every promise
// was kept: real stations with raft, memberlist, TLS, stores and handlers, and real HTTP and websocket clients,
// over a network in memory (cluster/memnet) in a testing/synctest bubble. A seed makes a county, what its people
// do, and a plan of faults of a random half of the kinds; then everything heals and is quiet.
//
// It never asks the rules under test whether they were right: the checks read what clients saw from outside and
// what stations held in the end, and work out by themselves who may hear what. And it never calls a run green
// that showed nothing: a planned kind of fault that met nothing, or no real traffic, makes the seed void, and too
// many void seeds fail the run.
//
// The one rule: a check that cannot fail is a defect. Each has violations planted for it in checks_test.go.
//
//	go test ./node/sim -run 'TestCounty$' -count=1 -seeds 300        (or: make sim SEEDS=300)
//	go test ./node/sim -run 'TestCounty$' -count=1 -seeds 1 -seed 17 -plan -log
//
// Promises that are proven elsewhere, because a simulated disk or one process could only
// pretend to them:
//
//	CorruptFound    flipped bits in files: cluster/pending, cluster/record, cluster/disk tests
//	n-th I/O        EIO, ENOSPC, short writes and crashes at every n-th disk operation: cluster/faultfs; whole
//	                stores that fail, fill, crawl or hang are simulated here (FullDiskSafe)
//	Bounded memory  one process a station: cmd/chaos; goroutines, files and bytes on disk are checked here
//	power loss      unsynced writes dropped: cluster/faultfs, cmd/chaos; kill -9 is simulated here
//	real TCP        half-open connections, buffers and latencies of a kernel: cmd/chaos
package sim
