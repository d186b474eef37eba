package memory

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Stores keeps memory stores. Methods join the transaction in ctx. What is not the tenant's is id.NotFound.
type Stores interface {
	// InsertStore adds a store, or returns ErrExists.
	InsertStore(ctx context.Context, sc account.Scope, s Store) error
	Store(ctx context.Context, sc account.Scope, store id.MemoryStore) (Store, error)
	// UpdateStore lets change decide about the store while nobody else changes it or what is in it. An error of change keeps it.
	UpdateStore(ctx context.Context, sc account.Scope, store id.MemoryStore, change func(*Store) error) (Store, error)
	ListStores(ctx context.Context, sc account.Scope, req ListStores) (page.Page[Store], error)
	// DeleteStore removes a store with its memories, their index and their versions.
	DeleteStore(ctx context.Context, sc account.Scope, store id.MemoryStore) error
}

// Memories keeps memories. Methods join the transaction in ctx. The store is known to be there.
type Memories interface {
	// Lock keeps every other change of the store and of what is in it waiting until the transaction ends, and returns the store.
	Lock(ctx context.Context, sc account.Scope, store id.MemoryStore) (Store, error)
	// Memory returns a memory with its content, or id.NotFound.
	Memory(ctx context.Context, sc account.Scope, store id.MemoryStore, memory id.Memory) (Memory, error)
	// At returns the memory at path or else, with near, one whose path lies above or below it, but not except; false for none.
	At(ctx context.Context, sc account.Scope, store id.MemoryStore, path string, near bool, except id.Memory) (Memory, bool, error)
	// Put adds or replaces a memory with its vectors, under Lock. Vectors of another content than it had replace all there were; nil
	// vectors keep them.
	Put(ctx context.Context, sc account.Scope, m Memory, v *Vectors) error
	// Remove removes a memory and its vectors, under Lock.
	Remove(ctx context.Context, sc account.Scope, m Memory) error
	// List lists by the bytes of the paths.
	List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Item], error)
	// Recent lists with contents, the one that was changed last first.
	Recent(ctx context.Context, sc account.Scope, store id.MemoryStore, req page.Request) (page.Page[Memory], error)
}

// Index finds memories by their vectors. Methods join the transaction in ctx.
type Index interface {
	// Pending returns up to limit memories, with contents, whose vectors are not embedder's.
	Pending(ctx context.Context, sc account.Scope, store id.MemoryStore, embedder string, limit int) ([]Memory, error)
	// SetVectors replaces the vectors of a memory, unless its content is not that of m any more.
	SetVectors(ctx context.Context, sc account.Scope, m Memory, v Vectors) error
	// Nearest returns the limit memories, with contents, that have a vector of embedder most like the given one, best first.
	Nearest(ctx context.Context, sc account.Scope, store id.MemoryStore, embedder string, vector embedding.Vector, limit int) ([]Hit, error)
}

// Versions keeps the history. Methods join the transaction in ctx.
type Versions interface {
	AddVersion(ctx context.Context, sc account.Scope, v Version) error
	// Version returns a version with its content, or id.NotFound.
	Version(ctx context.Context, sc account.Scope, store id.MemoryStore, version id.MemoryVersion) (Version, error)
	ListVersions(ctx context.Context, sc account.Scope, req ListVersions) (page.Page[Version], error)
	// Redact stores RedactedAt and RedactedBy of v and removes what the version says.
	Redact(ctx context.Context, sc account.Scope, v Version) error
}
