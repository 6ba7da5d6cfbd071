package node

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/trust"
)

// protocols are all that are spoken at a mesh port, as package trust and those above it name them.
func protocols(t *testing.T) (out []string) {
	t.Helper()
	files, err := filepath.Glob("../cluster/trust/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`Proto\w+\s*= "(hive-\w+/\d+)"`).FindAllSubmatch(b, -1) {
			out = append(out, string(m[1]))
		}
	}
	if len(out) < 7 {
		t.Fatalf("found only %v", out)
	}
	return out
}

// An expelled station's certificate is valid for years. Whatever it asks for at whichever station, nobody answers.
func TestEveryProtocolRefusesAThief(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		thief, honest := caojiawu, zhangyong
		m.expel(thief)
		m.eventually(30*time.Second, "everybody knows", func() bool {
			for _, s := range []string{post, xinzhuang, zhangyong, works} {
				if _, gone := m.nodes[s].ring.Gone(alerts.StationID(thief)); !gone {
					return false
				}
			}
			return true
		})
		m.stop(thief)
		m.stop(honest)
		for _, proto := range protocols(t) {
			if proto == trust.ProtoJoin {
				continue // for strangers: it asks for no certificate, but for a token
			}
			for _, at := range []string{post, works} {
				said, err := m.knock(thief, at, proto)
				if err == nil || !strings.Contains(err.Error(), "bad certificate") || len(said) > 0 {
					t.Errorf("%s at %s: the thief was let in (%v) and heard %q", proto, at, err, said)
				}
				if said, err = m.knock(honest, at, proto); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, io.EOF) {
					t.Errorf("%s at %s: an honest station was turned away, so this shows nothing: %v (%q)", proto, at, err, said)
				}
			}
		}
	})
}

// knock opens a connection for proto as a station that does not run, from its host, and says what it hears before it
// is closed, or within a second.
func (m *mesh) knock(who, at, proto string) (said []byte, err error) {
	id, err := trust.LoadIdentity(filepath.Join(m.configs[who].Dir, identityDir))
	if err != nil {
		m.t.Fatal(err)
	}
	ring, err := trust.NewRing(id.Root, "") // it knows of no notice
	if err != nil {
		m.t.Fatal(err)
	}
	port, err := trust.OpenPort(m.net.Host(who), m.net.Host(who).Addr(7777), id, ring, zap.NewNop())
	if err != nil {
		m.t.Fatal(err)
	}
	defer port.Close()
	c, err := port.Dial(m.t.Context(), proto, m.configs[at].Mesh, alerts.StationID(at))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	said, err = io.ReadAll(c)
	if err == nil {
		err = io.EOF
	}
	return said, err
}

// A station that was off, or cut off with the thief, when that was expelled: the thief is the first, or the only one,
// it meets, and says nothing of it. What it says sounds there, for nobody can know. When an honest station comes, what
// came since the expulsion is dropped, and whoever's device sounded is told that it is over; what came before stands.
func TestAThiefThatKeepsQuiet(t *testing.T) {
	for name, off := range map[string]bool{"to one that was off": true, "to one that is cut off with it": false} {
		t.Run(name, func(t *testing.T) {
			inCounty(t, LinksLAN, func(m *mesh) { keepQuiet(m, off) })
		})
	}
}

func keepQuiet(m *mesh, off bool) {
	t, thief, late := m.t, caojiawu, works
	others := []string{post, xinzhuang, zhangyong}
	m.net.Split([]string{thief, late}, others)
	time.Sleep(30 * time.Second)
	early, _, _ := m.raise(thief, scene("abduction", "zhangyong", "before"))
	m.known(late, early)
	if off {
		m.stop(late)
	}
	time.Sleep(time.Minute)
	m.expel(thief)
	time.Sleep(time.Minute)
	if off {
		m.start(late)
	}
	m.eventually(time.Minute, "the two have met", func() bool { return slices.Contains(m.aliveAt(late), thief) && slices.Contains(m.aliveAt(thief), late) })
	device := m.screen("vol-xu", late, nil)
	id, _, _ := m.raise(thief, scene("abduction", "zhangyong", "since"))
	m.known(late, id)
	device.hears(id, 5*time.Second)

	m.net.Heal()
	m.eventually(time.Minute, "the news has come, and what the thief said since is gone", func() bool {
		_, told := m.nodes[late].ring.Gone(alerts.StationID(thief))
		_, known := m.nodes[late].Incident(incidentID(id))
		return told && !known
	})
	m.eventually(5*time.Second, "the device is told that it is over", func() bool {
		device.mu.Lock()
		defer device.mu.Unlock()
		return device.ended[id] > 0
	})
	m.eventually(time.Minute, "what it said before is recorded", func() bool {
		for _, s := range append(others, late) {
			if i, ok := m.nodes[s].Incident(incidentID(early)); !ok || i.Log[0].Provisional {
				return false
			}
		}
		return true
	})
	time.Sleep(time.Minute)
	for _, s := range append(others, late) {
		if _, known := m.nodes[s].Incident(incidentID(id)); known {
			t.Errorf("%s has what the thief said", s)
		}
	}
	if _, known := m.nodes[thief].Incident(incidentID(id)); !known {
		t.Error("the thief itself has it no more: this shows nothing")
	}
}
