package main

import (
	"fmt"
	"os"
	"strings"

	"hivemesh/node"
)

type authorityCmd struct {
	Export  exportCmd  `cmd:"" help:"Write the county's authority, its secret key included, into one file."`
	Restore restoreCmd `cmd:"" help:"Put an exported authority into a station's directory."`
}

// passphraseFlag locks an exported authority. Not a flag with the words themselves: those would stand in the
// list of processes.
type passphraseFlag struct {
	PassphraseFile string `help:"A file whose first line is the passphrase that locks the export." placeholder:"FILE"`
}

func (f passphraseFlag) read() (string, error) {
	if f.PassphraseFile == "" {
		return "", nil
	}
	b, err := os.ReadFile(f.PassphraseFile)
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(string(b), "\n")
	if first = strings.TrimRight(first, "\r"); first == "" {
		return "", fmt.Errorf("the first line of %s is empty", f.PassphraseFile)
	}
	return first, nil
}

type exportCmd struct {
	passphraseFlag
	Dir string `required:"" help:"Directory of the station where the county's authority lies." placeholder:"DIR"`
	To  string `required:"" help:"File to write; it must not exist yet." placeholder:"FILE"`
}

func (exportCmd) Help() string {
	return `Whoever holds this file can let stations into the county and shut them out, so keep it like the key to the
armoury: on a stick in a safe, and locked with a passphrase. Without any copy of the authority a county
whose first station burns down works on, but lets nobody in any more and can expel nobody.

Make a new one after each hive join and hive expel: it also holds which ids were given.`
}

func (c exportCmd) Run(to console) error {
	passphrase, err := c.read()
	if err != nil {
		return err
	}
	if err := node.ExportAuthority(c.Dir, c.To, passphrase); err != nil {
		return err
	}
	fmt.Fprintf(to.out, "the county's authority is in %s, readable by you alone\n", c.To)
	if passphrase == "" {
		fmt.Fprintln(to.out, "It is NOT locked: whoever reads the file owns the county. Lock it with --passphrase-file.")
	}
	return nil
}

type restoreCmd struct {
	passphraseFlag
	From string `required:"" help:"The exported file." placeholder:"FILE"`
	Dir  string `required:"" help:"Directory of the station that shall let newcomers in from now on." placeholder:"DIR"`
}

func (restoreCmd) Help() string {
	return `For a county whose first station is gone: any other station may take over its authority. Start the station
in DIR anew afterwards. There should be only one: two that both give ids do not know of each other's.`
}

func (c restoreCmd) Run(to console) error {
	passphrase, err := c.read()
	if err != nil {
		return err
	}
	county, err := node.RestoreAuthority(c.From, c.Dir, passphrase)
	if err != nil {
		return err
	}
	fmt.Fprintf(to.out, "the authority of county %s is in %s; start the station there anew\n", county, c.Dir)
	return nil
}
