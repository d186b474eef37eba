package task

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tx"
)

// The audit actions of this package.
const (
	auditStarted   = "agent_run_started"
	auditCompleted = "agent_run_completed"
	auditFailed    = "agent_run_failed"
)

// Deps is what a Service needs. All fields but Notices are required.
type Deps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Repository Repository
	Acts       Acts
	Agents     Agents
	Sessions   Sessions
	Log        session.Log
	Gate       Gate
	Credits    Credits
	Policies   Policies
	Trail      policy.Trail
	Notices    Notices // nil: nobody is told
}

// Agents reads agents; agent.Service does.
type Agents interface {
	// Get returns an agent, or id.NotFound.
	Get(ctx context.Context, sc account.Scope, agent id.Agent) (agent.Agent, error)
}

// Sessions holds the sessions of runs; session.Service does.
type Sessions interface {
	Create(ctx context.Context, sc account.Scope, req session.CreateRequest) (session.Session, error)
	Send(ctx context.Context, sc account.Scope, session id.Session, inputs []session.Input) ([]session.Event, error)
	Cancel(ctx context.Context, sc account.Scope, session id.Session, reason string) error
	Stream(ctx context.Context, sc account.Scope, session id.Session, opt session.StreamOptions) (*session.Stream, error)
}

// Gate decides about starts; gate.Gate does.
type Gate interface {
	Begin(ctx context.Context, sc account.Scope, act gate.Act, also func(context.Context, gate.Record) error) (gate.Record, error)
	End(ctx context.Context, sc account.Scope, rec gate.Record, s gate.Settlement, also func(context.Context) error) (gate.Record, error)
	VoidSession(ctx context.Context, sc account.Scope, session id.Session, reason string) (int, error)
}

// Credits keeps what runs cost; account.Service does. Both calls join the transaction in ctx.
type Credits interface {
	ReserveCredits(ctx context.Context, sc account.Scope, run id.Run, least int) error
	SettleCredits(ctx context.Context, sc account.Scope, run id.Run, cost int) (int, error)
}

// Policies makes policies; policy.Service does.
type Policies interface {
	// Attach makes a policy for a session in which nothing has been done yet. It joins the transaction in ctx.
	Attach(ctx context.Context, sc account.Scope, session id.Session, limits policy.Limits) (policy.Policy, error)
}

// Service starts runs and tells how they are. It is safe for concurrent use.
type Service struct {
	d     Deps
	nudge chan struct{} // there is something to tend
}

// NewService returns a Service, or an error that names the missing dependency.
func NewService(d Deps) (*Service, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil},
		{"Repository", d.Repository == nil}, {"Acts", d.Acts == nil}, {"Agents", d.Agents == nil}, {"Sessions", d.Sessions == nil},
		{"Log", d.Log == nil}, {"Gate", d.Gate == nil}, {"Credits", d.Credits == nil}, {"Policies", d.Policies == nil}, {"Trail", d.Trail == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("task: Deps.%s is required", f.name)
		}
	}
	return &Service{d: d, nudge: make(chan struct{}, 1)}, nil
}

// StartRequest asks for a run.
type StartRequest struct {
	Agent   id.Agent
	Task    string
	Context string
	// Limits hold for this run alone, beside those of its agent; nil: none. They are a policy, so the caller needs account.PoliciesWrite:
	// an agent that no other policy applies to may pay within them.
	Limits *policy.Limits
	// Wait is how long Start waits for the outcome, MaxWait at most; 0 answers at once.
	Wait time.Duration
}

func (r StartRequest) check() error {
	switch {
	case titleOf(r.Task) == "":
		return fault.Invalidf("task", "is required")
	case r.Wait < 0 || r.Wait > MaxWait:
		return fault.Invalidf("wait", "must be 0 to %d seconds", int(MaxWait/time.Second))
	}
	if err := checkText("task", r.Task, MaxTask); err != nil {
		return err
	}
	return checkText("context", r.Context, MaxContext)
}

// Start gives an agent a task and waits for its outcome for a while; it returns the run in the state reached. A run whose start a rule
// wants approved is returned WaitingApproval, and begins when it is.
//
// It returns id.NotFound of an agent that the tenant has not, agent.ErrArchived, agent.ErrFrozen, ErrDenied, account.ErrCreditsExhausted,
// account.ErrForbidden for limits that the caller may not set, or a fault.Invalid; then no run was made and nothing was charged.
func (s *Service) Start(ctx context.Context, sc account.Scope, req StartRequest) (Run, error) {
	if err := req.check(); err != nil {
		return Run{}, err
	}
	if req.Limits != nil {
		if err := sc.Require(account.PoliciesWrite); err != nil {
			return Run{}, err
		}
	}
	a, err := s.d.Agents.Get(ctx, sc, req.Agent)
	if err != nil {
		return Run{}, err
	}
	if a.Standing == agent.Archived {
		return Run{}, agent.ErrArchived
	}
	of := id.New[id.SessionKind](s.d.IDs)
	run := Run{
		ID: RunOf(of), Tenant: sc.Tenant, Agent: a.ID, Session: of, Task: req.Task, Context: req.Context, Status: Running,
		StartedAt: clock.Stored(s.d.Clock.Now()),
	}
	rec, err := s.d.Gate.Begin(ctx, sc, startAct(run), func(ctx context.Context, rec gate.Record) error {
		if err := s.d.Credits.ReserveCredits(ctx, sc, run.ID, leastCredits); err != nil {
			return err
		}
		if err := s.open(ctx, sc, run, req, []session.Input{{Type: session.UserMessage, Content: req.message()}}); err != nil {
			return err
		}
		return s.begun(ctx, sc, run, rec)
	})
	if err != nil {
		return Run{}, err
	}
	switch rec.State {
	case gate.Started:
		return s.await(ctx, sc, run, req.Wait)
	case gate.Parked:
		return s.hold(ctx, sc, run, req)
	}
	return Run{}, refused(rec)
}

