package eval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/jobs"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Agents reads agents; agent.Service does.
type Agents interface {
	Get(ctx context.Context, sc account.Scope, agent id.Agent) (agent.Agent, error)
	GetVersion(ctx context.Context, sc account.Scope, agent id.Agent, version int) (agent.Agent, error)
}

// Environments hold environments that are about to be used; environment.Service does.
type Environments interface {
	// Use returns id.NotFound or environment.ErrArchived; it must be called inside a transaction.
	Use(ctx context.Context, sc account.Scope, environment id.Environment) (environment.Environment, error)
}

// Sessions holds the trials' conversations; session.Service does. Its methods join the transaction in ctx.
type Sessions interface {
	Create(ctx context.Context, sc account.Scope, req session.CreateRequest) (session.Session, error)
	Get(ctx context.Context, sc account.Scope, session id.Session) (session.Session, error)
	Send(ctx context.Context, sc account.Scope, session id.Session, inputs []session.Input) ([]session.Event, error)
	Events(ctx context.Context, sc account.Scope, session id.Session, q session.EventQuery) ([]session.Event, bool, error)
	Archive(ctx context.Context, sc account.Scope, session id.Session) (session.Session, error)
}

// Sandboxes reaches into the sandboxes of trials. Both methods do no harm when they are repeated.
type Sandboxes interface {
	// Write makes or replaces a file.
	Write(ctx context.Context, sc account.Scope, session id.Session, path, content string) error
	// Run runs a shell script to its end, or for timeout, or for as long as a command may take in a sandbox. ok says whether it succeeded; an error says that it could not be run.
	Run(ctx context.Context, sc account.Scope, session id.Session, script string, timeout time.Duration) (output string, ok bool, err error)
}

// Judges ask models for their judgement.
type Judges interface {
	// Ask returns what a model says, and what that cost in dollars, nil when it is not known.
	Ask(ctx context.Context, sc account.Scope, q Question) (answer string, cost *money.Pico, err error)
}

// Question is what a judge is asked.
type Question struct {
	Agent   id.Agent   // who is charged and limited
	Session id.Session // the trial's
	Model   string     // a handle; "" is the default model
	System  string
	Text    string
}

// Deps is what a Service needs. All fields but Sandboxes are required.
type Deps struct {
	TX           tx.Runner
	Clock        clock.Clock
	IDs          id.Generator
	Logger       *slog.Logger
	Repository   Repository
	Stalls       Stalls
	Jobs         jobs.Queue
	Agents       Agents
	Environments Environments
	Sessions     Sessions
	Judges       Judges
	Sandboxes    Sandboxes // nil: tasks with files or scripts are refused
}

// Config tunes a Service; the zero value is the default.
type Config struct {
	// Concurrency is how many trials of a run go on at a time; 0 is 4.
	Concurrency int
	// Brisk is for how long a trial is looked at as often as the queue does jobs, from its start; 0 is 30 s. Interval is the pause
	// between two looks after that; 0 is 2 s.
	Brisk    time.Duration
	Interval time.Duration
	// Lease is how long a process has a trial to itself that it prepares or scores, unless it says that it still does; 0 is 30 s.
	Lease time.Duration
	// Stall is after what time without progress a run is given another job; 0 is a minute.
	Stall time.Duration
}

// JobKind is the kind of the jobs that Advance does.
const JobKind = "eval_step"

// Service makes, drives and compares runs. It is safe for concurrent use.
type Service struct {
	d   Deps
	cfg Config

	mu     sync.Mutex
	closed bool
	quit   chan struct{} // ends what goes on beside the jobs
	works  sync.WaitGroup
}

// NewService returns a Service, or an error that names the missing dependency.
func NewService(d Deps, cfg Config) (*Service, error) {
	switch {
	case d.TX == nil:
		return nil, errors.New("eval: Deps.TX is required")
	case d.Clock == nil:
		return nil, errors.New("eval: Deps.Clock is required")
	case d.IDs == nil:
		return nil, errors.New("eval: Deps.IDs is required")
	case d.Logger == nil:
		return nil, errors.New("eval: Deps.Logger is required")
	case d.Repository == nil:
		return nil, errors.New("eval: Deps.Repository is required")
	case d.Stalls == nil:
		return nil, errors.New("eval: Deps.Stalls is required")
	case d.Jobs == nil:
		return nil, errors.New("eval: Deps.Jobs is required")
	case d.Agents == nil:
		return nil, errors.New("eval: Deps.Agents is required")
	case d.Environments == nil:
		return nil, errors.New("eval: Deps.Environments is required")
	case d.Sessions == nil:
		return nil, errors.New("eval: Deps.Sessions is required")
	case d.Judges == nil:
		return nil, errors.New("eval: Deps.Judges is required")
	}
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = 4
	}
	if cfg.Brisk <= 0 {
		cfg.Brisk = 30 * time.Second
	}
	if cfg.Interval <= 0 {
		cfg.Interval = 2 * time.Second
	}
	if cfg.Lease <= 0 {
		cfg.Lease = 30 * time.Second
	}
	if cfg.Stall <= 0 {
		cfg.Stall = time.Minute
	}
	return &Service{d: d, cfg: cfg, quit: make(chan struct{})}, nil
}

