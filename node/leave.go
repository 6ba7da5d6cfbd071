package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// firstLook is how long a station that was started in order to leave looks for the others first.
const firstLook = 15 * time.Second

// ErrLeft is what Done delivers when the station has left its county for good: it is to be closed.
var ErrLeft = errors.New("this station has left the county for good")

// Leave takes this station out of its county for good: others get what is pending here, records go on without
// its vote, nobody waits for it. Done delivers ErrLeft then; it is to be closed, and cannot be opened again. Where it
// fails the station goes on as before, and it can be tried again.
func (n *Node) Leave(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(n.cfg.Dir, authorityDir)); err == nil {
		return errors.New("the county's authority lies here: without it nobody can join or be expelled. Move it first (hive authority export, hive authority restore at another station), then remove " +
			filepath.Join(n.cfg.Dir, authorityDir))
	}
	for begin := time.Now(); n.county.Ready() != nil && time.Since(begin) < firstLook; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := n.county.Leave(ctx, func() { n.shut(true) }); err != nil {
		if n.left() == nil { // else it has said goodbye already, and only that can be done again
			n.shut(false)
		}
		return fmt.Errorf("station %s has not left: %w", n.identity.Station, err)
	}
	n.done <- ErrLeft
	return nil
}

// shut ends, or begins anew, the making of events here.
func (n *Node) shut(yes bool) {
	n.making.Lock()
	defer n.making.Unlock()
	n.leaving = yes
}
