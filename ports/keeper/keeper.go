// Package keeper is the port to sealing: secrets are stored only in the form that Seal returns.
package keeper

import (
	"context"

	"github.com/bureau-agents/bureau/ports/fault"
)

// ErrOpen is returned by Open for bytes that this keeper did not seal with the same context, or that were changed.
var ErrOpen = fault.New(fault.Internal, "keeper_open", "a sealed value cannot be opened with this server's root secret")

// Keeper encrypts with authentication. Implementations are safe for concurrent use.
type Keeper interface {
	// Seal encrypts plaintext and binds it to the place where it is kept ("tenant/table/row/column"): it opens nowhere else. The
	// result names its key, so that keys can be rotated.
	Seal(ctx context.Context, place string, plaintext []byte) ([]byte, error)
	// Open reverses Seal.
	Open(ctx context.Context, place string, sealed []byte) ([]byte, error)
}
