package trust_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"hivemesh/cluster/trust"
)

// careless is a TLS client that checks nothing, with a home-made certificate or none.
func careless(t *testing.T, raw net.Conn, withCert bool) *tls.Conn {
	t.Helper()
	conf := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{trust.ProtoMesh}, MinVersion: tls.VersionTLS13}
	if withCert {
		pub, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		tpl := &x509.Certificate{
			SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
			URIs: []*url.URL{{Scheme: "hive", Host: "yongqing", Path: "/yongqing/police_post/post"}},
		}
		der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, pub, key)
		if err != nil {
			t.Fatal(err)
		}
		conf.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	}
	return tls.Client(raw, conf)
}

// joiner is a TLS client that asks to join and checks nothing.
func joiner(raw net.Conn) *tls.Conn {
	return tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{trust.ProtoJoin}, MinVersion: tls.VersionTLS13})
}
