package native

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
)

// sessionWire is a session as it is answered. Every field is always there.
type sessionWire struct {
	ID                 string            `json:"id" doc:"sesn_..."`
	Type               string            `json:"type" enum:"session"`
	Status             string            `json:"status" enum:"idle,running,rescheduling,terminated"`
	StopReason         *stopReasonWire   `json:"stop_reason" doc:"Why it is idle; null before its first turn ended and while one runs."`
	Title              *string           `json:"title"`
	Agent              agentWire         `json:"agent" doc:"The version of the agent that the session is held with."`
	AgentID            string            `json:"agent_id"`
	EnvironmentID      *string           `json:"environment_id"`
	VaultIDs           []string          `json:"vault_ids" nullable:"false"`
	Resources          []resourceWire    `json:"resources" nullable:"false"`
	Metadata           map[string]string `json:"metadata"`
	Usage              sessionUsageWire  `json:"usage"`
	Stats              sessionStatsWire  `json:"stats"`
	OutcomeEvaluations []outcomeWire     `json:"outcome_evaluations" nullable:"false"`
	Budget             *budgetWire       `json:"budget" doc:"null: none."`
	CreatedAt          stamp             `json:"created_at"`
	UpdatedAt          stamp             `json:"updated_at"`
	ArchivedAt         *stamp            `json:"archived_at"`
}

type stopReasonWire struct {
	Type     string   `json:"type" enum:"end_turn,requires_action,retries_exhausted,budget_reached,refusal"`
	EventIDs []string `json:"event_ids,omitempty" doc:"The tool uses that wait for somebody."`
}

type sessionUsageWire struct {
	InputTokens          int64             `json:"input_tokens"`
	OutputTokens         int64             `json:"output_tokens"`
	CacheReadInputTokens int64             `json:"cache_read_input_tokens"`
	CacheCreation        cacheCreationWire `json:"cache_creation"`
	ActiveSeconds        float64           `json:"active_seconds"`
	ListCost             costWire          `json:"list_cost" doc:"Of the model calls that have a known price."`
	UnpricedCalls        int64             `json:"unpriced_calls" doc:"Model calls whose price is not known."`
}

type cacheCreationWire struct {
	Ephemeral5m int64 `json:"ephemeral_5m_input_tokens"`
	Ephemeral1h int64 `json:"ephemeral_1h_input_tokens"`
}

type sessionStatsWire struct {
	ActiveSeconds   float64 `json:"active_seconds" doc:"How long its turns have been running."`
	DurationSeconds float64 `json:"duration_seconds" doc:"Since it was created, until it was archived."`
}

func showStopReason(r *session.StopReason) *stopReasonWire {
	if r == nil {
		return nil
	}
	w := &stopReasonWire{Type: string(r.Type)}
	for _, e := range r.Events {
		w.EventIDs = append(w.EventIDs, e.String())
	}
	return w
}

// showSession writes a session with its agent.
func (f *face) showSession(ctx context.Context, s session.Session) (sessionWire, error) {
	a, err := f.deps.Sessions.Agent(ctx, httpx.Scope(ctx), s)
	if err != nil {
		return sessionWire{}, err
	}
	threads, err := f.deps.Sessions.ThreadUsage(ctx, httpx.Scope(ctx), []id.Session{s.ID})
	if err != nil {
		return sessionWire{}, err
	}
	outcomes, err := f.outcomesOf(ctx, s.ID)
	if err != nil {
		return sessionWire{}, err
	}
	team, err := f.deps.Sessions.Team(ctx, httpx.Scope(ctx), a)
	if err != nil {
		return sessionWire{}, err
	}
	w := f.sessionWith(s, showSessionAgent(a, team), threads[s.ID])
	w.OutcomeEvaluations = showOutcomes(outcomes[s.ID])
	return w, nil
}

// showSessionAgent writes the agent of a session: its roster is shown as the agents that are on it, and not as references.
func showSessionAgent(a agent.Agent, team []session.Member) agentWire {
	w := showAgent(a)
	if a.Config.Multiagent == nil || a.Config.Multiagent.Type != agent.Coordinator {
		return w
	}
	m := multiagentWire{agent.Coordinator, make([]any, 0, len(team))}
	for _, v := range team {
		switch v.Entry.Type {
		case agent.RosterAdvisor:
			m.Agents = append(m.Agents, rosterAdvisorWire{v.Entry.Type, v.Entry.Model})
		case agent.RosterSelf:
			m.Agents = append(m.Agents, showMember(a))
		default:
			m.Agents = append(m.Agents, showMember(v.Agent))
		}
	}
	w.Multiagent = m
	return w
}

