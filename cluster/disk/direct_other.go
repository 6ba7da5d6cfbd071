//go:build !linux

package disk

import "errors"

// openDirect is for the stations in the field, which run Linux.
func openDirect(string) (direct, error) { return nil, errors.ErrUnsupported }
