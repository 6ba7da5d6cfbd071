package web

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hivemesh/alerts"
)

func errorsAs(err error, target any) bool { return err != nil && errors.As(err, target) }

func screens() fstest.MapFS {
	page := func(s string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("<!doctype html><title>" + s + "</title>")}
	}
	return fstest.MapFS{
		"index.html": page("start"), "kiosk.html": page("kiosk"), "patrol.html": page("patrol"), "dispatch.html": page("dispatch"),
		"assets/app-1234.js": {Data: []byte("'use strict'")},
	}
}

const abduction = `{"id":"a1","category":"abduction","place":{"lon":116.5,"lat":39.32,"words":"村西头"},"note":"三轮车带走王小红"}`

func TestAlarmSoundsWhereItIsNearAndSaysProvisional(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		volunteer := v.connect("xinzhuang", "volunteer", "d1")
		neighbour := v.connect("zhangyong", "neighbour", "d2")
		far := v.connect("caojiawu-post", "far", "d3")
		dispatcher := v.connect("hancun-post", "dispatcher", "d4")

		taken := v.raise("xinzhuang", v.signIn("xinzhuang", "kiosk"), abduction)
		alarm := volunteer.count(t, "alarm", 1)[0]
		if alarm["incident"] != string(taken.Incident) || alarm["wave"] != 1.0 || alarm["provisional"] != true {
			t.Errorf("alarm says %v", alarm)
		}
		if d := alarm["distance"].(float64); d > 5 {
			t.Errorf("the volunteer is at the place, not %v m away", d)
		}
		neighbour.count(t, "alarm", 0) // 1.3 km: outside the first ring of 1 km
		far.count(t, "alarm", 0)
		dispatcher.count(t, "alarm", 1) // dispatch hears every alarm of any ring
		kinds := volunteer.kinds()
		if len(kinds) < 3 || kinds[1] != "alarm" || kinds[2] != "incident" {
			t.Errorf("the alarm comes before the incident: %v", kinds)
		}

		v.record()
		volunteer.count(t, "alarm", 1) // recorded: no second sound
		shown := volunteer.last(t, "incident")["incident"].(map[string]any)
		if shown["provisional"] == true {
			t.Errorf("on the record, yet the frame says %v", shown["provisional"])
		}
	})
}

func TestLeastDisclosureOnEveryPush(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		volunteer := v.connect("xinzhuang", "volunteer", "d1")
		officer := v.connect("xinzhuang", "officer", "d2") // at the same station: frames are shared by class only
		kiosk := v.connect("xinzhuang", "kiosk", "k1")
		villager := v.signIn("xinzhuang", "villager")
		taken := v.raise("xinzhuang", villager, abduction)
		v.act("hancun-post", v.signIn("hancun-post", "officer"), taken.Incident, `{"kind":"note","words":"患者有癫痫"}`)
		v.record()
		volunteer.count(t, "alarm", 1)
		for _, public := range []*phone{volunteer, kiosk} {
			all := public.everything()
			for _, secret := range []string{"王小红", "三轮车", "癫痫", "villager", "timeline", "raised_by", "姓名-villager"} {
				if strings.Contains(all, secret) {
					t.Errorf("the public side was told %q", secret)
				}
			}
		}
		if all := officer.everything(); !strings.Contains(all, "王小红") || !strings.Contains(all, "癫痫") {
			t.Errorf("the officer lacks the note: %s", all)
		}
	})
}

func TestSealedMattersStaySealed(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		volunteer := v.connect("xinzhuang", "volunteer", "d1")
		officer := v.connect("hancun-post", "officer", "d2")
		taken := v.raise("xinzhuang", v.signIn("xinzhuang", "villager"),
			`{"category":"domestic_violence","place":{"lon":116.5,"lat":39.32},"note":"邻居家"}`)
		v.record()
		officer.count(t, "alarm", 1)
		if all := volunteer.everything(); strings.Contains(all, string(taken.Incident)) {
			t.Errorf("a volunteer learned of a sealed matter: %s", all)
		}
		token := v.signIn("xinzhuang", "volunteer")
		a := v.ask("xinzhuang", request{method: "GET", path: "/v1/incidents/" + string(taken.Incident), token: token})
		if p := a.problem(t); a.status != 404 || p.Code != "unknown_incident" {
			t.Errorf("got %d %s", a.status, a.body)
		}
		if a := v.act("xinzhuang", token, taken.Incident, `{"kind":"accepted"}`); a.status != 404 {
			t.Errorf("acting on what one may not know: %d %s", a.status, a.body)
		}
		if a := v.ask("xinzhuang", request{method: "GET", path: "/v1/incidents", token: token}); strings.Contains(a.body, string(taken.Incident)) {
			t.Errorf("the list shows it: %s", a.body)
		}
	})
}

