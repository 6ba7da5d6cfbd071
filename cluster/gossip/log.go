package gossip

import (
	"bytes"
	"log"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logger lets memberlist, which prints lines that begin with a level, speak through zap.
func logger(l *zap.Logger) *log.Logger { return log.New(lines{l}, "", 0) }

type lines struct{ log *zap.Logger }

func (w lines) Write(b []byte) (int, error) {
	level, text := zapcore.DebugLevel, bytes.TrimSpace(b)
	for mark, l := range map[string]zapcore.Level{
		"[ERR] ": zapcore.WarnLevel, "[WARN] ": zapcore.InfoLevel, "[INFO] ": zapcore.InfoLevel, "[DEBUG] ": zapcore.DebugLevel,
	} {
		if rest, ok := bytes.CutPrefix(text, []byte(mark)); ok {
			level, text = l, rest
		}
	}
	w.log.Log(level, string(bytes.TrimPrefix(text, []byte("memberlist: "))))
	return len(b), nil
}
