package knowledge

import (
	"context"
	"time"

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
	// Twins returns for each probe the entries, of those with vectors by embedder and a place above after, whose cosine similarity is the
	// highest, if that reaches threshold; otherwise Matches without an Entry. Verdict and similarity are embedding.Cosine's over the
	// stored vectors, and every one is looked at.
	Twins(
		ctx context.Context, sc account.Scope, space Space, embedder string, probes []Probe, threshold float64, after int64,
	) ([]Twins, error)
	// Insert stores entries; the caller holds Lock, has given them the Seq that follow LastSeq, and all have the same Embedder. It becomes
	// that of an empty space; in another whose Embedder it is not, it becomes Next.
	Insert(ctx context.Context, sc account.Scope, space Space, entries []Stored) error
}

// NearestRequest asks for the entries most like a vector.
type NearestRequest struct {
	Space    Space
	Embedder string // the vector's; only entries with vectors by it are looked at
	Vector   embedding.Vector
	Limit    int
	Among    []int64 // Seqs in ascending order: of these only; nil of all
}

// Repository is the half of the store that entries are read and removed by. Methods join the transaction in ctx.
type Repository interface {
	// List lists the entries of req.In itself, newest first.
	List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Entry], error)
	// Nearest returns the entries that are most like a vector, best first, with embedding.Cosine as their Score; equal ones are in order
	// of Seq. In spaces that the store does not call large these are exactly the nearest; in larger ones some may be missing.
	Nearest(ctx context.Context, sc account.Scope, req NearestRequest) ([]Hit, error)
	// Having returns for each term the Seqs of the entries that have a word of it, no more than most of each, the newest.
	Having(ctx context.Context, sc account.Scope, space Space, terms []Term, most int) ([][]int64, error)
	// Matching returns the Seqs, in ascending order, of the entries that a filter leaves.
	Matching(ctx context.Context, sc account.Scope, space Space, f Filter) ([]int64, error)
	// Entries returns the entries with the given Seqs that are there.
	Entries(ctx context.Context, sc account.Scope, space Space, seqs []int64) (map[int64]Entry, error)
	// Delete removes the entries of req.In itself that req names and returns how many there were; Confirm is not looked at.
	Delete(ctx context.Context, sc account.Scope, req DeleteRequest) (int, error)
}

// Reembedding is what the store does when the server has another embedder than the entries. Methods join the transaction in ctx. Each
// space has vectors by its Embedder, which searches use, and beside them those by Next that are there already.
type Reembedding interface {
	// Stale returns spaces of all tenants that have entries and either another Embedder or a Next, those that nobody works on first.
	Stale(ctx context.Context, embedder string, now time.Time, limit int) ([]Owned, error)
	// Begin makes embedder the Next of a space with entries and reserves it until a time. It reports false, and changes nothing, while
	// somebody else has reserved it, and when there is nothing to do. A time that is not after now reserves nothing.
	Begin(ctx context.Context, sc account.Scope, space Space, embedder string, now, until time.Time) (bool, error)
	// Missing returns entries that have no vector by embedder, in order of Seq, with their ID, Seq and Text.
	Missing(ctx context.Context, sc account.Scope, space Space, embedder string, limit int) ([]Entry, error)
	// Stage adds vectors by embedder of the given entries, where these are there still and have none, notes pairs of twins among them, and
	// reserves the space until a time. The caller holds Lock.
	Stage(ctx context.Context, sc account.Scope, space Space, embedder string, vectors []Stored, pairs []Pair, until time.Time) error
	// Finish makes embedder, which has vectors of all entries, the one of the space. The caller holds Lock.
	Finish(ctx context.Context, sc account.Scope, space Space, embedder string, now time.Time) error
	// Release ends a reservation and notes why the work was not finished; "" for no reason.
	Release(ctx context.Context, sc account.Scope, space Space, reason string) error
	// Progress lists the spaces of a tenant that are to be re-embedded, are being, or were, in order of their ids.
	Progress(ctx context.Context, sc account.Scope, embedder string, req ProgressRequest) (page.Page[Progress], error)
}
