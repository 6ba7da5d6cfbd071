package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/record"
	"hivemesh/node"
)

type recoverCmd struct {
	Dir    string             `required:"" help:"Directory of the surviving station that is to go on: the one with the furthest record." placeholder:"DIR"`
	Cell   alerts.CellID      `help:"The cell; the station's own unless said otherwise." placeholder:"ID"`
	Voters []alerts.StationID `required:"" help:"All stations that survived and shall vote from now on, this one among them." placeholder:"ID,ID"`
	passphraseFlag
	Authority string `help:"The county's authority: an exported one, or the directory of the station where it lies. Needed where only stations are left whose own word does not do." placeholder:"FILE|DIR"`
	Yes       bool   `name:"yes-the-others-are-gone" help:"Your word that the other voters are lost. Without it nothing is changed."`
}

func (recoverCmd) Help() string {
	return `For a cell that has lost most of its voters for good (burnt, stolen, drowned) and therefore records nothing
any more. Alerts are raised, spread and heard all the while; only the record stands still.

The stations must be running: the one in DIR asks the others over the county's own links how far their copies
go. First look, without --yes-the-others-are-gone: the furthest is listed first, and it is the one to recover
at. It is refused while the cell has a leader, while a named survivor does not answer, and at a station
that is behind another one named. What the survivor's raft log holds beyond its record is taken in.

A station that voted, a police post or an office may begin the new epoch by its own word. Where only village
followers are left nobody would believe theirs: give --authority, the file of hive authority export or the
station's directory where the authority lies. Its key stays on the machine where you run this.

The record then goes on in a new epoch, with the named stations as its voters; others become voters by
themselves. If the lost ones come back after all, they are told of the new epoch by the first station they
meet. What they recorded alone stands in it as new news, judged again: a decision may lose there that had
won. So when they may come back soon, wait for them rather than recover. Where two halves of a cell were each
recovered, one of the two epochs counts once they meet, the same at every station: the higher number, and of
two with one number the one with the higher hash. The other half's entries go to it as new news.`
}

const recoverPatience = 30 * time.Second

func (c recoverCmd) Run(ctx context.Context, to console) error {
	ctx, cancel := context.WithTimeout(ctx, recoverPatience)
	defer cancel()
	op, err := node.OpenOperator(c.Dir)
	if err != nil {
		return err
	}
	who := node.Survivors{Cell: c.Cell, Stations: c.Voters}
	survey, err := op.Survey(ctx, who)
	if err != nil {
		return err
	}
	who.Cell = survey.Cell
	fmt.Fprintf(to.out, "cell %s, the furthest first\n", survey.Cell)
	standings(to, survey.Standings)
	if survey.Trouble != "" {
		return errors.New(survey.Trouble)
	}
	if !c.Yes {
		return errors.New("nothing was changed; say --yes-the-others-are-gone to go on from the copy in " + c.Dir)
	}
	word := node.Recovery{Survivors: who}
	if c.Authority != "" {
		if word.Signature, err = c.sign(ctx, op, who); err != nil {
			return fmt.Errorf("not recovered: %w", err)
		}
	}
	if survey, err = op.Recover(ctx, word); err != nil {
		return fmt.Errorf("not recovered: %w", err)
	}
	fmt.Fprintf(to.out, "\nthe record goes on in a new epoch\n")
	standings(to, survey.Standings)
	return nil
}

// sign has the authority's signature put under what the station says would begin.
func (c recoverCmd) sign(ctx context.Context, op node.Operator, who node.Survivors) ([]byte, error) {
	passphrase, err := c.read()
	if err != nil {
		return nil, err
	}
	w, err := op.Warrant(ctx, who)
	if err != nil {
		return nil, err
	}
	return node.SignWarrant(c.Authority, passphrase, w)
}

func standings(to console, list []record.Standing) {
	rows := [][]string{{"station", "epoch", "recorded", "with its log", "last log", "of term", "leader", "trouble"}}
	for _, s := range list {
		rows = append(rows, []string{
			string(s.Station), number(s.Epoch), number(s.Index), number(s.Logged), number(s.Last), number(s.Term),
			or(string(s.Leader), "none"), or(s.Error, "-"),
		})
	}
	table(to.out, rows)
}
