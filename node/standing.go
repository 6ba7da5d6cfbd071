package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster"
	"hivemesh/cluster/gossip"
	"hivemesh/cluster/trust"
)

// tellTime is how long a command waits for all stations that it tells something; the others hear of it from them.
const tellTime = 15 * time.Second

// Told says which stations heard something at once, and at which addresses nobody answered.
type Told struct {
	Stations []alerts.StationID
	Missed   []string
}

// openAuthority reads the authority that lies in the station directory dir.
func openAuthority(dir string) (*trust.Authority, error) {
	a, err := trust.OpenAuthority(filepath.Join(dir, authorityDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no authority; this is done where `hive init` was run, or where the authority was restored", dir)
	}
	return a, err
}

// Expel makes the stations of the county turn a station away for ever, with the authority in dir, and changes
// the gossip key, which that station has. Whoever is not reached now hears of it from the others.
func Expel(ctx context.Context, dir string, s alerts.StationID) (Told, error) {
	return ExpelOn(ctx, trust.OS(), dir, s)
}

// ExpelOn is Expel over a given network.
func ExpelOn(ctx context.Context, nw trust.Network, dir string, s alerts.StationID) (Told, error) {
	a, err := openAuthority(dir)
	if err != nil {
		return Told{}, err
	}
	if id, err := trust.LoadIdentity(filepath.Join(dir, identityDir)); err == nil && id.Station == s {
		return Told{}, fmt.Errorf("%s is this very station, which holds the authority: move that first (hive authority export, hive authority restore)", s)
	}
	notice, err := a.Dismiss(s, trust.Expelled)
	if err != nil {
		return Told{}, err
	}
	key, _, err := a.RotateKey(true)
	if err != nil {
		return Told{}, err
	}
	return tellFrom(ctx, nw, dir, notice, key)
}

// Replace is for a station whose disk is gone: its id is no longer met nor waited for, and what it signed stands.
func Replace(ctx context.Context, dir string, s alerts.StationID) (Told, error) {
	return ReplaceOn(ctx, trust.OS(), dir, s)
}

// ReplaceOn is Replace over a given network.
func ReplaceOn(ctx context.Context, nw trust.Network, dir string, s alerts.StationID) (Told, error) {
	a, err := openAuthority(dir)
	if err != nil {
		return Told{}, err
	}
	notice, err := a.Dismiss(s, trust.Replaced)
	if err != nil {
		return Told{}, err
	}
	return tellFrom(ctx, nw, dir, notice, nil)
}

// SuccessorID is the first free id for a station that takes the place of another: OLD-2, OLD-3, …
func SuccessorID(dir string, old alerts.StationID) (alerts.StationID, error) {
	a, err := openAuthority(dir)
	if err != nil {
		return "", err
	}
	if !a.Gave(old) {
		return "", fmt.Errorf("%w: %s", trust.ErrNeverIssued, old)
	}
	base := old
	if first := successorOf(old); a.Gave(first) { // of a place that was taken before; village-3 is nobody's successor
		base = first
	}
	for n := 2; ; n++ {
		if id := alerts.StationID(fmt.Sprintf("%s-%d", base, n)); !a.Gave(id) {
			return id, nil
		}
	}
}

// successorOf is whose place a station has by its id: of OLD-2 it is OLD; its own where it took nobody's.
func successorOf(s alerts.StationID) alerts.StationID {
	base, number, ok := cutLast(string(s), "-")
	if n, err := strconv.Atoi(number); !ok || err != nil || n < 2 {
		return s
	}
	return alerts.StationID(base)
}

func cutLast(s, sep string) (before, after string, found bool) {
	k := strings.LastIndex(s, sep)
	if k < 0 {
		return s, "", false
	}
	return s[:k], s[k+len(sep):], true
}

// RotateKeys changes the gossip key with the authority in dir. Each station uses the new one when all that are
// alive have it; urgent: at once.
func RotateKeys(ctx context.Context, dir string, urgent bool) (generation uint64, _ Told, err error) {
	return RotateKeysOn(ctx, trust.OS(), dir, urgent)
}

// RotateKeysOn is RotateKeys over a given network.
func RotateKeysOn(ctx context.Context, nw trust.Network, dir string, urgent bool) (generation uint64, _ Told, err error) {
	a, err := openAuthority(dir)
	if err != nil {
		return 0, Told{}, err
	}
	key, generation, err := a.RotateKey(urgent)
	if err != nil {
		return 0, Told{}, err
	}
	told, err := tellFrom(ctx, nw, dir, nil, key)
	return generation, told, err
}

// tellFrom hands a notice and a key, where there are such, to the station in dir and to all that it knows of. The
// station may be running or not: it meets this command at the mesh port like any other.
func tellFrom(ctx context.Context, nw trust.Network, dir string, notice, key []byte) (Told, error) {
	cfg, err := LoadConfig(filepath.Join(dir, ConfigFile))
	if err != nil {
		return Told{}, err
	}
	cfg.Dir = dir // what the config says is taken from where hive serve is started
	return tell(ctx, nw, cfg, notice, key)
}

func tell(ctx context.Context, nw trust.Network, cfg Config, notice, key []byte) (_ Told, err error) {
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	dir := cfg.Dir
	id, err := trust.LoadIdentity(filepath.Join(dir, identityDir))
	if err != nil {
		return Told{}, err
	}
	ring, err := trust.NewRing(id.Root, filepath.Join(dir, ringDir))
	if err != nil {
		return Told{}, err
	}
	keys, err := trust.OpenKeys(id, filepath.Join(dir, identityDir))
	if err != nil {
		return Told{}, err
	}
	if notice != nil {
		if _, err := ring.TakeNotice(notice); err != nil {
			return Told{}, err
		}
	}
	if key != nil {
		if _, err := keys.Take(key); err != nil {
			return Told{}, err
		}
	}
	port, err := trust.OpenPort(nw, "127.0.0.1:0", id, ring, zap.NewNop())
	if err != nil {
		return Told{}, err
	}
	news := trust.OpenNews(port, keys, nil, zap.NewNop())
	defer func() { err = errors.Join(err, news.Close(), port.Close()) }()
	known, err := gossip.KnownPeers(filepath.Join(dir, cluster.PeersFile), func(s alerts.StationID) bool {
		_, yes := ring.Gone(s)
		return yes
	})
	if err != nil {
		return Told{}, err
	}
	return meetAll(ctx, news, slices.Concat([]string{dialable(cfg.Mesh)}, known, cfg.Seeds)), nil
}

// meetAll meets whoever answers at the addresses; each station counts once.
func meetAll(ctx context.Context, news *trust.News, addrs []string) Told {
	slices.Sort(addrs)
	var (
		mu   sync.Mutex
		told Told
		wg   sync.WaitGroup
		room = make(chan struct{}, 32) // TLS with 2,000 at once would make this machine miss the time
	)
	for _, addr := range slices.Compact(addrs) {
		wg.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			s, err := news.Meet(ctx, addr)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				told.Missed = append(told.Missed, addr)
			case !slices.Contains(told.Stations, s):
				told.Stations = append(told.Stations, s)
			}
		})
	}
	wg.Wait()
	slices.Sort(told.Stations)
	slices.Sort(told.Missed)
	return told
}

