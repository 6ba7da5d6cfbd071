package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// MaxFrame is the longest frame in bytes: a batch of 256 entries of the longest kind fits.
const MaxFrame = 256*MaxEntry + 64<<10

// WriteFrame writes v as one frame: its length in four bytes, big-endian, and its CBOR. One Write call, so
// that frames of several writers under one lock never mix and small ones make one packet.
func WriteFrame(w io.Writer, v any) error {
	var b bytes.Buffer
	b.Write(make([]byte, 4))
	if err := Canonical.NewEncoder(&b).Encode(v); err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	n := b.Len() - 4
	if n > MaxFrame {
		return fmt.Errorf("frame of %d bytes: at most %d fit", n, MaxFrame)
	}
	binary.BigEndian.PutUint32(b.Bytes(), uint32(n))
	_, err := w.Write(b.Bytes())
	return err
}

// ReadFrame reads one frame of at most MaxFrame bytes into v. At a clean end before a frame it returns
// io.EOF, within one io.ErrUnexpectedEOF; a bad frame wraps ErrMalformed and the stream is of no more use.
func ReadFrame(r *bufio.Reader, v any) error { return ReadFrameMax(r, v, MaxFrame) }

// ReadFrameMax is ReadFrame with a limit of its own, for peers that have not shown who they are.
func ReadFrameMax(r *bufio.Reader, v any, limit int) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if n > int64(limit) {
		return fmt.Errorf("%w: frame of %d bytes, at most %d are taken", ErrMalformed, n, limit)
	}
	// Grows as bytes arrive: a length alone takes no memory.
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, n); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if err := Strict.Unmarshal(b.Bytes(), v); err != nil {
		return fmt.Errorf("%w: frame: %w", ErrMalformed, err)
	}
	return nil
}
