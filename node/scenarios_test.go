package node

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// scene is what a kiosk sends about a matter in its own village.
func scene(category, grid, id string) map[string]any {
	return map[string]any{"category": category, "id": id, "place": map[string]any{"grid": grid, "words": "村西头"}, "called_110": true}
}

func TestAnAlertSoundsElsewhereAndIsOnTheRecord(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		neighbour := m.screen("vol-xu", zhangyong, nil)
		dispatcher := m.screen("disp-zhao", caojiawu, nil)
		far := m.screen("guard-luo", works, nil)
		id, event, _ := m.raise(xinzhuang, scene("abduction", "xinzhuang", "one"))
		neighbour.hears(id, time.Second)
		dispatcher.hears(id, time.Second)
		m.eventually(2*time.Second, "on the record everywhere", m.agreed)
		m.recordedOnce(id)
		token := m.signIn(xinzhuang, map[string]any{"kiosk": true})
		status, out := m.call(xinzhuang, "GET", "/v1/events/"+event, token, nil)
		kept, _ := out["kept"].(map[string]any)
		if status != http.StatusOK || kept["here"] != true || kept["recorded"] != true || kept["near"].(float64) < 4 {
			t.Errorf("kept %d %v", status, out)
		}
		m.eventually(time.Second, "shown as recorded", func() bool { shown, p := neighbour.provisional(id); return shown && !p })
		neighbour.once(id)
		dispatcher.once(id)
		far.silent(id)
	})
}

func TestACutVillageSoundsAtOnceAndIsRecordedOnceAfterwards(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		inside := m.screen("vol-guo", zhangyong, nil)
		outside := m.screen("disp-li", post, nil)
		m.net.Isolate(zhangyong)
		id, _, answer := m.raise(zhangyong, scene("abduction", "zhangyong", "cut"))
		inside.hears(id, 500*time.Millisecond)
		kept, _ := answer["kept"].(map[string]any)
		if kept["here"] != true || kept["recorded"] != false {
			t.Errorf("kept %v", kept)
		}
		if shown, provisional := inside.provisional(id); shown && !provisional {
			t.Error("shown as recorded while cut off")
		}
		time.Sleep(20 * time.Second)
		outside.silent(id)
		m.net.Heal()
		outside.hears(id, 30*time.Second)
		m.eventually(30*time.Second, "one record everywhere", m.agreed)
		m.recordedOnce(id)
		time.Sleep(10 * time.Second)
		inside.once(id)
		outside.once(id)
	})
}

func TestTheLeaderDiesWhileAlertsFlow(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		leader := m.leader()
		screen := m.screen("vol-xu", zhangyong, nil)
		var ids []string
		for k := range 40 {
			id, _, _ := m.raise(works, map[string]any{
				"category": "abduction", "id": fmt.Sprint("flow-", k), "place": map[string]any{"grid": "zhangyong"},
			})
			begin := time.Now()
			screen.hears(id, 500*time.Millisecond)
			if took := time.Since(begin); took > 100*time.Millisecond {
				t.Errorf("alert %d was first seen after %v", k, took)
			}
			ids = append(ids, id)
			if k == 10 {
				m.net.Isolate(leader)
			}
			time.Sleep(100 * time.Millisecond)
		}
		m.net.Heal()
		m.eventually(time.Minute, "one record everywhere", m.agreed)
		for _, id := range ids {
			m.recordedOnce(id)
			screen.once(id)
		}
	})
}

func TestAResponderMovesBetweenStations(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		phone := m.screen("vol-lin", xinzhuang, nil)
		var ids []string
		for k := range 20 {
			id, _, _ := m.raise(xinzhuang, scene("abduction", "xinzhuang", fmt.Sprint("move-", k)))
			ids = append(ids, id)
			if k%5 == 4 {
				phone.move([]string{zhangyong, post, works, xinzhuang}[k/5])
			}
			time.Sleep(50 * time.Millisecond)
		}
		for _, id := range ids {
			phone.hears(id, 5*time.Second)
		}
		time.Sleep(5 * time.Second)
		for _, id := range ids {
			phone.once(id)
		}
	})
}

