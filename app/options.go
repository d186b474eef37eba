package app

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/trace"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/ports/blob"
	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/payment"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/runtime"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Option replaces a port, or adds to one.
type Option func(*options)

// options are the ports that the embedder brings; nil takes the one that Config says.
type options struct {
	clock    clock.Clock
	ids      id.Generator
	llm      llm.Provider
	embedder embedding.Embedder
	blobs    blob.Store
	bus      bus.Bus
	keeper   keeper.Keeper
	runtime  runtime.Runtime
	host     runtime.Host
	prober   hosting.Prober
	tools    []run.ToolSource
	rules    map[string]rule.Evaluator
	tracer   trace.TracerProvider
	rails    []payment.Rail
}

// WithClock replaces the system's clock.
func WithClock(c clock.Clock) Option { return func(o *options) { o.clock = c } }

// WithIDs replaces the generator of ids.
func WithIDs(g id.Generator) Option { return func(o *options) { o.ids = g } }

// WithLLM makes p the default model provider, in place of what Config.LLM says: agents get it by the handle "default", with
// Config.LLM.Model or p's own model, and by every handle that nothing else resolves, as the name of p's model. What a model costs is
// looked up by p.Name; a model without a price runs, save where a cost limit applies.
func WithLLM(p llm.Provider) Option { return func(o *options) { o.llm = p } }

// WithEmbedder replaces the embedding model of knowledge.
func WithEmbedder(e embedding.Embedder) Option { return func(o *options) { o.embedder = e } }

// WithBlobs replaces the store of plugin binaries: by default files in the data directory, with Postgres the database.
func WithBlobs(s blob.Store) Option { return func(o *options) { o.blobs = s } }

// WithBus replaces the bus: by default the process's memory, with Postgres LISTEN/NOTIFY.
func WithBus(b bus.Bus) Option { return func(o *options) { o.bus = b } }

// WithKeeper replaces the sealing of secrets, by default AES-256-GCM under Config.RootSecret.
func WithKeeper(k keeper.Keeper) Option { return func(o *options) { o.keeper = k } }

// WithRuntime replaces the runtime that programs of agents run in: by default what Config.Runtime says.
func WithRuntime(r runtime.Runtime) Option { return func(o *options) { o.runtime = r } }

// WithHost replaces the host that hosted agents run on: by default what Config.Runtime says. probe tells when an instance of it answers; nil
// takes an instance as ready that h can be dialled in.
func WithHost(h runtime.Host, probe hosting.Prober) Option {
	return func(o *options) { o.host, o.prober = h, probe }
}

// WithTool offers tools to every agent. A tool of a name that an installed skill or a built-in tool has is not offered. The Tool of a
// sdk.Skill's Served is one whose schema comes from a Go type.
func WithTool(tools ...tool.Tool) Option {
	offer := make(fixedTools, len(tools))
	for i, t := range tools {
		offer[i] = run.BoundTool{Tool: t}
	}
	return WithTools(offer)
}

// fixedTools are the same for every agent.
type fixedTools []run.BoundTool

// Tools implements run.ToolSource.
func (f fixedTools) Tools(context.Context, account.Scope, run.Env) ([]run.BoundTool, error) {
	return slices.Clone(f), nil
}

// WithTools offers tools that depend on the agent or the session, beside the built-in ones and installed skills.
func WithTools(s run.ToolSource) Option { return func(o *options) { o.tools = append(o.tools, s) } }

// WithRule adds a policy rule that runs in this process, under the name that policies give. It beats a plugin of that name. The Rule
// of a sdk.Rule's Served is one whose configuration is a Go type.
func WithRule(name string, r rule.Evaluator) Option {
	return func(o *options) {
		if o.rules == nil {
			o.rules = map[string]rule.Evaluator{}
		}
		o.rules[name] = r
	}
}

// WithRail adds a rail over which payments can leave, beside those of Config.Payments; it beats one of its name.
func WithRail(r payment.Rail) Option { return func(o *options) { o.rails = append(o.rails, r) } }

// WithTracer sends spans of requests, model calls, tools and rules to t, in place of what Config.OTLPEndpoint says. The caller shuts t
// down after App.Stop.
func WithTracer(t trace.TracerProvider) Option { return func(o *options) { o.tracer = t } }
