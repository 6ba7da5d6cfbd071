package record

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"hivemesh/alerts"
)

// contacts is raft's transport, watched: who answered this leader when, and how far that one's log goes. raft
// tells of neither, and what gossip believes must not decide over votes.
type contacts struct {
	*raft.NetworkTransport
	patience time.Duration // raft's own for one answer

	mu    sync.Mutex
	last  map[raft.ServerID]contact
	pipes map[*pipe]struct{}
}

// contact is what a station's last answers said.
type contact struct {
	at   time.Time // of the last answer
	log  uint64    // the last raft index it had then
	grew time.Time // when that was last more than before
}

func newContacts(t *raft.NetworkTransport, patience time.Duration) *contacts {
	return &contacts{NetworkTransport: t, patience: patience, last: map[raft.ServerID]contact{}, pipes: map[*pipe]struct{}{}}
}

// AppendEntries implements raft.Transport; raft's heartbeats come this way, several in each election timeout.
func (c *contacts) AppendEntries(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	err := c.NetworkTransport.AppendEntries(id, to, req, resp)
	if err == nil && resp.Term <= req.Term {
		c.note(id, resp.LastLog, time.Now())
	}
	return err
}

// pipe is raft's pipeline to one follower. Whoever hands it a request may wait for the answer to an earlier one, and
// raft 1.8 reads no more answers after a bad one: then it would wait for ever, that follower would get no entry any
// more from this leader, and raft could not be shut down. So a pipe that takes nothing is closed; raft goes on
// without it.
type pipe struct {
	raft.AppendPipeline
	c *contacts
}

// AppendEntriesPipeline implements raft.Transport.
func (c *contacts) AppendEntriesPipeline(id raft.ServerID, to raft.ServerAddress) (raft.AppendPipeline, error) {
	inner, err := c.NetworkTransport.AppendEntriesPipeline(id, to)
	if err != nil {
		return nil, err
	}
	p := &pipe{inner, c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pipes[p] = struct{}{}
	return p, nil
}

// AppendEntries implements raft.AppendPipeline: sending takes at most patience, and so does the answer before.
func (p *pipe) AppendEntries(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	stuck := time.AfterFunc(2*p.c.patience, func() { p.Close() })
	defer stuck.Stop()
	return p.AppendPipeline.AppendEntries(req, resp)
}

// Close implements raft.AppendPipeline.
func (p *pipe) Close() error {
	p.c.mu.Lock()
	delete(p.c.pipes, p)
	p.c.mu.Unlock()
	return p.AppendPipeline.Close()
}

// closePipes lets go of whoever waits for one.
func (c *contacts) closePipes() {
	c.mu.Lock()
	open := slices.Collect(maps.Keys(c.pipes))
	c.mu.Unlock()
	for _, p := range open {
		p.Close()
	}
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
