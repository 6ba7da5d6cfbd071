package main

import (
	"fmt"
	"io"
	"strings"
)

// table prints rows in columns; Chinese characters are two columns wide.
func table(w io.Writer, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for k, cell := range row {
			if k == len(widths) {
				widths = append(widths, 0)
			}
			widths[k] = max(widths[k], columns(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		line.WriteString(" ")
		for k, cell := range row {
			line.WriteString(" " + pad(cell, widths[k]) + " ")
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

func pad(s string, width int) string { return s + strings.Repeat(" ", max(0, width-columns(s))) }

// columns is how wide a terminal shows s.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r >= 0x2E80 && r <= 0xFFEF {
			n++
		}
	}
	return n
}
