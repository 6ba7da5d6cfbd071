package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"hivemesh/cluster/disk"
	"hivemesh/cluster/wire"
)

// ErrKey says that bytes are not a gossip key of this county's authority.
var ErrKey = errors.New("not a gossip key of this county")

// FirstKey is the generation of the gossip key that a county begins with, which nobody signed.
const FirstKey = 1

const (
	keyVersion = 1
	maxKey     = 1 << 10 // bytes of a signed key
	signedFile = "gossip.signed"
	beforeFile = "gossip.before"
	forKey     = "hivemesh gossip key v1\x00"
)

// keyForm is one generation of the key that gossip is encrypted with.
type keyForm struct {
	Version    uint64 `cbor:"1,keyasint"`
	County     string `cbor:"2,keyasint"`
	Generation uint64 `cbor:"3,keyasint"`
	Key        []byte `cbor:"4,keyasint"`
	Urgent     bool   `cbor:"5,keyasint,omitempty"` // somebody holds the one before who should not
}

type sealedKey struct {
	Signed []byte `cbor:"1,keyasint"`
	Sig    []byte `cbor:"2,keyasint"`
}

func sealKey(f keyForm, key ed25519.PrivateKey) ([]byte, error) {
	signed, err := wire.Canonical.Marshal(f)
	if err != nil {
		return nil, err
	}
	return wire.Canonical.Marshal(sealedKey{signed, ed25519.Sign(key, append([]byte(forKey), signed...))})
}

func openKey(root ed25519.PublicKey, county string, raw []byte) (keyForm, error) {
	var s sealedKey
	var f keyForm
	if len(raw) > maxKey {
		return f, fmt.Errorf("%w: %d bytes long", ErrKey, len(raw))
	}
	if err := errors.Join(wire.Strict.Unmarshal(raw, &s), wire.Strict.Unmarshal(s.Signed, &f)); err != nil {
		return f, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if f.Version != keyVersion || f.County != county || f.Generation <= FirstKey || len(f.Key) != gossipKeyLen {
		return f, fmt.Errorf("%w: version %d, generation %d of county %q", ErrKey, f.Version, f.Generation, f.County)
	}
	if !verify(root, forKey, s.Signed, s.Sig) {
		return f, fmt.Errorf("%w: %w", ErrKey, ErrSignature)
	}
	return f, nil
}

// Keys are the gossip keys a station has: the latest generation, and the one before until nobody needs it.
// They are handed on over TLS, to stations of the county only. It is safe for concurrent use.
type Keys struct {
	dir    string // of the identity; empty: in memory only
	root   ed25519.PublicKey
	county string

	mu     sync.Mutex
	latest keyForm
	raw    []byte // latest as it travels; nil for a county's first
	before []byte // nil: nobody needs it any more
	tell   []func()
}

// OpenKeys reads the keys that lie beside an identity in dir; an empty dir keeps them in memory.
func OpenKeys(id *Identity, dir string) (*Keys, error) {
	k := &Keys{
		dir: dir, root: id.Root.PublicKey.(ed25519.PublicKey), county: id.County,
		latest: keyForm{Generation: FirstKey, Key: id.GossipKey},
	}
	if dir == "" {
		return k, nil
	}
	var err error
	if k.before, err = readIf(filepath.Join(dir, beforeFile)); err != nil {
		return nil, err
	}
	raw, err := readIf(filepath.Join(dir, signedFile))
	if err != nil || raw == nil {
		return k, err
	}
	f, err := openKey(k.root, k.county, raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, signedFile), err)
	}
	if !bytes.Equal(f.Key, id.GossipKey) {
		k.before = id.GossipKey // the power went between the two files
	}
	k.latest, k.raw = f, raw
	return k, nil
}

// readIf is nil for a file that is not there.
func readIf(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Take takes in a signed key; isNew: it is of a later generation than all before. Errors wrap ErrKey or, when it
// counts only until a restart, ErrNotKept.
func (k *Keys) Take(raw []byte) (isNew bool, err error) {
	f, err := openKey(k.root, k.county, raw)
	if err != nil {
		return false, err
	}
	k.mu.Lock()
	if f.Generation <= k.latest.Generation {
		k.mu.Unlock()
		return false, nil
	}
	if !bytes.Equal(f.Key, k.latest.Key) { // a newcomer has it already, without its number
		k.before = k.latest.Key
	}
	k.latest, k.raw = f, raw
	before, tell := k.before, k.tell
	k.mu.Unlock()
	for _, t := range tell {
		t()
	}
	if k.dir == "" {
		return true, nil
	}
	// In this order: whatever the power leaves of them, the latest and the one before are there.
	err = disk.WriteFile(filepath.Join(k.dir, signedFile), raw, 0o600)
	if err == nil && before != nil {
		err = disk.WriteFile(filepath.Join(k.dir, beforeFile), before, 0o600)
	}
	if err == nil {
		err = disk.WriteFile(filepath.Join(k.dir, gossipFile), f.Key, 0o600)
	}
	if err != nil {
		return true, fmt.Errorf("%w: gossip key %d: %w", ErrNotKept, f.Generation, err)
	}
	return true, nil
}

// Latest is the newest generation and its key; urgent: the one before is in wrong hands.
func (k *Keys) Latest() (generation uint64, key []byte, urgent bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.latest.Generation, k.latest.Key, k.latest.Urgent
}

// Before is the key before the latest, nil when there is none or nobody needs it.
func (k *Keys) Before() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.before
}

// DropBefore forgets the key before the latest.
func (k *Keys) DropBefore() error {
	k.mu.Lock()
	k.before = nil
	k.mu.Unlock()
	if k.dir == "" {
		return nil
	}
	err := os.Remove(filepath.Join(k.dir, beforeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// OnTake calls f whenever a new key has come. f must not block.
func (k *Keys) OnTake(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tell = append(k.tell[:len(k.tell):len(k.tell)], f)
}

// signed is the latest key as it travels; nil for a county's first.
func (k *Keys) signed() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.raw
}

// RotateKey makes the next generation of the county's gossip key and keeps it in the authority's directory.
// urgent: somebody holds the present one who should not, so no station waits for the others before it uses it.
func (a *Authority) RotateKey(urgent bool) (signed []byte, generation uint64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, err := a.signedKey()
	if err != nil {
		return nil, 0, err
	}
	f := keyForm{Version: keyVersion, County: a.County, Generation: FirstKey + 1, Key: make([]byte, gossipKeyLen), Urgent: urgent}
	if now != nil {
		before, err := openKey(a.Root.PublicKey.(ed25519.PublicKey), a.County, now)
		if err != nil {
			return nil, 0, err
		}
		f.Generation = before.Generation + 1
	}
	rand.Read(f.Key) // never fails
	if signed, err = sealKey(f, a.key); err != nil {
		return nil, 0, err
	}
	if err := disk.WriteFile(filepath.Join(a.dir, signedFile), signed, 0o600); err != nil {
		return nil, 0, err
	}
	a.GossipKey = f.Key
	return signed, f.Generation, disk.WriteFile(filepath.Join(a.dir, gossipFile), f.Key, 0o600)
}

// signedKey is the present key as it travels; nil for a county's first.
func (a *Authority) signedKey() ([]byte, error) { return readIf(filepath.Join(a.dir, signedFile)) }
