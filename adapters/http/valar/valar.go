package valar

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Prefix is where the face stands.
const Prefix = "/compat/valar"

// perMinute is how many requests an address may make in a minute, whoever makes them.
const perMinute = 100

// Settings are what the faces of one server have in common.
type Settings = httpx.Settings

// Destroyer takes agents out of the world for good, with all that only they need.
type Destroyer interface {
	// Destroy returns id.NotFound when the tenant has no such agent.
	Destroy(ctx context.Context, sc account.Scope, agent id.Agent) error
}

// Deps are the services behind the face; all are required.
type Deps struct {
	Settings
	Directory *agent.Directory
	Exchange  *telemetry.Exchange
	Opinions  *telemetry.Opinions
	Destroyer Destroyer
	Events    *telemetry.Service
	Links     *account.Links
	Market    *skill.Market
	Usage     *usage.Service
	// Ready reports whether the server can do its work: whether the store answers. It gets a second.
	Ready func(context.Context) error
}

// face is the API while it is put together.
type face struct {
	*httpx.Face
	deps Deps
}

// New returns the handler of the face. Requests come with Prefix in their path.
func New(deps Deps) (http.Handler, error) {
	switch {
	case deps.Directory == nil:
		return nil, errors.New("valar: Deps.Directory is required")
	case deps.Exchange == nil:
		return nil, errors.New("valar: Deps.Exchange is required")
	case deps.Opinions == nil:
		return nil, errors.New("valar: Deps.Opinions is required")
	case deps.Destroyer == nil:
		return nil, errors.New("valar: Deps.Destroyer is required")
	case deps.Events == nil:
		return nil, errors.New("valar: Deps.Events is required")
	case deps.Links == nil:
		return nil, errors.New("valar: Deps.Links is required")
	case deps.Market == nil:
		return nil, errors.New("valar: Deps.Market is required")
	case deps.Usage == nil:
		return nil, errors.New("valar: Deps.Usage is required")
	case deps.Ready == nil:
		return nil, errors.New("valar: Deps.Ready is required")
	}
	hf, err := httpx.New(httpx.Config{
		Settings: deps.Settings,
		Name:     "valar",
		Title:    "Bureau: Valar-compatible API",
		Description: "The registry of agents, as clients of the Valar API know it. The same agents are those of Bureau's own API.\n\nSend an API " +
			"key as `X-API-Key` or as `Authorization: Bearer`. Lists are arrays, newest first, with `limit` (50 when it is left out, 500 at " +
			"most) and `offset`; `X-Total-Count` says how many items there are.",
		Prefix:   Prefix,
		Envelope: httpx.Envelope{Status: statusOf, Encode: encodeError},
		Statuses: []int{http.StatusUnprocessableEntity},
		Rate:     httpx.Rate{PerMinute: func(account.Scope) int { return perMinute }, ByAddress: true},
		Public:   []string{"GET /health", "GET /openapi.json", "GET /docs"},
		Tags: []httpx.Tag{
			{Name: "agents", Description: "The registry of agents."}, {Name: "events", Description: "What agents did and met, as they say."},
			{Name: "messages", Description: "What agents tell each other."},
			{Name: "feedback", Description: "What users think of agents and of their work."}, {Name: "usage", Description: "What models are used for, and what that costs."},
			{Name: "skills", Description: "What agents hand in, its review, and the marketplace."},
			{Name: "agent-links", Description: "Who looks after which agent."},
			{Name: "health", Description: "Whether the server is well."},
		},
	})
	if err != nil {
		return nil, err
	}
	f := &face{Face: hf, deps: deps}
	f.registerAgents()
	f.registerMessages()
	f.registerFeedback()
	f.registerEvents()
	f.registerUsage()
	f.registerSkills()
	f.registerAgentLinks()
	f.registerHealth()
	f.RegisterDocs()
	if err := f.Build(); err != nil {
		return nil, err
	}
	return f, nil
}

// output is the output of most operations.
type output[T any] struct{ Body T }

func ok[T any](body T) *output[T] { return &output[T]{Body: body} }

// stamp is a time: RFC 3339 in UTC with milliseconds.
type stamp string

func stampOf(t time.Time) stamp { return stamp(t.UTC().Format("2006-01-02T15:04:05.000Z")) }

// textPtr is null for an empty text.
func textPtr(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// PageQuery is embedded in the input of a list. It is exported, as all that inputs embed, for huma to see its fields.
type PageQuery struct {
	Limit  int `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Items at most."`
	Offset int `query:"offset" minimum:"0" maximum:"1000000000" default:"0" doc:"Items to skip."`
}

// request returns the page that is asked for.
func (q PageQuery) request() page.Request {
	return page.Request{Limit: q.Limit, Offset: q.Offset, Count: true}
}

// listOutput is a list with the number of all its items.
type listOutput[T any] struct {
	Total int `header:"X-Total-Count" doc:"How many items there are, not only on this page."`
	Body  []T `nullable:"false"`
}

// listOf writes a page with each item as show makes it.
func listOf[E, T any](p page.Page[E], show func(E) T) *listOutput[T] {
	out := &listOutput[T]{Total: p.Total, Body: make([]T, 0, len(p.Items))}
	for _, item := range p.Items {
		out.Body = append(out.Body, show(item))
	}
	return out
}

type healthWire struct {
	Status string `json:"status" enum:"ok"`
}

func (f *face) registerHealth() {
	httpx.Register(f.Face, httpx.Op{
		ID: "health", Method: http.MethodGet, Path: "/health", Tag: "health", Summary: "Whether the server is well",
		Statuses: []int{http.StatusServiceUnavailable},
	}, func(ctx context.Context, _ *struct{}) (*output[healthWire], error) {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := f.deps.Ready(ctx); err != nil {
			return nil, errNotReady.Wrap(err)
		}
		return ok(healthWire{"ok"}), nil
	})
}
