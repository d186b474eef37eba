package blob

import (
	"strings"

	"github.com/bureau-agents/bureau/ports/fault"
)

const (
	maxKey     = 512
	maxSegment = 200
)

// CheckKey returns a fault.Invalid unless key is one that a Store takes: at most 512 bytes in segments of at most 200.
func CheckKey(key string) error {
	bad := key == "" || len(key) > maxKey
	for seg := range strings.SplitSeq(key, "/") {
		bad = bad || seg == "" || seg == "." || seg == ".." || len(seg) > maxSegment
		for i := range len(seg) {
			c := seg[i]
			bad = bad || !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-')
		}
	}
	if bad {
		return fault.Invalidf("key", "%.80q is not a blob key", key)
	}
	return nil
}
