// Every two stations shake hands several times. Nobody listens in on a network in memory, so the half of the key
// exchange that withstands quantum computers, and costs more than the rest of it, is left out.

//go:debug tlsmlkem=0

package sim

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

var (
	seedsFlag  = flag.Int("seeds", 0, "how many seeds; 0: a few")
	seedFlag   = flag.Uint64("seed", 1, "the first seed")
	faultsFlag = flag.String("faults", "", "kinds of fault to choose from, comma-separated; every: people's acts too; empty: all but those")
	onlyFlag   = flag.String("only", "", "checks to run, comma-separated; empty: all")
	procsFlag  = flag.Int("procs", 2, "processes side by side")
	planFlag   = flag.Bool("plan", false, "print the plan of each seed")
	logFlag    = flag.Bool("log", false, "print what the stations log")
	outFlag    = flag.String("out", "", "file for the results, for the test's own use")
)

const (
	fewSeeds = 2               // in an ordinary go test
	batch    = 20              // seeds a process: a county that takes its process with it takes few others along
	seedTime = 3 * time.Minute // of the processor after which a seed hangs: it needs a few seconds
	seedWait = time.Hour       // or on the clock, however busy the machine is with other things
	garbage  = 700 << 20       // bytes at which a process collects its own
)

// TestCounty lets one county after the other live through its seed's faults, and checks each.
func TestCounty(t *testing.T) {
	if *outFlag != "" {
		work(t)
		return
	}
	seeds := *seedsFlag
	if seeds == 0 {
		seeds = fewSeeds
	}
	begin := time.Now()
	total := NewReport()
	var (
		mu   sync.Mutex
		todo = make(chan [2]uint64)
		wg   sync.WaitGroup
	)
	for range *procsFlag {
		wg.Go(func() {
			for part := range todo {
				r := inProcess(t, part[0], part[1])
				mu.Lock()
				total.Add(r)
				mu.Unlock()
			}
		})
	}
	size := min(batch, (seeds+*procsFlag-1) / *procsFlag)
	for n := 0; n < seeds; n += size {
		todo <- [2]uint64{*seedFlag + uint64(n), uint64(min(size, seeds-n))}
	}
	close(todo)
	wg.Wait()
	tellAll(t, total)
	fmt.Printf("%-34s %v on the clock\n", "this run", time.Since(begin).Round(time.Second))
	if total.TooVoid() {
		t.Errorf("%d of the %d seeds are void: they showed nothing", len(total.Void), total.Seeds)
	}
}

func tellAll(t *testing.T, r *Report) {
	for _, seed := range slices.Sorted(maps.Keys(r.Void)) {
		fmt.Printf("VOID seed=%d: %s\n", seed, r.Void[seed])
	}
	for _, seed := range slices.Sorted(maps.Keys(r.Violations)) {
		for _, v := range r.Violations[seed] {
			fmt.Printf("FAIL seed=%d check=%s: %s\n", seed, v.Check, v.What)
		}
		fmt.Print(r.Plans[seed])
		t.Errorf("seed %d broke %v; repeat: %s", seed, names(r.Violations[seed]), repeat(seed))
	}
	for _, seed := range slices.Sorted(maps.Keys(r.Died)) {
		fmt.Printf("FAIL seed=%d check=Survives: %s\n", seed, r.Died[seed])
		t.Errorf("seed %d took its process with it; repeat: %s", seed, repeat(seed))
	}
	r.Write(os.Stdout)
}

func repeat(seed uint64) string {
	cmd := fmt.Sprintf("go test ./node/sim -run 'TestCounty$' -count=1 -seeds 1 -seed %d", seed)
	if *faultsFlag != "" {
		cmd += " -faults " + *faultsFlag
	}
	return cmd + " -plan"
}