// CreateRequest describes a new run.
type CreateRequest struct {
	Name         string
	Agent        id.Agent
	AgentVersion int            // 0: the current one
	Environment  id.Environment // zero: none
	Tasks        []Task         // 1 to MaxTasks
}

// Create checks tasks and stores a run, whose first job is made with it. It returns ErrInvalid, ErrNoSandbox, ErrAgentArchived, what the
// environment says when it is archived, or id.NotFound.
func (s *Service) Create(ctx context.Context, sc account.Scope, req CreateRequest) (Run, error) {
	tasks, err := admitted(req.Name, req.Tasks)
	if err != nil {
		return Run{}, err
	}
	if s.d.Sandboxes == nil {
		for i, t := range tasks {
			if t.needsSandbox() {
				return Run{}, ErrNoSandbox.WithFields(fault.Field{Path: fmt.Sprintf("tasks[%d]", i), Message: ErrNoSandbox.Message})
			}
		}
	}
	a, err := s.d.Agents.Get(ctx, sc, req.Agent)
	if err != nil {
		return Run{}, err
	}
	if a.Standing == agent.Archived {
		return Run{}, ErrAgentArchived.Withf("agent %s is archived", a.ID)
	}
	if req.AgentVersion != 0 {
		if a, err = s.d.Agents.GetVersion(ctx, sc, req.Agent, req.AgentVersion); err != nil {
			return Run{}, err
		}
	}
	now := clock.Stored(s.d.Clock.Now())
	r := Run{
		ID: id.New[id.EvalRunKind](s.d.IDs), Tenant: sc.Tenant, Name: req.Name, Agent: a.ID, AgentVersion: a.Version,
		Environment: req.Environment, Tasks: tasks, Status: Pending, CreatedAt: now, UpdatedAt: now,
	}
	var trials []Trial
	for i, t := range tasks {
		for n := range t.Trials {
			trials = append(trials, Trial{Task: i, Number: n, Status: Pending})
		}
	}
	r.Counts = Counts{Trials: len(trials), Pending: len(trials)}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		if !r.Environment.IsZero() {
			if _, err := s.d.Environments.Use(ctx, sc, r.Environment); err != nil {
				return err
			}
		}
		if err := s.d.Repository.Insert(ctx, sc, r, trials); err != nil {
			return err
		}
		return s.enqueue(ctx, r, time.Time{})
	})
	if err != nil {
		return Run{}, err
	}
	s.d.Logger.DebugContext(ctx, "evaluation created", "tenant_id", sc.Tenant, "eval_run_id", r.ID, "trials", len(trials))
	return r, nil
}

// jobArgs is how a Ref is written into a job.
type jobArgs struct {
	Tenant string `json:"tenant"`
	Run    string `json:"run"`
	Step   int64  `json:"step"`
}

// enqueue makes the job that does the run's next step. It joins the transaction in ctx.
func (s *Service) enqueue(ctx context.Context, r Run, at time.Time) error {
	args, err := json.Marshal(jobArgs{r.Tenant.UUID().String(), r.ID.UUID().String(), r.Step})
	if err != nil {
		return fmt.Errorf("eval: %w", err)
	}
	return s.d.Jobs.Enqueue(ctx, jobs.Job{Kind: JobKind, Args: args, RunAt: at})
}

// Do is the jobs.Handler of JobKind.
func (s *Service) Do(ctx context.Context, raw json.RawMessage) error {
	var args jobArgs
	if err := json.Unmarshal(raw, &args); err != nil {
		return fmt.Errorf("eval: %w", err)
	}
	tenant, err := id.Parse[id.TenantKind](args.Tenant)
	if err != nil {
		return err
	}
	run, err := id.Parse[id.EvalRunKind](args.Run)
	if err != nil {
		return err
	}
	return s.Advance(ctx, Ref{tenant, run, args.Step})
}

// resumeBatch bounds one round of Resume.
const resumeBatch = 100

// Resume gives another job to runs that have none any more, which a process that was killed may leave. It returns how many there were.
func (s *Service) Resume(ctx context.Context) (int, error) { return s.resume(ctx, s.cfg.Stall) }