// startAct is the start of a run as the gate sees it.
func startAct(run Run) gate.Act {
	return gate.Act{
		Key: "run:" + run.ID.UUID().String(), Action: rule.ActionRunStart, Agent: run.Agent, Session: run.Session, Run: run.Session,
		Description: titleOf(run.Task),
	}
}

// refused is the error for a start that the gate does not allow.
func refused(rec gate.Record) error {
	switch d := rec.Decision; d.Rule {
	case policy.RuleFrozen:
		return agent.ErrFrozen.Withf("%s", d.Reason)
	case policy.RuleArchived:
		return agent.ErrArchived.Withf("%s", d.Reason)
	default:
		return ErrDenied.Withf("%s", denied(d.Rule, d.Reason))
	}
}

// open makes the session of a run and the run itself, in the transaction in ctx.
func (s *Service) open(ctx context.Context, sc account.Scope, run Run, req StartRequest, initial []session.Input) error {
	_, err := s.d.Sessions.Create(ctx, sc, session.CreateRequest{
		ID: run.Session, Agent: run.Agent, Title: titleOf(run.Task), Metadata: map[string]string{"run_id": run.ID.String()}, Initial: initial,
	})
	if err != nil {
		return err
	}
	if req.Limits != nil {
		if _, err := s.d.Policies.Attach(ctx, sc, run.Session, *req.Limits); err != nil {
			return err
		}
	}
	return s.d.Repository.Insert(ctx, sc, run)
}

// begun ends the act of starting a run and notes it, in the transaction in which the run begins.
func (s *Service) begun(ctx context.Context, sc account.Scope, run Run, rec gate.Record) error {
	if _, err := s.d.Gate.End(ctx, sc, rec, gate.Settlement{State: gate.Done}, nil); err != nil {
		return err
	}
	return s.d.Trail.Note(ctx, sc, auditStarted, run.Agent, map[string]any{
		"run_id": run.ID.UUID().String(), "session_id": run.Session.UUID().String(), "task": titleOf(run.Task),
	})
}

// Get returns a run of an agent, or id.NotFound of either.
func (s *Service) Get(ctx context.Context, sc account.Scope, of id.Agent, run id.Run) (Run, error) {
	if _, err := s.d.Agents.Get(ctx, sc, of); err != nil {
		return Run{}, err
	}
	r, err := s.d.Repository.Get(ctx, sc, run)
	if err == nil && r.Agent != of {
		return Run{}, id.NotFound[id.RunKind](run.String())
	}
	return r, err
}

// List lists the runs of an agent, newest first, or returns id.NotFound of the agent.
func (s *Service) List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Run], error) {
	if req.Status != "" {
		if _, err := ParseStatus(string(req.Status)); err != nil {
			return page.Page[Run]{}, err
		}
	}
	if _, err := s.d.Agents.Get(ctx, sc, req.Agent); err != nil {
		return page.Page[Run]{}, err
	}
	return s.d.Repository.List(ctx, sc, req)
}

// Cancel ends a run, which is failed then, and returns it. ErrEnded when it has ended by itself.
func (s *Service) Cancel(ctx context.Context, sc account.Scope, of id.Agent, run id.Run) (Run, error) {
	r, err := s.Get(ctx, sc, of, run)
	if err != nil {
		return Run{}, err
	}
	if r.Status.Final() {
		return Run{}, ErrEnded
	}
	if err := s.stop(ctx, sc, r, "cancelled"); err != nil {
		return Run{}, err
	}
	return s.d.Repository.Get(ctx, sc, run)
}

// Destroy forgets the runs of an agent that is being destroyed. What they were charged stays.
func (s *Service) Destroy(ctx context.Context, sc account.Scope, of id.Agent) error {
	_, err := s.d.Repository.Remove(ctx, sc, of)
	return err
}

// Known returns which of sessions are runs.
func (s *Service) Known(ctx context.Context, sc account.Scope, sessions []id.Session) (map[id.Session]bool, error) {
	return s.d.Repository.Known(ctx, sc, sessions)
}
