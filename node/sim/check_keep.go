package sim

import (
	"slices"
	"strings"
	"time"

	"hivemesh/alerts"
)

// runs proves that a station opens and closes whenever it is told to, a restart in the middle of everything included.
func runs(l *look) []string { return l.Broken }

// noLostAck proves Never lose: every event that some answer or frame called kept stands in every station's
// record, and an incident is raised there once.
func noLostAck(l *look) (bad []string) {
	t := (*tell)(&bad)
	promised := map[alerts.Hash]string{}
	for _, d := range l.Deeds {
		if d.Kept.Promised() && d.Status < 300 {
			promised[d.Event] = d.Client + " at " + string(d.Station)
		}
	}
	for _, p := range l.Pushes {
		if p.Type == "kept" && p.Kept.Promised() && promised[p.Event] == "" {
			promised[p.Event] = "a frame to " + p.Device
		}
	}
	for event := range promised {
		if _, known := l.entries[event]; !known && l.alone(event) {
			delete(promised, event)
		}
	}
	for station, f := range l.Final {
		stands := map[alerts.Hash]int{}
		raised := map[alerts.IncidentID]int{}
		for _, held := range f.Cells {
			for _, e := range held.Entries {
				stands[e.Event.ID]++
				if e.Event.Kind == alerts.KindRaised && e.Verdict.Accepted() {
					raised[e.Event.Incident]++
				}
			}
		}
		for event, by := range promised {
			e, known := l.entries[event]
			if _, follows := f.Cells[e.Event.Cell]; known && !follows {
				continue // another cell's; whoever follows that one is asked for it
			}
			if n := stands[event]; n != 1 {
				t.say("%s: event %s, kept by the word of %s, stands %d times in the record", station, event.Short(), by, n)
			}
		}
		for in, n := range raised {
			if n != 1 {
				t.say("%s: incident %s stands %d times in the record", station, in, n)
			}
		}
	}
	return bad
}

// noPhantom proves that nothing stands in a record that nobody did: each entry's signature holds, and its
// event was asked for by a client, by that person and of that kind, or is of the kinds a station makes itself.
func noPhantom(l *look) (bad []string) {
	t := (*tell)(&bad)
	for station, f := range l.Final {
		for cell, held := range f.Cells {
			for _, b := range held.Bad {
				t.say("%s: cell %s: %s", station, cell, b)
			}
			for _, e := range held.Entries {
				if why := l.phantom(e.Event); why != "" {
					t.say("%s: entry %d, %s: %s", station, e.Index, e.Event.Name(), why)
				}
			}
		}
	}
	return bad
}

func (l *look) phantom(e alerts.Event) string {
	if alerts.OfCounty(e.Kind) && e.Incident == alerts.DirectoryID && e.Kind == alerts.KindCellChanged && l.Plan.County.Two && l.people[e.Actor].Has(alerts.Admin) {
		return "" // the cell made before the chaos
	}
	if e.Kind == alerts.KindStationExpelled && l.planned(Expels) || e.Kind == alerts.KindKeyChanged && (l.planned(Expels) || l.planned(Rotates)) {
		return "" // the authority's word, noted by a station
	}
	if e.Actor == "" {
		if e.Kind == alerts.KindWave || e.Kind == alerts.KindReceipts {
			return ""
		}
		return "a station may not do this by itself"
	}
	d, ok := l.asked[e.Client]
	switch {
	case !ok:
		return "nobody asked for it"
	case d.Person != e.Actor && d.Kind != alerts.KindRaised, d.Kind != e.Kind:
		return "asked for by " + string(d.Person) + " as " + string(d.Kind)
	}
	return ""
}

