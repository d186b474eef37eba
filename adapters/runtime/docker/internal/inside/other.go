//go:build !linux

package inside

import "errors"

// executable is for launchers, which run on Linux.
func executable(string) error { return errors.ErrUnsupported }