func TestNeverTwiceOverReconnectsAndStations(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		one := v.connect("xinzhuang", "volunteer", "d1")
		taken := v.raise("xinzhuang", v.signIn("xinzhuang", "kiosk"), abduction)
		one.count(t, "alarm", 1)
		one.hangUp()
		heard := fmt.Sprintf(`"heard":[{"incident":%q,"wave":1}]`, taken.Incident)
		v.connect("xinzhuang", "volunteer", "d1", heard).count(t, "alarm", 0)
		v.connect("zhangyong", "volunteer", "d1", heard).count(t, "alarm", 0)
		v.connect("zhangyong", "volunteer", "new-device").count(t, "alarm", 1)
		// What the device never got, it gets.
		v.connect("hancun-post", "volunteer", "d1").count(t, "alarm", 1)
	})
}

func TestOneDeviceWithTwoPagesSoundsOnce(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		old := v.connect("xinzhuang", "volunteer", "d1")
		young := v.connect("xinzhuang", "volunteer", "d1")
		taken := v.raise("xinzhuang", v.signIn("xinzhuang", "kiosk"), abduction)
		old.count(t, "alarm", 0)
		young.count(t, "alarm", 1)
		young.hangUp() // before it said that the alarm had reached it
		old.count(t, "alarm", 1)
		third := v.connect("xinzhuang", "volunteer", "d1", fmt.Sprintf(`"heard":[{"incident":%q,"wave":1}]`, taken.Incident))
		third.say(fmt.Sprintf(`{"type":"receipt","incident":%q,"wave":1,"state":"reached"}`, taken.Incident))
		third.count(t, "error", 0)
		third.hangUp()
		old.count(t, "alarm", 1)
	})
}

func TestWalkingIntoARing(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		p := v.connect("caojiawu-post", "far", "d1")
		v.raise("xinzhuang", v.signIn("xinzhuang", "kiosk"), abduction)
		p.count(t, "alarm", 0)
		p.say(`{"type":"position","place":{"lon":116.501,"lat":39.32}}`)
		alarm := p.count(t, "alarm", 1)[0]
		if d := alarm["distance"].(float64); d < 50 || d > 150 {
			t.Errorf("distance %v m", d)
		}
		p.say(`{"type":"position","place":{"lon":116.5011,"lat":39.32}}`)
		p.count(t, "alarm", 1)
	})
}

func TestOffDutyHearsNothingUntilOnDuty(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		p := v.connect("xinzhuang", "volunteer", "d1", `"duty":false`)
		v.raise("xinzhuang", v.signIn("xinzhuang", "kiosk"), abduction)
		p.count(t, "alarm", 0)
		p.count(t, "incident", 1)
		p.say(`{"type":"duty","duty":true}`)
		p.count(t, "alarm", 1)
	})
}

func TestStandDownReachesWhoHeardAlsoAtHello(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		p := v.connect("xinzhuang", "volunteer", "d1")
		gone := v.connect("xinzhuang", "worker", "d2")
		off := v.connect("caojiawu-post", "far", "d3")
		taken := v.raise("xinzhuang", v.signIn("xinzhuang", "kiosk"), abduction)
		v.record()
		gone.count(t, "alarm", 1)
		gone.hangUp()
		a := v.act("hancun-post", v.signIn("hancun-post", "dispatcher"), taken.Incident, `{"kind":"stood_down","reason":"找到了"}`)
		if a.status != 202 {
			t.Fatalf("stand down: %d %s", a.status, a.body)
		}
		if f := p.count(t, "stood_down", 1)[0]; f["provisional"] != true || f["kind"] != "stood_down" {
			t.Errorf("got %v", f)
		}
		v.record()
		p.count(t, "stood_down", 1)
		off.count(t, "stood_down", 0) // never heard it
		heard := fmt.Sprintf(`"heard":[{"incident":%q,"wave":1}]`, taken.Incident)
		back := v.connect("zhangyong", "worker", "d2", heard)
		back.count(t, "alarm", 0)
		back.count(t, "stood_down", 1)
		back.hangUp()
		// The same when the whole matter is at its end meanwhile.
		v.act("hancun-post", v.signIn("hancun-post", "officer"), taken.Incident, `{"kind":"resolved","code":"found"}`)
		v.record()
		v.connect("hancun-post", "worker", "d2", heard).count(t, "stood_down", 1)
		// An alarm that arrives after its own end does not sound.
		v.connect("zhangyong", "neighbour", "d9", `"position":{"lon":116.5,"lat":39.32}`).count(t, "alarm", 0)
	})
}

