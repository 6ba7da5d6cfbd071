package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/wire"
)

// Errors of a ring.
var (
	ErrSignature = errors.New("signature does not match") // bytes are not what their maker signed
	ErrNotKept   = errors.New("certificate could not be kept on disk")
)

const (
	certEnd = ".crt" // of a certificate's file name
	// certPatience is how long the disk may hold up an event whose maker's certificate has just come, or the
	// first connection with a station: a good disk takes some milliseconds, and an alarm waits for no bad one.
	certPatience = 200 * time.Millisecond
)

// UnknownOrigin says that a station's certificate is missing here: ask whoever sent the event for it.
type UnknownOrigin struct{ Station alerts.StationID }

func (u *UnknownOrigin) Error() string { return "unknown origin " + string(u.Station) }

// Ring holds the certificates of the county's stations. It is safe for concurrent use.
type Ring struct {
	root *x509.Certificate
	dir  string

	write  func(path string, der []byte) error // writeCert, but where a test has a disk that hangs
	writes sync.WaitGroup                      // certificates on their way to the disk

	mu       sync.RWMutex
	stations map[alerts.StationID]member
	gone     map[alerts.StationID]Notice                    // whose ids are no longer to be met
	knows    map[alerts.StationID]map[alerts.StationID]bool // who is known to know of which of them
	tell     []func(Notice)
}

type member struct {
	cert *x509.Certificate
	who  Who
}

func (m member) key() ed25519.PublicKey { return m.cert.PublicKey.(ed25519.PublicKey) }

// NewRing opens the ring kept in dir, which is made if need be; an empty dir keeps it in memory only.
func NewRing(root *x509.Certificate, dir string) (*Ring, error) {
	r := &Ring{
		root: root, dir: dir, write: writeCert, stations: make(map[alerts.StationID]member),
		gone: make(map[alerts.StationID]Notice), knows: make(map[alerts.StationID]map[alerts.StationID]bool),
	}
	if dir == "" {
		return r, nil
	}
	if err := disk.MakeDir(dir); err != nil {
		return nil, err
	}
	return r, errors.Join(r.each(certEnd, r.loadCert), r.each(goneEnd, r.loadNotice))
}

// each loads the kept files of a kind. One that a bad disk spoilt is put aside, for whoever wants to look: the
// others have a copy, and a station must start.
func (r *Ring) each(end string, load func(path string) error) error {
	files, err := filepath.Glob(filepath.Join(r.dir, "*"+end))
	if err != nil {
		return err
	}
	for _, f := range files {
		if load(f) == nil {
			continue
		}
		if err := os.Rename(f, f+".bad"); err != nil {
			return err
		}
	}
	return nil
}

func (r *Ring) loadCert(path string) error {
	c, err := readCert(path)
	if err != nil {
		return err
	}
	_, who, err := parseStation(r.root, c.Raw)
	if err == nil {
		r.stations[who.Station] = member{c, who}
	}
	return err
}

func (r *Ring) loadNotice(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	n, err := r.openNotice(raw)
	if err == nil {
		r.gone[n.Station] = n
	}
	return err
}

// Add takes in a station's certificate and keeps it. A station has one key for life: a certificate over
// another key than the one known is refused, as is one that this county's authority did not sign
// (ErrForeign). With ErrNotKept the ring has the certificate all the same, until this station restarts.
func (r *Ring) Add(der []byte) (alerts.StationID, error) {
	c, who, err := r.parse(der)
	if err != nil {
		return "", err
	}
	isNew, err := r.put(member{c, who})
	if err != nil || !isNew || r.dir == "" {
		return who.Station, err
	}
	if err := r.keep(who.Station, der); err != nil {
		return who.Station, fmt.Errorf("%w: %s: %w", ErrNotKept, who.Station, err)
	}
	return who.Station, nil
}

// parse is parseStation; the signature of a certificate that stands here byte for byte is not checked again, which
// is most of the work whenever two stations meet.
func (r *Ring) parse(der []byte) (*x509.Certificate, Who, error) {
	if _, who, err := readStation(der); err == nil {
		if m, ok := r.find(who.Station); ok && bytes.Equal(m.cert.Raw, der) {
			return m.cert, m.who, nil
		}
	}
	return parseStation(r.root, der)
}

// keep writes a certificate, outside the lock, and waits for it only so long: what takes longer is written all the
// same, behind whoever brought it.
func (r *Ring) keep(s alerts.StationID, der []byte) error {
	done := make(chan error, 1)
	r.writes.Go(func() { done <- r.write(filepath.Join(r.dir, string(s)+certEnd), der) })
	late := time.NewTimer(certPatience)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return disk.ErrHangs
	}
}

