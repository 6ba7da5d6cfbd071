//go:build !linux

package main

import "fmt"

func main() { fmt.Println("chaos: skipped: network namespaces are there on Linux only") }
