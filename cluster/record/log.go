package record

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/zap"
)

// bridge lets raft log into zap, warnings and worse: what it says below that is for those who work on raft.
func bridge(log *zap.Logger) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: lines{log.Named("raft")}, DisableTime: true, Exclude: dull})
}

// dull is what raft says at every start, before the stations have met, and at every follower: it asks nothing
// of an operator. That a leader was lost, or that a station which is known does not answer, is told.
func dull(_ hclog.Level, msg string, args ...any) bool {
	switch msg {
	case "skipping application of old log", "no known peers, aborting election", "not part of stable configuration, aborting election":
		return true
	}
	for k := 0; k+1 < len(args); k += 2 {
		value := fmt.Sprint(args[k+1])
		if args[k] == "last-leader-id" && value == "" || args[k] == "error" && strings.Contains(value, errNoAddress.Error()) {
			return true
		}
	}
	return false
}

type lines struct{ log *zap.Logger }

// Write implements io.Writer: hclog hands over one whole line a call.
func (l lines) Write(b []byte) (int, error) {
	line := bytes.TrimSpace(b)
	line = bytes.TrimPrefix(line, []byte("[WARN]  "))
	// raft calls a link that is down an error; here it is weather.
	line = bytes.TrimPrefix(line, []byte("[ERROR] "))
	l.log.Warn(string(line))
	return len(b), nil
}
