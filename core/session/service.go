package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/internal/metadata"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Agents reads agents; agent.Service does.
type Agents interface {
	// Get returns the current version, or id.NotFound.
	Get(ctx context.Context, sc account.Scope, agent id.Agent) (agent.Agent, error)
	// GetVersion returns one version.
	GetVersion(ctx context.Context, sc account.Scope, agent id.Agent, version int) (agent.Agent, error)
	// Override checks what o makes of a's configuration and returns it with its defaults, or a fault.Invalid.
	Override(ctx context.Context, sc account.Scope, a agent.Agent, o agent.Overrides) (agent.Overrides, error)
}

// Gate decides about parked acts; gate.Gate does.
type Gate interface {
	// Approve carries out a parked act, or makes it Ready, or refuses it nonetheless; either ends it.
	Approve(ctx context.Context, sc account.Scope, approval id.Approval) (policy.Approval, gate.Record, error)
	// Deny refuses a parked act.
	Deny(ctx context.Context, sc account.Scope, approval id.Approval, note string) (policy.Approval, error)
	// VoidSession refuses every parked act of a session; it joins the transaction in ctx.
	VoidSession(ctx context.Context, sc account.Scope, session id.Session, reason string) (int, error)
}

// Deps is what a Service needs. All fields up to Spendings are required.
type Deps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Repository Repository
	Log        Log
	Uses       ToolUses
	Turns      Turns
	Journal    *Journal
	Hub        *Hub
	Agents     Agents
	Gate       Gate
	Spendings  Spendings

	// What sessions are set up with. Without one of these, nothing of its kind is there, and without a Keeper no token can be kept.
	Environments Environments
	Vaults       Vaults
	Files        Files
	Rubrics      Rubrics
	Stores       MemoryStores
	Keeper       keeper.Keeper

	Policies Policies // nil: sessions have none of their own
	Eraser   Eraser   // nil: sessions cannot be erased
}

// Service is what faces do with sessions. It is safe for concurrent use.
type Service struct {
	d      Deps
	ended  func(context.Context, Ref)                             // see OnEnd
	admits func(context.Context, account.Scope, id.Session) error // see OnSend
}

// NewService returns a Service, or an error that names the missing dependency.
func NewService(d Deps) (*Service, error) {
	switch {
	case d.TX == nil:
		return nil, errors.New("session: Deps.TX is required")
	case d.Clock == nil:
		return nil, errors.New("session: Deps.Clock is required")
	case d.IDs == nil:
		return nil, errors.New("session: Deps.IDs is required")
	case d.Logger == nil:
		return nil, errors.New("session: Deps.Logger is required")
	case d.Repository == nil:
		return nil, errors.New("session: Deps.Repository is required")
	case d.Log == nil:
		return nil, errors.New("session: Deps.Log is required")
	case d.Uses == nil:
		return nil, errors.New("session: Deps.Uses is required")
	case d.Turns == nil:
		return nil, errors.New("session: Deps.Turns is required")
	case d.Journal == nil:
		return nil, errors.New("session: Deps.Journal is required")
	case d.Hub == nil:
		return nil, errors.New("session: Deps.Hub is required")
	case d.Agents == nil:
		return nil, errors.New("session: Deps.Agents is required")
	case d.Gate == nil:
		return nil, errors.New("session: Deps.Gate is required")
	case d.Spendings == nil:
		return nil, errors.New("session: Deps.Spendings is required")
	}
	return &Service{d: d}, nil
}

// CreateRequest describes a new session.
type CreateRequest struct {
	ID           id.Session // zero makes one
	Agent        id.Agent
	AgentVersion int              // 0: the current one
	Overrides    *agent.Overrides // nil: none
	Environment  id.Environment   // zero: none
	Vaults       []id.Vault       // at most MaxVaults
	Resources    []NewResource    // at most MaxResources, and MaxMemoryStores
	Budget       *Budget          // nil: none
	Private      bool             // see Session.Private
	Title        string
	Metadata     map[string]string
	Initial      []Input // user messages to begin with, at most MaxInitialEvents
}

