package record

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/pending"
	"hivemesh/cluster/wire"
)

// nthEnv tells this binary to be the station whose disk fails: its folder.
const nthEnv = "HIVEMESH_NTH_CHILD"

const (
	nthEvents  = 3
	nthEntries = 6
	nthLogs    = 5
)

// nthPending are the events that the script keeps, the same in every process.
func nthPending(dir string) (out []alerts.Event, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "events"))
	if err != nil {
		return nil, err
	}
	for _, line := range bytes.Split(bytes.TrimSpace(b), []byte("\n")) {
		raw := make([]byte, len(line)/2)
		if _, err := fmt.Sscanf(string(line), "%x", &raw); err != nil {
			return nil, err
		}
		e, err := wire.DecodeEvent(raw)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func nthRaws() (out []Raw) {
	var chain alerts.Hash
	for i := uint64(1); i <= nthEntries; i++ {
		b := bytes.Repeat([]byte{byte(i)}, 700)
		chain = wire.Chain(chain, b)
		out = append(out, Raw{Index: i, Bytes: b, Chain: chain})
	}
	return out
}

// nthScript does with the real stores what a station does, and says after each step what it acknowledges. An
// error is a step that is not acknowledged; it goes on with the next.
func nthScript(dir, events string) {
	say := func(format string, a ...any) { fmt.Printf(format+"\n", a...) }
	list, err := nthPending(events)
	if err != nil {
		fmt.Println("script:", err)
		os.Exit(1)
	}
	cell := filepath.Join(dir, "cells", "c")
	if set, err := pending.OpenSet(nil, filepath.Join(dir, "pending.db"), wire.DecodeEvent, zap.NewNop()); err == nil {
		for i, e := range list {
			if kept, _ := set.Put(e); <-kept == nil {
				say("event %d", i)
			}
		}
		say("removing 0")
		set.Remove(list[0].Cell, []alerts.Hash{list[0].ID})
		set.Close()
	}
	if s, err := openStore(nil, "c", filepath.Join(cell, "record.db"), zap.NewNop(), storeWatch{}); err == nil {
		for i := 0; i < nthEntries; i += 2 {
			if s.Append(nthRaws()[i:i+2]) == nil && s.Settle() == nil {
				say("entry %d", i+2)
			}
		}
		s.Close()
	}
	l, err := openLogStore(nil, "c", cell, mark(cell+".first.voter"), func(error) {})
	if err != nil {
		return
	}
	defer l.Close()
	for term := uint64(1); term <= 2; term++ {
		say("try term %d", term)
		if l.SetUint64([]byte(keyTerm), term) == nil {
			say("term %d", term)
		}
		if l.SetUint64([]byte(keyVoteTerm), term) == nil && l.Set([]byte(keyVote), []byte{byte(term)}) == nil {
			say("vote %d", term)
		}
	}
	for i := uint64(1); i <= nthLogs; i++ {
		if l.StoreLogs(logs(i, i)) != nil {
			return // raft would be parked
		}
		say("log %d", i)
	}
	say("shortening")
	l.DeleteRange(1, 1)
}
