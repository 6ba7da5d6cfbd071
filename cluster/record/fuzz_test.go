package record

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

// plainEntries are entries as a record holds them, the same in every process that fuzzes; nobody signed their
// events, which a fold does not look at.
func plainEntries(f *testing.F, n int) (out [][]byte) {
	f.Helper()
	for i := range n {
		signed, err := wire.EncodeEvent(alerts.Event{
			Station: "post", Cell: cellID, Incident: "0b9d3f0e-5c0f-5b5e-9b43-8f7f5d1f2a11", Actor: "li", Kind: alerts.KindRaised,
			At: time.UnixMilli(int64(i)), Body: &alerts.Raised{Category: "abduction", Grade: 1, Ring: 1000, Wanted: 3},
		})
		if err != nil {
			f.Fatal(err)
		}
		raw, err := wire.Seal(signed, make([]byte, 64), nil)
		if err != nil {
			f.Fatal(err)
		}
		e, err := wire.DecodeEvent(raw)
		if err != nil {
			f.Fatal(err)
		}
		b, err := wire.EncodeEntry(alerts.Entry{Epoch: firstEpoch, Index: uint64(i + 1), Event: e, Verdict: alerts.Verdict{Code: alerts.Accepted}, At: time.UnixMilli(1)})
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func chainOf(list [][]byte) (h alerts.Hash) {
	for _, b := range list {
		h = wire.Chain(h, b)
	}
	return h
}

// fuzzFold has three entries.
func fuzzFold(f *testing.F) (*fold, [][]byte) {
	f.Helper()
	list := plainEntries(f, 5)
	fold := newTestFold(f)
	if err := fold.Feed(alerts.Hash{}, 0, alerts.Hash{}, list[:3]); err != nil {
		f.Fatal(err)
	}
	return fold, list
}

// whole fails when what a fold shows is not what its store keeps.
func whole(t *testing.T, f *fold) {
	t.Helper()
	head := f.Head()
	chain, ok, err := f.store.Chain(head.Index)
	if err != nil || !ok || chain != head.Chain {
		t.Fatalf("shows entry %d of %s, keeps %s, %t, %v", head.Index, head.Chain.Short(), chain.Short(), ok, err)
	}
}

func FuzzBatch(f *testing.F) {
	b, err := batch{Version: batchVersion, Base: 3, Chain: alerts.Hash{1}, Entries: plainEntries(f, 2)}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := decodeBatch(data)
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("unnamed error: %v", err)
			}
			return
		}
		if len(b.Entries) == 0 || len(b.Entries) > maxBatch {
			t.Fatal("a batch beyond its limits")
		}
		again, err := b.encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decodeBatch(again); err != nil || !reflect.DeepEqual(b, back) {
			t.Fatalf("%+v became %+v, %v", b, back, err)
		}
	})
}

// FuzzApply: whatever raft hands over, the fold takes what follows upon it or stands still, and shows no more
// than it keeps.
func FuzzApply(f *testing.F) {
	fold, list := fuzzFold(f)
	for _, b := range []batch{
		{Version: batchVersion, Base: 3, Chain: chainOf(list[:3]), Entries: list[3:4]},
		{Version: batchVersion, Base: 1, Chain: chainOf(list[:1]), Entries: list[1:3]},
		{Version: batchVersion, Base: 3, Chain: chainOf(list[:3]), Entries: list[4:]},
	} {
		data, err := b.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fold.err = nil
		m := &fsm{fold: fold, at: fold.Head()} // of the first epoch, which has no mark
		said := m.Apply(&raft.Log{Data: data})
		if (said == nil) != (fold.Err() == nil) {
			t.Fatalf("says %v and stands at %v", said, fold.Err())
		}
		whole(t, fold)
	})
}

func FuzzRaftLog(f *testing.F) {
	f.Add(encodeLog(logs(1, 1)[0]))
	f.Fuzz(func(t *testing.T, data []byte) {
		var l raft.Log
		if decodeLog(1, data, &l) == nil && !bytes.Equal(encodeLog(&l), data) {
			t.Fatalf("one log, two forms: %+v", l)
		}
	})
}

// FuzzSnapshot: a snapshot that is restored leads where its head says, and one that is not leaves the fold as
// it was or further on the same chain.
func FuzzSnapshot(f *testing.F) {
	fold, list := fuzzFold(f)
	for _, n := range []int{2, 3, 5} {
		var b bytes.Buffer
		err := wire.WriteFrame(&b, snapHead{Version: snapVersion, Cell: cellID, Epoch: firstEpoch, Index: uint64(n), Chain: chainOf(list[:n])})
		if err == nil {
			err = wire.WriteFrame(&b, list[:n])
		}
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fold.err = nil
		m := &fsm{fold: fold, at: Head{Epoch: firstEpoch}}
		if err := m.Restore(io.NopCloser(bytes.NewReader(data))); err == nil && fold.Err() == nil {
			if chain, ok, err := fold.store.Chain(m.at.Index); err != nil || !ok || chain != m.at.Chain {
				t.Fatalf("restored to %+v, which is not kept: %v", m.at, err)
			}
		}
		whole(t, fold)
	})
}

