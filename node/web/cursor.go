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
	return strconv.FormatUint(c.Epoch, 36) + "." + strconv.FormatUint(c.Index, 36)
}

// parseCursor reads what String wrote, and nothing else.
func parseCursor(s string) (Cursor, error) {
	epoch, index, ok := strings.Cut(s, ".")
	if !ok || len(s) > 27 { // two numbers of at most 13 digits in base 36
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
	if c.String() != s {
		return Cursor{}, errCursor
	}
	return c, nil
}

// Before reports whether c is an earlier place than d in the same record.
func (c Cursor) Before(d Cursor) bool {
	return c.Epoch < d.Epoch || c.Epoch == d.Epoch && c.Index < d.Index
}

// recordedAt is the place of the incident's last recorded entry; zero while all of it is pending.
func recordedAt(i *alerts.Incident) Cursor {
	for n := len(i.Log) - 1; n >= 0; n-- {
		if l := &i.Log[n]; !l.Provisional {
			return Cursor{Epoch: l.Epoch, Index: l.Index}
		}
	}
	return Cursor{}
}
