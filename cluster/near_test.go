package cluster

import (
	"fmt"
	"slices"
	"testing"

	"hivemesh/alerts"
	"hivemesh/cluster/gossip"
	"hivemesh/cluster/pending"
)

// laid are so many stations on a grid 800 m apart, as in a county of 2,000 on 1,300 km², every hundredth of them a
// post.
func laid(n, wide int) []gossip.Member {
	out := make([]gossip.Member, n)
	for i := range out {
		m := gossip.Member{Station: alerts.StationID(fmt.Sprintf("s%04d", i)), Alive: true}
		m.Mesh, m.Kind = fmt.Sprintf("10.0.%d.%d:9080", i/250, i%250), alerts.Village
		if i%100 == 50 {
			m.Kind = alerts.PolicePost
		}
		m.Point = &alerts.Point{Lon: 116.5 + 0.0094*float64(i%wide), Lat: 39.3 + 0.0072*float64(i/wide)}
		out[i] = m
	}
	return out
}

func TestInASmallCountyEverybodyMeetsEverybody(t *testing.T) {
	peers, places := arrange("s0007", laid(keptStreams+1, 5), []alerts.StationID{"s0030"})
	if len(peers) != keptStreams || len(places) != keptStreams {
		t.Fatalf("%d peers, %d places", len(peers), len(places))
	}
	for _, p := range peers {
		if p.Relay || p.Station == "s0007" {
			t.Errorf("%+v: whoever is met directly needs nobody who hands on", p)
		}
	}
	if first := peers[0].Station; first != "s0002" && first != "s0012" {
		t.Errorf("%s is flashed to first, not a neighbour", first)
	}
}

func TestStreamsOfABigCounty(t *testing.T) {
	n := 2000
	if testing.Short() {
		n = 500
	}
	members, voters := laid(n, 45), []alerts.StationID{"s0400", "s0401", "s0402"}
	links := map[alerts.StationID][]alerts.StationID{} // over which alarms are handed on
	in, toVoters := map[alerts.StationID]int{}, 0
	posts := map[alerts.StationID]bool{}
	for _, m := range members {
		posts[m.Station] = m.Kind == alerts.PolicePost
	}
	for _, m := range members {
		peers, places := arrange(m.Station, members, voters)
		if len(peers) != n-1 || len(places) != n-1 {
			t.Fatalf("%s knows %d peers", m.Station, len(peers))
		}
		kept, offices := peers[:keptStreams], 0
		for _, p := range kept {
			in[p.Station]++
			if p.Relay {
				links[m.Station] = append(links[m.Station], p.Station)
			}
			if posts[p.Station] {
				offices++
			}
			if slices.Contains(voters, p.Station) && p.Relay {
				toVoters++
			}
		}
		if offices < 2 {
			t.Errorf("%s keeps streams to %d posts", m.Station, offices)
		}
		for _, v := range voters {
			if v != m.Station && !slices.ContainsFunc(kept, func(p pending.Peer) bool { return p.Station == v }) {
				t.Errorf("%s keeps none to voter %s", m.Station, v)
			}
		}
	}
	if toVoters < len(voters) || toVoters > 60 {
		t.Errorf("%d hand on to voters: not everybody is to, and somebody", toVoters)
	}
	for _, v := range voters {
		delete(in, v)
	}
	for s, n := range in {
		if n > 400 {
			t.Errorf("%d keep a stream to %s", n, s)
		}
	}
	far, most := hops(links, "s0000")
	if far != n || most > 6 {
		t.Errorf("an alarm handed on reaches %d of %d in %d hops", far, n, most)
	}
	// with a third of the stations gone and nobody knowing it yet, it reaches the others still
	for s := range links {
		if s[len(s)-1]%3 == 0 && s != "s0000" {
			delete(links, s)
		}
	}
	left := len(links)
	if far, most := hops(links, "s0000"); far < left*99/100 || most > 10 {
		t.Errorf("of %d left %d have it, in %d hops", left, far, most)
	}
}

// hops is how many stations an alarm of from reaches that each hands on, and through how many hands at most.
func hops(links map[alerts.StationID][]alerts.StationID, from alerts.StationID) (reached, most int) {
	has, now := map[alerts.StationID]bool{from: true}, []alerts.StationID{from}
	for ; len(now) > 0; most++ {
		var next []alerts.StationID
		for _, s := range now {
			for _, to := range links[s] {
				if links[to] != nil && !has[to] {
					has[to] = true
					next = append(next, to)
				}
			}
		}
		now = next
	}
	return len(has), most - 1
}

func TestWhoIsInTheRingIsSentItNearestFirst(t *testing.T) {
	_, places := arrange("s0000", laid(2000, 45), nil)
	at := alerts.Point{Lon: 116.7, Lat: 39.5}
	in := within(places, at, 3000)
	if len(in) < 20 || len(in) > 60 {
		t.Fatalf("%d stations within 3 km, where there are one on 0.64 km²", len(in))
	}
	away := 0.0
	for _, p := range in {
		k := slices.IndexFunc(places, func(x place) bool { return x.Station == p.Station })
		d := places[k].point.Distance(at)
		if d < away || d > 3000 {
			t.Errorf("%s is %.0f m away, after one that is %.0f", p.Station, d, away)
		}
		away = d
	}
	if all := within(places, at, alerts.CountyRing); len(all) != mostCalled {
		t.Errorf("an alarm for everybody is sent straight to %d, want %d", len(all), mostCalled)
	}
}

func TestWhoIsBelievedDeadComesLast(t *testing.T) {
	members := laid(200, 14)
	for i := range members[:100] {
		members[i].Alive = false
	}
	peers, _ := arrange("s0150", members, nil)
	for i, p := range peers {
		if dead := p.Station < "s0100"; dead != (i > 99) && p.Station != "s0050" { // the nearest post, dead or alive
			t.Fatalf("%s stands at place %d", p.Station, i)
		}
	}
}
