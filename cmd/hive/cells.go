package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"hivemesh/alerts"
	"hivemesh/node/web"
)

// cellsWait is how long a change of the directory may take to stand in the record before the command says
// that it does not know.
const cellsWait = 10 * time.Second

type cellsCmd struct {
	List  cellsListCmd  `cmd:"" default:"withargs" help:"Show the county's cells (what 'hive cells' alone does)."`
	Form  cellsFormCmd  `cmd:"" help:"Form a new cell of townships, which leave the cells they are in: this splits those."`
	Move  cellsMoveCmd  `cmd:"" help:"Move townships, or single stations, to a cell that there is."`
	Merge cellsMergeCmd `cmd:"" help:"Merge a cell into another one and seal its record."`
}

func (cellsCmd) Help() string {
	return `A cell is a group of stations that agree on one record: a township, several small ones, or at first the whole
county. Changes are made while everything runs: alerts go on, open matters of a township go along with it, and
each stands in one record afterwards. They need the word of an admin at a police post or centre (--url): sign in
with --as in a demo county, else give a session's --token.

    hive cells form caojiawu --township 曹家务乡 --as admin-yu
    hive cells move --to caojiawu --township 韩村镇 --as admin-yu
    hive cells merge caojiawu --into yongqing --as admin-yu`
}

// atStation is where a command asks.
type atStation struct {
	URL string `default:"http://127.0.0.1:8080" help:"A station's address; for changes a police post's or centre's."`
}

func (a atStation) at(path string) string { return strings.TrimRight(a.URL, "/") + path }

type cellsListCmd struct {
	atStation `embed:""`
	JSON      bool `help:"Print what the station answers, for programs."`
}

type cellsAnswer struct {
	Cells []web.CellView `json:"cells"`
}

