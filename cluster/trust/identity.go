package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/wire"
)

// What a signature is for stands in front of what is signed, so that one can never pass for another.
const (
	forEvent = "hivemesh event v1\x00"
	forBytes = "hivemesh bytes v1\x00"
	forToken = "hivemesh token v1\x00"
	forJoin  = "hivemesh join v1\x00"
)

// Identity is what makes a station itself: its key and the certificate of the county's authority over it.
type Identity struct {
	Who
	Root      *x509.Certificate // the county's
	Cert      *x509.Certificate // this station's
	GossipKey []byte            // 32 bytes that every station of the county has

	key ed25519.PrivateKey
}

// The files of an identity in its directory.
const (
	keyFile    = "station.key"
	certFile   = "station.crt"
	rootFile   = "root.crt"
	gossipFile = "gossip.key"
)

// newIdentity checks that the parts belong together.
func newIdentity(root *x509.Certificate, der []byte, key ed25519.PrivateKey, gossip []byte) (*Identity, error) {
	c, who, err := parseStation(root, der)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(c.PublicKey.(ed25519.PublicKey), key.Public().(ed25519.PublicKey)) {
		return nil, fmt.Errorf("certificate of %s: it is over another key than this station's", who.Station)
	}
	if len(gossip) != gossipKeyLen {
		return nil, fmt.Errorf("gossip key of %d bytes, want %d", len(gossip), gossipKeyLen)
	}
	return &Identity{Who: who, Root: root, Cert: c, GossipKey: gossip, key: key}, nil
}

// SaveTo keeps the identity in dir, which is made if need be; the keys are readable by the owner alone.
func (id *Identity) SaveTo(dir string) error {
	if err := disk.MakeDir(dir); err != nil {
		return err
	}
	if err := writeKey(filepath.Join(dir, keyFile), id.key); err != nil {
		return err
	}
	if err := writeCert(filepath.Join(dir, rootFile), id.Root.Raw); err != nil {
		return err
	}
	if err := disk.WriteFile(filepath.Join(dir, gossipFile), id.GossipKey, 0o600); err != nil {
		return err
	}
	return writeCert(filepath.Join(dir, certFile), id.Cert.Raw) // last: with it, the identity is whole
}

// LoadIdentity reads what SaveTo wrote. A directory without one wraps fs.ErrNotExist.
func LoadIdentity(dir string) (*Identity, error) {
	c, err := readCert(filepath.Join(dir, certFile))
	if err != nil {
		return nil, err
	}
	key, err := readKey(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, err
	}
	root, err := readCert(filepath.Join(dir, rootFile))
	if err != nil {
		return nil, err
	}
	gossip, err := os.ReadFile(filepath.Join(dir, gossipFile))
	if err != nil {
		return nil, err
	}
	return newIdentity(root, c.Raw, key, gossip)
}

// Sign makes e this station's: it sets Station, signs, and returns e as every other station will read it
// (times in whole milliseconds), with ID and Raw.
func (id *Identity) Sign(e alerts.Event) (alerts.Event, error) {
	e.Station = id.Station
	signed, err := wire.EncodeEvent(e)
	if err != nil {
		return alerts.Event{}, err
	}
	raw, err := wire.Seal(signed, id.sign(forEvent, signed), nil)
	if err != nil {
		return alerts.Event{}, err
	}
	return wire.DecodeEvent(raw)
}

// SignBytes signs anything that is not an event; Ring.Verify checks it.
func (id *Identity) SignBytes(b []byte) []byte { return id.sign(forBytes, b) }

func (id *Identity) sign(purpose string, b []byte) []byte {
	return ed25519.Sign(id.key, append([]byte(purpose), b...))
}

func verify(pub ed25519.PublicKey, purpose string, b, sig []byte) bool {
	return ed25519.Verify(pub, append([]byte(purpose), b...), sig)
}

func newKey() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	return key
}
