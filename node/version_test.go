package node

import (
	"runtime/debug"
	"testing"
)

func TestVersionIsTheCommit(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	for _, c := range []struct{ module, revision, modified, want string }{
		{"(devel)", commit, "false", "0123456789ab"},
		{"v0.0.0-20260101000000-0123456789ab+dirty", commit, "true", "0123456789ab with changes"},
		{"v1.2.0", commit, "false", "v1.2.0"},
		{"(devel)", "", "", unknownVersion},
		{"", "", "", unknownVersion},
	} {
		info := &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: c.revision}, {Key: "vcs.modified", Value: c.modified}}}
		info.Main.Version = c.module
		if got := versionOf(info); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
