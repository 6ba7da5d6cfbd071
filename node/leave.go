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

// Leave takes this station out of its county for good: others get what is pending here, records go on without
// its vote, nobody waits for it. Close it afterwards; it cannot be opened again.
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
	if err := n.county.Leave(ctx); err != nil {
		return fmt.Errorf("station %s has not left: %w", n.identity.Station, err)
	}
	return nil
}
