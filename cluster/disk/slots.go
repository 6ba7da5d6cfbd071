package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

const (
	slotSize = 4096 // a block of its own: no write of one slot can tear the other
	slotHead = 8 + 2 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Slots is a small value that is overwritten in place, twice: it needs no room on a full disk, and no single
// torn write or flipped bit loses it. Not safe for concurrent use.
type Slots struct {
	d   *Disk
	op  Op
	f   *os.File
	seq uint64
}

// OpenSlots opens such a file, or makes it, and gives its value: nil when it was never written. Errors:
// ErrDamaged, when neither copy can be believed, or what the disk said.
func (d *Disk) OpenSlots(store, cell, path string) (_ *Slots, value []byte, err error) {
	s := &Slots{d: d, op: Op{Store: store, Cell: cell}}
	if err := s.before(Opens); err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", path, err)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := makeSlots(path); err != nil {
			return nil, nil, err
		}
	}
	if err := SyncDir(filepath.Dir(path)); err != nil { // whoever made it may have failed just before this
		return nil, nil, err
	}
	if s.f, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		return nil, nil, err
	}
	if value, err = s.load(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read %s: %w", path, err), s.f.Close())
	}
	return s, value, nil
}

// makeSlots gives the file all the room it will ever need, and its name only then.
func makeSlots(path string) error {
	f, err := os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 2*slotSize))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	return Rename(path+".new", path)
}

// load reads both copies. A write goes to one after the other, so the newer good one counts; a bad one beside
// one that was never written is a first write that was never confirmed.
func (s *Slots) load() (value []byte, err error) {
	b := make([]byte, 2*slotSize)
	if err := s.before(Reads); err != nil {
		return nil, err
	}
	if _, err := s.f.ReadAt(b, 0); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it is cut off", ErrDamaged)
	} else if err != nil {
		return nil, err
	}
	bad, blank := 0, 0
	for _, slot := range [][]byte{b[:slotSize], b[slotSize:]} {
		seq, v, err := readSlot(slot)
		switch {
		case err != nil:
			bad++
		case seq == 0:
			blank++
		case seq > s.seq:
			s.seq, value = seq, v
		}
	}
	if bad == 2 {
		return nil, fmt.Errorf("%w: neither copy can be believed", ErrDamaged)
	}
	if bad == 1 && blank == 0 { // the good copy is alone: have two again
		return value, s.Write(value)
	}
	return value, nil
}

// readSlot reads sequence number, length, checksum over all else, value; zeros: never written.
func readSlot(b []byte) (seq uint64, value []byte, err error) {
	if bytes.Equal(b, make([]byte, slotSize)) {
		return 0, nil, nil
	}
	n := int(binary.BigEndian.Uint16(b[8:]))
	if n > slotSize-slotHead || binary.BigEndian.Uint32(b[10:]) != slotSum(b[:10], b[slotHead:slotHead+n]) {
		return 0, nil, ErrDamaged
	}
	return binary.BigEndian.Uint64(b), bytes.Clone(b[slotHead : slotHead+n]), nil
}

func slotSum(head, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, value)
}

// Write puts another value in the place of one; nil: both copies are on disk.
func (s *Slots) Write(value []byte) error {
	if len(value) > slotSize-slotHead {
		return fmt.Errorf("a value of %d bytes is too long", len(value))
	}
	if err := s.before(Writes); err != nil {
		s.d.count(err)
		return err
	}
	b := make([]byte, slotSize)
	binary.BigEndian.PutUint64(b, s.seq+1)
	binary.BigEndian.PutUint16(b[8:], uint16(len(value)))
	binary.BigEndian.PutUint32(b[10:], slotSum(b[:10], value))
	copy(b[slotHead:], value)
	for _, at := range []int64{0, slotSize} {
		_, err := s.f.WriteAt(b, at)
		if err == nil {
			err = datasync(s.f)
		}
		if err != nil {
			s.d.count(err)
			return err
		}
	}
	s.seq++
	return nil
}

func (s *Slots) before(do Act) error {
	op := s.op
	op.Do = do
	return s.d.before(op)
}

// Close closes the file.
func (s *Slots) Close() error { return s.f.Close() }

// Probe finds out whether the disk takes writes again, as a store's: some room, and an fsync.
func (d *Disk) Probe(store, cell, dir string) error {
	if err := d.before(Op{Store: store, Cell: cell, Do: Writes}); err != nil {
		return err
	}
	if d.Space().Level == Yield {
		return syscall.ENOSPC
	}
	path := filepath.Join(dir, "probe")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeSize))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(path))
}

// probeSize is more than one transaction of a busy cell takes.
const probeSize = 1 << 20
