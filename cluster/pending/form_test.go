package pending

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"hivemesh/alerts"
	"hivemesh/cluster/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A turn of an exchange with every field filled, as bytes: stations of two versions talk to each other.
func TestTheFormOfAnExchangeStaysAsItIs(t *testing.T) {
	id := bytes.Repeat([]byte{5}, len(alerts.Hash{}))
	names := []namesOf{{Cell: "caojiawu", Of: []group{{"0b9d3f0e-5c0f-5b5e-9b43-8f7f5d1f2a11", id}}, Cut: true, What: ofLane}}
	turn := message{
		Heads: []headForm{
			{Cell: "yongqing", Epoch: 2, Index: 7, Sum: id, Count: 3, Chain: id, Mark: id, Lane: id},
			{Cell: "caojiawu", Far: true, Lane: id, Unsure: 2},
		},
		Names: names, Offer: names, Want: id, Events: [][]byte{{0xa1}}, Kept: id, Asks: []string{"post"},
		Certs: []certForm{{"post", []byte{0x30}}}, Unsure: []string{"caojiawu"}, Done: []doneForm{{id, 7, string(alerts.Stale)}},
	}
	var got bytes.Buffer
	if err := wire.WriteFrame(&got, turn); err != nil {
		t.Fatal(err)
	}
	path, text := filepath.Join("testdata", "exchange.hex"), hex.EncodeToString(got.Bytes())+"\n"
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("the form changed: stations of both versions could not read each other\n got %s\nwant %s", text, want)
	}
}
