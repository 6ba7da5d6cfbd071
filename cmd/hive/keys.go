package main

import (
	"context"
	"fmt"

	"hivemesh/node"
)

type keysCmd struct {
	Rotate rotateCmd `cmd:"" help:"Change the key that stations' gossip is encrypted with."`
}

type rotateCmd struct {
	Dir    string `required:"" help:"Directory of the station where the county's authority lies." placeholder:"DIR"`
	Urgent bool   `help:"The present key is in wrong hands: use the new one at once, without waiting until all have it. (hive expel does this by itself.)"`
}

func (rotateCmd) Help() string {
	return `The new key is signed by the county's authority and handed from station to station over TLS. Each uses it
once every station alive has it, and drops the one before ten minutes later. A station that is off meanwhile
is handed the key by the first one it meets when it is back: nobody is left behind.`
}

func (c rotateCmd) Run(ctx context.Context, to console) error {
	generation, told, err := node.RotateKeys(ctx, c.Dir, c.Urgent)
	if err != nil {
		return err
	}
	fmt.Fprintf(to.out, "gossip key %d is made\n", generation)
	report(to.out, told)
	return nil
}
