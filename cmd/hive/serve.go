package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"hivemesh/node"
)

type serveCmd struct {
	Config     string `default:"station.yaml" help:"The station's config; hive init and hive join write one." placeholder:"FILE"`
	CPUProfile string `hidden:"" name:"cpu-profile" help:"Write where the processor's time went, for go tool pprof, until the end." placeholder:"FILE"`
	// A station that hive demo started must not outlive it, however that one ended.
	UntilEOF bool `hidden:"" help:"Stop when standard input ends."`
}

func (c serveCmd) Help() string {
	return "Runs until Ctrl-C. configs/station.yaml explains the keys of a config. A relative dir in it is taken\nfrom where hive is started."
}

func (c serveCmd) Run(ctx context.Context, to console) (err error) {
	cfg, err := node.LoadConfig(c.Config)
	if err != nil {
		return err
	}
	log, err := logger(to.err, cfg.Log)
	if err != nil {
		return err
	}
	figures, err := processFigures()
	if err != nil {
		return err
	}
	if c.CPUProfile != "" {
		stop, err := profileInto(c.CPUProfile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	s, err := start(cfg, log, figures)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if c.UntilEOF {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		go func() { // ends with the input, or the process
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	fmt.Fprintf(to.out, "%s serves %s (kiosk, patrol, dispatch, docs there); mesh %s; Ctrl-C stops\n", filepath.Base(cfg.Dir), s.URL(), cfg.Mesh)
	select {
	case err := <-s.Done():
		if errors.Is(err, node.ErrLeft) {
			fmt.Fprintln(to.out, "this station has left the county for good; nobody waits for it, and its directory may go")
			return nil
		}
		return err
	case <-ctx.Done():
		return nil
	}
}

// profileInto samples what the processor does until stop.
func profileInto(path string) (stop func() error, err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// station is a running node and its hold on its directory.
type station struct {
	*node.Node
	lock *dirLock
}

// start opens the station of cfg once nobody else has its directory or ports.
func start(cfg node.Config, log *zap.Logger, figures prometheus.Collector) (_ *station, err error) {
	lock, err := lockDir(cfg.Dir, "hive serve on "+cfg.HTTP)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.release())
		}
	}()
	if err := probe(cfg); err != nil {
		return nil, err
	}
	n, err := node.Open(cfg, log, figures, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err != nil {
		return nil, err
	}
	return &station{n, lock}, nil
}

// Close stops the node and lets go of the directory.
func (s *station) Close() error { return errors.Join(s.Node.Close(), s.lock.release()) }

// logger writes readable lines from the given level on.
func logger(w io.Writer, level string) (*zap.Logger, error) {
	l, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, err
	}
	enc := zap.NewDevelopmentEncoderConfig()
	enc.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	enc.EncodeCaller = nil
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(enc), zapcore.Lock(zapcore.AddSync(w)), l)), nil
}
