package disk

// Act is what is done to a disk.
type Act string

// The acts.
const (
	Opens  Act = "open"
	Reads  Act = "read"
	Writes Act = "write" // a whole transaction with its fsync
)

// Op is one thing a store is about to do.
type Op struct {
	Store string // pending, record, raft or vote
	Cell  string // empty for the pending set, which holds those of all cells
	Do    Act
}

// Faults is a bad disk, for tests and simulations; the zero value and nil are a good one.
type Faults struct {
	// Before is called before each op, by whichever goroutine does it, with none of bbolt's locks held. What it
	// returns is what the disk answers (syscall.ENOSPC, EIO, EROFS); while it blocks, the disk hangs. It may
	// be called from several goroutines at once.
	Before func(Op) error
	// Free is the room left in bytes; nil: the file system is asked.
	Free func() uint64
	// Ballast is how many bytes of it are held; 0: BallastSize. Many stations in one memory hold less.
	Ballast int64
}

func (f *Faults) ballast() int64 {
	if f == nil || f.Ballast == 0 {
		return BallastSize
	}
	return f.Ballast
}

func (f *Faults) before(op Op) error {
	if f == nil || f.Before == nil {
		return nil
	}
	return f.Before(op)
}
