package alerts

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func shippedRules(t *testing.T) *Rules {
	t.Helper()
	b, err := os.ReadFile("../configs/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var r Rules
	if err := yaml.UnmarshalWithOptions(b, &r, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	return &r
}

// The shipped tables keep what is promised, whoever edits them.
func TestShippedTables(t *testing.T) {
	r := shippedRules(t)
	var ids, sealed, policeOnly, dull []string
	orders := map[int]string{}
	for id, c := range r.Categories {
		ids = append(ids, id)
		if c.Sealed {
			sealed = append(sealed, id)
		}
		if len(c.Rings) == 0 {
			dull = append(dull, id)
		} else if !holds(c.Wakes, publicRoles) {
			policeOnly = append(policeOnly, id)
		}
		if c.Card.What == "" || c.Card.Dont == "" {
			t.Errorf("%s: the card does not say what it is, or what not to do", id)
		}
		if holds(c.Wakes, []Role{Reporter}) {
			t.Errorf("%s wakes mere reporters", id)
		}
		if other, twice := orders[c.Order]; twice && c.Order != 0 {
			t.Errorf("%s and %s have one place on the kiosk", id, other)
		}
		orders[c.Order] = id
	}
	for name, list := range map[string]struct{ got, want []string }{
		"categories": {ids, strings.Fields(`abduction assistance dispute domestic_violence emergency fire fire_hazard fraud help inspection missing
			other panic public_facility security security_hazard service suspicious traffic visit`)},
		"sealed":      {sealed, []string{"domestic_violence"}},
		"police only": {policeOnly, strings.Fields("domestic_violence panic security suspicious")},
		"no alarm":    {dull, strings.Fields("assistance dispute fire_hazard fraud inspection other public_facility security_hazard service visit")},
	} {
		slices.Sort(list.got)
		if diff := cmp.Diff(list.want, list.got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Who may do what by the shipped table of moves: rows of decisions name trusted stations only (Check), no role of
// the public side decides anything anywhere, and an auditor only what puts others' work right.
func TestShippedMoves(t *testing.T) {
	r := shippedRules(t)
	notTheDesks := map[Kind]bool{KindSupervised: true, KindFollowedUp: true, KindJudged: true} // a superior's, and the caller's
	for _, kind := range allKinds {
		for _, role := range append([]Role{Reporter, Auditor, Admin, DepartmentDesk}, publicRoles...) {
			for _, at := range []StationKind{Village, PolicePost, CountyOffice} {
				d := r.denied(kind, "p", Standing{Roles: []Role{role}, Kind: at}, &Incident{RaisedBy: "p"})
				governs := role == Admin && OfCounty(kind) && at.Trusted()
				oversees := role == Auditor && slices.Contains([]Kind{KindSupervised, KindVerified, KindReopened}, kind) && at.Trusted()
				if FieldOf(kind) != "" && (d == nil) != (governs || oversees) {
					t.Errorf("%s: %s at %s may", kind, role, at)
				}
			}
		}
		if FieldOf(kind) == "" && kind != KindWave {
			continue
		}
		for _, at := range []StationKind{Village, Enterprise, School, Hospital, Checkpoint, Market, Mobile} {
			if r.denied(kind, "p", Standing{Roles: []Role{Dispatcher, Officer}, Kind: at}, nil) == nil {
				t.Errorf("%s: signed at a %s", kind, at)
			}
		}
		if d := r.denied(kind, "p", Standing{Roles: []Role{Dispatcher}, Kind: PolicePost}, nil); (d != nil) != (OfCounty(kind) || notTheDesks[kind]) {
			t.Errorf("%s by a dispatcher: %v", kind, d)
		}
	}
	for _, role := range append([]Role{Reporter, Officer, Dispatcher}, publicRoles...) {
		if d := r.denied(KindRaised, "p", Standing{Roles: []Role{role}, Kind: Village}, nil); d != nil {
			t.Errorf("a %s cannot raise: %v", role, d)
		}
	}
}

func TestTablesThatWouldBreakAPromise(t *testing.T) {
	for want, change := range map[string]func(*Rules){
		"decisions are signed at police posts and centres only": func(r *Rules) {
			r.Moves[KindCancelled] = Move{By: dispatchRoles, At: []StationKind{PolicePost, Village}}
		},
		"moves.wave.at":       func(r *Rules) { r.Moves[KindWave] = Move{By: dispatchRoles} },
		"moves.stood_down.at": func(r *Rules) { r.Moves[KindStoodDown] = Move{By: dispatchRoles} },
		"never refused for the status": func(r *Rules) {
			r.Moves[KindClue] = Move{By: dispatchRoles, From: []Status{StatusHandling}}
		},
		"there is no status": func(r *Rules) {
			m := r.Moves[KindGraded]
			m.From = []Status{"asleep"}
			r.Moves[KindGraded] = m
		},
		"moves.on_scene: missing": func(r *Rules) { delete(r.Moves, KindOnScene) },
		"a sealed matter calls the public side": func(r *Rules) {
			c := r.Categories["domestic_violence"]
			c.Wakes = append(slices.Clone(c.Wakes), Volunteer)
			r.Categories["domestic_violence"] = c
		},
	} {
		r := shippedRules(t)
		change(r)
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