// Close waits for certificates on their way to the disk, as long as one that hangs is waited for.
func (r *Ring) Close() error {
	done := make(chan struct{})
	go func() { defer close(done); r.writes.Wait() }()
	late := time.NewTimer(disk.ClosePatience)
	defer late.Stop()
	select {
	case <-done:
		return nil
	case <-late.C:
		return fmt.Errorf("the ring of certificates: %w", disk.ErrHangs)
	}
}

func (r *Ring) put(m member) (isNew bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, ok := r.stations[m.who.Station]; ok {
		if !bytes.Equal(old.key(), m.key()) {
			return false, fmt.Errorf("%w: %s is known with another key", ErrForeign, m.who.Station)
		}
		if !m.cert.NotAfter.After(old.cert.NotAfter) {
			return false, nil
		}
	}
	r.stations[m.who.Station] = m
	return true, nil
}

// Cert is a station's certificate in DER, to be handed to whoever asks.
func (r *Ring) Cert(s alerts.StationID) ([]byte, bool) {
	m, ok := r.find(s)
	if !ok {
		return nil, false
	}
	return m.cert.Raw, true
}

// Certs are the certificates of all stations known here, in the order of their ids.
func (r *Ring) Certs() [][]byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([][]byte, 0, len(r.stations))
	for _, s := range slices.Sorted(maps.Keys(r.stations)) {
		out = append(out, r.stations[s].cert.Raw)
	}
	return out
}

// Kind is what the authority says a station is.
func (r *Ring) Kind(s alerts.StationID) (alerts.StationKind, bool) {
	m, ok := r.find(s)
	return m.who.Kind, ok
}

// Who is all that a station's certificate says.
func (r *Ring) Who(s alerts.StationID) (Who, bool) {
	m, ok := r.find(s)
	return m.who, ok
}

// Stations is what the certificates say of all stations known here that are still of the county, in no order.
func (r *Ring) Stations() (out []Who) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for s, m := range r.stations {
		if _, gone := r.gone[s]; !gone {
			out = append(out, m.who)
		}
	}
	return out
}

// Has reports whether the station's certificate is here.
func (r *Ring) Has(s alerts.StationID) bool { _, ok := r.find(s); return ok }

// County names the county whose stations these are.
func (r *Ring) County() string { return countyOf(r.root) }

func (r *Ring) find(s alerts.StationID) (member, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	m, ok := r.stations[s]
	return m, ok
}

// Check is the way in for every event from elsewhere: it decodes, checks the signature, and checks that
// what the event says is sane. Errors: wire.ErrMalformed, *UnknownOrigin, ErrSignature, or those of
// alerts.Event.Check.
func (r *Ring) Check(raw []byte) (alerts.Event, error) {
	e, signed, sig, err := wire.OpenEvent(raw)
	if err != nil {
		return alerts.Event{}, err
	}
	m, ok := r.find(e.Station)
	if !ok {
		return alerts.Event{}, &UnknownOrigin{e.Station}
	}
	if !verify(m.key(), forEvent, signed, sig) {
		return alerts.Event{}, fmt.Errorf("%w: event %s of %s", ErrSignature, e.ID.Short(), e.Station)
	}
	if err := e.Check(); err != nil {
		return alerts.Event{}, fmt.Errorf("event %s of %s: %w", e.ID.Short(), e.Station, err)
	}
	if c, ok := e.Body.(*alerts.Carried); ok { // nobody can carry what was never signed
		if _, err := r.Check(c.Raw); err != nil {
			return alerts.Event{}, err
		}
	}
	return e, nil
}

// VerifyRoot checks what Authority.SignBytes made. The error is ErrSignature.
func (r *Ring) VerifyRoot(msg, sig []byte) error {
	if !verify(r.root.PublicKey.(ed25519.PublicKey), forBytes, msg, sig) {
		return fmt.Errorf("%w: said to be of the county's authority", ErrSignature)
	}
	return nil
}

// Verify checks what Identity.SignBytes of the station made. What an expelled one signed counts for nothing.
// Errors: *UnknownOrigin, ErrSignature, ErrGone.
func (r *Ring) Verify(s alerts.StationID, msg, sig []byte) error {
	if n, ok := r.Gone(s); ok && n.Why == Expelled {
		return fmt.Errorf("%w: %s is expelled", ErrGone, s)
	}
	m, ok := r.find(s)
	if !ok {
		return &UnknownOrigin{s}
	}
	if !verify(m.key(), forBytes, msg, sig) {
		return fmt.Errorf("%w: said to be of %s", ErrSignature, s)
	}
	return nil
}
