package record

import (
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"hivemesh/alerts"
)

const (
	voterLook   = time.Second
	voterChange = 10 * time.Second // one change at a time, each given this long to begin
	// lately is how long a station counts as one of the cell after it was last in sight: a power cut must not
	// make a big cell small.
	lately = time.Hour
	// levelLag is how many raft logs behind the leader's still count as level, and as keeping up: some seconds
	// at the busiest.
	levelLag = 100
)

// voters brings the cell to the voters it should have, while this station leads.
type voters struct {
	c     *council
	since map[alerts.StationID]time.Time // in sight without a break since; kept by who does not lead as well
	seen  map[alerts.StationID]time.Time // last in sight
	led   time.Time                      // when this station began to lead; zero: it does not
	stage map[alerts.StationID]time.Time // a learner since, as far as this leader knows
	well  map[alerts.StationID]time.Time // last answered raft and kept up
}

func newVoters(c *council) *voters {
	return &voters{
		c: c, since: map[alerts.StationID]time.Time{}, seen: map[alerts.StationID]time.Time{},
		stage: map[alerts.StationID]time.Time{}, well: map[alerts.StationID]time.Time{},
	}
}

func (v *voters) run() {
	tick := time.NewTicker(voterLook)
	defer tick.Stop()
	for {
		select {
		case <-v.c.ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		v.watch(now)
		if v.c.raft.State() != raft.Leader || v.c.Err() != nil {
			v.led = time.Time{}
			continue
		}
		if v.led.IsZero() {
			v.led = now
			clear(v.stage)
			clear(v.well)
		}
		v.look(now)
	}
}

// watch notes who is in sight.
func (v *voters) watch(now time.Time) {
	in := map[alerts.StationID]time.Time{}
	for _, s := range v.c.cfg.Alive() {
		in[s], v.seen[s] = now, now
		if since, ok := v.since[s]; ok {
			in[s] = since
		}
	}
	v.since = in
	for s, at := range v.seen {
		if now.Sub(at) > lately {
			delete(v.seen, s)
		}
	}
}

// look takes the next step, if there is one.
func (v *voters) look(now time.Time) {
	f := v.c.raft.GetConfiguration()
	if f.Error() != nil {
		return
	}
	asked := 0
	if v.c.cfg.Wanted != nil {
		asked = v.c.cfg.Wanted()
	}
	seats, have := v.seats(f.Configuration(), f.Index(), now)
	what, who := choose(v.c.cfg.Self, seats, wanted(asked, len(v.seen), have))
	if what == nothing {
		return
	}
	log := v.c.log.With(zap.Stringer("change", what), zap.String("station", string(who)))
	if err := v.take(what, raft.ServerID(who), f.Index()); err != nil {
		log.Warn("a change of voters is not known to count", zap.Error(err))
		return
	}
	log.Info("voters")
}

// take does one step, upon the configuration it was chosen for and no other.
func (v *voters) take(what change, who raft.ServerID, upon uint64) error {
	r, at := v.c.raft, raft.ServerAddress(who)
	switch what {
	case stage:
		return r.AddNonvoter(who, at, upon, voterChange).Error()
	case promote:
		return r.AddVoter(who, at, upon, voterChange).Error()
	case demote:
		return r.DemoteVoter(who, upon, voterChange).Error()
	case dismiss:
		return r.RemoveServer(who, upon, voterChange).Error()
	case handOver:
		return r.LeadershipTransferToServer(who, at).Error()
	}
	return nil
}

// seats are all stations that have, or could have, a say in this cell.
func (v *voters) seats(conf raft.Configuration, upon uint64, now time.Time) (out []seat, have int) {
	in := map[alerts.StationID]place{}
	for _, s := range conf.Servers {
		in[alerts.StationID(s.ID)] = learner
		if s.Suffrage == raft.Voter {
			in[alerts.StationID(s.ID)] = voter
			have++
		}
	}
	for s := range v.since {
		if _, known := in[s]; !known {
			in[s] = outside
		}
	}
	for s, p := range in {
		if p != learner {
			delete(v.stage, s)
		} else if _, known := v.stage[s]; !known {
			v.stage[s] = now
		}
		x := seat{station: s, place: p, rank: v.rank(s), moved: !v.c.member(s)}
		_, x.gone = v.c.cfg.Ring.Gone(s)
		x.leaves = v.c.leaves(s)
		if p == learner {
			x.waits = now.Sub(v.stage[s])
		}
		if p != outside && s != v.c.cfg.Self {
			x.silent, x.level = v.contact(s, now)
			x.told = v.c.peers.of(s).log >= upon
		}
		if since, ok := v.since[s]; ok {
			x.stable = now.Sub(since) + 1 // in sight, if only just
		}
		out = append(out, x)
	}
	return out, have
}

// contact is how long ago a station last answered and kept up, and whether it has the whole log now. Before
// this station led, or had to do with it, it asked nobody: silence counts from there.
func (v *voters) contact(s alerts.StationID, now time.Time) (silent time.Duration, level bool) {
	c := v.c.peers.of(s)
	last := v.c.raft.LastIndex()
	level = c.log+levelLag >= last
	if c.at.After(v.led) && (level || c.grew.After(v.well[s])) {
		v.well[s] = c.at
	}
	from := v.well[s]
	for _, asked := range []time.Time{v.led, v.stage[s]} {
		if asked.After(from) {
			from = asked
		}
	}
	if now.Sub(from) >= deadAfter {
		delete(v.since, s) // in sight is not enough: what it takes to become a voter begins anew
	}
	return now.Sub(from), level && c.at.After(v.led)
}

// rank orders stations by what keeps them up: posts and centres have people and power at night, a box on
// wheels has neither; then whether its link is wired, then whether a battery carries it through a power cut.
func (v *voters) rank(s alerts.StationID) int {
	const perKind, perLink = 4, 2
	n := 2 * perKind
	switch kind, _ := v.c.cfg.Ring.Kind(s); kind {
	case alerts.PolicePost:
		n = 0
	case alerts.TownshipOffice, alerts.CountyOffice:
		n = perKind
	case alerts.Mobile:
		n = 3 * perKind
	}
	wired, battery := true, true
	if v.c.cfg.Power != nil {
		wired, battery = v.c.cfg.Power(s)
	}
	if !wired {
		n += perLink
	}
	if !battery {
		n++
	}
	return n
}