// Create makes a session and queues its initial messages. It returns id.NotFound for an agent, a version, or anything else that it
// names and that is not there, ErrAgentArchived, what the environment or a vault says when it is archived, or a fault.Invalid.
func (s *Service) Create(ctx context.Context, sc account.Scope, req CreateRequest) (Session, error) {
	if err := checkTitle(req.Title); err != nil {
		return Session{}, err
	}
	if err := checkMetadata(req.Metadata); err != nil {
		return Session{}, err
	}
	if len(req.Initial) > MaxInitialEvents {
		return Session{}, fault.Invalidf("initial_events", "must have at most %d events", MaxInitialEvents)
	}
	for i, in := range req.Initial {
		if !in.work() {
			return Session{}, fault.Invalidf(fmt.Sprintf("initial_events[%d].type", i), "must be user.message or user.define_outcome")
		}
		if err := in.check(fmt.Sprintf("initial_events[%d]", i)); err != nil {
			return Session{}, err
		}
	}
	if err := CheckBudget(req.Budget); err != nil {
		return Session{}, err
	}
	if err := s.checkFiles(ctx, sc, req.Initial); err != nil {
		return Session{}, err
	}
	var err error
	if req.Initial, err = s.resolveRubrics(ctx, sc, req.Initial); err != nil {
		return Session{}, err
	}
	a, err := s.d.Agents.Get(ctx, sc, req.Agent)
	if err != nil {
		return Session{}, err
	}
	if a.Standing == agent.Archived {
		return Session{}, ErrAgentArchived.Withf("agent %s is archived", a.ID)
	}
	if req.AgentVersion != 0 && req.AgentVersion != a.Version {
		if a, err = s.d.Agents.GetVersion(ctx, sc, req.Agent, req.AgentVersion); err != nil {
			return Session{}, err
		}
	}
	overrides, err := s.override(ctx, sc, a, req.Overrides)
	if err != nil {
		return Session{}, err
	}
	if err := s.checkVaults(ctx, sc, req.Vaults); err != nil {
		return Session{}, err
	}
	resources, err := s.attach(ctx, sc, nil, req.Resources, func(i int) string { return fmt.Sprintf("resources[%d].", i) })
	if err != nil {
		return Session{}, err
	}
	now := clock.Stored(s.d.Clock.Now())
	if req.ID.IsZero() {
		req.ID = id.New[id.SessionKind](s.d.IDs)
	}
	out := Session{
		ID: req.ID, Tenant: sc.Tenant, Agent: a.ID, AgentVersion: a.Version, Overrides: overrides,
		Environment: req.Environment, Vaults: req.Vaults, Resources: resources, Budget: req.Budget,
		Private: req.Private, Title: req.Title, Metadata: req.Metadata, Active: StatusIdle, CreatedAt: now, UpdatedAt: now,
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.useEnvironment(ctx, sc, out.Environment); err != nil {
			return err
		}
		if err := s.d.Repository.Create(ctx, sc, out); err != nil {
			return err
		}
		_, err := s.enqueue(ctx, sc, out.ID, out.Agent, req.Initial)
		return err
	})
	if err != nil {
		return Session{}, err
	}
	out.Queued = len(req.Initial)
	s.d.Logger.DebugContext(ctx, "session created", "tenant_id", sc.Tenant, "session_id", out.ID, "agent_id", out.Agent)
	return out, nil
}

// Get returns a session, or id.NotFound.
func (s *Service) Get(ctx context.Context, sc account.Scope, session id.Session) (Session, error) {
	return s.own(ctx, sc, session)
}

// List lists sessions, newest first unless req says otherwise.
func (s *Service) List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Session], error) {
	return s.d.Repository.List(ctx, sc, req)
}

