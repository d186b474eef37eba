// Package river keeps background work in the store's own database, on riverqueue/river.
//
// Enqueue writes the job in the transaction that the context carries, so a job exists exactly when what it follows from does.
// Workers find jobs by polling, on Postgres and SQLite alike: background work may take half a second to begin.
//
// On SQLite, River's bookkeeping has a writing connection of its own beside the store's writer: it takes turns with the
// store's transactions by SQLite's lock. Enqueue never uses it, so a job that is added within a transaction does not wait for
// the transaction it is in.
package river

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/bureau-agents/bureau/adapters/internal/sqltx"
	"github.com/bureau-agents/bureau/ports/jobs"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Config says which store the jobs live in and how they are worked.
type Config struct {
	// Store is the handle of the store (bunstore's Store.SQL()); required.
	Store *sqltx.Handle
	// TX is the same store's transaction runner; required.
	TX tx.Runner
	// Logger gets what River warns of, and failed jobs; nil is slog.Default().
	Logger *slog.Logger
	// MaxWorkers is how many jobs run at the same time in this process; 0 is 8.
	MaxWorkers int
	// PollInterval is how often a process looks for jobs; 0 is 500 ms.
	PollInterval time.Duration
	// JobTimeout is after how long a handler's context ends; 0 is 5 minutes. A job whose process died is taken up by another one
	// a minute after that; on SQLite, where there is no other, as soon as the queue starts again.
	JobTimeout time.Duration
}

// maxArgs is the longest Job.Args.
const maxArgs = 64 << 10

// schedulePrefix begins the unique key of scheduled jobs.
const schedulePrefix = "schedule:"

var kindPattern = regexp.MustCompile(`^[a-z_]{1,64}$`)

// Queue is a jobs.Queue and the worker of its jobs. Register handlers and schedules, then Start. It is safe for concurrent use.
type Queue struct {
	cfg    Config
	driver riverdriver.Driver[*sql.Tx]
	own    *sql.DB                // River's connection on SQLite; nil on Postgres, where it shares the pool
	insert *river.Client[*sql.Tx] // only inserts; works before Start

	mu        sync.Mutex
	handlers  map[string]jobs.Handler
	schedules map[string]time.Duration
	worker    *river.Client[*sql.Tx] // nil unless started
	closed    bool
}

var _ jobs.Queue = (*Queue)(nil)

