package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

// Errors of join tokens; their words are for the person who pastes one.
var (
	ErrNotToken     = errors.New("this is not a join token: one begins with " + tokenMark)
	ErrTokenBroken  = errors.New("the join token is mistyped or cut off: copy the whole line again")
	ErrTokenExpired = errors.New("the join token has expired: ask for a new one with `hive token`")
)

const (
	tokenMark    = "hive1-"
	tokenVersion = 1
	tokenSum     = 4       // bytes of SHA-256 at the end: tells a slip of the hand from a forgery
	maxToken     = 4 << 10 // characters
	maxAddrs     = 16      // one that answers is enough
	tokenNumber  = 16      // bytes
)

// Token lets one new station into the county, once, until Expires.
type Token struct {
	Version uint64             `cbor:"1,keyasint"`
	County  string             `cbor:"2,keyasint"`
	Root    []byte             `cbor:"3,keyasint"` // fingerprint: who the newcomer must find at the other end
	Number  []byte             `cbor:"4,keyasint"` // random; makes it single-use
	Until   int64              `cbor:"5,keyasint"` // Unix seconds
	Cell    alerts.CellID      `cbor:"6,keyasint"`
	Kind    alerts.StationKind `cbor:"7,keyasint"`
	Name    string             `cbor:"8,keyasint,omitempty"`
	Station alerts.StationID   `cbor:"9,keyasint,omitempty"` // empty: the newcomer may wish
	Addrs   []string           `cbor:"10,keyasint"`          // mesh addresses, host:port

	signed, sig []byte
}

type sealedToken struct {
	Signed []byte `cbor:"1,keyasint"`
	Sig    []byte `cbor:"2,keyasint"`
}

// Token makes the one line that lets a station of this kind into this cell. w.Station empty: the newcomer
// may wish for an id. addrs are the mesh addresses (host:port) at which it may knock.
func (a *Authority) Token(w Who, addrs []string, life time.Duration) (string, error) {
	if len(addrs) == 0 || len(addrs) > maxAddrs {
		return "", fmt.Errorf("join token: %d mesh addresses, want 1 to %d", len(addrs), maxAddrs)
	}
	try := w
	try.County = a.County
	if try.Station == "" {
		try.Station = "any"
	}
	if err := try.Check(); err != nil {
		return "", fmt.Errorf("join token: %w", err)
	}
	print := Fingerprint(a.Root)
	t := Token{
		Version: tokenVersion, County: a.County, Root: print[:], Number: make([]byte, tokenNumber),
		Until: time.Now().Add(life).Unix(), Cell: w.Cell, Kind: w.Kind, Name: w.Name, Station: w.Station, Addrs: addrs,
	}
	rand.Read(t.Number) // never fails
	signed, err := wire.Canonical.Marshal(t)
	if err != nil {
		return "", err
	}
	return tokenText(signed, ed25519.Sign(a.key, append([]byte(forToken), signed...)))
}

func tokenText(signed, sig []byte) (string, error) {
	b, err := wire.Canonical.Marshal(sealedToken{signed, sig})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	text := tokenMark + base64.RawURLEncoding.EncodeToString(append(b, sum[:tokenSum]...))
	if len(text) > maxToken {
		return "", fmt.Errorf("join token of %d characters: at most %d fit", len(text), maxToken)
	}
	return text, nil
}

// ParseToken reads a token; white space that a mail or a terminal put in does no harm. It says nothing
// about who signed it: that is the authority's to check. Errors: ErrNotToken, ErrTokenBroken.
func ParseToken(text string) (Token, error) {
	text = strings.Join(strings.Fields(text), "")
	if !strings.HasPrefix(text, tokenMark) {
		return Token{}, ErrNotToken
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text[len(tokenMark):])
	if err != nil || len(text) > maxToken || len(b) < tokenSum {
		return Token{}, ErrTokenBroken
	}
	b, end := b[:len(b)-tokenSum], b[len(b)-tokenSum:]
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:tokenSum], end) {
		return Token{}, ErrTokenBroken
	}
	var s sealedToken
	var t Token
	if wire.Strict.Unmarshal(b, &s) != nil || wire.Strict.Unmarshal(s.Signed, &t) != nil {
		return Token{}, ErrNotToken
	}
	if t.Version != tokenVersion || len(t.Root) != sha256.Size || len(t.Number) != tokenNumber || len(t.Addrs) == 0 || len(t.Addrs) > maxAddrs {
		return Token{}, fmt.Errorf("%w: it is of version %d, this program reads %d", ErrNotToken, t.Version, tokenVersion)
	}
	t.signed, t.sig = s.Signed, s.Sig
	return t, nil
}

// Expires is when the token ends.
func (t Token) Expires() time.Time { return time.Unix(t.Until, 0).UTC() }

func (t Token) check(root *x509.Certificate, now time.Time) error {
	if print := Fingerprint(root); !bytes.Equal(print[:], t.Root) {
		return fmt.Errorf("%w: the token is of another authority, of county %s", ErrForeign, t.County)
	}
	if !verify(root.PublicKey.(ed25519.PublicKey), forToken, t.signed, t.sig) {
		return fmt.Errorf("%w: the token was not made by this county's authority", ErrSignature)
	}
	if now.After(t.Expires()) {
		return fmt.Errorf("%w (it ended %s)", ErrTokenExpired, t.Expires().Format(time.RFC3339))
	}
	return nil
}