// Agent returns the version of the agent that a session is held with, the session's overrides included.
func (s *Service) Agent(ctx context.Context, sc account.Scope, of Session) (agent.Agent, error) {
	a, err := s.d.Agents.GetVersion(ctx, sc, of.Agent, of.AgentVersion)
	if err != nil {
		return agent.Agent{}, err
	}
	a.Config = a.Config.With(of.Overrides)
	return a, nil
}

// Member is one to whom a coordinator may delegate.
type Member struct {
	Entry agent.RosterEntry
	Agent agent.Agent // zero for an advisor, which is a model
}

// Team returns who is on the roster of a, an agent as Agent returns it, in the version that the roster names. Whoever was destroyed is
// left out. It is nil for an agent that is no coordinator.
func (s *Service) Team(ctx context.Context, sc account.Scope, a agent.Agent) ([]Member, error) {
	if a.Config.Multiagent == nil || a.Config.Multiagent.Type != agent.Coordinator {
		return nil, nil
	}
	var out []Member
	for _, e := range a.Config.Multiagent.Roster {
		m := Member{Entry: e}
		switch e.Type {
		case agent.RosterSelf:
			m.Agent = a
		case agent.RosterAgent:
			other, err := s.d.Agents.GetVersion(ctx, sc, e.Agent, e.Version)
			if fault.KindOf(err) == fault.NotFound {
				continue
			}
			if err != nil {
				return nil, err
			}
			m.Agent = other
		}
		out = append(out, m)
	}
	return out, nil
}

// Archive ends a session for good: what runs or waits in it is stopped, its log stays readable. Archiving again changes nothing.
func (s *Service) Archive(ctx context.Context, sc account.Scope, session id.Session) (Session, error) {
	err := s.end(ctx, sc, session, "the session was archived", SessionTerminated, func(ctx context.Context, now time.Time) (bool, error) {
		fresh := false
		_, err := s.d.Repository.Update(ctx, sc, session, func(v *Session) error {
			if fresh = v.ArchivedAt == nil; fresh {
				v.ArchivedAt, v.UpdatedAt = &now, now
			}
			return nil
		})
		return fresh, err
	})
	if err != nil {
		return Session{}, err
	}
	return s.d.Repository.Get(ctx, sc, session)
}

// Delete makes a session disappear; what runs or waits in it is stopped. Its log is kept for the audit, out of reach.
func (s *Service) Delete(ctx context.Context, sc account.Scope, session id.Session) error {
	return s.end(ctx, sc, session, "the session was deleted", SessionDeleted, func(ctx context.Context, now time.Time) (bool, error) {
		if err := s.d.Repository.Delete(ctx, sc, session, now); err != nil {
			return true, err
		}
		return true, s.forgetPolicies(ctx, sc, session)
	})
}

// end stops a session and marks it, in one transaction.
func (s *Service) end(ctx context.Context, sc account.Scope, session id.Session, reason string, last EventType,
	mark func(ctx context.Context, now time.Time) (bool, error),
) error {
	if _, err := s.own(ctx, sc, session); err != nil {
		return err
	}
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		// Turns are locked before the session, as everywhere.
		if _, err := s.d.Journal.lockTree(ctx, sc, session); err != nil {
			return err
		}
		fresh, err := mark(ctx, clock.Stored(s.d.Clock.Now()))
		if err != nil || !fresh {
			return err
		}
		if err := s.d.Journal.stopThreads(ctx, sc, session, reason, true); err != nil {
			return err
		}
		if _, err := s.d.Journal.stop(ctx, sc, session, halt{reason: reason, drop: true, idle: true, last: []Entry{{Type: last}}}); err != nil {
			return err
		}
		if s.ended != nil {
			s.d.TX.AfterCommit(ctx, func() { s.ended(ctx, Ref{sc.Tenant, session}) })
		}
		_, err = s.d.Gate.VoidSession(ctx, sc, session, reason)
		return err
	})
}

