package trust

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/disk"
	"hivemesh/cluster/wire"
)

// Why a station's id is no longer to be met.
type Why uint64

// The reasons. What an expelled station signed is believed only where it was held before; what the others
// signed stands.
const (
	Expelled Why = 1 // stolen, or no longer trusted: said by the authority
	Replaced Why = 2 // its disk is gone, and another station has its place: said by the authority
	Left     Why = 3 // it went of its own will: said by itself
)

func (w Why) String() string {
	switch w {
	case Expelled:
		return "expelled"
	case Replaced:
		return "replaced"
	case Left:
		return "left"
	}
	return fmt.Sprintf("reason %d", uint64(w))
}

// Errors of notices.
var (
	ErrGone   = errors.New("this station is no longer of the county")
	ErrNotice = errors.New("not a notice of this county")
)

const (
	noticeVersion = 1
	maxNotice     = 8 << 10 // bytes; one that brings a certificate has about 800
	goneEnd       = ".gone" // of a notice's file name
	forNotice     = "hivemesh notice v1\x00"
)

// Notice says for ever that a station's id is no longer to be met. It counts where it arrives, recorded or not.
type Notice struct {
	Version uint64           `cbor:"1,keyasint"`
	County  string           `cbor:"2,keyasint"`
	Station alerts.StationID `cbor:"3,keyasint"`
	Why     Why              `cbor:"4,keyasint"`
	At      int64            `cbor:"5,keyasint"` // Unix seconds, by the signer's clock: for people only

	raw []byte
}

type sealedNotice struct {
	Signed []byte `cbor:"1,keyasint"`
	Sig    []byte `cbor:"2,keyasint"`           // by the authority, or by the station that left
	Cert   []byte `cbor:"3,keyasint,omitempty"` // of the station that left
}

// hash names a notice in digests.
func (n Notice) hash() alerts.Hash { return sha256.Sum256(n.raw) }

func sealNotice(n Notice, key ed25519.PrivateKey, cert []byte) ([]byte, error) {
	signed, err := wire.Canonical.Marshal(n)
	if err != nil {
		return nil, err
	}
	return wire.Canonical.Marshal(sealedNotice{signed, ed25519.Sign(key, append([]byte(forNotice), signed...)), cert})
}

// Farewell is this station's own notice that it leaves the county for good.
func (id *Identity) Farewell() ([]byte, error) {
	n := Notice{Version: noticeVersion, County: id.County, Station: id.Station, Why: Left, At: time.Now().Unix()}
	return sealNotice(n, id.key, id.Cert.Raw)
}

// openNotice checks who signed it. Errors wrap ErrNotice.
func (r *Ring) openNotice(raw []byte) (Notice, error) {
	var s sealedNotice
	var n Notice
	if len(raw) > maxNotice {
		return n, fmt.Errorf("%w: %d bytes long", ErrNotice, len(raw))
	}
	if err := errors.Join(wire.Strict.Unmarshal(raw, &s), wire.Strict.Unmarshal(s.Signed, &n)); err != nil {
		return n, fmt.Errorf("%w: %w", ErrNotice, err)
	}
	if n.Version != noticeVersion || n.County != r.County() || !slug.MatchString(string(n.Station)) {
		return n, fmt.Errorf("%w: version %d, of county %q, about %q", ErrNotice, n.Version, n.County, n.Station)
	}
	signer := r.root.PublicKey.(ed25519.PublicKey)
	switch n.Why {
	case Expelled, Replaced:
	case Left:
		c, who, err := parseStation(r.root, s.Cert)
		if err != nil || who.Station != n.Station {
			return n, fmt.Errorf("%w: %s would leave by the certificate of %q: %w", ErrNotice, n.Station, who.Station, err)
		}
		signer = c.PublicKey.(ed25519.PublicKey)
	default:
		return n, fmt.Errorf("%w: %s", ErrNotice, n.Why)
	}
	if !verify(signer, forNotice, s.Signed, s.Sig) {
		return n, fmt.Errorf("%w: %w", ErrNotice, ErrSignature)
	}
	n.raw = raw
	return n, nil
}

// TakeNotice takes in a notice and keeps it; isNew: it changes what is known. Errors wrap ErrNotice or, when it
// counts only until a restart, ErrNotKept.
func (r *Ring) TakeNotice(raw []byte) (isNew bool, err error) {
	n, err := r.openNotice(raw)
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	if old, ok := r.gone[n.Station]; ok && (old.Why == Expelled || n.Why != Expelled) {
		r.mu.Unlock()
		return false, nil // an expulsion outweighs the others; else the first one stands
	}
	r.gone[n.Station] = n
	tell := r.tell
	r.mu.Unlock()
	for _, f := range tell {
		f(n)
	}
	if r.dir != "" {
		if err := disk.WriteFile(filepath.Join(r.dir, string(n.Station)+goneEnd), raw, 0o600); err != nil {
			return true, fmt.Errorf("%w: notice about %s: %w", ErrNotKept, n.Station, err)
		}
	}
	return true, nil
}

// OnNotice calls f with every new notice from now on. f must not block.
func (r *Ring) OnNotice(f func(Notice)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell = append(r.tell[:len(r.tell):len(r.tell)], f)
}

// Gone says whether a station's id is no longer to be met, and why.
func (r *Ring) Gone(s alerts.StationID) (Notice, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	n, ok := r.gone[s]
	return n, ok
}

// Word is the notice as it travels, signed.
func (n Notice) Word() []byte { return n.raw }

// Dismissed are the notices there are, by station.
func (r *Ring) Dismissed() []Notice {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := slices.Collect(maps.Values(r.gone))
	slices.SortFunc(out, func(a, b Notice) int { return cmp.Compare(a.Station, b.Station) })
	return out
}

// Notices are all there are, as they travel.
func (r *Ring) Notices() [][]byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([][]byte, 0, len(r.gone))
	for _, n := range r.gone {
		out = append(out, n.raw)
	}
	return out
}

// sum is the exclusive or of the notices' names: equal sets have equal sums.
func (r *Ring) sum() (h alerts.Hash) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, n := range r.gone {
		for i, b := range n.hash() {
			h[i] ^= b
		}
	}
	return h
}

// agreed notes that a station knows of every notice known here: what it hands on from now on of an expelled
// station it held before it knew.
func (r *Ring) agreed(with alerts.StationID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.knows[with]
	if known == nil {
		known = map[alerts.StationID]bool{}
		r.knows[with] = known
	}
	for s := range r.gone {
		known[s] = true
	}
}

// Knows lists who is known to know that a station is gone.
func (r *Ring) Knows(gone alerts.StationID) (out []alerts.StationID) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for s, known := range r.knows {
		if known[gone] {
			out = append(out, s)
		}
	}
	return out
}

// Admit is the way in for an event that another station hands on: Check, and that its maker is not expelled.
// A copy that the bringer held before it learned of the expulsion stands. Errors: Check's, and ErrGone.
func (r *Ring) Admit(raw []byte, from alerts.StationID) (alerts.Event, error) {
	e, err := r.Check(raw)
	if err != nil {
		return e, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if n, ok := r.gone[e.Station]; ok && n.Why == Expelled && !r.knows[from][e.Station] {
		return alerts.Event{}, fmt.Errorf("%w: event %s of %s, which is expelled", ErrGone, e.ID.Short(), e.Station)
	}
	return e, nil
}