// showMember writes an agent that works for another, without those to whom it could delegate itself.
func showMember(a agent.Agent) agentWire {
	a.Config.Multiagent = nil
	return showAgent(a)
}

// sessionWith writes a session; threads is what the sessions that work for it have used.
func (f *face) sessionWith(s session.Session, a agentWire, threads session.Usage) sessionWire {
	now := f.deps.Clock.Now()
	until := now
	if s.ArchivedAt != nil {
		until = *s.ArchivedAt
	}
	active := seconds(s.ActiveTime(now))
	w := sessionWire{
		ID: s.ID.String(), Type: "session", Status: string(s.Status()), StopReason: showStopReason(s.StopReason), Title: textOrNull(s.Title),
		Agent: a, AgentID: s.Agent.String(), EnvironmentID: textOrNull(s.Environment.String()),
		VaultIDs: make([]string, len(s.Vaults)), Resources: make([]resourceWire, len(s.Resources)), Metadata: s.Metadata, OutcomeEvaluations: []outcomeWire{},
		Usage: showSpent(s.Usage.Plus(threads), active),
		Stats: sessionStatsWire{active, seconds(until.Sub(s.CreatedAt))}, Budget: showBudget(s.Budget),
		CreatedAt: stampOf(s.CreatedAt), UpdatedAt: stampOf(s.UpdatedAt), ArchivedAt: stampPtr(s.ArchivedAt),
	}
	for i, v := range s.Vaults {
		w.VaultIDs[i] = v.String()
	}
	for i, r := range s.Resources {
		w.Resources[i] = showResource(r)
	}
	if w.Metadata == nil {
		w.Metadata = map[string]string{}
	}
	return w
}

func showSpent(u session.Usage, active float64) sessionUsageWire {
	return sessionUsageWire{
		InputTokens: u.Tokens.Input, OutputTokens: u.Tokens.Output, CacheReadInputTokens: u.Tokens.CacheRead,
		CacheCreation: cacheCreationWire{u.Tokens.CacheWrite5m, u.Tokens.CacheWrite1h}, ActiveSeconds: active,
		ListCost: *showCost(&u.Cost), UnpricedCalls: u.Unpriced,
	}
}

// seconds rounds to the millisecond, as times are shown.
func seconds(d time.Duration) float64 { return max(0, d.Round(time.Millisecond).Seconds()) }

// isGiven reports whether a field that may be anything holds something: neither null nor empty.
func isGiven(raw json.RawMessage) bool {
	switch strings.Join(strings.Fields(string(raw)), "") {
	case "", "null", "[]", "{}", `""`:
		return false
	}
	return true
}

type sessionInput struct {
	SessionID string `path:"session_id" doc:"The session's id."`
}

func (in *sessionInput) id() (id.Session, error) { return id.Parse[id.SessionKind](in.SessionID) }

type listSessionsInput struct {
	httpx.PageQuery
	AgentID         string    `query:"agent_id" doc:"Sessions with this agent."`
	AgentVersion    int       `query:"agent_version" minimum:"1" doc:"With agent_id: sessions with this version."`
	MemoryStoreID   string    `query:"memory_store_id" doc:"Sessions with this memory store attached."`
	DeploymentID    string    `query:"deployment_id" doc:"Sessions of this deployment. This server has none, so that there are none."`
	Status          string    `query:"status" enum:"idle,running,rescheduling,terminated" doc:"Sessions in this status. Archived ones are terminated."`
	Statuses        []string  `query:"statuses[],explode" enum:"idle,running,rescheduling,terminated" doc:"Sessions in one of these statuses."`
	PlainStatuses   []string  `query:"statuses,explode" enum:"idle,running,rescheduling,terminated" doc:"Another name of statuses[]."`
	Archived        bool      `query:"archived" doc:"Archived sessions too."`
	IncludeArchived bool      `query:"include_archived" doc:"Another name of archived."`
	Order           string    `query:"order" enum:"asc,desc" default:"desc" doc:"By the time of creation."`
	GTE             time.Time `query:"created_at[gte]" doc:"Created at or after. Times are compared by the millisecond, as they are shown."`
	GT              time.Time `query:"created_at[gt]" doc:"Created after."`
	LTE             time.Time `query:"created_at[lte]" doc:"Created at or before."`
	LT              time.Time `query:"created_at[lt]" doc:"Created before."`
}

