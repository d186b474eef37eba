// Package blob is the port to storage of bytes by key.
package blob

import (
	"context"
	"io"

	"github.com/bureau-agents/bureau/ports/fault"
)

// ErrNotFound is returned by Open, Stat and Delete for a key that holds nothing.
var ErrNotFound = fault.New(fault.NotFound, "blob_not_found", "no such blob")

// ErrCorrupt is returned while reading bytes that are not those that were written.
var ErrCorrupt = fault.New(fault.Internal, "blob_corrupt", "the stored bytes do not match their checksum")

// Info describes a stored blob.
type Info struct {
	Size   int64
	SHA256 [32]byte
}

// Store keeps bytes. Keys are slash-separated segments of [a-zA-Z0-9._-], without "." and ".." segments. Implementations are
// safe for concurrent use.
type Store interface {
	// Put writes r under key, whole or not at all, replacing what is there, and returns what it wrote.
	Put(ctx context.Context, key string, r io.Reader) (Info, error)
	// Open reads the blob; the reader returns ErrCorrupt in place of io.EOF when the bytes do not match their checksum. The
	// caller closes it.
	Open(ctx context.Context, key string) (io.ReadCloser, Info, error)
	// Stat returns what Put returned.
	Stat(ctx context.Context, key string) (Info, error)
	// Delete removes the blob.
	Delete(ctx context.Context, key string) error
}
