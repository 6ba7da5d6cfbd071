package cluster

import (
	"encoding/hex"
	"testing"

	"hivemesh/cluster/wire"
)

// Stations of different versions take leave of each other.
func TestFormsOfLeavingStayAsTheyAre(t *testing.T) {
	for want, v := range map[string]any{
		"a2010102687975746f776e2d31": leaveAsk{Version: leaveVersion, Cell: "yutown-1"},
		"a201f50264706f7374":         leaveSaid{Free: true, Leader: "post"},
		"a0":                         leaveSaid{},
	} {
		b, err := wire.Canonical.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(b); got != want {
			t.Errorf("%+v is %s, want %s", v, got, want)
		}
	}
}
