package sandbox

import (
	"context"
	"io"
	"io/fs"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/session"
)

// Mounter knows files that a session's sandbox shows. Implementations are safe for concurrent use.
type Mounter interface {
	// Mounts returns what the sandbox of a session is to show at this moment. It is asked before each use, so it should be cheap:
	// contents are read by Mount.Load, when they are not there yet. What it does not return any more is removed from the sandbox.
	// An error keeps everything as it is, and the user is told.
	Mounts(ctx context.Context, sc account.Scope, sess session.Session, a agent.Agent) ([]Mount, error)
}

// Mount is a file, or a directory with files, that a sandbox shows.
type Mount struct {
	// Path is where it appears: absolute and clean, such as session.SkillsDir + "/invoices". No two mounts have the same one.
	Path string
	// Version changes whenever the contents do. A mount that is there in this version is left alone.
	Version string
	// About is a line for the model: what it finds there. "" leaves it to another prompt to tell of it.
	About string
	// ReadOnly refuses the file tools to write below Path. Programs may still change their copy.
	ReadOnly bool
	// Load returns the contents: one File with the path "" for a mount that is itself a file, otherwise those of a directory.
	Load func(ctx context.Context) ([]File, error)
	// Sync takes back what programs changed, after each use of the sandbox. It is not called without changes. nil leaves
	// changes in the sandbox. The files of such a mount are small, at most MaxSyncBytes each.
	Sync func(ctx context.Context, changes []Change) error
}

// MaxSyncBytes bounds a file of a mount that is taken back. Larger ones stay in the sandbox, and the user is told.
const MaxSyncBytes = 1 << 20

// File is a file of a Mount.
type File struct {
	Path string      // below Mount.Path, slash-separated, clean; "" is Mount.Path itself
	Mode fs.FileMode // permissions; 0 is 0644
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Change is a file of a mount that was made, changed or removed.
type Change struct {
	Path    string // as File.Path
	Data    []byte // what it holds now; nil when it was removed
	Removed bool
}
