// Package jobs is the port to durable background work.
package jobs

import (
	"context"
	"encoding/json"
	"time"
)

// Job is work to be done later, at least once.
type Job struct {
	Kind        string          // which Handler does it: [a-z_]{1,64}
	Args        json.RawMessage // a JSON object, at most 64 KiB
	RunAt       time.Time       // not before; zero is now
	MaxAttempts int             // 0 is 25, with exponential back-off in between
	UniqueKey   string          // while a job of this kind and key waits or runs, another is not added; "" adds always
}

// Queue accepts jobs. Implementations are safe for concurrent use.
type Queue interface {
	// Enqueue adds a job; inside a transaction of the store's Runner it joins it, and the job exists when that commits.
	Enqueue(ctx context.Context, job Job) error
}

// Handler does the jobs of one kind. A returned error means: try again later. Handlers are idempotent.
type Handler func(ctx context.Context, args json.RawMessage) error

// Schedule makes a job of Kind every Every, once among all processes of a server.
type Schedule struct {
	Kind  string
	Every time.Duration // at least one second
}
