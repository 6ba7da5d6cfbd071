package trust

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"hivemesh/cluster/disk"
	"hivemesh/cluster/wire"
)

// Errors of exported authorities; their words are for the person who restores one.
var (
	ErrPassphrase = errors.New("the passphrase is wrong, or the file is damaged")
	ErrLocked     = errors.New("the file is locked with a passphrase: say which")
	ErrNotExport  = errors.New("this is not an exported authority")
)

const (
	exportVersion = 1
	plainExport   = "HIVEMESH AUTHORITY"
	lockedExport  = "HIVEMESH AUTHORITY LOCKED"
	// kdfRounds is what OWASP (2023) asks of PBKDF2 with SHA-256.
	kdfRounds = 600_000
	saltLen   = 16
)

// exportForm is an authority's directory in one piece.
type exportForm struct {
	Version uint64            `cbor:"1,keyasint"`
	County  string            `cbor:"2,keyasint"`
	Files   map[string][]byte `cbor:"3,keyasint"` // by path within the directory
}

// Export is the whole authority in one text, its secret key included, locked with the passphrase unless that is
// empty. Whoever has it and opens it can let stations into the county and shut them out.
func (a *Authority) Export(passphrase string) ([]byte, error) {
	f := exportForm{Version: exportVersion, County: a.County, Files: map[string][]byte{}}
	for _, of := range []string{"*", issuedDir + "/*"} {
		paths, err := filepath.Glob(filepath.Join(a.dir, filepath.FromSlash(of)))
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			if info, err := os.Stat(p); err != nil || info.IsDir() {
				continue
			}
			b, err := os.ReadFile(p)
			if err != nil {
				return nil, err
			}
			name, err := filepath.Rel(a.dir, p)
			if err != nil {
				return nil, err
			}
			f.Files[filepath.ToSlash(name)] = b
		}
	}
	b, err := wire.Canonical.Marshal(f)
	if err != nil {
		return nil, err
	}
	head := map[string]string{"County": a.County}
	if passphrase == "" {
		return pem.EncodeToMemory(&pem.Block{Type: plainExport, Headers: head, Bytes: b}), nil
	}
	salt := make([]byte, saltLen)
	rand.Read(salt) // never fails
	box, err := lock(passphrase, salt, kdfRounds)
	if err != nil {
		return nil, err
	}
	head["Rounds"] = strconv.Itoa(kdfRounds)
	// The nonce is zero: each key, made with its own salt, seals once.
	return pem.EncodeToMemory(&pem.Block{Type: lockedExport, Headers: head, Bytes: append(salt, box.Seal(nil, make([]byte, box.NonceSize()), b, nil)...)}), nil
}

func lock(passphrase string, salt []byte, rounds int) (cipher.AEAD, error) {
	key, err := pbkdf2.Key(sha256.New, passphrase, salt, rounds, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// RestoreAuthority makes an authority in dir, where none must be (fs.ErrExist), of what Export made. Errors:
// ErrNotExport, ErrLocked, ErrPassphrase.
func RestoreAuthority(text []byte, passphrase, dir string) (*Authority, error) {
	if _, err := os.Stat(filepath.Join(dir, rootFile)); err == nil {
		return nil, fmt.Errorf("%s: %w: it holds an authority already", dir, fs.ErrExist)
	}
	f, err := openExport(text, passphrase)
	if err != nil {
		return nil, err
	}
	if err := disk.MakeDir(filepath.Join(dir, issuedDir)); err != nil {
		return nil, err
	}
	root, ok := f.Files[rootFile]
	if !ok {
		return nil, fmt.Errorf("%w: it has no root", ErrNotExport)
	}
	delete(f.Files, rootFile)
	for name, b := range f.Files {
		if name = filepath.FromSlash(name); !filepath.IsLocal(name) || strings.Count(name, string(filepath.Separator)) > 1 {
			return nil, fmt.Errorf("%w: it would write %q", ErrNotExport, name)
		}
		if err := disk.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return nil, err
		}
	}
	if err := disk.WriteFile(filepath.Join(dir, rootFile), root, 0o644); err != nil { // last: with it, the authority is whole
		return nil, err
	}
	return OpenAuthority(dir)
}

// Signer is an authority that only signs: it gives no ids and needs no directory.
type Signer struct{ key ed25519.PrivateKey }

// SignBytes is as Authority.SignBytes.
func (s Signer) SignBytes(b []byte) []byte {
	return ed25519.Sign(s.key, append([]byte(forBytes), b...))
}

// OpenExport reads the key in what Export made, and puts nothing on the disk. Errors as RestoreAuthority's.
func OpenExport(text []byte, passphrase string) (Signer, error) {
	f, err := openExport(text, passphrase)
	if err != nil {
		return Signer{}, err
	}
	key, err := parseKey(rootKeyFile, f.Files[rootKeyFile])
	return Signer{key}, err
}

func openExport(text []byte, passphrase string) (exportForm, error) {
	var f exportForm
	block, _ := pem.Decode(text)
	if block == nil {
		return f, ErrNotExport
	}
	b := block.Bytes
	switch block.Type {
	case plainExport:
	case lockedExport:
		if passphrase == "" {
			return f, ErrLocked
		}
		rounds, err := strconv.Atoi(block.Headers["Rounds"])
		if err != nil || rounds < 1 || rounds > 100*kdfRounds || len(b) < saltLen {
			return f, ErrNotExport
		}
		box, err := lock(passphrase, b[:saltLen], rounds)
		if err != nil {
			return f, err
		}
		if b, err = box.Open(nil, make([]byte, box.NonceSize()), b[saltLen:], nil); err != nil {
			return f, ErrPassphrase
		}
	default:
		return f, ErrNotExport
	}
	if err := wire.Strict.Unmarshal(b, &f); err != nil {
		return f, fmt.Errorf("%w: %w", ErrNotExport, err)
	}
	if f.Version != exportVersion {
		return f, fmt.Errorf("%w: it is of version %d, this program reads %d", ErrNotExport, f.Version, exportVersion)
	}
	return f, nil
}