// New brings River's tables up to date under the lock of the store's own migrations and returns a queue that takes jobs but
// does none until Start. The caller calls Close before it closes the store.
func New(ctx context.Context, cfg Config) (*Queue, error) {
	if cfg.Store == nil || cfg.TX == nil {
		return nil, errors.New("river: Config.Store and Config.TX are required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	// River tells of every start and poll at Info.
	cfg.Logger = slog.New(atLeast{slog.LevelWarn, cfg.Logger.Handler()})
	if cfg.MaxWorkers <= 0 {
		cfg.MaxWorkers = 8
	}
	if cfg.PollInterval <= 0 {
		cfg.PollInterval = 500 * time.Millisecond
	}
	if cfg.JobTimeout <= 0 {
		cfg.JobTimeout = 5 * time.Minute
	}
	q := &Queue{cfg: cfg, handlers: map[string]jobs.Handler{}, schedules: map[string]time.Duration{}}
	if cfg.Store.Dialect == sqltx.Postgres {
		q.driver = riverdatabasesql.New(cfg.Store.DB)
	} else {
		own, err := sqltx.OpenSQLite(cfg.Store.Path, sqltx.SQLiteOptions{MaxOpen: 1})
		if err != nil {
			return nil, err
		}
		q.own, q.driver = own, riversqlite.New(own)
	}
	err := q.migrate(ctx)
	if err == nil {
		q.insert, err = river.NewClient(q.driver, &river.Config{Logger: cfg.Logger})
	}
	if err != nil {
		_ = q.Close()
		return nil, fmt.Errorf("river: %w", err)
	}
	return q, nil
}

// migrate applies River's migrations, one per transaction: Postgres does not let a transaction use an enum value that it added.
func (q *Queue) migrate(ctx context.Context) error {
	m, err := rivermigrate.New(q.driver, &rivermigrate.Config{Logger: q.cfg.Logger})
	if err != nil {
		return err
	}
	for more := true; more; {
		err := q.cfg.TX.Do(ctx, func(ctx context.Context) error {
			t, err := q.tx(ctx)
			if err != nil {
				return err
			}
			if q.cfg.Store.Dialect == sqltx.Postgres {
				if _, err := t.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", sqltx.MigrationLock); err != nil {
					return err
				}
			}
			//nolint:staticcheck // Migrate takes a connection of its own, which on SQLite would wait for the lock that is held here
			res, err := m.MigrateTx(ctx, t, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{MaxSteps: 1})
			if err != nil {
				return err
			}
			more = len(res.Versions) > 0
			return nil
		})
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	return nil
}

func (q *Queue) tx(ctx context.Context) (*sql.Tx, error) {
	t, ok := q.cfg.Store.From(ctx)
	if !ok {
		return nil, errors.New("river: Config.Store and Config.TX are not of one store")
	}
	return t, nil
}

// args is a job as River stores it. Key comes first in the document and is what uniqueness is judged by.
type args struct {
	Key  string          `json:"key,omitempty" river:"unique"`
	Body json.RawMessage `json:"body"`
	kind string
}

// Kind implements river.JobArgs.
func (a args) Kind() string { return a.kind }

// waiting are the states in which a job keeps another of its key out.
func waiting() []rivertype.JobState {
	return []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning,
		rivertype.JobStateScheduled,
	}
}

// Enqueue implements jobs.Queue. Once the queue is started, a kind without a handler is an error.
func (q *Queue) Enqueue(ctx context.Context, job jobs.Job) error {
	if !kindPattern.MatchString(job.Kind) {
		return fmt.Errorf("river: job kind %q: want [a-z_]{1,64}", job.Kind)
	}
	body := bytes.TrimSpace(job.Args)
	if len(body) == 0 {
		body = []byte("{}")
	}
	switch {
	case len(body) > maxArgs:
		return fmt.Errorf("river: job %s: %d bytes of arguments; at most %d", job.Kind, len(body), maxArgs)
	case body[0] != '{' || !json.Valid(body):
		return fmt.Errorf("river: job %s: the arguments are not a JSON object", job.Kind)
	}
	q.mu.Lock()
	started, known := q.worker != nil, q.handlers[job.Kind] != nil
	q.mu.Unlock()
	if started && !known {
		return fmt.Errorf("river: no handler for job kind %q", job.Kind)
	}
	opts := &river.InsertOpts{MaxAttempts: job.MaxAttempts, ScheduledAt: job.RunAt}
	if job.UniqueKey != "" {
		opts.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: waiting()}
	}
	return q.cfg.TX.Do(ctx, func(ctx context.Context) error {
		t, err := q.tx(ctx)
		if err != nil {
			return err
		}
		if _, err := q.insert.InsertTx(ctx, t, args{Key: job.UniqueKey, Body: body, kind: job.Kind}, opts); err != nil {
			return fmt.Errorf("river: add job %s: %w", job.Kind, err)
		}
		return nil
	})
}

// Handle registers the handler of a kind. It must be called before Start, once per kind.
func (q *Queue) Handle(kind string, h jobs.Handler) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.worker != nil:
		return errors.New("river: Handle after Start")
	case !kindPattern.MatchString(kind):
		return fmt.Errorf("river: job kind %q: want [a-z_]{1,64}", kind)
	case h == nil:
		return fmt.Errorf("river: no handler given for job kind %q", kind)
	case q.handlers[kind] != nil:
		return fmt.Errorf("river: two handlers for job kind %q", kind)
	}
	q.handlers[kind] = h
	return nil
}

// Schedule has a job without arguments made of s.Kind in every period of s.Every, counted from the zero time, by whichever
// process leads. A period in which no process ran is not made up for, the current one is. It must be called before Start.
func (q *Queue) Schedule(s jobs.Schedule) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.worker != nil:
		return errors.New("river: Schedule after Start")
	case s.Every < time.Second:
		return fmt.Errorf("river: schedule of %q: every %s; at least 1s", s.Kind, s.Every)
	case q.schedules[s.Kind] != 0:
		return fmt.Errorf("river: two schedules for job kind %q", s.Kind)
	}
	q.schedules[s.Kind] = s.Every
	return nil
}

