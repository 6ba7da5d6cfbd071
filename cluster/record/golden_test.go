package record

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

// What stations of different versions say to each other about records, and what lies on their disks, stays as it
// is: each form is written as it was, and what was written is read as it was meant.
func TestFormsOfTheRecordStayAsTheyAre(t *testing.T) {
	one, two := alerts.Hash{1}, alerts.Hash{2}
	said := statement{Version: statementVersion, Cell: cellID, Epoch: 2, Index: 7, Chain: one, Voters: three, By: "post"}
	byRoot := said
	byRoot.Root = true
	head := vouch{By: "post", Epoch: 2, Index: 9, Chain: two, Sig: []byte("signature"), Voters: three}
	for name, v := range map[string]any{
		"statement":           &said,
		"statement-authority": &byRoot,
		"statement-signed":    &signedStatement{Said: []byte("said"), Sig: []byte("signature")},
		"opening-follow":      &opening{Version: openVersion, Cell: cellID, Purpose: forFollow, Index: 7, Chain: one, Era: []byte("era"), Places: []milestone{{6, two}}},
		"opening-raft":        &opening{Version: openVersion, Cell: cellID, Purpose: forRaft},
		"answer-welcome":      &answer{Says: welcome, Standing: &Standing{Station: "post", Epoch: 2, Index: 9, Chain: two, Logged: 10, Term: 3, Last: 12, Leader: "post", Whole: true, Error: "none"}},
		"answer-place":        &answer{Says: welcome, Place: otherPlace},
		"answer-full":         &answer{Says: full, Era: []byte("era"), Feeds: three},
		"frame-idle":          &frame{Index: 9},
		"frame-entries": &frame{
			Index: 9, More: &more{Base: 7, Chain: one, Entries: [][]byte{[]byte("entry")}},
			News: &news{Leader: "post", Voters: three, Path: three[:2]}, Head: &head,
		},
		"frame-other":   &frame{Index: 9, Other: true},
		"batch":         &batch{Version: batchVersion, Base: 7, Chain: one, Entries: [][]byte{[]byte("entry")}},
		"snapshot-head": &snapHead{Version: snapVersion, Cell: cellID, Epoch: 2, Index: 9, Chain: two},
		"electors":      &electorsForm{Version: electorsVersion, Mark: one, Names: three},
	} {
		b, err := wire.Canonical.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "forms", name+".hex")
		if *update {
			if err := os.WriteFile(path, []byte(hex.EncodeToString(b)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSpace(string(kept))
		if got := hex.EncodeToString(b); got != want {
			t.Errorf("%s is written\n%s, want\n%s", name, got, want)
		}
		old, err := hex.DecodeString(want)
		if err != nil {
			t.Fatal(err)
		}
		read := reflect.New(reflect.TypeOf(v).Elem())
		if err := wire.Strict.Unmarshal(old, read.Interface()); err != nil || !reflect.DeepEqual(read.Interface(), v) {
			t.Errorf("%s is read as %+v, want %+v (%v)", name, read.Interface(), v, err)
		}
	}
	// What the signatures are over.
	b, err := head.signed(cellID)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(eraBytes([]byte("said"))); got != "hivemesh epoch\x00said" {
		t.Errorf("an epoch's signature is over %q", got)
	}
	kept, err := os.ReadFile(filepath.Join("testdata", "forms", "head-signed.hex"))
	if *update {
		kept, err = []byte(hex.EncodeToString(b)), os.WriteFile(filepath.Join("testdata", "forms", "head-signed.hex"), []byte(hex.EncodeToString(b)+"\n"), 0o644)
	}
	if err != nil || hex.EncodeToString(b) != strings.TrimSpace(string(kept)) {
		t.Errorf("a head's signature is over %x (%v)", b, err)
	}
}
