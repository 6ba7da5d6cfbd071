package node

import (
	"runtime/debug"
	"strings"
)

// Version is the commit that the program was built from, or the version of a release.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unknownVersion
	}
	return versionOf(info)
}

const (
	unknownVersion = "of unknown version (built outside its repository)"
	shortRevision  = 12 // digits of a commit that tell it from all others
)

func versionOf(info *debug.BuildInfo) string {
	revision, changed := "", false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			changed = s.Value == "true"
		}
	}
	release := info.Main.Version
	if release == "(devel)" || strings.HasPrefix(release, "v0.0.0-") { // go's own words for a commit
		release = ""
	}
	switch {
	case release != "" && !changed:
		return release
	case revision == "":
		return unknownVersion
	case changed:
		return revision[:min(shortRevision, len(revision))] + " with changes"
	}
	return revision[:min(shortRevision, len(revision))]
}
