//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	insideMark = "HIVE_CHAOS_DIR" // set for the process inside the namespaces: where it works
	workPrefix = "hive-chaos-"    // of directories in the temporary one; the number is the outer process's
	innerGrace = 15 * time.Second // from Ctrl-C until what is inside is killed
)

// tools are the programs that faults are made with.
func tools() []string { return []string{"ip", "nft", "tc", "strace"} }

func inside() bool { return os.Getenv(insideMark) != "" }

// workDir is where the county of this run lives.
func workDir() string { return os.Getenv(insideMark) }

// enter runs this program again as process 1 of new process, mount and network namespaces, and returns its
// exit status. When that process ends, for whatever reason, the kernel ends all it started: processes,
// mounts, network.
func enter() int {
	if why := cannot(); why != "" {
		fmt.Println("chaos: skipped:", why)
		return 0
	}
	sweep(os.TempDir())
	dir := filepath.Join(os.TempDir(), workPrefix+strconv.Itoa(os.Getpid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return exitBroken
	}
	// The kernel kills the inner process when the thread that started it dies: it must be this process's main one.
	runtime.LockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideMark+"="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true, // Ctrl-C comes once, from here
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		_ = os.RemoveAll(dir)
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EINVAL) {
			fmt.Println("chaos: skipped: this machine gives no namespaces:", err)
			return 0
		}
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return exitBroken
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-ended:
			return
		case <-asked:
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(innerGrace):
			_ = cmd.Process.Kill()
		}
	}()
	_ = cmd.Wait() // the status tells
	close(ended)
	status := cmd.ProcessState.ExitCode()
	_ = os.RemoveAll(filepath.Join(dir, countyDir)) // the logs beside it are of use, the data is large
	if status == 0 {
		_ = os.RemoveAll(dir)
	} else {
		fmt.Fprintln(os.Stderr, "chaos: the stations' logs are in", dir)
	}
	if status < 0 {
		status = exitBroken
	}
	return status
}

// cannot says why this machine cannot run chaos; empty: it can.
func cannot() string {
	if os.Geteuid() != 0 {
		return "network namespaces need root"
	}
	var missing []string
	for _, t := range tools() {
		if _, err := exec.LookPath(t); err != nil {
			missing = append(missing, t)
		}
	}
	if len(missing) > 0 {
		return strings.Join(missing, ", ") + " missing: apt-get install iproute2 nftables strace"
	}
	if _, err := os.Stat(hiveProgram()); err != nil {
		return "no station program: go build -o bin/hive ./cmd/hive"
	}
	return ""
}

// sweep removes the directories of runs whose process is gone: one that was killed could not do so itself.
// Those of failed runs are among them: their logs are kept until the next run.
func sweep(in string) {
	dirs, _ := filepath.Glob(filepath.Join(in, workPrefix+"*"))
	for _, d := range dirs {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(d), workPrefix))
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(d)
		}
	}
}

// settle makes the new namespaces a machine of their own: nothing mounted here is seen outside, /proc shows
// the processes inside, and named network namespaces are named here only.
func settle() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts of our own: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "size=1m"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	return nil
}

// hiveProgram is bin/hive beside this program, or else as it is found.
func hiveProgram() string {
	self, err := os.Executable()
	if err != nil {
		return "bin/hive"
	}
	return filepath.Join(filepath.Dir(self), "hive")
}