func TestSilentMatterMakesNoLightAtTheRaisingStation(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		here := v.connect("xinzhuang", "kiosk", "k1")
		post := v.connect("hancun-post", "officer", "o1")
		taken := v.raise("xinzhuang", v.signIn("xinzhuang", "kiosk"), `{"category":"panic","silent":true}`)
		here.count(t, "alarm", 0)
		here.count(t, "incident", 0)
		post.count(t, "alarm", 1)
		here.hangUp()
		again := v.connect("xinzhuang", "kiosk", "k1")
		again.count(t, "incident", 0)
		if f := again.got("alarm"); len(f) != 0 {
			t.Errorf("%s sounds at its own station", taken.Incident)
		}
	})
}

func TestSupportSoundsAboveEveryAlarm(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		officer := v.connect("hancun-post", "officer", "o1")
		public := v.connect("xinzhuang", "volunteer", "d1")
		taken := v.raise("xinzhuang", v.signIn("xinzhuang", "kiosk"), abduction)
		v.record()
		volunteer := v.signIn("xinzhuang", "worker")
		if a := v.act("xinzhuang", volunteer, taken.Incident, `{"kind":"support_requested","words":"有刀"}`); a.status != 202 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		f := officer.last(t, "alarm")
		if f["support"] == nil || f["wave"] != 0.0 {
			t.Errorf("got %v", f)
		}
		for _, a := range public.got("alarm") {
			if a["support"] != nil {
				t.Errorf("a volunteer was called for support: %v", a)
			}
		}
		n := len(officer.got("alarm"))
		v.record()
		officer.count(t, "alarm", n)
	})
}

func TestReceiptsCountDevicesOnceAndReachTheRaiser(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		kiosk := v.connect("xinzhuang", "kiosk", "k1")
		a := v.connect("xinzhuang", "volunteer", "d1")
		b := v.connect("xinzhuang", "worker", "d2")
		taken := v.raise("xinzhuang", v.signIn("xinzhuang", "kiosk"), abduction)
		receipt := func(state string) string {
			return fmt.Sprintf(`{"type":"receipt","incident":%q,"wave":1,"state":%q}`, taken.Incident, state)
		}
		for range 3 {
			a.say(receipt("reached"))
			a.say(receipt("opened"))
		}
		b.say(receipt("opened"))
		time.Sleep(2 * tallyEvery)
		f := kiosk.last(t, "receipts")
		if f["reached"] != 2.0 || f["opened"] != 2.0 || f["sent"].(float64) < 2 {
			t.Errorf("receipts %v", f)
		}
		if n := len(a.got("receipts")); n != 0 {
			t.Errorf("a volunteer got %d receipts frames", n)
		}
		a.say(fmt.Sprintf(`{"type":"receipt","incident":%q,"wave":7,"state":"opened"}`, taken.Incident))
		if e := a.last(t, "error"); e["code"] != "not_heard" {
			t.Errorf("got %v", e)
		}
		var d IncidentDetail
		v.ask("xinzhuang", request{method: "GET", path: "/v1/incidents/" + string(taken.Incident), token: v.signIn("xinzhuang", "kiosk")}).json(t, &d)
		if len(d.Receipts) != 1 || d.Receipts[0].Opened != 2 || d.Kept == nil || !d.Kept.Here {
			t.Errorf("detail %+v", d)
		}
	})
}

