package record

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"hivemesh/cluster/disk"
)

const (
	// sumFile lies in a snapshot's folder: the hash over what raft says of it. Over the state itself raft keeps
	// a checksum, over this it keeps none, and a wrong index or voter there would be believed.
	sumFile  = "meta.sum"
	metaFile = "meta.json" // raft's name for it
	snapsDir = "snapshots" // and for the folder of all

	// scrubSnapshots is how often, in looks, the snapshots are read through: an hour.
	scrubSnapshots = 60
)

// snapStore is raft's own store of snapshots, but that each is believed only whole. One that was not ended is no
// loss: raft drops its logs only afterwards.
type snapStore struct {
	*raft.FileSnapshotStore
	dir string
	mu  sync.Mutex // one is ended, or all are looked through
}

func openSnaps(dir string, log hclog.Logger) (*snapStore, error) {
	s, err := raft.NewFileSnapshotStoreWithLogger(dir, keepSnapshots, log)
	return &snapStore{FileSnapshotStore: s, dir: dir}, err
}

// Create implements raft.SnapshotStore.
func (s *snapStore) Create(v raft.SnapshotVersion, index, term uint64, conf raft.Configuration, confIndex uint64, trans raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.FileSnapshotStore.Create(v, index, term, conf, confIndex, trans)
	if err != nil {
		return nil, err
	}
	return &snapSink{SnapshotSink: sink, s: s}, nil
}

// List implements raft.SnapshotStore: those that can be believed, the newest first.
func (s *snapStore) List() (out []*raft.SnapshotMeta, err error) {
	all, err := s.FileSnapshotStore.List()
	for _, m := range all {
		if s.sound(m.ID) == nil {
			out = append(out, m)
		}
	}
	return out, err
}

func (s *snapStore) sum(id string) (string, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, snapsDir, id, metaFile))
	return fmt.Sprintf("%x\n", sha256.Sum256(b)), err
}

// sound says what is wrong with what is said of a snapshot.
func (s *snapStore) sound(id string) error {
	want, err := os.ReadFile(filepath.Join(s.dir, snapsDir, id, sumFile))
	if err != nil {
		return err
	}
	if have, err := s.sum(id); err != nil || have != string(want) {
		return errors.Join(fmt.Errorf("snapshot %s: %w", id, errRotten), err)
	}
	return nil
}

// scrub reads all snapshots through, puts those aside that are damaged, and says how many.
func (s *snapStore) scrub(log *zap.Logger) (damaged int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := os.ReadDir(filepath.Join(s.dir, snapsDir)) // one that raft cannot read at all it does not list
	if err != nil {
		return 0
	}
	for _, d := range all {
		id := d.Name()
		if !d.IsDir() || strings.HasSuffix(id, ".tmp") { // not ended yet
			continue
		}
		err := s.sound(id)
		if err == nil {
			_, state, bad := s.Open(id) // raft compares its checksum
			if err = bad; bad == nil {
				err = state.Close()
			}
		}
		if err == nil {
			continue
		}
		damaged++
		aside := filepath.Join(s.dir, fmt.Sprintf("snapshot-%s.damaged-%d", id, time.Now().UnixNano()))
		moved := disk.Rename(filepath.Join(s.dir, snapsDir, id), aside)
		log.Error("a snapshot is damaged and was put aside", zap.String("snapshot", id), zap.NamedError("why", err), zap.Error(moved))
	}
	return damaged
}

// snapSink ends a snapshot with its sum.
type snapSink struct {
	raft.SnapshotSink
	s *snapStore
}

// Close implements raft.SnapshotSink.
func (k *snapSink) Close() error {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	if err := k.SnapshotSink.Close(); err != nil {
		return err
	}
	sum, err := k.s.sum(k.ID())
	if err != nil {
		return err
	}
	dir := filepath.Join(k.s.dir, snapsDir, k.ID())
	f, err := os.OpenFile(filepath.Join(dir, sumFile), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(sum)
	return errors.Join(err, f.Sync(), f.Close(), disk.SyncDir(dir))
}
