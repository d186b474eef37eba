package file

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Limits of a file.
const (
	MaxName      = 255 // characters
	MaxMediaType = 255
	MaxIDs       = 100                 // of one ListRequest
	MaxTTL       = 90 * 24 * time.Hour // between a file's creation and its ExpiresAt
)

// File describes a stored file. It never changes.
type File struct {
	ID        id.File
	Tenant    id.Tenant
	Name      string // without a path, control characters and surrounding blanks; 1 to MaxName characters
	MediaType string // "text/plain; charset=utf-8"
	Size      int64  // bytes
	SHA256    [32]byte
	Session   id.Session // it goes with this session; zero: none
	// Output says that Session's sandbox made it, rather than a caller.
	Output       bool
	Path         string     // of an output: where the sandbox has it, slash-separated; unique in the session. "" otherwise
	Downloadable bool       // callers may read the content, and not only agents
	ExpiresAt    *time.Time // nil: never
	CreatedAt    time.Time
}

// New describes a file that is to be stored.
type New struct {
	// Name may have a path in front, "/" or "\", and control characters: they are dropped. What is empty then becomes "unnamed" with
	// the extension of the media type.
	Name string
	// MediaType is the type and, if there are any, its parameters. "" and application/octet-stream, which says nothing, are replaced by
	// what the name's extension or the first bytes tell.
	MediaType    string
	Session      id.Session // must exist; zero: none
	Output       bool       // replaces the output of the same Path that the session has; needs Session
	Path         string     // of an output, such as "charts/a.png"; "" is its name
	Downloadable bool
	TTL          time.Duration // until it expires: at most MaxTTL; 0: never
	// Then is called in the transaction that keeps the file, with it or the output that stays in its place; its error undoes that. nil: nothing.
	Then func(ctx context.Context, f File) error
}

// Received is a file whose bytes are stored and which nobody sees yet.
type Received struct {
	ID     id.File
	Size   int64
	SHA256 [32]byte

	sniffed string // what the first bytes look like: a media type, or ""
}

// ListRequest asks for a page of files. The zero value is the first page of all, newest first.
type ListRequest struct {
	page.Request
	IDs      []id.File  // these only, as far as they exist; at most MaxIDs; nil: any
	Session  id.Session // of this session; zero: any
	Outputs  bool       // made by a sandbox only
	Name     string     // exactly this name; "" any
	Path     string     // outputs with exactly this path; "" any
	OldFirst bool
	// After and Before are places in the list, whether the file is there or not: what comes behind After in the list's order, or the
	// page that ends just before Before. At most one of them and Cursor is set.
	After, Before id.File
}

// Page is a page of files. Next is "" when nothing follows. With ListRequest.Before, More says whether there is something before the
// page; otherwise it says whether something follows.
type Page struct {
	page.Page[File]
	More bool
}

// Garbage is a row whose bytes are to be removed.
type Garbage struct {
	Tenant id.Tenant
	ID     id.File
	Ready  bool // it is still seen, and has to be removed before its bytes are
}