// dialable is where a station that listens at addr is reached from its own machine.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

// Left reports whether the station in dir has left the county for good.
func (n *Node) left() error {
	if notice, gone := n.ring.Gone(n.identity.Station); gone && notice.Why == trust.Left {
		return fmt.Errorf("station %s has left the county for good; to come back, join in another directory with a new token", n.identity.Station)
	}
	return nil
}

// ExportAuthority writes all that makes the county's authority, its key included, into one file that only its
// owner can read. The file must not exist yet.
func ExportAuthority(dir, file, passphrase string) error {
	a, err := openAuthority(dir)
	if err != nil {
		return err
	}
	b, err := a.Export(passphrase)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// RestoreAuthority puts an exported authority into the station directory dir, where none must be, and says of
// which county it is. A station there must be of the same county.
func RestoreAuthority(file, dir, passphrase string) (county string, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	into := filepath.Join(dir, authorityDir)
	a, err := trust.RestoreAuthority(b, passphrase, into)
	if err != nil {
		return "", err
	}
	id, err := trust.LoadIdentity(filepath.Join(dir, identityDir))
	if errors.Is(err, fs.ErrNotExist) {
		return a.County, nil
	}
	if err == nil && trust.Fingerprint(id.Root) != trust.Fingerprint(a.Root) {
		err = fmt.Errorf("the station in %s is of another county than the authority in %s", dir, file)
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(into))
	}
	return a.County, nil
}

// SignWarrant signs a warrant with the county's authority: that in a station's directory, or an exported one.
func SignWarrant(authority, passphrase string, w Warrant) (sig []byte, err error) {
	info, err := os.Stat(authority)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		a, err := openAuthority(authority)
		if err != nil {
			return nil, err
		}
		return a.SignBytes(w.Bytes), nil
	}
	b, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	s, err := trust.OpenExport(b, passphrase)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", authority, err)
	}
	return s.SignBytes(w.Bytes), nil
}