// FuzzStream: whatever a peer sends as opening, as the answer to one, or as what it follows with.
func FuzzStream(f *testing.F) {
	fold, list := fuzzFold(f)
	for _, v := range []any{
		opening{Version: openVersion, Cell: cellID, Purpose: forFollow, Index: 3},
		answer{Says: full, Era: []byte{1}, Feeds: three, Standing: &Standing{Station: "post", Index: 3}},
		frame{Index: 5, More: &more{Base: 3, Chain: chainOf(list[:3]), Entries: list[3:]}, News: &news{Leader: "post", Voters: three, Path: three}, Head: &vouch{By: "post", Index: 3, Sig: []byte{1}}},
		frame{Index: 4, More: &more{Base: 2, Chain: chainOf(list[:2]), Entries: list[2:4]}},
		frame{More: &more{Entries: [][]byte{{1}}}, Other: true},
	} {
		var b bytes.Buffer
		if err := wire.WriteFrame(&b, v); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		says[opening](t, data, openLimit)
		says[answer](t, data, openLimit)
		got, ok := says[frame](t, data, wire.MaxFrame)
		if !ok {
			return
		}
		if got.Head != nil {
			if _, err := got.Head.signed(cellID); err != nil {
				t.Fatal(err)
			}
		}
		if got.More == nil {
			return
		}
		fold.err = nil
		before, more := fold.Head().Index, got.More
		err := fold.Feed(alerts.Hash{}, more.Base, more.Chain, more.Entries)
		if now := fold.Head().Index; err == nil && len(more.Entries) > 0 && now < more.Base+uint64(len(more.Entries)) || now < before {
			t.Fatalf("from %d to %d by %d entries after %d: %v", before, now, len(more.Entries), more.Base, err)
		}
		whole(t, fold)
	})
}

// says reads one frame, within a limit, and fails when it cannot be said again.
func says[T any](t *testing.T, data []byte, limit int) (v T, ok bool) {
	t.Helper()
	err := wire.ReadFrameMax(bufio.NewReader(bytes.NewReader(data)), &v, limit)
	if err != nil {
		if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.Is(err, wire.ErrMalformed) {
			t.Fatalf("unnamed error: %v", err)
		}
		return v, false
	}
	if n := binary.BigEndian.Uint32(data); n > uint32(limit) {
		t.Fatalf("%d bytes are beyond the limit", n)
	}
	var again T
	said, err := wire.Canonical.Marshal(v)
	if err == nil {
		err = wire.Strict.Unmarshal(said, &again)
	}
	if twice, e := wire.Canonical.Marshal(again); err != nil || e != nil || !bytes.Equal(said, twice) {
		t.Fatalf("%+v became %+v, %v", v, again, err)
	}
	return v, true
}

