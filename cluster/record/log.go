package record

import (
	"bytes"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/zap"
)

// bridge lets raft log into zap, warnings and worse: what it says below that is for those who work on raft.
func bridge(log *zap.Logger) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: lines{log.Named("raft")}, DisableTime: true, Exclude: dull})
}

// dull is what raft says at every start where nothing was committed yet.
func dull(_ hclog.Level, msg string, _ ...any) bool { return msg == "skipping application of old log" }

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