// Erase removes a deleted session for good, its threads and their logs included, because somebody is to be forgotten. It joins the
// transaction in ctx. One that is not there any more is no error; id.NotFound for one that was not deleted.
func (s *Service) Erase(ctx context.Context, sc account.Scope, session id.Session) error {
	if s.d.Eraser == nil {
		return errors.New("session: Deps.Eraser is required to erase sessions")
	}
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		switch _, err := s.d.Repository.Get(ctx, sc, session); {
		case err == nil:
			return id.NotFound[id.SessionKind](session.String())
		case fault.KindOf(err) != fault.NotFound:
			return err
		}
		return s.d.Eraser.Erase(ctx, sc, session)
	})
}

func (s *Service) forgetPolicies(ctx context.Context, sc account.Scope, sessions ...id.Session) error {
	if s.d.Policies == nil {
		return nil
	}
	for _, of := range sessions {
		if err := s.d.Policies.ForgetSession(ctx, sc, of); err != nil {
			return err
		}
	}
	return nil
}

// Destroy removes every session of an agent that is being destroyed, logs included, and stops what runs in them. It joins the
// transaction in ctx.
func (s *Service) Destroy(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		if _, err := s.d.Journal.interruptAgents(ctx, sc, []id.Agent{agent}, "the agent was deleted", ""); err != nil {
			return err
		}
		gone, err := s.d.Repository.Destroy(ctx, sc, agent)
		if err != nil {
			return err
		}
		if err := s.forgetPolicies(ctx, sc, gone...); err != nil || s.ended == nil {
			return err
		}
		s.d.TX.AfterCommit(ctx, func() {
			for _, session := range gone {
				s.ended(ctx, Ref{sc.Tenant, session})
			}
		})
		return nil
	})
}

// maxEventBytes bounds the bodies of a page of events, of which there may be fewer than asked for.
const maxEventBytes = 4 << 20

// Events reads a part of a session's log. q.Limit must be positive, and long events make it fewer; more says whether there is more
// in that direction.
func (s *Service) Events(ctx context.Context, sc account.Scope, session id.Session, q EventQuery) (events []Event, more bool, err error) {
	if _, err := s.own(ctx, sc, session); err != nil {
		return nil, false, err
	}
	return s.events(ctx, sc, session, q)
}

// events is Events of a session that is known to be there.
func (s *Service) events(ctx context.Context, sc account.Scope, session id.Session, q EventQuery) (events []Event, more bool, err error) {
	limit := q.Limit
	q.Limit, q.MaxBytes = limit+1, maxEventBytes
	events, err = s.d.Log.Events(ctx, sc, session, q)
	if err != nil {
		return nil, false, err
	}
	if len(events) > limit {
		return events[:limit], true, nil
	}
	if !q.Cut(events) {
		return events, false, nil
	}
	q.Limit = 1
	if last := events[len(events)-1].Seq; q.Desc {
		q.BeforeSeq = last
	} else {
		q.AfterSeq = last
	}
	further, err := s.d.Log.Events(ctx, sc, session, q)
	return events, len(further) > 0, err
}

// OpenUses lists the tool uses of a session that have no result yet.
func (s *Service) OpenUses(ctx context.Context, sc account.Scope, session id.Session) ([]ToolUse, error) {
	if _, err := s.own(ctx, sc, session); err != nil {
		return nil, err
	}
	return s.d.Uses.Open(ctx, sc, session)
}

func checkTitle(title string) error {
	if utf8.RuneCountInString(title) > MaxTitle {
		return fault.Invalidf("title", "must have at most %d characters", MaxTitle)
	}
	return nil
}

func checkMetadata(m map[string]string) error {
	var f check.Faults
	metadata.Check(&f, m)
	return f.Err(fault.New(fault.Invalid, "invalid_request", ""))
}