// FuzzBallot damages the file of raft's term and vote: what is read is what was written at some time, or the
// file is refused. A voter that read another vote could vote twice.
func FuzzBallot(f *testing.F) {
	path := filepath.Join(f.TempDir(), "vote")
	b, err := openBallot(nil, cellID, path)
	if err != nil {
		f.Fatal(err)
	}
	for term := range uint64(3) {
		err = errors.Join(err, b.set(keyTerm, key(term+1)), b.set(keyVoteTerm, key(term+1)), b.set(keyVote, []byte("post")))
	}
	if err = errors.Join(err, b.slots.Close()); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	seedDamage(f)
	f.Fuzz(func(t *testing.T, edits []byte) {
		path := filepath.Join(t.TempDir(), "vote")
		if err := os.WriteFile(path, damaged(good, edits), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := openBallot(nil, cellID, path)
		if err != nil {
			return
		}
		defer b.slots.Close()
		if n := b.now; n.Term > 3 || n.VoteTerm > n.Term || len(n.Vote) > 0 && string(n.Vote) != "post" {
			t.Fatalf("reads %+v, which nobody wrote", n)
		}
	})
}

// FuzzStoreFile damages the file of a record: each three bytes of the input say where (two) and what to flip.
// What is still shown is the beginning of what was kept, and an entry that differs is never served.
func FuzzStoreFile(f *testing.F) {
	list := plainEntries(f, 40)
	good := fileOf(f, func(path string) error {
		s, err := openStore(nil, cellID, path, zap.NewNop(), storeWatch{})
		if err != nil {
			return err
		}
		for i, b := range list {
			if err := s.Append([]Raw{{Index: uint64(i + 1), Bytes: b, Chain: chainOf(list[:i+1])}}); err != nil {
				return err
			}
		}
		return errors.Join(s.Settle(), s.Close())
	})
	seedDamage(f)
	f.Fuzz(func(t *testing.T, edits []byte) {
		path := filepath.Join(t.TempDir(), "record.db")
		if err := os.WriteFile(path, damaged(good, edits), 0o600); err != nil {
			t.Fatal(err)
		}
		defer time.AfterFunc(20*time.Second, func() { panic("the store hangs") }).Stop()
		s, err := openStore(nil, cellID, path, zap.NewNop(), storeWatch{})
		if err != nil {
			return
		}
		defer s.Close()
		fold, err := newFold(cellID, s)
		head := fold.Head()
		if head.Index > uint64(len(list)) || head.Chain != chainOf(list[:head.Index]) {
			t.Fatalf("shows entry %d of %s", head.Index, head.Chain.Short())
		}
		if err == nil && head.Index < uint64(len(list)) {
			t.Logf("%d entries are gone unnoticed", uint64(len(list))-head.Index)
		}
		for _, e := range fold.state.Entries() {
			if b, err := wire.EncodeEntry(e); err != nil || !bytes.Equal(b, list[e.Index-1]) {
				t.Fatalf("shows another entry %d: %v", e.Index, err)
			}
		}
	})
}

// FuzzLogFile damages the file of raft's log: its reads end, and what they give is a log.
func FuzzLogFile(f *testing.F) {
	kept := logs(1, 60)
	open := func(dir string) (*logStore, error) {
		return openLogStore(nil, cellID, dir, mark(dir+".voter"), func(error) {})
	}
	good := fileOf(f, func(path string) error {
		dir := filepath.Join(filepath.Dir(path), "council")
		s, err := open(dir)
		if err != nil {
			return err
		}
		for _, l := range kept {
			if err := s.StoreLog(l); err != nil {
				return err
			}
		}
		return errors.Join(s.Close(), os.Rename(filepath.Join(dir, "raft.db"), path))
	})
	seedDamage(f)
	f.Fuzz(func(t *testing.T, edits []byte) {
		dir := filepath.Join(t.TempDir(), "council")
		err := errors.Join(os.Mkdir(dir, 0o700), mark(dir+".voter").take(), os.WriteFile(filepath.Join(dir, "raft.db"), damaged(good, edits), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		defer time.AfterFunc(20*time.Second, func() { panic("the store hangs") }).Stop()
		s, err := open(dir)
		if err != nil {
			return
		}
		defer s.Close()
		_, _ = s.FirstIndex()
		_, _ = s.LastIndex()
		for _, l := range kept {
			var got raft.Log
			if s.GetLog(l.Index, &got) == nil && got.Index != l.Index {
				t.Fatalf("log %d comes as %d", l.Index, got.Index)
			}
		}
		_ = s.DeleteRange(1, 10)
		_ = s.StoreLogs(logs(61, 62))
	})
}

func fileOf(f *testing.F, fill func(path string) error) []byte {
	f.Helper()
	path := filepath.Join(f.TempDir(), "good.db")
	if err := fill(path); err != nil {
		f.Fatal(err)
	}
	return compact(f, path)
}

// compact is the file's content laid out anew, the same in every process: bbolt's own choice of free pages is not.
func compact(f *testing.F, path string) []byte {
	f.Helper()
	src, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		f.Fatal(err)
	}
	dst, err := bolt.Open(path+".compact", 0o600, &bolt.Options{PageSize: 4096})
	if err == nil {
		err = bolt.Compact(dst, src, 0)
	}
	if err = errors.Join(err, src.Close(), dst.Close()); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(path + ".compact")
	if err != nil {
		f.Fatal(err)
	}
	return b
}

func seedDamage(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 16, 1, 16, 16, 1}) // both meta pages
	f.Add([]byte{0x20, 0x00, 0xff})
	f.Add([]byte{0x30, 8, 3, 0x30, 16, 7, 0x30, 17, 0xff})
	f.Add([]byte{0x20, 0, 0, 0}) // cut
}

func damaged(good, edits []byte) []byte {
	b := bytes.Clone(good)
	for ; len(edits) >= 3; edits = edits[3:] {
		at := int(binary.BigEndian.Uint16(edits)) % len(good)
		if len(edits) == 4 {
			return b[:at]
		}
		b[at] ^= edits[2]
	}
	return b
}
