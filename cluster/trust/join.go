package trust

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/wire"
)

const (
	joinVersion = 1
	joinTime    = 30 * time.Second // the whole exchange, over a slow link
	maxJoinAsk  = 8 << 10          // bytes; from somebody unknown
	maxJoinTold = 1 << 20          // bytes; the cell's config is in it
)

type joinAsk struct {
	Version uint64           `cbor:"1,keyasint"`
	Token   string           `cbor:"2,keyasint"`
	Key     []byte           `cbor:"3,keyasint"`
	Wish    alerts.StationID `cbor:"4,keyasint,omitempty"`
	Sig     []byte           `cbor:"5,keyasint"` // over the token by Key: the asker holds it
}

type joinTold struct {
	Version uint64 `cbor:"1,keyasint"`
	Error   string `cbor:"2,keyasint,omitempty"` // in words for whoever runs `hive join`
	Cert    []byte `cbor:"3,keyasint,omitempty"`
	Root    []byte `cbor:"4,keyasint,omitempty"`
	Gossip  []byte `cbor:"5,keyasint,omitempty"`
	Config  []byte `cbor:"6,keyasint,omitempty"`
}

// Enrol answers one newcomer on c and closes c: token and key in, certificate, root, gossip key and config
// out; config is handed through unread. It returns who joined, with the certificate for the ring, or why not.
func (a *Authority) Enrol(c net.Conn, config []byte) (w Who, der []byte, err error) {
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(joinTime)); err != nil {
		return Who{}, nil, err
	}
	var ask joinAsk
	if err := wire.ReadFrameMax(bufio.NewReader(c), &ask, maxJoinAsk); err != nil {
		return Who{}, nil, fmt.Errorf("read who wants to join: %w", err)
	}
	w, der, err = a.answer(ask)
	told := joinTold{Version: joinVersion, Cert: der, Root: a.Root.Raw, Gossip: a.gossipKey(), Config: config}
	if err != nil {
		told = joinTold{Version: joinVersion, Error: err.Error()}
	}
	return w, der, errors.Join(err, wire.WriteFrame(c, told))
}

// gossipKey is the present one, by the disk: a command may have changed it while a station with this authority
// runs.
func (a *Authority) gossipKey() []byte {
	if key, err := os.ReadFile(filepath.Join(a.dir, gossipFile)); err == nil && len(key) == gossipKeyLen {
		return key
	}
	return a.GossipKey
}

func (a *Authority) answer(ask joinAsk) (Who, []byte, error) {
	if ask.Version != joinVersion {
		return Who{}, nil, fmt.Errorf("the newcomer's program speaks version %d of joining, this one %d", ask.Version, joinVersion)
	}
	if len(ask.Key) != ed25519.PublicKeySize || !verify(ask.Key, forJoin, []byte(ask.Token), ask.Sig) {
		return Who{}, nil, fmt.Errorf("%w: the newcomer does not hold the key it shows", ErrSignature)
	}
	der, w, err := a.Redeem(ask.Token, ask.Key, ask.Wish)
	return w, der, err
}

// Join brings a new station into the county with a token and keeps its identity in dir, where none must
// be yet (fs.ErrExist). The key is on disk before the token is spent, so Join may be tried again when the
// answer was lost. config is what the county's station handed out.
func Join(ctx context.Context, nw Network, token string, dir string, wish alerts.StationID) (id *Identity, config []byte, err error) {
	t, err := ParseToken(token)
	if err != nil {
		return nil, nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, certFile)); err == nil {
		return nil, nil, fmt.Errorf("%s: %w: it holds a station already", dir, fs.ErrExist)
	}
	key, err := ownKey(dir)
	if err != nil {
		return nil, nil, err
	}
	var errs []error
	for _, addr := range t.Addrs {
		told, err := askToJoin(ctx, nw, addr, t, key, token, wish)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", addr, err))
			continue
		}
		if told.Error != "" {
			return nil, nil, fmt.Errorf("%s does not let this station in: %s", addr, told.Error)
		}
		return keepJoined(t, told, key, dir)
	}
	return nil, nil, fmt.Errorf("join county %s: no address of the token answers: %w", t.County, errors.Join(errs...))
}

// ownKey is the station's key in dir, made if there is none yet.
func ownKey(dir string) (ed25519.PrivateKey, error) {
	if err := disk.MakeDir(dir); err != nil {
		return nil, err
	}
	key, err := readKey(filepath.Join(dir, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		key = newKey()
		err = writeKey(filepath.Join(dir, keyFile), key)
	}
	return key, err
}

func askToJoin(ctx context.Context, nw Network, addr string, t Token, key ed25519.PrivateKey, text string, wish alerts.StationID) (joinTold, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	raw, err := nw.Dial(ctx, addr)
	if err != nil {
		return joinTold{}, err
	}
	defer raw.Close()
	// Closing the connection is what ends a read when ctx ends.
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	c := tls.Client(raw, &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{ProtoJoin}, InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error { return pinned(t, s.PeerCertificates) },
	})
	if err := c.HandshakeContext(ctx); err != nil {
		return joinTold{}, err
	}
	sig := ed25519.Sign(key, append([]byte(forJoin), text...))
	ask := joinAsk{Version: joinVersion, Token: text, Key: key.Public().(ed25519.PublicKey), Wish: wish, Sig: sig}
	if err := wire.WriteFrame(c, ask); err != nil {
		return joinTold{}, err
	}
	var told joinTold
	return told, wire.ReadFrameMax(bufio.NewReader(c), &told, maxJoinTold)
}

// pinned makes sure that a station of the county that the token names is at the other end, before the
// token is shown to it.
func pinned(t Token, chain []*x509.Certificate) error {
	if len(chain) < 2 {
		return fmt.Errorf("%w: the station shows no root", ErrForeign)
	}
	if print := sha256.Sum256(chain[1].Raw); string(print[:]) != string(t.Root) {
		return fmt.Errorf("%w: the station's authority is not the one that the token names", ErrForeign)
	}
	_, _, err := parseStation(chain[1], chain[0].Raw)
	return err
}

func keepJoined(t Token, told joinTold, key ed25519.PrivateKey, dir string) (*Identity, []byte, error) {
	root, err := x509.ParseCertificate(told.Root)
	if err != nil {
		return nil, nil, fmt.Errorf("the county's root: %w", err)
	}
	if print := Fingerprint(root); string(print[:]) != string(t.Root) {
		return nil, nil, fmt.Errorf("%w: another root than the token names", ErrForeign)
	}
	id, err := newIdentity(root, told.Cert, key, told.Gossip)
	if err != nil {
		return nil, nil, err
	}
	return id, told.Config, id.SaveTo(dir)
}
