package configs

import "embed"

// County is the demo county: stations, grids, people.
//
//go:embed county.yaml
var County []byte

// Rules are the table of categories and the table of moves.
//
//go:embed rules.yaml
var Rules []byte

// Scenarios are stories that `hive replay` plays, as scenarios/*.yaml.
//
//go:embed scenarios/*.yaml
var Scenarios embed.FS
