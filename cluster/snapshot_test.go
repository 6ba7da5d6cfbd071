package cluster_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster"
	"hivemesh/cluster/record"
	"hivemesh/cluster/trust"
)

// nobody takes everything and keeps nothing.
type nobody struct{}

func (nobody) Head(cluster.SnapshotHead) error { return nil }
func (nobody) Page(int, [][]byte) error        { return nil }
func (nobody) Pending(int, alerts.Event) error { return nil }

// A file from anywhere is refused with a reason, or is what a station sealed.
func FuzzSnapshot(f *testing.F) {
	a, err := trust.NewAuthority("yongqing", f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	id, err := a.NewStation(trust.Who{Cell: "yongqing", Kind: alerts.PolicePost, Station: "post", Name: "post"})
	if err != nil {
		f.Fatal(err)
	}
	e, err := id.Sign(alerts.Event{
		Cell: "yongqing", Incident: "00000000-0000-5000-8000-000000000001", Kind: alerts.KindNote, Actor: "wang",
		Prev: []alerts.Hash{{1}}, At: time.Unix(1700000000, 0), Body: &alerts.Note{Words: "一"},
	})
	if err != nil {
		f.Fatal(err)
	}
	pages := func(_ uint64, page func([][]byte) error) error { return page([][]byte{{1}, {2}}) }
	var b bytes.Buffer
	err = cluster.WriteSnapshot(&b, id, cluster.SnapshotHead{Certs: [][]byte{id.Cert.Raw}}, []cluster.SnapshotSource{
		{Cell: "yongqing", Pending: []alerts.Event{e}, Copy: record.Copy{Cell: "yongqing", Index: 2}, Pages: pages},
	})
	if err != nil {
		f.Fatal(err)
	}
	whole := b.Bytes()
	if err := cluster.ReadSnapshot(bytes.NewReader(whole), nobody{}); err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, data []byte) {
		err := cluster.ReadSnapshot(bytes.NewReader(data), nobody{})
		if err == nil { // sealed in another run of this: then no bit of it may differ
			data = bytes.Clone(data)
			data[len(data)/2] ^= 1
			if err := cluster.ReadSnapshot(bytes.NewReader(data), nobody{}); err == nil {
				t.Fatal("a file that nobody sealed was taken")
			}
		}
		if err != nil && !errors.Is(err, cluster.ErrSnapshot) {
			t.Fatalf("refused without saying that it is the snapshot: %v", err)
		}
	})
}
