package chat

import (
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/core/internal/check"
)

// TestPeerNames: every peer can be named in a path, or they could not be forgotten.
func TestPeerNames(t *testing.T) {
	t.Parallel()
	for peer, good := range map[string]bool{
		"": true, "alice": true, "a/b": true, "a%2Fb": true, "a b": true, "...": true, ".a": true, strings.Repeat("ä", MaxPeer): true,
		".": false, "..": false, " a": false, "a\u2028": false, "a\nb": false, "a\x00": false, strings.Repeat("a", MaxPeer+1): false,
	} {
		var f check.Faults
		checkPeer(&f, "peer", peer)
		if err := f.Err(ErrInvalid); (err == nil) != good {
			t.Errorf("%q: %v", peer, err)
		}
	}
}
