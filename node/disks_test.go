package node

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"hivemesh/cluster/disk"
)

// The leader's disk is full, broken or hangs: an alert raised there is answered in time and not called kept,
// sounds elsewhere and here, and another leads. When the disk is well, all is as before without a restart.
func TestAnAlarmOutlivesTheDisk(t *testing.T) {
	for name, fault := range map[string]func(*disk.Trouble){
		"full":      func(d *disk.Trouble) { d.Fail(syscall.ENOSPC, disk.Writing()) },
		"broken":    func(d *disk.Trouble) { d.Fail(syscall.EIO, disk.Writing()) },
		"read-only": func(d *disk.Trouble) { d.Fail(syscall.EROFS, disk.Writing()) },
		"hangs":     func(d *disk.Trouble) { d.Hang(disk.Writing()) },
	} {
		t.Run(name, func(t *testing.T) {
			inCounty(t, LinksLAN, func(m *mesh) {
				at := m.leader()
				here := m.screen("disp-li", at, nil)
				elsewhere := m.screen("disp-zhao", others(at), nil)
				fault(m.bad[at])
				id, event, answer := m.raise(at, scene("abduction", "xinzhuang", "bad-disk"))
				kept, _ := answer["kept"].(map[string]any)
				if sent, _ := answer["sent"].(float64); kept["here"] != false || sent != 4 {
					t.Errorf("answered %v", answer)
				}
				here.hears(id, time.Second)
				elsewhere.hears(id, time.Second)
				m.eventually(5*time.Second, "on the record under another leader", func() bool {
					l := m.nodes[others(at)].leader(m.nodes[at].identity.Cell)
					return l != "" && string(l) != at && m.recorded(others(at), id)
				})
				token := m.signIn(at, map[string]any{"kiosk": true})
				if status, out := m.call(at, "GET", "/readyz", token, nil); status != http.StatusServiceUnavailable {
					t.Errorf("readyz: %d %v", status, out)
				}
				if _, out := m.call(at, "GET", "/v1/events/"+event, token, nil); out["kept"].(map[string]any)["here"] != false {
					t.Errorf("called kept on a bad disk: %v", out)
				}
				m.bad[at].Heal()
				m.eventually(time.Minute, "well again, without a restart", func() bool {
					status, _ := m.call(at, "GET", "/readyz", token, nil)
					return status == http.StatusOK && m.agreed()
				})
				m.recordedOnce(id)
				here.once(id)
				elsewhere.once(id)
			})
		})
	}
}

// recorded reports whether a station shows an incident as recorded.
func (m *mesh) recorded(at, id string) bool {
	i, ok := m.nodes[at].Incident(incidentID(id))
	return ok && len(i.Log) > 0 && !i.Log[0].Provisional
}

func others(at string) string {
	if at == caojiawu {
		return post
	}
	return caojiawu
}

// Little room is said everywhere, and positions go before alarms do.
func TestLittleRoomIsSaidAndPositionsAreShed(t *testing.T) {
	inCounty(t, LinksLAN, func(m *mesh) {
		level := func() string { return m.nodes[xinzhuang].Mesh().Disk.Level }
		for want, free := range map[string]uint64{"low": disk.LowBelow - 1, "shed": disk.ShedBelow - 1, "yielding": 1} {
			m.bad[xinzhuang].Leave(func() uint64 { return free })
			m.eventually(5*time.Second, "the disk is "+want, func() bool { return level() == want })
			time.Sleep(2 * dutyEvery)
			status, out := m.call(xinzhuang, "GET", "/readyz", "", nil)
			if shed := want != "low"; m.nodes[xinzhuang].shed.Load() != shed || (status == http.StatusOK) == shed {
				t.Errorf("%s: sheds %v, readyz %d %v", want, m.nodes[xinzhuang].shed.Load(), status, out)
			}
			if detail, _ := out["detail"].(string); want != "low" && !strings.Contains(detail, "make room") {
				t.Errorf("%s: %v", want, out)
			}
		}
		id, _, _ := m.raise(xinzhuang, scene("abduction", "xinzhuang", "little-room"))
		m.eventually(5*time.Second, "recorded all the same", m.agreed)
		m.recordedOnce(id)
		m.bad[xinzhuang].Leave(nil)
		m.eventually(5*time.Second, "roomy again", func() bool { return level() == "roomy" && !m.nodes[xinzhuang].shed.Load() })
	})
}
