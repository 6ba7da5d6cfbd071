//go:build linux

package main

import (
	"bufio"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// marks are how strace says that it interfered. One that kills says that the process was killed.
var marks = []string{"(INJECTED)", "(DELAYED)", "killed by SIGKILL"}

// count reads strace's report and counts what was injected.
func count(r io.Reader, hits *atomic.Int64) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		for _, m := range marks {
			if strings.Contains(lines.Text(), m) {
				hits.Add(1)
				break
			}
		}
	}
	_, _ = io.Copy(io.Discard, r)
}

// dataPaths makes strace look at a station's data files only.
func dataPaths(dir string) (args []string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			args = append(args, "-P", path)
		}
		return nil
	})
	return args
}
