// Package gossip knows who is there: memberlist over the mesh port, with every station's hints (name,
// township, addresses), the peers kept on disk, and a loop that joins again whoever is missing, for ever.
//
// It carries nothing that is believed: whoever holds the county's gossip key could have said it, and say it
// again later. What counts is signed, and travels elsewhere; a packet sent here is only a faster copy.
//
// The one rule: memberlist calls back under its own lock, so nothing it calls may block or call it back;
// changes are handed out by a goroutine of this package.
package gossip
