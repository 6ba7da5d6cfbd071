package record

import (
	"testing"
	"time"
)

// TestCommitTimes: as many as asked for, at the pace asked for, each longer than nothing.
func TestCommitTimes(t *testing.T) {
	const n, every = 5, 20 * time.Millisecond
	begin := time.Now()
	took, err := CommitTimes(t.Context(), t.TempDir(), n, 600, every)
	if err != nil || len(took) != n {
		t.Fatalf("%d commits were measured, want %d: %v", len(took), n, err)
	}
	if whole := time.Since(begin); whole < n*every {
		t.Errorf("all of it took %v, and one was to be made every %v", whole, every)
	}
	for _, one := range took {
		if one <= 0 || one > measuredWait {
			t.Errorf("a commit took %v", one)
		}
	}
}
