//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"hivemesh/alerts"
	"hivemesh/configs"
	"hivemesh/node"
	"hivemesh/node/web"
)

const (
	countyDir = "county"
	founders  = 3

	leastStations, mostStations = 5, 7
	diskPerHour                 = 1 << 30  // bytes that the small disks get beyond diskLeast, for an hour's record
	diskLeast                   = 96 << 20 // bytes: the data files' first growth, and room for traffic
	readyWait                   = 60 * time.Second
	leaderWait                  = 15 * time.Second // an election takes less than one, but other faults of the round may hold it up
)

// smallDisks are the stations whose disk can be filled: a voter, and one that follows.
func smallDisks() []int { return []int{1, 3} }

// county is the stations, the wiring between them, and the people.
type county struct {
	fabric   fabric
	stations []*station
	people   []alerts.Person
	rules    *alerts.Rules
}

// found makes the shipped county as its people would: hive init at the first station, and for every other
// one a token there and hive join at its own host.
func found(ctx context.Context, f fabric, stations int, length time.Duration) (*county, error) {
	dir := filepath.Join(workDir(), countyDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	tables := filepath.Join(dir, "county.yaml")
	if err := os.WriteFile(tables, enlarged(configs.County, stations), 0o600); err != nil {
		return nil, err
	}
	data, err := node.LoadCounty(tables)
	if err != nil {
		return nil, err
	}
	rules, err := node.LoadRules("") // those that hive init hands out
	if err != nil {
		return nil, err
	}
	c := &county{fabric: f, people: data.People, rules: rules}
	for k, s := range data.Stations {
		c.stations = append(c.stations, newStation(k, s, dir, f.host(k)))
	}
	size := diskLeast + int(float64(diskPerHour)*length.Hours())
	for _, k := range smallDisks() {
		if err := c.stations[k].ownDisk(size); err != nil {
			return nil, fmt.Errorf("a small disk: %w", err)
		}
	}
	if canLosePower() {
		for _, k := range frailDisks() {
			if err := c.stations[k].frail(); err != nil {
				return nil, fmt.Errorf("a disk that can lose its power: %w", err)
			}
		}
	}
	var voters []string
	for _, s := range c.stations[:founders] {
		voters = append(voters, string(s.id))
	}
	first := c.stations[0]
	if _, err := first.hive("init", "--station", string(first.id), "--dir", first.dir, "--http", httpAddr,
		"--mesh", first.mesh(), "--demo", "--voters", strings.Join(voters, ","), "--county-file", tables); err != nil {
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

// moreStations are what a county of six or seven has beside the shipped five.
var moreStations = []string{
	"  - {id: dongying-school, name: 东营小学站, kind: school, cell: yongqing, township: 韩村镇, place: {lon: 116.536, lat: 39.3155}}",
	"  - {id: xianrenqiao, name: 仙人桥村站, kind: village, cell: yongqing, township: 曹家务乡, place: {lon: 116.55807, lat: 39.28216}}",
}

// enlarged adds stations to the shipped county's file, behind its own, until there are n.
func enlarged(shipped []byte, n int) []byte {
	head, rest, _ := strings.Cut(string(shipped), "\nstations:\n")
	list, rest, _ := strings.Cut(rest, "\n\n")
	return []byte(head + "\nstations:\n" + strings.Join(append([]string{list}, moreStations[:n-leastStations]...), "\n") + "\n\n" + rest)
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

// close ends the stations and what their disks are.
func (c *county) close() {
	c.stopAll()
	for _, s := range c.stations {
		if s.power != nil {
			_ = s.power.fs.Unmount() // the mount ends with the process at the latest
		}
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

// placeOf is where a station is.
func (c *county) placeOf(id alerts.StationID) alerts.Point {
	for _, s := range c.stations {
		if s.id == id {
			return s.place
		}
	}
	panic("chaos: nobody lives at a station called " + string(id)) // a table of ours names them
}

// leader asks the stations who leads, and believes the one that says so of itself; while an election goes
// on, for a while. Nil: nobody does.
func (c *county) leader(ctx context.Context) *station {
	for until := time.Now().Add(leaderWait); time.Now().Before(until); {
		for _, s := range c.stations {
			if !s.is(up) {
				continue
			}
			if m, err := s.look(ctx, false); err == nil && len(m.Cells) > 0 && m.Cells[0].Role == "leader" {
				return s
			}
		}
		if !pause(ctx, pollEvery) {
			return nil
		}
	}
	return nil
}

// majority is as many voters of the record as it takes to stop it; the rest has to carry on without.
func (c *county) majority(ctx context.Context) (list []*station) {
	leader := c.leader(ctx)
	if leader == nil {
		return nil
	}
	m, err := leader.look(ctx, false)
	if err != nil {
		return nil
	}
	voters := m.Cells[0].Voters
	for _, s := range c.stations {
		if slices.Contains(voters, s.id) && len(list) <= len(voters)/2 {
			list = append(list, s)
		}
	}
	return list
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
