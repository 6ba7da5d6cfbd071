package ui_test

import (
	"io/fs"
	"strings"
	"testing"

	"hivemesh/ui"
)

// Whether the screens were built or not, each page is there and is a page.
func TestEveryPageIsThere(t *testing.T) {
	files := ui.Files()
	for _, name := range []string{"index.html", "kiosk.html", "patrol.html", "dispatch.html"} {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !strings.HasPrefix(string(b), "<!doctype html>") {
			t.Errorf("%s is not a page: %.40q", name, b)
		}
		if !ui.Built() && !strings.Contains(string(b), "make build") {
			t.Errorf("%s does not say how to build the screens", name)
		}
		for _, bad := range []string{"http://", "https://", "<style", " style=", "<script>"} {
			if strings.Contains(string(b), bad) {
				t.Errorf("%s holds %q: pages fetch nothing from outside and have nothing inline", name, bad)
			}
		}
	}
	if _, err := fs.Stat(files, "nothing.js"); err == nil {
		t.Error("a file that is not there was found")
	}
}
