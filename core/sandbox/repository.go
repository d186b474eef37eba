package sandbox

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// Repository keeps what sandboxes themselves must not be trusted with.
type Repository interface {
	// Outputs returns the files of a session's outputs directory that are kept, by path.
	Outputs(ctx context.Context, sc account.Scope, session id.Session) (map[string]Output, error)
	// SaveOutput keeps one, in place of what its path held.
	SaveOutput(ctx context.Context, sc account.Scope, session id.Session, o Output) error
	// Live returns which of the sessions, of any tenant, exist and are not archived. It is for the server itself.
	Live(ctx context.Context, sessions []id.Session) ([]id.Session, error)
}

// Output is a file of a session's outputs directory that is kept as a file of the session.
type Output struct {
	Path     string
	File     id.File
	Size     int64
	Modified time.Time // in the sandbox
}
