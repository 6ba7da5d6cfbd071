package trust

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"regexp"
	"strings"
	"time"

	"hivemesh/alerts"
)

// Who is what a certificate says of a station.
type Who struct {
	County  string
	Cell    alerts.CellID
	Kind    alerts.StationKind
	Station alerts.StationID
	Name    string // shown to people; not unique
}

// Errors of certificates.
var (
	ErrForeign = errors.New("not a certificate of this county")
	ErrExpired = errors.New("certificate has expired")
)

// Lifetimes. A station's is long because a village box may lie in a cupboard for years, and an expulsion
// is an event of the directory, not a date.
const (
	rootLife    = 30 * 365 * 24 * time.Hour
	stationLife = 10 * 365 * 24 * time.Hour
)

// maxCertificate bounds what a peer can make us parse, in bytes; ours have about 500.
const maxCertificate = 4 << 10

// slug is the form of every word in a certificate's name: it stands in URLs and in file names.
var slug = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// Check refuses words that cannot stand in a certificate.
func (w Who) Check() error {
	for what, s := range map[string]string{
		"county": w.County, "cell": string(w.Cell), "kind": string(w.Kind), "station": string(w.Station),
	} {
		if !slug.MatchString(s) {
			return fmt.Errorf("%s %q: want 1 to 63 of a-z 0-9 - _, the first a letter or digit", what, s)
		}
	}
	if len(w.Name) > 120 {
		return fmt.Errorf("station name of %d bytes: at most 120 fit", len(w.Name))
	}
	return nil
}

func (w Who) url() *url.URL {
	return &url.URL{Scheme: "hive", Host: w.County, Path: "/" + string(w.Cell) + "/" + string(w.Kind) + "/" + string(w.Station)}
}

// whoOf reads what c says of its station, without checking who signed c.
func whoOf(c *x509.Certificate) (Who, error) {
	if len(c.URIs) != 1 || c.URIs[0].Scheme != "hive" {
		return Who{}, fmt.Errorf("%w: it names no station", ErrForeign)
	}
	u := c.URIs[0]
	part := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
	if len(part) != 3 {
		return Who{}, fmt.Errorf("%w: its name %s is not county/cell/kind/station", ErrForeign, u)
	}
	w := Who{
		County: u.Host, Cell: alerts.CellID(part[0]), Kind: alerts.StationKind(part[1]),
		Station: alerts.StationID(part[2]), Name: c.Subject.CommonName,
	}
	if err := w.Check(); err != nil {
		return Who{}, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	return w, nil
}

// readStation reads what a certificate says of its station, without checking who signed it.
func readStation(der []byte) (*x509.Certificate, Who, error) {
	if len(der) > maxCertificate {
		return nil, Who{}, fmt.Errorf("%w: %d bytes long", ErrForeign, len(der))
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, Who{}, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	w, err := whoOf(c)
	return c, w, err
}

// parseStation reads a station's certificate that root signed. It does not look at the clock.
func parseStation(root *x509.Certificate, der []byte) (*x509.Certificate, Who, error) {
	c, w, err := readStation(der)
	if err != nil {
		return nil, Who{}, err
	}
	if c.IsCA {
		return nil, Who{}, fmt.Errorf("%w: it is an authority's", ErrForeign)
	}
	if err := c.CheckSignatureFrom(root); err != nil {
		return nil, Who{}, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if _, ok := c.PublicKey.(ed25519.PublicKey); !ok {
		return nil, Who{}, fmt.Errorf("%w: its key is not Ed25519", ErrForeign)
	}
	if county := countyOf(root); w.County != county {
		return nil, Who{}, fmt.Errorf("%w: it is of %s, not of %s", ErrForeign, w.County, county)
	}
	return c, w, nil
}

// countyOf is the county whose root c is.
func countyOf(root *x509.Certificate) string { return root.Subject.CommonName }

// Fingerprint is the SHA-256 of a root certificate: what join tokens pin and people compare.
func Fingerprint(root *x509.Certificate) [32]byte { return sha256.Sum256(root.Raw) }

func newRoot(county string, pub ed25519.PublicKey, key ed25519.PrivateKey, now time.Time) (*x509.Certificate, error) {
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: county},
		NotBefore: now, NotAfter: now.Add(rootLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func newStation(root *x509.Certificate, key ed25519.PrivateKey, w Who, pub ed25519.PublicKey, now time.Time) ([]byte, error) {
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: w.Name}, URIs: []*url.URL{w.url()},
		NotBefore: now, NotAfter: now.Add(stationLife),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	return x509.CreateCertificate(rand.Reader, t, root, pub, key)
}

func serial() *big.Int {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b[:])
}
