//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"hivemesh/alerts"
	"hivemesh/node"
	"hivemesh/node/web"
)

const (
	countyDir   = "county"
	founders    = 3
	diskPerHour = 1 << 30  // bytes that the small disks get beyond diskLeast, for an hour's record
	diskLeast   = 96 << 20 // bytes: the data files' first growth, and room for traffic
	readyWait   = 60 * time.Second
)

// smallDisks are the stations whose disk can be filled: a voter, and one that follows.
func smallDisks() []int { return []int{1, 3} }

// county is the stations, the wiring between them, and the people.
type county struct {
	fabric   fabric
	stations []*station
	people   []alerts.Person
	data     *node.County
}

// found makes the shipped county as its people would: hive init at the first station, and for every other
// one a token there and hive join at its own host.
func found(ctx context.Context, f fabric, length time.Duration) (*county, error) {
	data, err := node.LoadCounty("")
	if err != nil {
		return nil, err
	}
	c := &county{fabric: f, people: data.People, data: data}
	dir := filepath.Join(workDir(), countyDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for k, s := range data.Stations {
		c.stations = append(c.stations, newStation(k, s, dir, f.host(k)))
	}
	size := diskLeast + int(float64(diskPerHour)*length.Hours())
	for _, k := range smallDisks() {
		if err := c.stations[k].ownDisk(size); err != nil {
			return nil, fmt.Errorf("a small disk: %w", err)
		}
	}
	var voters []string
	for _, s := range c.stations[:founders] {
		voters = append(voters, string(s.id))
	}
	first := c.stations[0]
	if _, err := first.hive("init", "--station", string(first.id), "--dir", first.dir, "--http", httpAddr,
		"--mesh", first.mesh(), "--demo", "--voters", strings.Join(voters, ",")); err != nil {
		return nil, err
	}
	if err := c.startAll(ctx, first); err != nil {
		return nil, err
	}
	for _, s := range c.stations[1:] {
		token, err := first.hive("token", "--dir", first.dir, "--station", string(s.id))
		if err != nil {
			return nil, err
		}
		if _, err := s.hive("join", strings.TrimSpace(string(token)), "--dir", s.dir, "--http", httpAddr, "--mesh", s.mesh()); err != nil {
			return nil, err
		}
	}
	return c, c.startAll(ctx, c.stations[1:]...)
}

// startAll starts stations together and waits until they answer.
func (c *county) startAll(ctx context.Context, list ...*station) error {
	var g errgroup.Group
	for _, s := range list {
		g.Go(func() error {
			if err := s.start(); err != nil {
				return err
			}
			return s.await(ctx)
		})
	}
	return g.Wait()
}

// stopAll kills what runs; the kernel would do it too.
func (c *county) stopAll() {
	for _, s := range c.stations {
		_ = s.kill()
	}
}

func (c *county) person(id alerts.PersonID) alerts.Person {
	for _, p := range c.people {
		if p.ID == id {
			return p
		}
	}
	panic("chaos: the shipped county has nobody called " + string(id)) // a table of ours names them
}

// leader asks the stations who leads, and believes the one that says so of itself.
func (c *county) leader(ctx context.Context) *station {
	for _, s := range c.stations {
		if !s.is(up) {
			continue
		}
		if m, err := s.look(ctx, false); err == nil && len(m.Cells) > 0 && m.Cells[0].Role == "leader" {
			return s
		}
	}
	return nil
}

// look asks a station how it sees the mesh; fold: with the hash of what its record folds to.
func (s *station) look(ctx context.Context, fold bool) (web.MeshInfo, error) {
	var m web.MeshInfo
	path, within := "/v1/mesh", askWait
	if fold {
		path, within = path+"?fold=true", healBy
	}
	_, err := s.send(ctx, within, 0, "GET", path, "", nil, &m)
	return m, err
}
