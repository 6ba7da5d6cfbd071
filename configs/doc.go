// Package configs carries the shipped tables: the demo county, the rules, the scenarios. Each is a
// commented YAML file that a county copies and changes.
//
// It holds bytes only and reads nothing; package node loads them strictly.
//
// The one rule: what is shipped here must load, and a test loads every file.
package configs
