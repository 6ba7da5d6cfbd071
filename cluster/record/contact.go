package record

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"hivemesh/alerts"
)

// contacts is raft's transport, watched: who answered this leader when, and how far that one's log goes. raft
// tells of neither, and what gossip believes must not decide over votes.
type contacts struct {
	*raft.NetworkTransport

	mu   sync.Mutex
	last map[raft.ServerID]contact
}

// contact is what a station's last answers said.
type contact struct {
	at   time.Time // of the last answer
	log  uint64    // the last raft index it had then
	grew time.Time // when that was last more than before
}

func newContacts(t *raft.NetworkTransport) *contacts {
	return &contacts{NetworkTransport: t, last: map[raft.ServerID]contact{}}
}

// AppendEntries implements raft.Transport; raft's heartbeats come this way, several in each election timeout.
func (c *contacts) AppendEntries(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	err := c.NetworkTransport.AppendEntries(id, to, req, resp)
	if err == nil && resp.Term <= req.Term {
		c.note(id, resp.LastLog, time.Now())
	}
	return err
}

func (c *contacts) note(id raft.ServerID, log uint64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := contact{at: now, log: log, grew: c.last[id].grew}
	if log > c.last[id].log {
		next.grew = now
	}
	c.last[id] = next
}

// of is what is known of a station; zero: it never answered this process.
func (c *contacts) of(s alerts.StationID) contact {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[raft.ServerID(s)]
}