// inProcess runs seeds in a process of their own. One that ends before its time is laid to the seed it was at;
// the seeds after that go on in the next.
func inProcess(t *testing.T, first, n uint64) *Report {
	out := filepath.Join(t.TempDir(), "results")
	total := NewReport()
	for n > 0 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCounty$", "-test.count=1", "-test.timeout=0",
			"-out", out, "-seed", fmt.Sprint(first), "-seeds", fmt.Sprint(n), "-faults", *faultsFlag, "-only", *onlyFlag,
			fmt.Sprintf("-plan=%v", *planFlag), fmt.Sprintf("-log=%v", *logFlag))
		said, err := cmd.CombinedOutput()
		if *planFlag || *logFlag {
			os.Stdout.Write(said)
		}
		r, done := results(t, out)
		total.Add(r)
		first, n = first+done, n-done
		if n == 0 {
			break
		}
		if err == nil {
			err = errors.New("it ended without a result")
		}
		total.Seeds++
		total.Died[first] = fmt.Sprintf("%v: %s", err, tail(said))
		first, n = first+1, n-1
		os.Remove(out)
	}
	return total
}

// tail is where a process says why it ended.
func tail(said []byte) string {
	s := string(said)
	for _, mark := range []string{"panic:", "fatal error:", "DATA RACE", "Error:"} {
		if k := strings.Index(s, mark); k >= 0 {
			s = s[k:]
			break
		}
	}
	return s[:min(len(s), 4000)]
}

func results(t *testing.T, path string) (total *Report, n uint64) {
	total = NewReport()
	f, err := os.Open(path)
	if err != nil {
		return total, 0
	}
	defer f.Close()
	for d := json.NewDecoder(bufio.NewReader(f)); d.More(); n++ {
		r := NewReport()
		if err := d.Decode(r); err != nil {
			t.Errorf("results: %v", err)
			break
		}
		total.Add(r)
	}
	return total, n
}

// work runs seeds in this process and writes one result a seed.
func work(t *testing.T) {
	f, err := os.Create(*outFlag)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	debug.SetGCPercent(-1) // a county is small and short-lived: its garbage waits until there is much of it
	debug.SetMemoryLimit(garbage)
	kinds, only := AllKinds(), []string(nil)
	switch *faultsFlag {
	case "":
	case "every":
		kinds = EveryKind()
	default:
		kinds = nil
		for _, k := range strings.Split(*faultsFlag, ",") {
			kinds = append(kinds, Kind(k))
		}
	}
	if *onlyFlag != "" {
		only = strings.Split(*onlyFlag, ",")
	}
	for n := range *seedsFlag {
		p := Draw(*seedFlag+uint64(n), kinds)
		// Every other county's goroutines take turns, which costs less; those of the others run at once.
		if p.Seed%2 == 0 {
			runtime.GOMAXPROCS(1)
		} else {
			runtime.GOMAXPROCS(runtime.NumCPU())
		}
		begin := time.Now()
		over := make(chan struct{})
		go watch(p.Seed, over)
		h := live(t, &p)
		close(over)
		if err := json.NewEncoder(f).Encode(ReportOf(h, only, time.Since(begin))); err != nil {
			t.Fatal(err)
		}
	}
}

// watch ends a process whose seed does not end by itself.
func watch(seed uint64, over chan struct{}) {
	begin, spent := time.Now(), processor()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
			if used := processor() - spent; used > seedTime || time.Since(begin) > seedWait {
				debug.SetTraceback("all")
				panic(fmt.Sprintf("seed %d is not over after %v of the processor, %v on the clock", seed, used, time.Since(begin)))
			}
		}
	}
}

// processor is how much of it this process has used.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// live lets a plan's county live in a bubble, on a disk in memory where there is one.
func live(t *testing.T, p *Plan) (h *History) {
	if *planFlag {
		fmt.Print(p)
	}
	shm := "/dev/shm"
	if _, err := os.Stat(shm); err != nil {
		shm = ""
	}
	dir, err := os.MkdirTemp(shm, "hive-sim-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	synctest.Test(t, func(t *testing.T) {
		if h, err = Run(p, dir, logger()); err != nil {
			t.Fatal(err)
		}
	})
	return h
}

func logger() *zap.Logger {
	if !*logFlag {
		return zap.NewNop()
	}
	cfg := zap.NewDevelopmentEncoderConfig()
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(cfg), zapcore.AddSync(os.Stdout), zapcore.InfoLevel))
}
