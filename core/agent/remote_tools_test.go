package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

// oneAgent keeps the agent that was created last, and is the transactions and the trail of it, too.
type oneAgent struct {
	tx.Runner
	agent.Repository
	a agent.Agent
}

func (o *oneAgent) Do(ctx context.Context, fn func(ctx context.Context) error) error { return fn(ctx) }

func (o *oneAgent) CountLive(context.Context, account.Scope) (int, error) { return 0, nil }

func (o *oneAgent) Note(context.Context, account.Scope, string, id.Agent, map[string]any) error {
	return nil
}

func (o *oneAgent) Insert(_ context.Context, _ account.Scope, a agent.Agent) error {
	o.a = a
	return nil
}

func (o *oneAgent) Get(context.Context, account.Scope, id.Agent) (agent.Agent, error) {
	return o.a, nil
}

func (o *oneAgent) Update(_ context.Context, _ account.Scope, _ id.Agent, change func(a *agent.Agent) error) (agent.Agent, error) {
	err := change(&o.a)
	return o.a, err
}

// remoteNames are the names of all remote agents.
type remoteNames struct{ name string }

func (r *remoteNames) CheckRemote(context.Context, account.Scope, id.RemoteAgent) (string, error) {
	return r.name, nil
}

// TestRemoteNamesakes: a remote agent that would have the name of another tool is refused, unless one of the two is not offered, or the
// agent has both already.
func TestRemoteNamesakes(t *testing.T) {
	t.Parallel()
	ids := id.NewGenerator(time.Now)
	on := agent.ToolDefault{Enabled: true}
	elsewhere := agent.Tool{Type: agent.A2AAgent, Remote: id.New[id.RemoteAgentKind](ids), Default: on}
	off := elsewhere
	off.Default.Enabled = false
	set := agent.Tool{Type: agent.AgentToolset, Default: on}
	noBash := agent.Tool{Type: agent.AgentToolset, Default: on, Configs: []agent.ToolConfig{{Name: "bash"}}}
	onlyBash := agent.Tool{Type: agent.AgentToolset, Configs: []agent.ToolConfig{{Name: "bash", Enabled: true}}}
	custom := func(name string) agent.Tool {
		return agent.Tool{Type: agent.CustomTool, Name: name, Description: "Paints.", InputSchema: json.RawMessage(`{"type":"object"}`)}
	}
	tools := func(t ...agent.Tool) []agent.Tool { return t }
	for name, tc := range map[string]struct {
		remote  string       // its name when the agent is changed
		was     []agent.Tool // while it had another
		now     []agent.Tool
		refused bool
	}{
		"a custom tool":              {"painter", nil, tools(custom("painter"), elsewhere), true},
		"a built-in tool":            {"pay", nil, tools(elsewhere), true},
		"of the toolset":             {"bash", nil, tools(set, elsewhere), true},
		"of the toolset, enabled":    {"bash", nil, tools(onlyBash, elsewhere), true},
		"of the toolset, disabled":   {"bash", nil, tools(noBash, elsewhere), false},
		"the others are disabled":    {"read", nil, tools(onlyBash, elsewhere), false},
		"no toolset":                 {"bash", nil, tools(elsewhere), false},
		"it is disabled":             {"bash", nil, tools(set, off), false},
		"both were there":            {"bash", tools(set, elsewhere), tools(set, elsewhere, custom("x")), false},
		"both, the custom one":       {"painter", tools(custom("painter"), elsewhere), tools(custom("painter"), elsewhere, custom("x")), false},
		"the toolset comes":          {"bash", tools(elsewhere), tools(set, elsewhere), true},
		"the built-in one's enabled": {"bash", tools(noBash, elsewhere), tools(set, elsewhere), true},
		"it is enabled":              {"bash", tools(set, off), tools(set, elsewhere), true},
		"one that is less":           {"bash", tools(custom("x"), set, elsewhere), tools(set, elsewhere), false},
	} {
		one, names := &oneAgent{}, &remoteNames{"elsewhere"}
		s, err := agent.NewService(agent.Deps{
			TX: one, Clock: clock.Func(time.Now), IDs: ids, Logger: slog.New(slog.DiscardHandler), Repository: one, Models: anyModel{}, Trail: one,
			Remotes: names,
		}, agent.ServiceConfig{Reserved: []string{"pay"}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.Create(t.Context(), account.Scope{}, agent.Config{Name: "a", Model: agent.Model{ID: "m"}, Tools: slices.Clone(tc.was)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		names.name = tc.remote
		_, err = s.Update(t.Context(), account.Scope{}, a.ID, agent.Patch{Tools: agent.Set(slices.Clone(tc.now))})
		if errors.Is(err, agent.ErrInvalid) != tc.refused || err != nil && !tc.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}