func (c cellsListCmd) Run(ctx context.Context, to console) error {
	ctx, cancel := context.WithTimeout(ctx, statusWait)
	defer cancel()
	var all cellsAnswer
	if err := get(ctx, c.at("/v1/cells"), &all); err != nil {
		return fmt.Errorf("no cells from %s: %w (does a station run there? hive demo, hive serve)", c.URL, err)
	}
	if c.JSON {
		enc := json.NewEncoder(to.out)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	rows := [][]string{{"cell", "state", "changes", "townships", "stations", "voters wanted"}}
	for _, x := range all.Cells {
		state, voters := "works", "by size"
		switch {
		case x.Into != "":
			state = "merged into " + string(x.Into)
		case x.Home:
			state = "works, home cell"
		}
		if x.Voters > 0 {
			voters = strconv.Itoa(x.Voters)
		}
		rows = append(rows, []string{string(x.Cell), state, number(x.Epoch), listed(x.Townships), listed(x.Stations), voters})
	}
	table(to.out, rows)
	return nil
}

func listed[T ~string](list []T) string {
	words := make([]string, len(list))
	for k, v := range list {
		words[k] = string(v)
	}
	return or(strings.Join(words, ","), "-")
}

// byAdmin is who decides, and where.
type byAdmin struct {
	atStation `embed:""`
	As        string `help:"Sign in as this person: a demo county's admin."`
	Token     string `env:"HIVE_TOKEN" help:"A session's token, instead of --as."`
}

type cellsFormCmd struct {
	byAdmin   `embed:""`
	Cell      string   `arg:"" help:"The new cell's name: a to z, 0 to 9, - and _."`
	Townships []string `name:"township" help:"A township that it is made of, with its stations and open matters; may be repeated."`
	Stations  []string `name:"station" help:"A further station that works for it; may be repeated."`
	Founders  []string `name:"founder" help:"Who begins its record, 1 or 3 of its stations; left out: police posts first."`
	Voters    int      `help:"How many stations shall vote; left out: by its size."`
}

func (c cellsFormCmd) Run(ctx context.Context, to console) error {
	if len(c.Townships)+len(c.Stations) == 0 {
		return fmt.Errorf("say what %s is made of: --township, or --station", c.Cell)
	}
	all, err := c.cells(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(x web.CellView) bool { return string(x.Cell) == c.Cell }) {
		return fmt.Errorf("there is a cell %s already; hive cells move gives it more", c.Cell)
	}
	return c.decide(ctx, to, "/v1/cells", map[string]any{
		"cell": c.Cell, "townships": c.Townships, "stations": c.Stations, "founders": c.Founders, "voters": c.Voters,
	}, "cell "+c.Cell+" is formed")
}

type cellsMoveCmd struct {
	byAdmin   `embed:""`
	To        string   `required:"" help:"The cell that they go to."`
	Townships []string `name:"township" help:"A township, with its stations and open matters; may be repeated."`
	Stations  []string `name:"station" help:"A single station; may be repeated."`
}

func (c cellsMoveCmd) Run(ctx context.Context, to console) error {
	if len(c.Townships)+len(c.Stations) == 0 {
		return fmt.Errorf("say what moves to %s: --township, or --station", c.To)
	}
	all, err := c.cells(ctx)
	if err != nil {
		return err
	}
	var known []alerts.CellID
	for _, x := range all {
		if x.Into == "" {
			known = append(known, x.Cell)
		}
	}
	if !slices.Contains(known, alerts.CellID(c.To)) {
		return fmt.Errorf("there is no cell %s; there are %s (hive cells form makes a new one)", c.To, listed(known))
	}
	return c.decide(ctx, to, "/v1/cells", map[string]any{"cell": c.To, "townships": c.Townships, "stations": c.Stations},
		listed(append(slices.Clone(c.Townships), c.Stations...))+" moved to "+c.To)
}

type cellsMergeCmd struct {
	byAdmin `embed:""`
	Cell    string `arg:"" help:"The cell that ends."`
	Into    string `required:"" help:"The cell that takes its townships, stations and open matters."`
}

func (c cellsMergeCmd) Run(ctx context.Context, to console) error {
	return c.decide(ctx, to, "/v1/cells/"+c.Cell+"/merge", map[string]any{"into": c.Into}, "cell "+c.Cell+" is merged into "+c.Into)
}

func (b byAdmin) cells(ctx context.Context) ([]web.CellView, error) {
	var all cellsAnswer
	err := get(ctx, b.at("/v1/cells"), &all)
	return all.Cells, err
}

// decide makes one change of the directory and waits for the record.
func (b byAdmin) decide(ctx context.Context, to console, path string, form map[string]any, done string) error {
	ctx, cancel := context.WithTimeout(ctx, cellsWait+statusWait)
	defer cancel()
	token, err := b.session(ctx)
	if err != nil {
		return err
	}
	form["id"] = uuid.NewString()
	var t web.Taken
	if err := postOnce(ctx, b.at(path), token, form, &t); err != nil {
		return err
	}
	if !t.Kept.Recorded {
		return fmt.Errorf("not recorded within %s: the home cell may have no leader in reach. It is kept and counts as soon as it is recorded; hive cells shows it then", cellsWait)
	}
	fmt.Fprintf(to.out, "%s: on the record as entry %d. Stations follow within seconds, and open matters go along; hive status shows it.\n", done, t.Kept.Index)
	return nil
}

func (b byAdmin) session(ctx context.Context) (string, error) {
	if b.Token != "" || b.As == "" {
		if b.Token == "" {
			return "", fmt.Errorf("who says so? --as PERSON in a demo county, else --token")
		}
		return b.Token, nil
	}
	var s struct {
		Token string `json:"token"`
	}
	if err := postOnce(ctx, b.at("/v1/session"), "", map[string]any{"person": b.As}, &s); err != nil {
		return "", fmt.Errorf("sign in %s: %w", b.As, err)
	}
	return s.Token, nil
}

// postOnce sends one request and waits for the record where the station can.
func postOnce(ctx context.Context, url, token string, form, into any) error {
	body, err := json.Marshal(form)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Prefer", fmt.Sprintf("wait=%d", int(cellsWait.Seconds())))
	}
	return ask(req, into)
}
