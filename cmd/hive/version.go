package main

import (
	"fmt"
	"runtime"

	"hivemesh/node"
)

type versionCmd struct{}

func (versionCmd) Run(to console) error {
	_, err := fmt.Fprintf(to.out, "hive %s, %s, %s/%s\n", node.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
