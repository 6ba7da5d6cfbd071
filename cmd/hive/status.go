package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hivemesh/cluster/trust"
	"hivemesh/node/web"
)

type statusCmd struct {
	URL  string `default:"http://127.0.0.1:8080" help:"A station's address."`
	JSON bool   `help:"Print what the station answers, for programs."`
}

func (statusCmd) Help() string {
	return "Everything is as that one station sees it: another may see it differently while links fail."
}

const statusWait = 5 * time.Second

func (c statusCmd) Run(ctx context.Context, to console) error {
	ctx, cancel := context.WithTimeout(ctx, statusWait)
	defer cancel()
	url := strings.TrimRight(c.URL, "/")
	var m web.MeshInfo
	if err := get(ctx, url+"/v1/mesh", &m); err != nil {
		return fmt.Errorf("no status from %s: %w (does a station run there? hive demo, hive serve)", url, err)
	}
	if c.JSON {
		enc := json.NewEncoder(to.out)
		enc.SetIndent("", "  ")
		return enc.Encode(m)
	}
	fmt.Fprintf(to.out, "As station %s sees it (version %s, process %d):\n\ndisk\n", m.Station, m.Version, m.PID)
	table(to.out, [][]string{{"room", "free MB", "ballast", "failed writes", "trouble"}, {
		m.Disk.Level, number(m.Disk.Free >> 20), yesNo(m.Disk.Ballast), number(m.Disk.Failed), or(m.Disk.Error, "-"),
	}})
	fmt.Fprintln(to.out, "\nmembers")
	rows := [][]string{{"station", "name", "state", "http", "mesh", "process"}}
	for _, x := range m.Members {
		state := "alive"
		if !x.Alive {
			state = "not reached"
		}
		rows = append(rows, []string{string(x.Station), x.Name, state, x.HTTP, x.Mesh, strconv.Itoa(x.PID)})
	}
	table(to.out, rows)
	fmt.Fprintln(to.out, "\ncells")
	rows = [][]string{{"cell", "role here", "leader", "voters", "epoch", "index", "lag", "pending", "chain", "source", "depth", "feeds", "trouble"}}
	for _, x := range m.Cells {
		var voters []string
		for _, v := range x.Voters {
			voters = append(voters, string(v))
		}
		rows = append(rows, []string{
			string(x.Cell), x.Role, or(string(x.Leader), "none"), strings.Join(voters, ","), number(x.Epoch), number(x.Index),
			number(x.Lag), strconv.Itoa(x.Pending), x.Chain[:min(12, len(x.Chain))], or(string(x.Source), "-"), strconv.Itoa(x.Depth), strconv.Itoa(x.Feeds), or(x.Error, "-"),
		})
	}
	table(to.out, rows)
	authority(to, m)
	traffic(to, m.Traffic)
	return nil
}

// authority shows what was decided about stations and keys, and by which entry of the home cell's record that can
// be looked up.
func authority(to console, m web.MeshInfo) {
	entry := func(n uint64, none string) string {
		if n == 0 {
			return none
		}
		return "entry " + number(n)
	}
	fmt.Fprintln(to.out, "\nthe authority's word")
	none := "not yet"
	if m.Key.Generation == trust.FirstKey {
		none = "-"
	}
	rows := [][]string{
		{"about", "what", "said", "on the record"},
		{"gossip key", "generation " + number(m.Key.Generation), "-", entry(m.Key.Entry, none)},
	}
	for _, g := range m.Gone {
		none := "-"
		if g.Why == trust.Expelled.String() {
			none = "not yet"
		}
		rows = append(rows, []string{string(g.Station), g.Why, time.Time(g.At).Format(time.DateTime), entry(g.Entry, none)})
	}
	table(to.out, rows)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// traffic shows what the mesh port takes of the links: who pays by the gigabyte wants to know for what.
func traffic(to console, list []web.MeshTraffic) {
	fmt.Fprintln(to.out, "\nbytes over the mesh port (TLS included, the headers of TCP and IP not)")
	rows, sum := [][]string{{"protocol", "in", "out", "a second, lately"}}, 0.0
	for _, x := range list {
		rows = append(rows, []string{x.Protocol, number(x.In), number(x.Out), fmt.Sprintf("%.0f", x.Rate)})
		sum += x.Rate
	}
	table(to.out, append(rows, []string{"all", "", "", fmt.Sprintf("%.0f", sum)}))
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}