func TestKeptAndRefusedReachTheMaker(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		kiosk := v.connect("xinzhuang", "kiosk", "k1")
		first := v.connect("hancun-post", "dispatcher", "x1")
		second := v.connect("caojiawu-post", "dispatcher2", "x2")
		taken := v.raise("xinzhuang", v.signIn("xinzhuang", "kiosk"), abduction)
		if f := kiosk.last(t, "kept"); f["event"] != taken.Event.String() || f["here"] != true || f["recorded"] != false {
			t.Errorf("kept %v", f)
		}
		v.record()
		if f := kiosk.last(t, "kept"); f["recorded"] != true || f["near"] != 2.0 {
			t.Errorf("kept %v", f)
		}
		// Two dispatchers, on two sides of a split, decide differently upon the same.
		none := v.views[taken.Incident].Latest[alerts.FieldAssignment].Event
		v.put(alerts.Event{Station: "hancun-post", Incident: taken.Incident, Actor: "dispatcher", Saw: none, Body: &alerts.Graded{Grade: 2, Reason: "a"}})
		v.put(alerts.Event{Station: "caojiawu-post", Incident: taken.Incident, Actor: "dispatcher2", Saw: none, Body: &alerts.Graded{Grade: 3, Reason: "b"}})
		v.mu.Lock()
		v.pending[1].Saw = v.pending[0].Saw
		v.mu.Unlock()
		v.record()
		if f := second.last(t, "refused"); f["by"] != "dispatcher" || f["code"] != "stale" || f["at"] == nil || f["reason"] == "" {
			t.Errorf("refused %v", f)
		}
		first.count(t, "refused", 1) // dispatch sees the conflict from both sides
		kiosk.count(t, "refused", 0)
	})
}

func TestRolesAreThoseOfNow(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		p := v.connect("caojiawu-post", "far", "d1", `"position":{"lon":116.5,"lat":39.32}`)
		v.raise("xinzhuang", v.signIn("xinzhuang", "kiosk"), `{"category":"panic","id":"p1","note":"密"}`)
		p.count(t, "alarm", 0) // panic wakes police roles only
		v.mu.Lock()
		for n := range v.people {
			if v.people[n].ID == "far" {
				v.people[n].Roles = []alerts.Role{alerts.Officer}
			}
		}
		v.mu.Unlock()
		time.Sleep(2 * tick)
		p.count(t, "alarm", 1)
		v.record()
		if !strings.Contains(p.everything(), "密") {
			t.Error("an officer sees the note from now on")
		}
	})
}

func TestPositionsGoToDispatchOnly(t *testing.T) {
	inTown(t, func(t *testing.T, v *town) {
		dispatcher := v.connect("hancun-post", "dispatcher", "x1")
		volunteer := v.connect("xinzhuang", "volunteer", "d1")
		hidden := v.connect("xinzhuang", "worker", "d2", `"duty":false`)
		if !v.at("hancun-post").looking || v.at("xinzhuang").looking {
			t.Error("positions travel to where a dispatcher looks, and only there")
		}
		for n := range 10 {
			volunteer.say(fmt.Sprintf(`{"type":"position","place":{"lon":116.50%d,"lat":39.32}}`, n))
			hidden.say(`{"type":"position","place":{"lon":116.5,"lat":39.33}}`)
		}
		time.Sleep(2 * tick)
		all := dispatcher.got("positions")
		if len(all) < 1 || len(all) > 3 {
			t.Errorf("%d frames for ten moves within a second", len(all))
		}
		if s := dispatcher.everything(); !strings.Contains(s, `"person":"volunteer"`) || strings.Contains(s, `"person":"worker"`) {
			t.Errorf("off duty, nobody is shown: %v", all)
		}
		if len(volunteer.got("positions")) != 0 {
			t.Error("a volunteer was shown positions")
		}
		volunteer.say(`{"type":"duty","duty":false}`)
		time.Sleep(2 * tick)
		last := dispatcher.last(t, "positions")["positions"].([]any)
		if len(last) != 1 || last[0].(map[string]any)["gone"] != true {
			t.Errorf("got %v", last)
		}
		dispatcher.hangUp()
		if v.at("hancun-post").looking {
			t.Error("nobody looks any more")
		}
	})
}

// sleepTicks lets the once-a-second round pass, in virtual time.
func sleepTicks() { time.Sleep(3 * tick) }
