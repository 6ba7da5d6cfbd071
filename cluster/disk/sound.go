package disk

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// bbolt trusts its pages: one that points at itself ends the process by its stack, before anything could be
// recovered, and a list of free pages that names one in use has it written over. So what a file says of its
// own shape is looked at before bbolt reads it. What the values say is for the stores to check.

// bbolt's pages: a head of id (8 bytes), kind (2), count of elements (2), and how many pages more it takes (4).
const (
	pageHead    = 16
	elementSize = 16 // of branches: pos, key size, page (8); of leaves: flags, pos, key size, value size
	metaSize    = 64
	minPage     = 1 << 10
	maxPage     = 64 << 10

	kindBranch = 0x01
	kindLeaf   = 0x02
	kindFree   = 0x10

	bboltMagic   = 0xED0CDAED
	bboltVersion = 2
	noFreelist   = ^uint64(0)
	isBucket     = 0x01 // of a leaf's element: its value is a bucket's root page (8) and sequence (8)
)

var native = binary.NativeEndian

// shape is one file's, as its newest whole meta page has it.
type shape struct {
	r        io.ReaderAt
	size     int64 // of a page
	root     uint64
	freelist uint64
	pages    uint64 // from here on nothing is used
	seen     map[uint64]bool
	take     func(bucket, key, value []byte) // not nil: what is bad is passed over
}

// sound looks at the shape of a bbolt file that nobody writes to meanwhile; an empty one is sound.
func sound(path string) error {
	return inspect(path, nil)
}

// Salvage gives what can still be read of one bucket of a damaged file, whatever is wrong with the rest.
func Salvage(path string, bucket []byte, take func(key, value []byte)) error {
	return inspect(path, func(of, key, value []byte) {
		if bytes.Equal(of, bucket) {
			take(key, value)
		}
	})
}

func inspect(path string, take func(bucket, key, value []byte)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	s, err := shapeOf(f)
	if err != nil {
		return err
	}
	s.take = take
	if have := info.Size(); uint64(have)/uint64(s.size) < s.pages && take == nil {
		return fmt.Errorf("the file is cut off: %d bytes of %d pages", have, s.pages)
	}
	if err := s.walk(s.root, span{}, nil); err != nil || take != nil {
		return err
	}
	return s.free()
}

// shapeOf reads the newer of the two meta pages that is whole: the other may have been torn by a power cut.
func shapeOf(r io.ReaderAt) (*shape, error) {
	s := &shape{r: r, seen: map[uint64]bool{}}
	newest, found := uint64(0), false
	take := func(at, page int64) bool {
		b := make([]byte, metaSize)
		if _, err := r.ReadAt(b, at+pageHead); err != nil {
			return false
		}
		sum := fnv.New64a()
		sum.Write(b[:metaSize-8])
		size := int64(native.Uint32(b[8:]))
		if native.Uint32(b) != bboltMagic || native.Uint32(b[4:]) != bboltVersion || native.Uint64(b[56:]) != sum.Sum64() || page != 0 && size != page {
			return false
		}
		if txid := native.Uint64(b[48:]); !found || txid > newest {
			s.size, s.root, s.freelist, s.pages = size, native.Uint64(b[16:]), native.Uint64(b[32:]), native.Uint64(b[40:])
			newest, found = txid, true
		}
		return true
	}
	if take(0, 0) {
		take(s.size, s.size)
	} else {
		for page := int64(minPage); page <= maxPage && !take(page, page); page *= 2 {
		}
	}
	if !found || s.size < minPage || s.size > maxPage {
		return nil, errors.New("no meta page is whole")
	}
	return s, nil
}

// page reads a page with all that belongs to it; each is in use once.
func (s *shape) page(id uint64, what string) ([]byte, error) {
	if id < 2 || id >= s.pages {
		return nil, fmt.Errorf("%s page %d is not among the %d of the file", what, id, s.pages)
	}
	head := make([]byte, pageHead)
	if _, err := s.r.ReadAt(head, int64(id)*s.size); err != nil {
		return nil, err
	}
	more := uint64(native.Uint32(head[12:]))
	if native.Uint64(head) != id || id+more >= s.pages {
		return nil, fmt.Errorf("%s page %d says it is %d, with %d more", what, id, native.Uint64(head), more)
	}
	for p := id; p <= id+more; p++ {
		if s.seen[p] {
			return nil, fmt.Errorf("page %d is used twice", p)
		}
		s.seen[p] = true
	}
	b := make([]byte, (int64(more)+1)*s.size)
	_, err := s.r.ReadAt(b, int64(id)*s.size)
	return b, err
}