// request returns what is asked for; false when no session can match.
func (in *listSessionsInput) request() (session.ListRequest, bool, error) {
	req := session.ListRequest{
		Request: in.Request(), IncludeArchived: in.Archived || in.IncludeArchived, Ascending: in.Order == "asc",
	}
	if in.AgentID != "" {
		a, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return session.ListRequest{}, false, nil //nolint:nilerr // an id that names nothing matches nothing
		}
		req.Agent, req.AgentVersion = a, in.AgentVersion
	}
	if in.DeploymentID != "" {
		return session.ListRequest{}, false, nil
	}
	if in.MemoryStoreID != "" {
		m, err := id.Parse[id.MemoryStoreKind](in.MemoryStoreID)
		if err != nil {
			return session.ListRequest{}, false, nil //nolint:nilerr // as above
		}
		req.Store = m
	}
	for _, s := range slices.Concat(in.Statuses, in.PlainStatuses) {
		req.Statuses = append(req.Statuses, session.Status(s))
	}
	if in.Status != "" {
		req.Statuses = append(req.Statuses, session.Status(in.Status))
	}
	req.Created.From, req.Created.To = timeRange(in.GTE, in.GT, in.LTE, in.LT)
	req.Created.ExcludeTo = true
	return req, true, nil
}

// sessionListWire is a page of sessions, which can be read backwards, too.
type sessionListWire struct {
	Data     []sessionWire `json:"data" nullable:"false" doc:"The items of this page."`
	HasMore  bool          `json:"has_more" doc:"Whether there is a next page."`
	NextPage *string       `json:"next_page" doc:"The cursor of the next page; null on the last."`
	PrevPage *string       `json:"prev_page" doc:"The cursor of the page before; null on the first."`
}

func (f *face) registerSessions() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createSession", Method: http.MethodPost, Path: "/v1/sessions", Tag: "sessions", Status: http.StatusCreated,
		Example: `{"agent":"agent_01h..."}`,
		Summary: "Create a session", Permission: account.Chat,
		Description: "A session is a conversation with one version of an agent, as it is or with parts of its configuration replaced " +
			"(`agent_with_overrides`). Send the first message afterwards with " +
			"`POST /v1/sessions/{session_id}/messages`, which streams the answer, or with `POST /v1/sessions/{session_id}/events`.",
	}, func(ctx context.Context, in *createSessionInput) (*output[sessionWire], error) {
		req, err := in.request()
		if err != nil {
			return nil, err
		}
		return f.answerSession(ctx)(f.deps.Sessions.Create(ctx, httpx.Scope(ctx), req))
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listSessions", Method: http.MethodGet, Path: "/v1/sessions", Tag: "sessions",
		Summary: "List sessions, newest first", Permission: account.Chat,
	}, f.listSessions)

	httpx.Register(f.Face, httpx.Op{
		ID: "getSession", Method: http.MethodGet, Path: "/v1/sessions/{session_id}", Tag: "sessions",
		Summary: "Read a session", Permission: account.Chat,
	}, func(ctx context.Context, in *sessionInput) (*output[sessionWire], error) {
		s, err := in.id()
		if err != nil {
			return nil, err
		}
		return f.answerSession(ctx)(f.deps.Sessions.Get(ctx, httpx.Scope(ctx), s))
	})

	for method, op := range map[string]string{http.MethodPatch: "patchSession", http.MethodPost: "updateSession", http.MethodPut: "putSession"} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/sessions/{session_id}", Tag: "sessions", Summary: "Change a session",
			Example: `{"title":"renewals"}`,
			Description: "Changes what the body names. POST, PATCH and PUT do the same. The tools and servers of the session's agent can be changed " +
				"while it is idle. A budget can be raised, or lowered to more than what is spent, or removed with null; it cannot be added.",
			Permission: account.Chat,
			Statuses:   []int{http.StatusConflict},
		}, func(ctx context.Context, in *updateSessionInput) (*output[sessionWire], error) {
			s, err := id.Parse[id.SessionKind](in.SessionID)
			if err != nil {
				return nil, err
			}
			p, err := in.patch()
			if err != nil {
				return nil, err
			}
			return f.answerSession(ctx)(f.deps.Sessions.Update(ctx, httpx.Scope(ctx), s, p))
		})
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteSession", Method: http.MethodDelete, Path: "/v1/sessions/{session_id}", Tag: "sessions",
		Summary: "Delete a session", Permission: account.Chat,
		Description: "What runs or waits in it is stopped. It is gone for every caller; its log is kept for the audit.",
	}, func(ctx context.Context, in *sessionInput) (*output[httpx.Deleted], error) {
		s, err := in.id()
		if err != nil {
			return nil, err
		}
		if err := f.deps.Sessions.Delete(ctx, httpx.Scope(ctx), s); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: s.String(), Type: "session_deleted"}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "archiveSession", Method: http.MethodPost, Path: "/v1/sessions/{session_id}/archive", Tag: "sessions",
		Summary: "Archive a session", Permission: account.Chat,
		Description: "What runs or waits in it is stopped, and it takes no more events. Its log stays readable. Archiving it again changes nothing.",
	}, func(ctx context.Context, in *sessionInput) (*output[sessionWire], error) {
		s, err := in.id()
		if err != nil {
			return nil, err
		}
		return f.answerSession(ctx)(f.deps.Sessions.Archive(ctx, httpx.Scope(ctx), s))
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "cancelSession", Method: http.MethodPost, Path: "/v1/sessions/{session_id}/cancel", Tag: "sessions",
		Summary: "Cancel what a session is doing", Permission: account.Chat,
		Description: "The same as sending a `user.interrupt`: the running turn ends, what it waited for is denied, and queued messages run afterwards.",
	}, func(ctx context.Context, in *sessionInput) (*output[sessionWire], error) {
		s, err := in.id()
		if err != nil {
			return nil, err
		}
		if _, err := f.deps.Sessions.Send(ctx, httpx.Scope(ctx), s, []session.Input{{Type: session.UserInterrupt}}); err != nil {
			return nil, err
		}
		return f.answerSession(ctx)(f.deps.Sessions.Get(ctx, httpx.Scope(ctx), s))
	})

	f.registerSessionResources()
	f.registerSessionEvents()
	f.registerThreads()
}