// honestAck proves that claims are true when they are made and stay so: a station that calls an event recorded has
// it in its record from then on; an index named in one is the event's own; near is no more than the other stations
// there are; and no count of devices is above the devices that got the alarm.
func honestAck(l *look) (bad []string) {
	t := (*tell)(&bad)
	claim := func(event alerts.Hash, k Kept, by string, at alerts.StationID, when time.Time) {
		if e, ok := l.entries[event]; ok && k.Recorded {
			if s, below := l.below(at, e, when); below {
				t.say("%s: %s called event %s recorded, which is %d, and %v later stood at %d", by, at, event.Short(), e.Index, s.At.Sub(when), s.Index)
			}
		}
		if e, ok := l.entries[event]; k.Recorded && (!ok || k.Index != 0 && e.Index != k.Index) {
			t.say("%s: event %s was said to be recorded as %d and is %d", by, event.Short(), k.Index, e.Index)
		}
		if k.Near >= len(l.Plan.County.all()) {
			t.say("%s: event %s kept near by %d of %d stations", by, event.Short(), k.Near, len(l.Plan.County.all()))
		}
	}
	for _, d := range l.Deeds {
		if d.Status == 202 {
			claim(d.Event, d.Kept, "answer", d.Station, d.To)
		}
	}
	devices := map[waveKey]map[string]bool{}
	for _, p := range l.Pushes {
		switch p.Type {
		case "kept":
			claim(p.Event, p.Kept, "frame to "+p.Device, p.Station, p.At)
		case "alarm":
			k := waveKey{p.Incident, p.Wave}
			if devices[k] == nil {
				devices[k] = map[string]bool{}
			}
			devices[k][p.Device+p.Support] = true // each call for support is heard by itself, and counted as wave 0
		}
	}
	for _, p := range l.Pushes {
		if n := len(devices[waveKey{p.Incident, p.Wave}]); p.Type == "receipts" && max(p.Counts.Reached, p.Counts.Opened) > n {
			t.say("%s was told that wave %d of %s reached %d devices, and %d got it", p.Device, p.Wave, p.Incident, p.Counts.Reached, n)
		}
	}
	return bad
}

// below is the first sample of a station after a moment, where that stands before the entry; a station that was
// stopped in between may have had more.
func (l *look) below(id alerts.StationID, e alerts.Entry, after time.Time) (Sample, bool) {
	for _, s := range l.Samples {
		if s.Station != id || s.Cell != e.Event.Cell || !s.At.After(after) {
			continue
		}
		stopped := s.Fresh || slices.ContainsFunc(l.Struck, func(o Span) bool {
			return (o.Kind == Restart || o.Kind == Crash) && o.Stations[0] == id && o.over(after, s.At)
		})
		return s, !stopped && s.Epoch == e.Epoch && s.Index < e.Index
	}
	return Sample{}, false
}

type waveKey struct {
	in   alerts.IncidentID
	wave int
}

// answerWithin is the promise Never refuse.
const answerWithin = 500 * time.Millisecond

// alarmAlways proves Never refuse: a raise at a station that lives from its beginning to its end is taken, in
// time. In virtual time nothing but waiting takes any, so all answers must be in time, not 99 of 100.
func alarmAlways(l *look) (bad []string) {
	t := (*tell)(&bad)
	for _, d := range l.Deeds {
		if d.Kind != alerts.KindRaised || d.Died {
			continue
		}
		switch took := d.To.Sub(d.From); {
		case d.Status == 503 && d.Code == notKept && l.badDisk(d.Station, d.From, d.To): // alone, and with a bad disk
			if took > answerWithin {
				t.say("%s at %s was told only after %v that it is not kept", d.Client, d.Station, took)
			}
		case d.Status == 401 && l.tookAgain(d): // signed in anew at once
		case d.Status != 202:
			t.say("%s at %s: %d %s %s after %v", d.Client, d.Station, d.Status, d.Code, d.Detail, took)
		case took > answerWithin:
			t.say("%s at %s was answered after %v", d.Client, d.Station, took)
		}
	}
	return bad
}

// tookAgain reports whether the same alert was taken at the same station right after.
func (l *look) tookAgain(d Deed) bool {
	return slices.ContainsFunc(l.Deeds, func(o Deed) bool {
		return o.Client == d.Client && o.Station == d.Station && o.Status == 202 && o.From.Sub(d.From) < answerWithin
	})
}

// notKept is the code of the one answer that may refuse a raise.
const notKept = "not_kept"

