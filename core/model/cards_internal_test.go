package model

import (
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/ports/egress"
)

// Whoever names an address that the server may not reach is told who can change that.
func TestToldOfBlockedAddress(t *testing.T) {
	got := told(egress.ErrBlocked.Withf("127.0.0.1 is not a public address (loopback)"))
	if !strings.HasPrefix(got, "127.0.0.1 is not a public address") || !strings.Contains(got, "BUREAU_EGRESS_ALLOW") {
		t.Error(got)
	}
}
