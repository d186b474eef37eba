package eval

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Repository keeps runs and their trials. Every method joins the transaction in ctx. A run that does not exist, or belongs to another
// tenant, is id.NotFound[id.EvalRunKind].
type Repository interface {
	// Insert stores a new run and its trials; ErrExists when the id is taken.
	Insert(ctx context.Context, sc account.Scope, r Run, trials []Trial) error
	// Get returns a run.
	Get(ctx context.Context, sc account.Scope, run id.EvalRun) (Run, error)
	// Lock returns a run and keeps others from locking it until the transaction ends. It must be called inside one.
	Lock(ctx context.Context, sc account.Scope, run id.EvalRun) (Run, error)
	// List lists runs, newest first, without their Tasks.
	List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Run], error)
	// Trials returns the trials of a run in order of Task and Number; with live those that are pending or running only.
	Trials(ctx context.Context, sc account.Scope, run id.EvalRun, live bool) ([]Trial, error)
	// Save stores Status, Error, Counts, Step and times of a locked run, and everything of the given trials.
	Save(ctx context.Context, sc account.Scope, r Run, trials []Trial) error
	// Delete removes a run with its trials.
	Delete(ctx context.Context, sc account.Scope, run id.EvalRun) error
}

// Stalls finds what jobs have left.
type Stalls interface {
	// Stalled returns up to limit runs of all tenants that have not ended and were not taken further since before.
	Stalled(ctx context.Context, before time.Time, limit int) ([]Ref, error)
}