// answerSession writes what a service answered.
func (f *face) answerSession(ctx context.Context) func(session.Session, error) (*output[sessionWire], error) {
	return func(s session.Session, err error) (*output[sessionWire], error) {
		if err != nil {
			return nil, err
		}
		w, err := f.showSession(ctx, s)
		if err != nil {
			return nil, err
		}
		return ok(w), nil
	}
}

func (f *face) listSessions(ctx context.Context, in *listSessionsInput) (*output[sessionListWire], error) {
	out := sessionListWire{Data: []sessionWire{}}
	req, any, err := in.request()
	if err != nil || !any {
		return ok(out), err
	}
	sessions, err := f.deps.Sessions.List(ctx, httpx.Scope(ctx), req)
	if err != nil {
		return nil, err
	}
	ids := make([]id.Session, len(sessions.Items))
	for i, s := range sessions.Items {
		ids[i] = s.ID
	}
	below, err := f.deps.Sessions.ThreadUsage(ctx, httpx.Scope(ctx), ids)
	if err != nil {
		return nil, err
	}
	outcomes, err := f.outcomesOf(ctx, ids...)
	if err != nil {
		return nil, err
	}
	type version struct {
		agent id.Agent
		n     int
	}
	agents := map[version]agent.Agent{} // most sessions of a page share a few
	teams := map[version][]session.Member{}
	for _, s := range sessions.Items {
		v := version{s.Agent, s.AgentVersion}
		a, known := agents[v]
		if !known {
			plain := s
			plain.Overrides = nil
			if a, err = f.deps.Sessions.Agent(ctx, httpx.Scope(ctx), plain); err != nil {
				return nil, err
			}
			if teams[v], err = f.deps.Sessions.Team(ctx, httpx.Scope(ctx), a); err != nil {
				return nil, err
			}
			agents[v] = a
		}
		a.Config = a.Config.With(s.Overrides)
		w := f.sessionWith(s, showSessionAgent(a, teams[v]), below[s.ID])
		w.OutcomeEvaluations = showOutcomes(outcomes[s.ID])
		out.Data = append(out.Data, w)
	}
	if out.HasMore = sessions.Next != ""; out.HasMore {
		out.NextPage = &sessions.Next
	}
	if sessions.Prev != "" {
		out.PrevPage = &sessions.Prev
	}
	return ok(out), nil
}
