package knowledge

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Ingestion is the half of the store that entries come in by. Methods join the transaction in ctx. A space that has never held
// anything is an empty one; whether the agent or swarm exists is not asked. The norm of every vector is 1, within 1e-6.
type Ingestion interface {
	// State returns what a space holds. Entries up to its LastSeq are visible to every later call.
	State(ctx context.Context, sc account.Scope, space Space) (State, error)
	// Lock returns the State and keeps every other Lock and Delete of the space waiting until the transaction ends. It must be
	// called inside one.
	Lock(ctx context.Context, sc account.Scope, space Space) (State, error)
	// Hashes returns those of the hashes that entries with a Seq above after have, with their entries.
	Hashes(ctx context.Context, sc account.Scope, space Space, hashes []Hash, after int64) (map[Hash]id.Knowledge, error)
	// Twins returns for each vector the entry with a Seq above after, embedded by embedder, whose cosine similarity is the highest,
	// if that reaches threshold; otherwise a Match without an Entry. Verdict and similarity are embedding.Cosine's over the stored
	// vectors, and every entry is looked at.
	Twins(
		ctx context.Context, sc account.Scope, space Space, embedder string, vectors []embedding.Vector, threshold float64, after int64,
	) ([]Match, error)
	// Insert stores entries; the caller holds Lock, has given them the Seq that follow LastSeq, and all have the same Embedder, which
	// becomes the space's.
	Insert(ctx context.Context, sc account.Scope, space Space, entries []Stored) error
}

// Repository is the half of the store that entries are read and removed by. Methods join the transaction in ctx.
type Repository interface {
	// List lists the entries of req.In itself, newest first.
	List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Entry], error)
	// Nearest returns the limit entries, embedded by embedder, that are most like vector, best first: exactly those, by
	// embedding.Cosine. Equal similarities are in order of Seq.
	Nearest(ctx context.Context, sc account.Scope, space Space, embedder string, vector embedding.Vector, limit int) ([]Hit, error)
	// Delete removes the entries of req.In itself that req names and returns how many there were; Confirm is not looked at.
	Delete(ctx context.Context, sc account.Scope, req DeleteRequest) (int, error)
}
