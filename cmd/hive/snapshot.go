package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"hivemesh/node"
)

type snapshotCmd struct {
	Save    saveCmd          `cmd:"" help:"Write all that a station has of its county into one file."`
	Inspect inspectCmd       `cmd:"" help:"Check every byte of a snapshot and say what is in it."`
	Restore restoreRecordCmd `cmd:"" help:"Begin anew from a snapshot, at a station that has not run yet."`
}

// notInside is said wherever a snapshot is made: it must not be taken for a backup of secrets.
const notInside = "No key is inside: no station's identity, not the authority (hive authority export), not gossip's."

type saveCmd struct {
	Dir  string `required:"" help:"Directory of the station, running or stopped." placeholder:"DIR"`
	File string `arg:"" help:"File to write; one that is there already stays as it is until the new one is whole."`
}

func (saveCmd) Help() string {
	return `Records of all cells the station follows, what is pending, the county's tables, the stations' certificates and
who was turned away; with a hash over all, signed by the station. ` + notInside + `

Save at a county centre, which follows every cell; elsewhere it says which cells are not inside.

It holds what people said and where they were, unencrypted but for sealed fields: keep it as you keep case files.`
}

func (c saveCmd) Run(ctx context.Context, to console) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(c.File), ".snapshot-") // readable by its owner alone
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if err := save(ctx, c.Dir, tmp); err != nil {
		return err
	}
	if _, err := tmp.Seek(0, io.SeekStart); err != nil {
		return err
	}
	report, err := node.InspectSnapshot(tmp)
	if err != nil {
		return fmt.Errorf("what came is not whole, nothing was kept: %w", err)
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), c.File); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(c.File)); err != nil {
		return err
	}
	fmt.Fprintf(to.out, "%s is written and checked. %s\n\n", c.File, notInside)
	printSnapshot(to.out, report)
	return nil
}

// save asks the station that runs on dir, or reads its files where none does.
func save(ctx context.Context, dir string, w io.Writer) error {
	op, err := node.OpenOperator(dir)
	if err == nil {
		body, err := op.Snapshot(ctx)
		if err == nil {
			_, err = io.Copy(w, body)
			return errors.Join(err, body.Close())
		}
		if !errors.Is(err, node.ErrNotRunning) { // one that died left its door open
			return err
		}
	} else if !errors.Is(err, node.ErrNotRunning) {
		return err
	}
	lock, err := lockDir(dir, "hive snapshot save")
	if err != nil {
		return err
	}
	return errors.Join(node.SnapshotStopped(dir, w), lock.release())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

type inspectCmd struct {
	File string `arg:"" help:"The snapshot."`
}

func (inspectCmd) Help() string {
	return "Any flipped bit is found; what is shown of a file that is not whole says how far it could be read."
}

func (c inspectCmd) Run(to console) error {
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	report, err := node.InspectSnapshot(f)
	printSnapshot(to.out, report)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	fmt.Fprintln(to.out, "\nwhole: hash and signature are right, and every running hash")
	return nil
}

type restoreRecordCmd struct {
	Dir  string `required:"" help:"Directory of the station: of the same county, and not run yet." placeholder:"DIR"`
	File string `arg:"" help:"The snapshot."`
	Yes  bool   `name:"yes-the-others-are-gone" help:"Your word that no station with a later record can be had. Without it the file is only checked."`
}

func (restoreRecordCmd) Help() string {
	return `For a county that has lost all its stations, or a cell all that had its record. While one of them is left,
use hive recover there instead: it has more than any file.

    hive authority restore --from SAFE --dir DIR
    hive init --dir DIR …                         the same county and cell: makes the station, keys and all
    hive snapshot restore FILE --dir DIR --yes-the-others-are-gone
    hive serve --config DIR/station.yaml

The records of all cells inside go on in a new epoch with this station as their only voter: nothing else is to be
said for any of them. Others join as ever; those of a cell become its voters, and this station then gives up
its vote in cells that are not its own. A station of before that turns up after all is told of the new epoch,
and what only it had is recorded then.
A cell that is not inside is not brought back: see hive snapshot save.`
}

func (c restoreRecordCmd) Run(to console) error {
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	if !c.Yes {
		report, err := node.InspectSnapshot(f)
		printSnapshot(to.out, report)
		if err != nil {
			return fmt.Errorf("%s: %w", c.File, err)
		}
		return errors.New("nothing was changed; say --yes-the-others-are-gone to go on from this file")
	}
	lock, err := lockDir(c.Dir, "hive snapshot restore")
	if err != nil {
		return err
	}
	report, err := node.RestoreSnapshot(f, c.Dir)
	if err = errors.Join(err, lock.release()); err != nil {
		return fmt.Errorf("not restored: %w", err)
	}
	printSnapshot(to.out, report)
	fmt.Fprintf(to.out, "\nrestored; run it:     hive serve --config %s\n", filepath.Join(c.Dir, node.ConfigFile))
	return nil
}

func printSnapshot(to io.Writer, r node.SnapshotReport) {
	if r.By == "" {
		return
	}
	fmt.Fprintf(to, "county %s, by station %s at %s by its clock; %d stations known\n", r.County, r.By, r.At.Format("2006-01-02 15:04:05"), r.Known)
	rows := [][]string{{"cell", "epoch", "entries", "read", "chain", "incidents", "pending", "whole"}}
	for _, c := range r.Cells {
		whole := "yes"
		if !c.Checked {
			whole = "NO"
		}
		rows = append(rows, []string{
			string(c.Cell), number(c.Epoch), number(c.Entries), number(c.Read), c.Chain.Short(), strconv.Itoa(c.Incidents), strconv.Itoa(c.Pending), whole,
		})
	}
	table(to, rows)
	if len(r.Lacks) > 0 {
		fmt.Fprintf(to, "NOT inside, since the station does not follow them: %s. A county centre follows all cells: save there.\n", words(r.Lacks))
	}
}

func words[T ~string](list []T) string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = string(x)
	}
	return strings.Join(out, ", ")
}
