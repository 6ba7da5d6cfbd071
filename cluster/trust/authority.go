package trust

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
)

// gossipKeyLen makes gossip's encryption AES-256.
const gossipKeyLen = 32

// Errors of an authority.
var (
	ErrUsed  = errors.New("this join token has been used already")
	ErrTaken = errors.New("this station id is taken")
)

// Authority is the county's: it signs certificates and join tokens. It lives in the directory where it was
// made, is never copied to stations, and remembers there which tokens were used and which ids were given.
type Authority struct {
	County    string
	Root      *x509.Certificate
	GossipKey []byte

	dir string
	key ed25519.PrivateKey

	mu   sync.Mutex
	used map[string]use                         // by a token's number
	keys map[alerts.StationID]ed25519.PublicKey // ids given
}

// ErrNeverIssued says that the authority never let a station of this id in.
var ErrNeverIssued = errors.New("no station of this id was ever let into the county")

// Dismiss makes the notice that a station's id is no longer to be met, and never gives the id again. It can be
// said again, and then is the same notice.
func (a *Authority) Dismiss(s alerts.StationID, why Why) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.keys[s]; !ok {
		return nil, fmt.Errorf("%w: %s", ErrNeverIssued, s)
	}
	path := filepath.Join(a.dir, issuedDir, string(s)+goneEnd)
	if raw, err := readIf(path); err != nil {
		return nil, err
	} else if n, err := a.opened(raw); err == nil && (n.Why == why || n.Why == Expelled) {
		return raw, nil
	}
	raw, err := sealNotice(Notice{Version: noticeVersion, County: a.County, Station: s, Why: why, At: time.Now().Unix()}, a.key, nil)
	if err != nil {
		return nil, err
	}
	return raw, disk.WriteFile(path, raw, 0o600)
}

// SignBytes signs anything that is neither a certificate nor a notice nor a token; Ring.VerifyRoot checks it.
func (a *Authority) SignBytes(b []byte) []byte { return Signer{a.key}.SignBytes(b) }

// Gave reports whether the id has been given to a station.
func (a *Authority) Gave(s alerts.StationID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.keys[s]
	return ok
}

// opened reads one of this authority's own notices.
func (a *Authority) opened(raw []byte) (Notice, error) {
	return (&Ring{root: a.Root}).openNotice(raw)
}

// dismissed says whether the id is no longer to be met; by the disk, since a command may have said so while a
// station with this authority runs.
func (a *Authority) dismissed(s alerts.StationID) bool {
	raw, err := readIf(filepath.Join(a.dir, issuedDir, string(s)+goneEnd))
	if err != nil || raw == nil {
		return err != nil
	}
	_, err = a.opened(raw)
	return err == nil
}

// use is what became of a token. The same key may come again: its answer may have been lost on the way.
type use struct {
	pub     string // hex
	station alerts.StationID
}

// The files of an authority in its directory.
const (
	rootKeyFile = "root.key"
	usedFile    = "tokens.used"
	issuedDir   = "issued"
)

// NewAuthority makes a county's authority in dir, where none must be yet (fs.ErrExist).
func NewAuthority(county, dir string) (*Authority, error) {
	if !slug.MatchString(county) {
		return nil, fmt.Errorf("county %q: want 1 to 63 of a-z 0-9 - _", county)
	}
	path := filepath.Join(dir, rootFile)
	if _, err := os.Stat(path); err == nil {
		return nil, fmt.Errorf("%s: %w: a county has one authority", dir, fs.ErrExist)
	}
	if err := disk.MakeDir(filepath.Join(dir, issuedDir)); err != nil {
		return nil, err
	}
	key := newKey()
	root, err := newRoot(county, key.Public().(ed25519.PublicKey), key, time.Now())
	if err != nil {
		return nil, err
	}
	gossip := make([]byte, gossipKeyLen)
	rand.Read(gossip) // never fails
	if err := writeKey(filepath.Join(dir, rootKeyFile), key); err != nil {
		return nil, err
	}
	if err := disk.WriteFile(filepath.Join(dir, gossipFile), gossip, 0o600); err != nil {
		return nil, err
	}
	if err := writeCert(path, root.Raw); err != nil { // last: with it, the authority is whole
		return nil, err
	}
	return OpenAuthority(dir)
}

// OpenAuthority reads the authority in dir. A directory without one wraps fs.ErrNotExist.
func OpenAuthority(dir string) (*Authority, error) {
	root, err := readCert(filepath.Join(dir, rootFile))
	if err != nil {
		return nil, err
	}
	key, err := readKey(filepath.Join(dir, rootKeyFile))
	if err != nil {
		return nil, err
	}
	gossip, err := os.ReadFile(filepath.Join(dir, gossipFile))
	if err != nil {
		return nil, err
	}
	a := &Authority{
		County: countyOf(root), Root: root, GossipKey: gossip, dir: dir, key: key,
		used: make(map[string]use), keys: make(map[alerts.StationID]ed25519.PublicKey),
	}
	if err := a.readIssued(); err != nil {
		return nil, err
	}
	return a, a.readUsed()
}

