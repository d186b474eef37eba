// Package metadata has the rules of the pairs of text that clients hang on what is theirs. They are the same everywhere: those of the
// Managed Agents API.
package metadata

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/internal/check"
)

// Limits of metadata; keys and values are counted in characters.
const (
	MaxPairs = 16
	MaxKey   = 64
	MaxValue = 512
)

// Check adds the faults of m, which is at the path metadata, to those found so far.
func Check(f *check.Faults, m map[string]string) {
	if len(m) > MaxPairs {
		f.Addf("metadata", "has %d pairs; at most %d are allowed", len(m), MaxPairs)
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if n := utf8.RuneCountInString(key); n == 0 || n > MaxKey {
			f.Addf("metadata", "keys must have 1 to %d characters", MaxKey)
			continue
		}
		f.Text("metadata", key, MaxKey)
		f.Text("metadata."+strings.ToValidUTF8(key, "\uFFFD"), m[key], MaxValue)
	}
}

// Merge returns have with each key of patch set to its value, or removed where that is nil. have itself is not changed; it is what
// comes back when patch is empty.
func Merge(have map[string]string, patch map[string]*string) map[string]string {
	if len(patch) == 0 {
		return have
	}
	out := make(map[string]string, len(have)+len(patch))
	maps.Copy(out, have)
	for k, v := range patch {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = *v
	}
	return out
}
