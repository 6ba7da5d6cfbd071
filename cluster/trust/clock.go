package trust

import (
	"crypto/x509"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
)

const (
	clockFile = "clock"
	// clockKeeps is how often the time is kept at most: a box without a battery may lose that much.
	clockKeeps = time.Hour
	// clockAgrees is how far apart two clocks may be and still tell the same time, for dates of certificates.
	clockAgrees = 10 * time.Minute
	// clockPeers is how many peers' clocks are remembered.
	clockPeers = 16
)

// clock tells the time to check certificates by: never earlier than this station's own certificate and than a
// time it once agreed upon with others; beyond that what the peers agree on, when there are any. A wrong clock
// of this box is shown (Skew), never believed, and only an agreed time is kept: one afternoon in 2090 would
// else end all certificates for good.
type clock struct {
	path string // empty: nothing is kept
	own  *x509.Certificate
	wall func() time.Time

	start time.Time // when this clock began; what has passed since does not depend on the wall

	mu    sync.Mutex
	kept  time.Time
	order []alerts.StationID
	began map[alerts.StationID]time.Time // what peers' clocks would have said at start
}

func newClock(dir string, own *x509.Certificate, wall func() time.Time) *clock {
	c := &clock{own: own, wall: wall, start: time.Now(), began: map[alerts.StationID]time.Time{}}
	if dir == "" {
		return c
	}
	c.path = filepath.Join(dir, clockFile)
	// A file that is missing or broken costs nothing but what it would have known.
	if b, err := os.ReadFile(c.path); err == nil && len(b) == 8 {
		c.kept = time.Unix(int64(binary.BigEndian.Uint64(b)), 0)
	}
	return c
}

// heard notes what a peer's clock says.
func (c *clock) heard(peer alerts.StationID, t time.Time) {
	c.mu.Lock()
	if _, known := c.began[peer]; !known {
		if c.order = append(c.order, peer); len(c.order) > clockPeers {
			delete(c.began, c.order[0])
			c.order = c.order[1:]
		}
	}
	c.began[peer] = t.Add(-time.Since(c.start))
	at, agreed := c.agreed()
	keep := agreed && c.path != "" && at.Sub(c.kept) >= clockKeeps
	if keep {
		c.kept = at
	}
	c.mu.Unlock()
	if keep {
		b := binary.BigEndian.AppendUint64(nil, uint64(at.Unix()))
		_ = disk.WriteFile(c.path, b, 0o600) // it comes again within the hour
	}
}

// agreed is the median of the peers' clocks and ours, and whether two of them tell the same time. The caller
// holds mu.
func (c *clock) agreed() (time.Time, bool) {
	passed := time.Since(c.start)
	wall := c.wall().Round(0)
	if len(c.began) == 0 {
		return wall, false
	}
	all := []time.Time{wall.Add(-passed)}
	for _, t := range c.began {
		all = append(all, t)
	}
	slices.SortFunc(all, time.Time.Compare)
	// Of an even number the earlier one: a certificate that is in use too long does less harm than a station
	// shut out.
	mid := all[(len(all)-1)/2]
	n := 0
	for _, t := range all {
		if t.Sub(mid).Abs() <= clockAgrees {
			n++
		}
	}
	return mid.Add(passed), n >= 2
}

// now is the time to check certificates by.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, agreed := c.agreed()
	if !agreed {
		at = c.wall()
	}
	for _, least := range []time.Time{c.kept, c.own.NotBefore} {
		if at.Before(least) {
			at = least
		}
	}
	return at
}

// skew is how far this box's clock is from what the peers agree on; 0 while they do not.
func (c *clock) skew() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, agreed := c.agreed()
	if d := time.Now().Round(0).Sub(at); agreed && d.Abs() > clockAgrees {
		return d
	}
	return 0
}
