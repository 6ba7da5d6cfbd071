package node

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
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