// badDisk reports whether a station's pending set could not be written at some time within a span.
func (l *look) badDisk(id alerts.StationID, from, to time.Time) bool {
	return slices.ContainsFunc(l.Struck, func(s Span) bool {
		return l.stopsPending(s) && s.Stations[0] == id && !s.From.After(to) && !s.To.Before(from)
	})
}

func (l *look) stopsPending(s Span) bool {
	return s.Kind == Full || s.Kind == Hung || s.Kind == Broken && (s.Shape == "" || s.Shape == "pending")
}

// fullDiskSafe proves that a disk that does not write is never taken for one that does: what was made at a
// station while its pending set could not be written is not called kept here before the disk is well.
func fullDiskSafe(l *look) (bad []string) {
	t := (*tell)(&bad)
	made := map[alerts.Hash]Deed{}
	for _, d := range l.Deeds {
		made[d.Event] = d
	}
	for _, s := range l.Struck {
		if !l.stopsPending(s) {
			continue
		}
		lie := func(d Deed, k Kept, at time.Time) bool {
			e, known := l.entries[d.Event]
			return k.Here && !k.Recorded && known && e.Event.Station == s.Stations[0] && d.From.After(s.From) && at.Before(s.To)
		}
		for _, d := range l.Deeds {
			if d.Station == s.Stations[0] && d.Status == 202 && lie(d, d.Kept, d.To) {
				t.say("%s at %s was called kept here while its disk was %s", d.Client, d.Station, s.Kind)
			}
		}
		for _, p := range l.Pushes {
			if d := made[p.Event]; p.Type == "kept" && p.Station == s.Stations[0] && lie(d, p.Kept, p.At) {
				t.say("%s at %s was called kept here, to %s, while its disk was %s", d.Client, d.Station, p.Device, s.Kind)
			}
		}
	}
	return bad
}

// noPlaintext proves that the wire between stations is sealed: no note of an alert was seen on it.
func noPlaintext(l *look) (bad []string) {
	if l.Leaked > 0 {
		(*tell)(&bad).say("%d of %d pieces on the wire hold an alert's text", l.Leaked, l.Carried)
	}
	return bad
}

// Limits of what a county of 13 stations and some 40 devices may use in one process.
const (
	goroutinesPerStation = 40
	goroutinesPerPair    = 10 // streams between two stations, both ends
	goroutinesPerDevice  = 12 // the client's own included
	// Goroutines that began with one function, once all is quiet: for each pair of stations, counted from both
	// sides, for each station besides, and, in the hub, beyond those for each device and each writer.
	alikePerPair    = 3
	alikePerStation = 4
	alikeInHub      = 3
	filesPerStation = 80
	bytesPerStation = ballast + 8<<20
)

// hubPackage is the package of a station's sockets: what it starts is for a device that is connected, or a writer.
const hubPackage = "hivemesh/node/web."

// bounded proves that no station grows with the weather: goroutines and files stay within what stations,
// pairs and devices account for, and none is left behind by what is over. (Memory of one process with many stations
// says nothing of one: see the chaos of real processes.)
func bounded(l *look) (bad []string) {
	t := (*tell)(&bad)
	n := len(l.Plan.County.all())
	most := n*goroutinesPerStation + n*(n-1)*goroutinesPerPair + 2*len(l.people)*goroutinesPerDevice
	if l.Most.Goroutines > most {
		t.say("%d goroutines, %d stations and %d devices account for %d", l.Most.Goroutines, n, len(l.people), most)
	}
	for began, count := range l.Rest.Goroutines {
		alike := n*(n-1)*alikePerPair + n*alikePerStation
		if strings.HasPrefix(began, hubPackage) {
			alike = max(l.Rest.Devices, n*l.Rest.Procs) + alikeInHub
		}
		if count > alike {
			t.say("%d goroutines began with %s and are there when all is quiet; %d are accounted for", count, began, alike)
		}
	}
	if l.Most.Files > filesPerStation {
		t.say("%d files in one station's directory", l.Most.Files)
	}
	if l.Most.Bytes > bytesPerStation {
		t.say("%d bytes in one station's directory", l.Most.Bytes)
	}
	return bad
}