func TestAnAlarmAfterItsOwnEndDoesNotSound(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		m.net.Isolate(zhangyong)
		behind := m.screen("vol-xu", zhangyong, nil)
		id, _, _ := m.raise(xinzhuang, scene("abduction", "xinzhuang", "over"))
		m.known(post, id)
		if status, out := m.do(post, "disp-li", id, map[string]any{"kind": "stood_down", "reason": "已找到"}); status != http.StatusAccepted {
			t.Fatalf("stand down: %d %v", status, out)
		}
		time.Sleep(10 * time.Second)
		m.net.Heal()
		m.eventually(time.Minute, "one record everywhere", m.agreed)
		time.Sleep(10 * time.Second)
		behind.silent(id)
	})
}

func TestStandDownReachesWhoWasAlerted(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		phone := m.screen("vol-lin", xinzhuang, nil)
		away := m.screen("vol-xu", zhangyong, nil)
		id, _, _ := m.raise(xinzhuang, scene("abduction", "xinzhuang", "down"))
		phone.hears(id, time.Second)
		away.hears(id, time.Second)
		m.known(post, id)
		away.leave()
		m.do(post, "disp-li", id, map[string]any{"kind": "resolved", "code": "found_safe", "words": "checked"})
		m.eventually(2*time.Second, "stood down", func() bool { phone.mu.Lock(); defer phone.mu.Unlock(); return phone.ended[id] == 1 })
		away.connect(post)
		m.eventually(2*time.Second, "told at the next station", func() bool { away.mu.Lock(); defer away.mu.Unlock(); return away.ended[id] == 1 })
		away.once(id)
	})
}

func TestAPersonWalksIntoTheRing(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		walker := m.screen("vol-lin", post, []float64{116.60, 39.32})
		id, _, _ := m.raise(xinzhuang, scene("abduction", "xinzhuang", "walk"))
		time.Sleep(5 * time.Second)
		walker.silent(id)
		at, _ := m.nodes[xinzhuang].Locate(place("xinzhuang"))
		walker.send(map[string]any{"type": "position", "place": map[string]any{"lon": at.Point.Lon, "lat": at.Point.Lat}})
		walker.hears(id, time.Second)
		walker.once(id)
	})
}

func TestTheSameAlertSentToTwoStations(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		screen := m.screen("vol-xu", zhangyong, nil)
		m.net.Cut(xinzhuang, post)
		token := m.signIn(xinzhuang, map[string]any{"person": "leader-zhang"})
		alert := scene("abduction", "xinzhuang", "twice")
		_, one := m.call(xinzhuang, "POST", "/v1/alerts", token, alert)
		m.net.Isolate(post)
		_, two := m.call(post, "POST", "/v1/alerts", token, alert)
		if one["incident"] == nil || one["incident"] != two["incident"] {
			t.Fatalf("two incidents: %v and %v", one, two)
		}
		m.net.Heal()
		m.eventually(time.Minute, "one record everywhere", m.agreed)
		m.recordedOnce(one["incident"].(string))
		time.Sleep(5 * time.Second)
		screen.once(one["incident"].(string))
		alert["note"] = "another matter"
		if status, out := m.call(xinzhuang, "POST", "/v1/alerts", token, alert); status != http.StatusConflict {
			t.Errorf("another body under the same id: %d %v", status, out)
		}
	})
}

func TestTwoDispatchersOneDecision(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		loser := m.screen("disp-zhao", caojiawu, nil)
		id, _, _ := m.raise(xinzhuang, scene("abduction", "xinzhuang", "both"))
		m.eventually(5*time.Second, "one record everywhere", m.agreed)
		m.net.Isolate(caojiawu)
		if status, out := m.do(caojiawu, "disp-zhao", id, map[string]any{"kind": "assigned", "person": "officer-ma"}); status != http.StatusAccepted {
			t.Fatalf("%d %v", status, out)
		}
		if status, out := m.do(post, "disp-li", id, map[string]any{"kind": "assigned", "person": "officer-wang"}); status != http.StatusAccepted {
			t.Fatalf("%d %v", status, out)
		}
		time.Sleep(5 * time.Second)
		m.net.Heal()
		m.eventually(time.Minute, "one record everywhere", m.agreed)
		for name, n := range m.nodes {
			i, _ := n.Incident(incidentID(id))
			if len(i.Assigned) != 1 || i.Assigned[0].Person != "officer-wang" {
				t.Errorf("%s: assigned %+v", name, i.Assigned)
			}
		}
		m.eventually(5*time.Second, "the loser is told by whom", func() bool {
			f := loser.frame("refused")
			return f != nil && f["by"] == "disp-li" && f["at"] != nil
		})
	})
}

