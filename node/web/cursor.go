package web

import (
	"errors"
	"strconv"
	"strings"

	"hivemesh/alerts"
)

// errCursor says that a cursor is not one of ours.
var errCursor = errors.New("is not a cursor that a station gave")

// String writes the cursor as clients carry it. To them it is opaque.
func (c Cursor) String() string {
	s := strconv.FormatUint(c.Epoch, 36) + "." + strconv.FormatUint(c.Index, 36)
	if c.Seen > 0 {
		s += "." + strconv.FormatUint(c.Seen, 36)
	}
	return s
}

// Furthest is the place of the latest entry that whoever has the cursor may have been shown.
func (c Cursor) Furthest() Cursor { return Cursor{Epoch: c.Epoch, Index: max(c.Index, c.Seen)} }

// Having says that matters were shown up to a place.
func (c Cursor) Having(at Cursor) Cursor {
	if at.Epoch == c.Epoch && at.Index > max(c.Index, c.Seen) {
		c.Seen = at.Index
	}
	return c
}

// parseCursor reads what String wrote, and nothing else.
func parseCursor(s string) (Cursor, error) {
	epoch, rest, ok := strings.Cut(s, ".")
	index, seen, more := strings.Cut(rest, ".")
	if !ok || len(s) > 41 { // three numbers of at most 13 digits in base 36
		return Cursor{}, errCursor
	}
	var c Cursor
	var err error
	if c.Epoch, err = strconv.ParseUint(epoch, 36, 64); err != nil {
		return Cursor{}, errCursor
	}
	if c.Index, err = strconv.ParseUint(index, 36, 64); err != nil {
		return Cursor{}, errCursor
	}
	if more {
		if c.Seen, err = strconv.ParseUint(seen, 36, 64); err != nil || c.Seen <= c.Index {
			return Cursor{}, errCursor
		}
	}
	if c.String() != s {
		return Cursor{}, errCursor
	}
	return c, nil
}

// Before reports whether c is an earlier place than d in the same record.
func (c Cursor) Before(d Cursor) bool {
	return c.Epoch < d.Epoch || c.Epoch == d.Epoch && c.Index < d.Index
}

// RecordedAt is the place of the incident's last recorded entry; zero while all of it is pending.
func RecordedAt(i *alerts.Incident) Cursor {
	for n := len(i.Log) - 1; n >= 0; n-- {
		if l := &i.Log[n]; !l.Provisional {
			return Cursor{Epoch: l.Epoch, Index: l.Index}
		}
	}
	return Cursor{}
}