// Start begins to work jobs. It returns once the workers run; they go on until Stop, whatever becomes of ctx.
func (q *Queue) Start(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.worker != nil || q.closed {
		return errors.New("river: started twice or after Close")
	}
	workers := river.NewWorkers()
	for kind, h := range q.handlers {
		river.AddWorkerArgs(workers, args{kind: kind}, river.WorkFunc(func(ctx context.Context, job *river.Job[args]) error {
			return h(ctx, job.Args.Body)
		}))
	}
	keep := time.Hour // completed jobs; those of schedules tell what was done in this period
	periodic := make([]*river.PeriodicJob, 0, len(q.schedules))
	for kind, every := range q.schedules {
		if q.handlers[kind] == nil {
			return fmt.Errorf("river: a schedule for job kind %q, which has no handler", kind)
		}
		keep = max(keep, 2*every)
		periodic = append(periodic, river.NewPeriodicJob(periods(every), func() (river.JobArgs, *river.InsertOpts) {
			return args{Key: schedulePrefix + kind, Body: json.RawMessage("{}"), kind: kind},
				&river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true, ByPeriod: every}}
		}, &river.PeriodicJobOpts{ID: kind, RunOnStart: true}))
	}
	if q.own != nil {
		// One process has the file: what is marked as running was cut off with the process before.
		if _, err := q.own.ExecContext(ctx, "UPDATE river_job SET state = 'available' WHERE state = 'running'"); err != nil {
			return fmt.Errorf("river: take up what was cut off: %w", err)
		}
	}
	rc := &river.Config{
		Logger:                      q.cfg.Logger,
		Workers:                     workers,
		PeriodicJobs:                periodic,
		PollOnly:                    true,
		FetchPollInterval:           q.cfg.PollInterval,
		FetchCooldown:               min(50*time.Millisecond, q.cfg.PollInterval),
		JobTimeout:                  q.cfg.JobTimeout,
		RescueStuckJobsAfter:        q.cfg.JobTimeout + time.Minute,
		CompletedJobRetentionPeriod: keep,
	}
	if len(q.handlers) > 0 {
		rc.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: q.cfg.MaxWorkers}}
	}
	client, err := river.NewClient(q.driver, rc)
	if err != nil {
		return fmt.Errorf("river: %w", err)
	}
	if len(q.handlers) > 0 {
		// River ends hard with the context that it is started with; ending is Stop's.
		if err := client.Start(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("river: %w", err)
		}
	}
	q.worker = client
	return nil
}

// Stop takes no more jobs and waits for those that run. When ctx ends first, it cancels their contexts, waits for them to
// return, and returns ctx's error; what they did not finish is repeated. Enqueue keeps working.
func (q *Queue) Stop(ctx context.Context) error {
	q.mu.Lock()
	client, working := q.worker, len(q.handlers) > 0
	q.worker = nil
	q.mu.Unlock()
	if client == nil || !working {
		return nil
	}
	if err := client.Stop(ctx); err != nil {
		hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return errors.Join(err, client.StopAndCancel(hard))
	}
	return nil
}

// Close releases River's own connection. Call it after Stop.
func (q *Queue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	q.closed = true
	if q.own != nil {
		return q.own.Close()
	}
	return nil
}

// periods is the schedule at whole multiples of a duration, so that every process counts the same periods.
type periods time.Duration

// Next implements river.PeriodicSchedule.
func (p periods) Next(t time.Time) time.Time {
	return t.UTC().Truncate(time.Duration(p)).Add(time.Duration(p))
}

// atLeast drops log records below a level.
type atLeast struct {
	level slog.Level
	slog.Handler
}

// Enabled implements slog.Handler.
func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

// Handle implements slog.Handler. It drops what comes of a context that was cancelled: River calls it an error when it is stopped.
func (h atLeast) Handle(ctx context.Context, r slog.Record) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.level, h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.level, h.Handler.WithGroup(name)}
}
