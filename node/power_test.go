//go:build linux

package node

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"hivemesh/alerts"
	"hivemesh/cluster/faultfs"
	"hivemesh/cluster/trust"
	"hivemesh/configs"
)

// The power goes right after a station was made: it is there, or `hive init` did not say that it is.
func TestAPowerCutLeavesTheStationThatWasMade(t *testing.T) {
	below, at := t.TempDir(), t.TempDir()
	f, err := faultfs.Mount(below, at, nil)
	if errors.Is(err, faultfs.ErrNoFUSE) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(at, "post")
	made := Init(Founding{
		Who:    trust.Who{County: "yongqing", Cell: "yongqing", Kind: alerts.PolicePost, Station: "hancun-post", Name: "韩村镇派出所"},
		Config: Config{Dir: dir, HTTP: DefaultHTTP, Mesh: DefaultMesh, Links: LinksLAN, Log: defaultLog},
		Tables: Tables{County: configs.County, Rules: configs.Rules},
	})
	if err := errors.Join(made, f.CutPower(), f.Unmount()); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(below, "post")
	cfg, err := LoadConfig(filepath.Join(left, ConfigFile))
	if err != nil || cfg.Dir != dir {
		t.Errorf("its config is %+v, %v", cfg, err)
	}
	if _, err := trust.LoadIdentity(filepath.Join(left, identityDir)); err != nil {
		t.Errorf("who it is: %v", err)
	}
	if _, err := trust.OpenAuthority(filepath.Join(left, authorityDir)); err != nil {
		t.Errorf("the county's authority: %v", err)
	}
	for _, name := range []string{countyFile, rulesFile, cellFile} {
		if b, err := os.ReadFile(filepath.Join(left, name)); err != nil || len(b) == 0 {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}