func (a *Authority) readIssued() error {
	files, err := filepath.Glob(filepath.Join(a.dir, issuedDir, "*"+certEnd))
	if err != nil {
		return err
	}
	for _, f := range files {
		c, err := readCert(f)
		if err != nil {
			return err
		}
		_, who, err := parseStation(a.Root, c.Raw)
		if err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		a.keys[who.Station] = c.PublicKey.(ed25519.PublicKey)
	}
	return nil
}

// readUsed reads lines of token number, key, station. A line that a power cut broke off is of an answer
// that was never sent: it is passed over.
func (a *Authority) readUsed() error {
	f, err := os.Open(filepath.Join(a.dir, usedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); ; {
		if !s.Scan() {
			return s.Err()
		}
		if part := strings.Fields(s.Text()); len(part) == 4 && part[3] == "." {
			a.used[part[0]] = use{part[1], alerts.StationID(part[2])}
		}
	}
}

// Issue makes a certificate (DER) that says pub belongs to the station w; w.County may be empty. An id is
// given to one key only, for life (ErrTaken).
func (a *Authority) Issue(pub ed25519.PublicKey, w Who) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.issue(pub, w)
}

func (a *Authority) issue(pub ed25519.PublicKey, w Who) ([]byte, error) {
	w.County = a.County
	if err := w.Check(); err != nil {
		return nil, err
	}
	if len(pub) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("public key of %d bytes, want %d", len(pub), ed25519.PublicKeySize)
	}
	if known, ok := a.keys[w.Station]; ok && !known.Equal(pub) {
		return nil, fmt.Errorf("%w: %s", ErrTaken, w.Station)
	}
	if a.dismissed(w.Station) {
		return nil, fmt.Errorf("%w: %s; give the newcomer another id", ErrGone, w.Station)
	}
	der, err := newStation(a.Root, a.key, w, pub, time.Now())
	if err != nil {
		return nil, err
	}
	if err := writeCert(filepath.Join(a.dir, issuedDir, string(w.Station)+certEnd), der); err != nil {
		return nil, err
	}
	a.keys[w.Station] = pub
	return der, nil
}

// Settle makes a whole identity on the authority's own machine in dir, where none must be yet (fs.ErrExist). The
// key is on disk before the id is given, so one that was interrupted can be done again.
func (a *Authority) Settle(w Who, dir string) (*Identity, error) {
	if _, err := os.Stat(filepath.Join(dir, certFile)); err == nil {
		return nil, fmt.Errorf("%s: %w: it holds a station already", dir, fs.ErrExist)
	}
	key, err := ownKey(dir)
	if err != nil {
		return nil, err
	}
	der, err := a.Issue(key.Public().(ed25519.PublicKey), w)
	if err != nil {
		return nil, err
	}
	id, err := newIdentity(a.Root, der, key, a.GossipKey)
	if err != nil {
		return nil, err
	}
	return id, id.SaveTo(dir)
}

// NewStation makes a key and a whole identity in memory: for tests and tools.
func (a *Authority) NewStation(w Who) (*Identity, error) {
	key := newKey()
	der, err := a.Issue(key.Public().(ed25519.PublicKey), w)
	if err != nil {
		return nil, err
	}
	return newIdentity(a.Root, der, key, a.GossipKey)
}

// Redeem takes a join token for the key pub, once: the use is on disk before it returns. wish is the
// station id asked for; an empty one gets an id from the kind and a random ending. The same key may redeem
// its token again and is told the same. Errors: those of ParseToken, ErrTokenExpired, ErrForeign, ErrUsed, ErrTaken.
func (a *Authority) Redeem(text string, pub ed25519.PublicKey, wish alerts.StationID) (der []byte, w Who, err error) {
	t, err := ParseToken(text)
	if err != nil {
		return nil, Who{}, err
	}
	if err := t.check(a.Root, time.Now()); err != nil {
		return nil, Who{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	number := hex.EncodeToString(t.Number)
	before, again := a.used[number]
	if again && before.pub != hex.EncodeToString(pub) {
		return nil, Who{}, ErrUsed
	}
	w = Who{County: a.County, Cell: t.Cell, Kind: t.Kind, Name: t.Name, Station: t.Station}
	switch {
	case again:
		w.Station = before.station
	case w.Station == "" && wish != "":
		w.Station = wish
	case w.Station == "":
		w.Station = alerts.StationID(strings.ReplaceAll(string(t.Kind), "_", "-") + "-" + ending())
	}
	if der, err = a.issue(pub, w); err != nil {
		return nil, Who{}, err
	}
	if !again {
		if err := a.markUsed(number, use{hex.EncodeToString(pub), w.Station}); err != nil {
			return nil, Who{}, fmt.Errorf("keep that the token was used: %w", err)
		}
	}
	return der, w, nil
}

func (a *Authority) markUsed(number string, u use) error {
	f, err := os.OpenFile(filepath.Join(a.dir, usedFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	// The leading newline ends a line that a power cut broke off.
	_, err = fmt.Fprintf(f, "\n%s %s %s .", number, u.pub, u.station)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = disk.SyncDir(a.dir)
	}
	if err == nil {
		a.used[number] = u
	}
	return err
}

// ending makes ids of stations unlike each other: 6 hex digits.
func ending() string {
	var b [3]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
