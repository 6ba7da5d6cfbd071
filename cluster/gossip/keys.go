package gossip

import (
	"bytes"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/zap"

	"hivemesh/cluster/trust"
)

const (
	// keepBefore is how long the key before is still understood after this station has stopped using it, and
	// everybody alive has the new one: as long as hints may need to reach the last one.
	keepBefore = 10 * time.Minute
	// urgentBefore is the same when the key before is in wrong hands: just long enough for those who are handed
	// the new one at this moment.
	urgentBefore = 30 * time.Second
	// keyLook is how often it is looked whether a change of key can go on.
	keyLook = 5 * time.Second
)

// keyring is memberlist's, led by the keys that the county's authority signs: a new key is understood at once,
// used once every station alive has it (at once when it is urgent), and the one before is dropped after that.
type keyring struct {
	keys  *trust.Keys
	ring  *memberlist.Keyring
	since time.Time // when the latest key came into use here; zero: it has not
	using uint64    // its generation
	log   *zap.Logger
}

func newKeyring(keys *trust.Keys, log *zap.Logger) (*keyring, error) {
	generation, latest, urgent := keys.Latest()
	k := &keyring{keys: keys, log: log, using: generation, since: time.Now()}
	before, primary := keys.Before(), latest
	if before != nil && !urgent {
		// Stopped in the midst of a change: the others may not have the new one yet.
		primary, k.using = before, generation-1
	}
	all := [][]byte{latest}
	if before != nil {
		all = append(all, before)
	}
	var err error
	k.ring, err = memberlist.NewKeyring(all, primary)
	return k, err
}

// turn takes the next step of a change of key; everybody says whether all who are alive have a generation.
func (k *keyring) turn(everybody func(generation uint64) bool, now time.Time) error {
	generation, latest, urgent := k.keys.Latest()
	if err := k.ring.AddKey(latest); err != nil {
		return err
	}
	all := everybody(generation)
	if k.using != generation && (all || urgent) {
		if err := k.ring.UseKey(latest); err != nil {
			return err
		}
		k.using, k.since = generation, now
		k.log.Info("gossip uses the new key", zap.Uint64("generation", generation))
	}
	wait := keepBefore
	if urgent {
		wait = urgentBefore
	}
	if k.using != generation || now.Sub(k.since) < wait || !all && !urgent {
		return nil
	}
	return k.dropOthers(latest)
}

// dropOthers leaves only the latest key. It drops from the end: memberlist may be reading the ring's keys, and
// what it reads must not move.
func (k *keyring) dropOthers(latest []byte) error {
	for keys := k.ring.GetKeys(); len(keys) > 1; keys = k.ring.GetKeys() {
		last := keys[len(keys)-1]
		if bytes.Equal(last, latest) {
			break // not in use here: it would be the first
		}
		if err := k.ring.RemoveKey(last); err != nil {
			return err
		}
	}
	if k.keys.Before() == nil {
		return nil
	}
	k.log.Info("gossip has dropped the key before", zap.Uint64("generation", k.using))
	return k.keys.DropBefore()
}

// turnKeys follows changes of the county's key until gossip ends.
func (g *Gossip) turnKeys() {
	tick := time.NewTicker(keyLook)
	defer tick.Stop()
	for {
		if err := g.keyring.turn(g.everybodyHas, time.Now()); err != nil {
			g.log.Warn("change of the gossip key", zap.Error(err))
		}
		select {
		case <-g.ctx.Done():
			return
		case <-g.turnNow:
		case <-tick.C:
		}
	}
}

// everybodyHas: every station alive says to have the generation, or a later one.
func (g *Gossip) everybodyHas(generation uint64) bool {
	for _, m := range g.members.list() {
		if m.Alive && m.Station != g.self && m.KeyGen < generation {
			return false
		}
	}
	return true
}

// SetStanding says what this station knows of others' standing (a digest that they compare) and which
// generation of the gossip key it has; the others learn it in a moment.
func (g *Gossip) SetStanding(digest, generation uint64) {
	g.change(func(h *Hints) { h.Trust, h.KeyGen = digest, generation })
	select {
	case g.turnNow <- struct{}{}:
	default:
	}
}

// Forget drops a station that is no longer of the county: it is not waited for, nor shown.
func (g *Gossip) Forget() { g.members.forget() }
