package node

import (
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"hivemesh/cluster/disk"
)

// shedding is whether this station saves room: it shares no positions and logs warnings only. What it logs
// lies on the same disk in most boxes.
type shedding struct{ atomic.Bool }

// look asks how the disk stands.
func (s *shedding) look(space disk.Space) {
	s.Store(space.Level == disk.Shed || space.Level == disk.Yield)
}

// log is a logger that drops the small lines meanwhile.
func (s *shedding) log(l *zap.Logger) *zap.Logger {
	return l.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core { return shedCore{c, s} }))
}

type shedCore struct {
	zapcore.Core
	s *shedding
}

// Enabled implements zapcore.LevelEnabler.
func (c shedCore) Enabled(l zapcore.Level) bool {
	return c.Core.Enabled(l) && (l >= zapcore.WarnLevel || !c.s.Load())
}

// Check implements zapcore.Core.
func (c shedCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(e.Level) {
		return to
	}
	return c.Core.Check(e, to)
}

// With implements zapcore.Core.
func (c shedCore) With(f []zapcore.Field) zapcore.Core { return shedCore{c.Core.With(f), c.s} }
