// Package ui holds the screens that a station serves: the start page, kiosk, patrol and dispatch, built by
// Vite from src into dist/app and compiled into the program. It never fetches or serves anything itself.
//
// The one rule: it compiles without Node. A program built before the screens serves a plain page in the
// place of each that says how to build them.
package ui

import (
	"embed"
	"io/fs"
	"path"
)

//go:embed all:dist
var dist embed.FS

//go:embed unbuilt
var unbuilt embed.FS

// Files returns the screens as a file system: index.html, kiosk.html, patrol.html, dispatch.html and, under
// assets, what they load.
func Files() fs.FS {
	if Built() {
		return sub(dist, "dist/app")
	}
	return plain{sub(unbuilt, "unbuilt")}
}

// Built reports whether the screens are in this program.
func Built() bool {
	_, err := fs.Stat(dist, "dist/app/index.html")
	return err == nil
}

// sub cannot fail: the directories are embedded under these very names.
func sub(f fs.FS, dir string) fs.FS {
	s, err := fs.Sub(f, dir)
	if err != nil {
		panic(err)
	}
	return s
}

// plain answers every page with the one that says how to build the screens.
type plain struct{ fs.FS }

func (p plain) Open(name string) (fs.File, error) {
	if path.Ext(name) == ".html" {
		name = "index.html"
	}
	return p.FS.Open(name)
}
