package record

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"hivemesh/alerts"
)

// Somebody names an index that nobody can show: nobody leaves the leader for it.
func TestABoastDoesNotDriveFollowersAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three, "zhangyong")
		l := c.leader()
		b := c.up["zhangyong"]
		follows := func() bool { return b.cell.Status().Source == l }
		c.eventually(10*time.Second, "the leader is followed", follows)
		b.cell.Heard(1e6, "xinzhuang")
		for range 600 {
			time.Sleep(50 * time.Millisecond)
			if !follows() {
				t.Fatalf("follows %q", b.cell.Status().Source)
			}
		}
		c.end()
	})
}

// The source is silent without a goodbye, while another station can still be reached.
func TestAFollowerCutFromTheLeaderFindsAnotherWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, three, "zhangyong")
		l := c.leader()
		c.raise("zhangyong")
		c.eventually(10*time.Second, "recorded", c.allRecorded("zhangyong"))
		c.net.Cut("zhangyong", string(l))
		c.raise("xinzhuang")
		c.eventually(30*time.Second, "recorded, by way of another voter", c.allRecorded("zhangyong"))
		if s := c.up["zhangyong"].cell.Status(); s.Source == l || s.Leader != l {
			t.Errorf("says %+v", s)
		}
		c.net.Heal()
		c.eventually(time.Minute, "back at the leader", func() bool { return c.up["zhangyong"].cell.Status().Source == l })
		c.checkRecords()
		c.end()
	})
}

// A stranger's head, or one that a follower made up, is not believed.
func TestAForgedHeadIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounty(t, []alerts.StationID{"post"}, "xinzhuang")
		c.leader()
		c.raise("post")
		c.eventually(10*time.Second, "recorded", c.allRecorded("post", "xinzhuang"))
		v := vouch{By: "post", Epoch: firstEpoch, Index: 1, Chain: alerts.Hash{1}}
		b, err := v.signed(cellID)
		if err != nil {
			t.Fatal(err)
		}
		v.Sig = c.ids["xinzhuang"].SignBytes(b) // not post's
		cell := c.up["xinzhuang"].cell
		if err := cell.takeIn(firstEra(), "post", frame{Index: 1, News: &news{}, Head: &v}); err == nil || cell.Err() != nil {
			t.Errorf("forged: %v; stands still: %v", err, cell.Err())
		}
		v.Sig = c.ids["post"].SignBytes(b)
		if err := cell.takeIn(firstEra(), "post", frame{Index: 1, News: &news{}, Head: &v}); !errors.Is(err, ErrDiverged) || cell.fold.doubted().IsZero() {
			t.Errorf("the leader's word against ours: %v", err)
		}
		c.eventually(20*time.Second, "it was a lie: this copy is good", func() bool { return cell.fold.doubted().IsZero() })
		if cell.Err() != nil {
			t.Error(cell.Err())
		}
		c.end()
	})
}

// A village station that does not vote, carried off and made to lie, cannot stop the others' records; whoever
// votes now, as the leaders said one after the other, is believed, over a restart too.
func TestOnlyVotersHeadsAreBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := foundCounty(t, Mixed, three, "zhangyong", "works", "school")
		c.leader()
		c.raise("post")
		c.eventually(10*time.Second, "recorded", c.allRecorded("post", "zhangyong", "works"))
		lie := func(by alerts.StationID) *vouch {
			t.Helper()
			v := vouch{By: by, Epoch: firstEpoch, Index: 1, Chain: alerts.Hash{1}, Voters: []alerts.StationID{by}}
			b, err := v.signed(cellID)
			if err != nil {
				t.Fatal(err)
			}
			v.Sig = c.ids[by].SignBytes(b)
			return &v
		}
		cell := c.up["zhangyong"].cell
		if err := cell.takeIn(firstEra(), "school", frame{Index: 1, Head: lie("school"), News: &news{}}); err != nil || cell.Err() != nil {
			t.Errorf("a lie of one who does not vote: %v; stands still: %v", err, cell.Err())
		}
		if err := cell.takeIn(firstEra(), "school", frame{Other: true, News: &news{Leader: "school"}}); !errors.Is(err, errOther) || cell.Err() != nil {
			t.Errorf("one who says to lead, and does not vote: %v; stands still: %v", err, cell.Err())
		}
		if cell.elects("school") || cell.elects("works") {
			t.Error("who does not vote is believed")
		}

		c.sees(9, "school") // so that it is works
		c.down("caojiawu")
		c.votersBecome(stableFor+deadAfter, "post", "works", "xinzhuang")
		c.raise("works")
		c.eventually(time.Minute, "followed", c.allRecorded("zhangyong"))
		c.eventually(time.Minute, "whoever votes now is believed", func() bool { return cell.elects("works") && !cell.elects("caojiawu") })
		c.stop("zhangyong")
		cell = c.start("zhangyong").cell
		if !cell.elects("works") || cell.elects("caojiawu") {
			t.Error("forgotten over a restart")
		}
		if err := cell.takeIn(firstEra(), "works", frame{Index: 1, Head: lie("works"), News: &news{}}); !errors.Is(err, ErrDiverged) {
			t.Errorf("the word of one who votes: %v", err)
		}
		c.end()
	})
}
