package sim

import (
	"fmt"
	"slices"
)

// Check is one promise, checked on the history of a whole county.
type Check struct {
	Name string
	Says string // what it proves
	Run  func(*look) []string
}

// Checks are all there are. What each proves stands at its function.
func Checks() []Check {
	return []Check{
		{"Runs", "every station opens and closes, at any moment", runs},
		{"NoLostAck", "what was acknowledged as kept stands in the record of every station, once", noLostAck},
		{"Outcast", "nobody hears what is raised at a station that was turned away", outcast},
		{"NoPhantom", "every entry verifies and was made by a client, or by a station's own rule", noPhantom},
		{"ShownOnce", "a device sounds once for one wave of one incident", shownOnce},
		{"ReachAll", "who is eligible and connected 10 s after the healing has the alarm, and in the end every wave", reachAll},
		{"OnlyEligible", "no device gets an alarm, a matter or a field of one that is not for its person", onlyEligible},
		{"HonestAck", "no level of keeping and no count of devices is claimed too high", honestAck},
		{"FullDiskSafe", "nothing is called kept here while the disk does not write", fullDiskSafe},
		{"NoSilence", "a red alarm that too few answer widens", noSilence},
		{"AlarmAlways", "a living station answers a raise within 500 ms", alarmAlways},
		{"OneClaim", "accepted decisions on a field form one chain, and nobody is sent to two matters", oneClaim},
		{"Linearizable", "decisions on a field happen one after the other, between asking and being told", linearizable},
		{"SameFold", "at one index all stations have the same chain and fold to the same state", sameFold},
		{"SyncedPrefix", "every station's record is a prefix of one chain, at all times and after every restart", syncedPrefix},
		{"LegalMove", "the record holds no move that the tables forbid, and no matter moves back", legalMove},
		{"MonotonicReads", "a device is never shown an older state of the record, whatever station it goes to", monotonicReads},
		{"StoodDown", "a device that heard an alarm and is connected learns that it ended", stoodDown},
		{"Heals", "30 s after the healing all stations see each other and hold one record", heals},
		{"NoFalseDead", "10 % loss makes nobody call a station dead", noFalseDead},
		{"LossSeen", "a station that died is reported by all who are connected within 20 s on a LAN", lossSeen},
		{"Bounded", "goroutines, files and bytes stay bounded", bounded},
		{"NoPlaintext", "no piece of an alert can be read on the wire between stations", noPlaintext},
	}
}

// Violation is one promise broken.
type Violation struct {
	Check string
	What  string
}

// maxTold is how many violations of one check are told of one seed.
const maxTold = 5

// Judge runs the named checks, or all.
func Judge(h *History, only []string) []Violation {
	l := lookAt(h)
	var out []Violation
	for _, c := range Checks() {
		if len(only) > 0 && !slices.Contains(only, c.Name) {
			continue
		}
		bad := c.Run(l)
		for k, what := range bad {
			if k == maxTold {
				out = append(out, Violation{c.Name, fmt.Sprintf("and %d more", len(bad)-k)})
				break
			}
			out = append(out, Violation{c.Name, what})
		}
	}
	return out
}

// tell collects what a check finds.
type tell []string

func (t *tell) say(format string, a ...any) { *t = append(*t, fmt.Sprintf(format, a...)) }