// span is within which keys a page must keep: the first is the one by which the page above knows it (nil: none
// does), else bbolt, writing, would list it twice there; all are below the other, where there is one.
type span struct{ first, below []byte }

// walk looks at a page of a bucket (nil: of the file's own, which holds the buckets) and at all below it.
func (s *shape) walk(id uint64, within span, bucket []byte) error {
	b, err := s.page(id, "tree")
	if err != nil {
		return err
	}
	if err := s.elements(b, within, bucket); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// element is one of a branch (page) or of a leaf (flags and value).
type element struct {
	key, value []byte
	flags      uint32
	page       uint64
}

// elements looks at a branch's or a leaf's.
func (s *shape) elements(b []byte, within span, bucket []byte) error {
	kind, list, err := listed(b, within)
	for k, e := range list {
		if err != nil && s.take == nil {
			return err
		}
		var bad error
		switch {
		case kind == kindBranch:
			below := span{e.key, within.below}
			if k+1 < len(list) {
				below.below = list[k+1].key
			}
			bad = s.walk(e.page, below, bucket)
		case e.flags&isBucket != 0:
			bad = s.bucket(e.value, e.key)
		case s.take != nil:
			s.take(bucket, e.key, e.value)
		}
		err = cmp.Or(err, bad)
	}
	return err
}

// listed reads the elements of one page, whose keys ascend.
func listed(b []byte, within span) (kind uint16, list []element, err error) {
	kind, count := native.Uint16(b[8:]), int(native.Uint16(b[10:]))
	if kind != kindBranch && kind != kindLeaf || kind == kindBranch && count == 0 || pageHead+count*elementSize > len(b) {
		return kind, nil, fmt.Errorf("kind %#x with %d elements", kind, count)
	}
	var last []byte
	for k := range count {
		e := b[pageHead+k*elementSize:]
		x := element{page: native.Uint64(e[8:])}
		pos, size, value := uint64(native.Uint32(e)), uint64(native.Uint32(e[4:])), uint64(0)
		if kind == kindLeaf {
			x.flags = native.Uint32(e)
			pos, size, value = uint64(native.Uint32(e[4:])), uint64(native.Uint32(e[8:])), uint64(native.Uint32(e[12:]))
		}
		if size == 0 || pos+size+value > uint64(len(e)) {
			return kind, list, fmt.Errorf("element %d goes beyond it, or has no key", k)
		}
		x.key, x.value = e[pos:pos+size], e[pos+size:pos+size+value]
		if k == 0 && within.first != nil && !bytes.Equal(x.key, within.first) || k > 0 && bytes.Compare(last, x.key) >= 0 ||
			within.below != nil && bytes.Compare(x.key, within.below) >= 0 {
			return kind, list, fmt.Errorf("element %d is out of order", k)
		}
		last = x.key
		list = append(list, x)
	}
	return kind, list, nil
}

// bucket looks at a bucket within another: its pages, or those it has inline.
func (s *shape) bucket(v, name []byte) error {
	if len(v) < 16 {
		return fmt.Errorf("a bucket of %d bytes", len(v))
	}
	if root := native.Uint64(v); root != 0 {
		return s.walk(root, span{}, name)
	}
	if len(v) < 16+pageHead || native.Uint64(v[16:]) != 0 || native.Uint16(v[16+8:]) != kindLeaf {
		return errors.New("an inline bucket without its page")
	}
	return s.elements(v[16:], span{}, name)
}

// free looks at the list of free pages: none may be in use, or it would be written over.
func (s *shape) free() error {
	if s.freelist == noFreelist {
		return nil
	}
	b, err := s.page(s.freelist, "free list's")
	if err != nil {
		return err
	}
	count, ids := uint64(native.Uint16(b[10:])), b[pageHead:]
	if count == 0xFFFF { // more do not fit: the first id is the count
		count, ids = native.Uint64(ids), ids[8:]
	}
	if native.Uint16(b[8:]) != kindFree || count > uint64(len(ids)/8) {
		return fmt.Errorf("list of %d free pages of kind %#x", count, native.Uint16(b[8:]))
	}
	for ; count > 0; count, ids = count-1, ids[8:] {
		if id := native.Uint64(ids); id < 2 || id >= s.pages || s.seen[id] {
			return fmt.Errorf("page %d is listed as free", id)
		} else {
			s.seen[id] = true
		}
	}
	return nil
}
