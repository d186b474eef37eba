package file

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// Repository keeps files. Every method joins the transaction in ctx. A file that does not exist, is not ready, belongs to another
// tenant, or whose session was deleted, is id.NotFound[id.FileKind].
type Repository interface {
	// Begin stores a pending row; ErrExists when the id is taken.
	Begin(ctx context.Context, sc account.Scope, file id.File, at time.Time) error
	// Keep makes a pending row ready with everything that f says, and returns how many bytes all ready files of the tenant have, f's
	// included. It keeps other calls for the same tenant waiting until the transaction ends. Without a pending row it is
	// id.NotFound.
	Keep(ctx context.Context, sc account.Scope, f File) (total int64, err error)
	// Get returns a file, expired or not.
	Get(ctx context.Context, sc account.Scope, file id.File) (File, error)
	// List lists files that have not expired at now.
	List(ctx context.Context, sc account.Scope, req ListRequest, now time.Time) (Page, error)
	// Remove makes a ready row gone, also one whose session was deleted.
	Remove(ctx context.Context, sc account.Scope, file id.File) error
	// Garbage returns up to limit rows of all tenants: gone ones, pending ones from before abandoned, and ready ones that expired
	// before now or whose session was deleted.
	Garbage(ctx context.Context, now, abandoned time.Time, limit int) ([]Garbage, error)
	// Forget removes a row that is not ready. One that is not there is no error.
	Forget(ctx context.Context, sc account.Scope, file id.File) error
}
