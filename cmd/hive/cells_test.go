package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// The whole way of a cell on the demo county, by the commands an operator has: formed, shown, given a station,
// merged away.
func TestCellsOfARunningCounty(t *testing.T) {
	port, dir := freePorts(t), t.TempDir()
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	ctx, stop := context.WithCancel(t.Context())
	var said buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"demo", "--port", fmt.Sprint(port), "--dir", dir}, console{&said, &said})
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("demo: %v", err)
		}
	}()
	shows := func(what string, within time.Duration, args []string, want ...string) {
		t.Helper()
		until(t, within, what, func() bool {
			out, err := hive(t, args...)
			return err == nil && !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(out, w) })
		})
	}
	shows("the demo starts", 30*time.Second, []string{"cells", "--url", url}, "yongqing", "home cell")
	// Who founds a cell is chosen among those that are met: the post before the enterprise.
	shows("all are met", 30*time.Second, []string{"status", "--url", url}, "caojiawu-post   曹家务乡派出所  alive", "caojiawu-works  曹家务家具厂站  alive")
	if _, err := hive(t, "cells", "form", "caojiawu", "--township", "曹家务乡", "--as", "disp-li", "--url", url); err == nil || !strings.Contains(err.Error(), "admin") {
		t.Errorf("a dispatcher forms a cell: %v", err)
	}
	shows("a cell is formed", 30*time.Second, []string{"cells", "form", "caojiawu", "--township", "曹家务乡", "--as", "admin-yu", "--url", url}, "on the record as entry")
	shows("it is shown", 10*time.Second, []string{"cells", "--url", url}, "caojiawu-post,caojiawu-works", "曹家务乡")
	shows("its stations follow it", 20*time.Second, []string{"status", "--url", fmt.Sprintf("http://127.0.0.1:%d", port+2)}, "caojiawu  leader")
	if _, err := hive(t, "cells", "form", "caojiawu", "--township", "韩村镇", "--as", "admin-yu", "--url", url); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("formed twice: %v", err)
	}
	if _, err := hive(t, "cells", "move", "--to", "nowhere", "--station", "zhangyong", "--as", "admin-yu", "--url", url); err == nil || !strings.Contains(err.Error(), "no cell nowhere") {
		t.Errorf("moved nowhere: %v", err)
	}
	shows("a station moves", 10*time.Second, []string{"cells", "move", "--to", "caojiawu", "--station", "zhangyong", "--as", "admin-yu", "--url", url}, "on the record")
	shows("the cell ends", 10*time.Second, []string{"cells", "merge", "caojiawu", "--into", "yongqing", "--as", "admin-yu", "--url", url}, "on the record")
	shows("that is shown", 10*time.Second, []string{"cells", "--url", url}, "merged into yongqing")
}