func TestUnansweredRedAlarmsWiden(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		near := m.screen("vol-lin", xinzhuang, nil)
		post2 := m.screen("officer-wang", post, nil)
		id, _, _ := m.raise(xinzhuang, scene("abduction", "xinzhuang", "widen"))
		near.hears(id, time.Second)
		post2.silent(id)
		post2.hears(id, 70*time.Second)
		time.Sleep(10 * time.Minute)
		near.once(id)
		post2.once(id)
		for name, n := range m.nodes {
			i, _ := n.Incident(incidentID(id))
			for k, w := range i.Waves {
				if w.Number != k+1 {
					t.Errorf("%s: waves %+v", name, i.Waves)
				}
			}
			if len(i.Waves) != 4 {
				t.Errorf("%s: %d waves after ten minutes without any answer", name, len(i.Waves))
			}
		}
	})
}

func TestAStationRestartsAndShowsAll(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		id, _, _ := m.raise(xinzhuang, scene("abduction", "xinzhuang", "restart"))
		m.eventually(5*time.Second, "one record everywhere", m.agreed)
		for _, name := range []string{zhangyong, post, xinzhuang} {
			m.stop(name)
			time.Sleep(30 * time.Second)
			m.start(name)
			m.eventually(time.Minute, name+" is back", m.settled)
			if i, ok := m.nodes[name].Incident(incidentID(id)); !ok || i.Provisional() {
				t.Errorf("%s came back without the incident", name)
			}
		}
		m.eventually(30*time.Second, "one record everywhere", m.agreed)
		m.recordedOnce(id)
	})
}

// TestTheSameAlertAtTwoStationsInOneMoment: the second station may get to know the first one's event while it
// is making its own.
func TestTheSameAlertAtTwoStationsInOneMoment(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		m.twice("leader-zhang", xinzhuang, post, xinzhuang)
	})
}

// The same where the alert is another cell's than the one that the stations' certificates name.
func TestTheSameAlertAtTwoStationsOfAnotherCell(t *testing.T) {
	inThreeCells(t, func(m *mesh) { m.twice("vol-w1", "w1", "w2", "w1") })
}

// twice sends alerts near a station to two stations, each in one moment.
func (m *mesh) twice(person, one, other, near string) {
	token := m.signIn(one, map[string]any{"person": person})
	for k := range 40 {
		alert := scene("help", near, fmt.Sprint("moment-", k))
		var both sync.WaitGroup
		for _, at := range []string{one, other} {
			both.Go(func() {
				if status, out := m.call(at, "POST", "/v1/alerts", token, alert); status != http.StatusAccepted {
					m.t.Errorf("alert %d at %s: %d %v", k, at, status, out)
				}
			})
		}
		both.Wait()
	}
}

// TestAHomeThatIsMetLater: where a person counts is known only when the home station is.
func TestAHomeThatIsMetLater(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		m.stop(post)
		m.net.Isolate(post)
		if err := os.Remove(filepath.Join(m.configs[post].Dir, "peers")); err != nil {
			t.Fatal(err)
		}
		m.start(post)
		guard := m.screen("guard-luo", post, nil)
		id, _, _ := m.raise(post, map[string]any{"category": "abduction", "id": "later", "place": map[string]any{"grid": "beicaojiawu"}})
		time.Sleep(5 * time.Second)
		guard.silent(id)
		m.net.Heal()
		guard.hears(id, 30*time.Second)
		guard.once(id)
	})
}

// TestATokenOfAStationNeverMet: a session is good at every station of the county, also where its signer is not
// known yet.
func TestATokenOfAStationNeverMet(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		m.stop(works)
		m.net.Isolate(works)
		for _, known := range []string{"peers", "ring"} {
			if err := os.RemoveAll(filepath.Join(m.configs[works].Dir, known)); err != nil {
				t.Fatal(err)
			}
		}
		m.start(works)
		token := m.signIn(xinzhuang, map[string]any{"person": "leader-zhang"})
		if status, out := m.call(works, "POST", "/v1/alerts", token, scene("help", "xinzhuang", "met")); status != http.StatusAccepted {
			t.Errorf("raise with a token of another station: %d %v", status, out)
		}
	})
}