// Recover is Resume for every run, however lately it went on. It is for the start of a process that has the store for itself: whoever
// did the runs' jobs is gone.
func (s *Service) Recover(ctx context.Context) (int, error) { return s.resume(ctx, 0) }

func (s *Service) resume(ctx context.Context, age time.Duration) (int, error) {
	stalled, err := s.d.Stalls.Stalled(ctx, s.d.Clock.Now().Add(-age), resumeBatch)
	if err != nil {
		return 0, err
	}
	for i, ref := range stalled {
		// A job of this step that is only slow does no harm: whoever is second finds the step done.
		if err := s.enqueue(ctx, Run{Tenant: ref.Tenant, ID: ref.Run, Step: ref.Step}, time.Time{}); err != nil {
			return i, err
		}
	}
	return len(stalled), nil
}

// Get returns a run.
func (s *Service) Get(ctx context.Context, sc account.Scope, run id.EvalRun) (Run, error) {
	return s.d.Repository.Get(ctx, sc, run)
}

// Trials returns a run with its trials, in order of task and number.
func (s *Service) Trials(ctx context.Context, sc account.Scope, run id.EvalRun) (Run, []Trial, error) {
	r, err := s.d.Repository.Get(ctx, sc, run)
	if err != nil {
		return Run{}, nil, err
	}
	trials, err := s.d.Repository.Trials(ctx, sc, run, false)
	return r, trials, err
}

// List lists runs, newest first, without their Tasks.
func (s *Service) List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Run], error) {
	return s.d.Repository.List(ctx, sc, req)
}

// Compare compares two runs, of which the first is the base.
func (s *Service) Compare(ctx context.Context, sc account.Scope, base, other id.EvalRun) (Comparison, error) {
	b, baseTrials, err := s.Trials(ctx, sc, base)
	if err != nil {
		return Comparison{}, err
	}
	o, otherTrials, err := s.Trials(ctx, sc, other)
	if err != nil {
		return Comparison{}, err
	}
	return compare(b, o, baseTrials, otherTrials), nil
}

// Cancel ends a run: trials that have not ended are cancelled, and their sessions are stopped and archived. It returns ErrEnded when
// the run has ended, unless it was cancelled before, which changes nothing.
func (s *Service) Cancel(ctx context.Context, sc account.Scope, run id.EvalRun) (Run, error) {
	var out Run
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		r, err := s.d.Repository.Lock(ctx, sc, run)
		if err != nil {
			return err
		}
		switch {
		case r.Status == Cancelled:
			out = r
			return nil
		case r.Status.Ended():
			return ErrEnded.Withf("the run is %s", r.Status)
		}
		out, err = s.stop(ctx, sc, r)
		return err
	})
	return out, err
}

// stop cancels a locked run.
func (s *Service) stop(ctx context.Context, sc account.Scope, r Run) (Run, error) {
	trials, err := s.d.Repository.Trials(ctx, sc, r.ID, true)
	if err != nil {
		return Run{}, err
	}
	now := clock.Stored(s.d.Clock.Now())
	for i := range trials {
		t := &trials[i]
		if err := s.closeSession(ctx, sc, t.Session); err != nil {
			return Run{}, err
		}
		r.Counts.move(*t, Cancelled)
		t.Status = Cancelled
		if t.StartedAt != nil {
			t.EndedAt = &now
		}
	}
	r.Status, r.EndedAt, r.UpdatedAt = Cancelled, &now, now
	return r, s.d.Repository.Save(ctx, sc, r, trials)
}

// closeSession archives a trial's session: its sandbox goes, its log stays. One that the tenant has deleted is closed already.
func (s *Service) closeSession(ctx context.Context, sc account.Scope, of id.Session) error {
	if of.IsZero() {
		return nil
	}
	if _, err := s.d.Sessions.Archive(ctx, sc, of); err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	return nil
}

// move takes a trial from its status to another.
func (c *Counts) move(t Trial, to Status) {
	of := func(s Status) *int {
		switch s {
		case Pending:
			return &c.Pending
		case Running:
			return &c.Running
		case Completed:
			return &c.Completed
		case Failed:
			return &c.Failed
		}
		return &c.Cancelled
	}
	*of(t.Status)--
	*of(to)++
}

// Delete removes a run and its results; one that goes on is cancelled first. The sessions of its trials stay, archived.
func (s *Service) Delete(ctx context.Context, sc account.Scope, run id.EvalRun) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		r, err := s.d.Repository.Lock(ctx, sc, run)
		if err != nil {
			return err
		}
		if !r.Status.Ended() {
			if _, err := s.stop(ctx, sc, r); err != nil {
				return err
			}
		}
		return s.d.Repository.Delete(ctx, sc, run)
	})
}
