package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Offer is a tool of the agent toolset, as it is offered in a session.
type Offer struct {
	// Tool does the work; nil when the client does, because the session's environment is self-hosted.
	Tool tool.Tool
	Spec tool.Spec
	// Ask makes every use wait for a user.tool_confirmation.
	Ask bool
	// Timeout bounds a call, with the time that preparing the sandbox may take.
	Timeout time.Duration
}

// callTimeout is more than a call may take: its program, and what is installed and cloned before it.
const callTimeout = 45 * time.Minute

// handler does one tool's work in a sandbox.
type handler func(ctx context.Context, u *scene, input json.RawMessage) (tool.Result, error)

// Tools returns the tools of the agent toolset that an agent has in a session: those that its configuration enables.
func (s *Service) Tools(ctx context.Context, sc account.Scope, sess session.Session, a agent.Agent) ([]Offer, error) {
	set, ok := a.Config.Toolset()
	if !ok {
		return nil, nil
	}
	root, err := s.root(ctx, sc, sess)
	if err != nil {
		return nil, err
	}
	env, err := s.environment(ctx, sc, root)
	if err != nil && fault.KindOf(err) != fault.NotFound { // the use says that it is gone
		return nil, err
	}
	handlers := map[string]handler{
		"bash": s.bash, "read": s.read, "write": s.write, "edit": s.edit, "glob": s.glob, "grep": s.grep,
	}
	var out []Offer
	for _, spec := range []tool.Spec{bashSpec, readSpec, writeSpec, editSpec, globSpec, grepSpec, fetchSpec, searchSpec} {
		enabled, permission := set.Lookup(spec.Name)
		if !enabled {
			continue
		}
		o := Offer{Spec: spec, Ask: permission == agent.AlwaysAsk, Timeout: callTimeout}
		if env.Config.Type != environment.SelfHosted {
			o.Tool = boxTool{s: s, sc: sc, session: sess.ID, agent: a, spec: spec, do: handlers[spec.Name], config: configOf(set, spec.Name)}
		}
		out = append(out, o)
	}
	return out, nil
}

func configOf(set agent.Tool, name string) agent.ToolConfig {
	i := slices.IndexFunc(set.Configs, func(c agent.ToolConfig) bool { return c.Name == name })
	if i < 0 {
		return agent.ToolConfig{}
	}
	return set.Configs[i]
}

// boxTool is one tool in one session.
type boxTool struct {
	s       *Service
	sc      account.Scope
	session id.Session
	agent   agent.Agent
	spec    tool.Spec
	do      handler // nil for those that need no sandbox
	config  agent.ToolConfig
}

var _ tool.Tool = boxTool{}

// Spec implements tool.Tool.
func (t boxTool) Spec() tool.Spec { return t.spec }

// Call implements tool.Tool.
func (t boxTool) Call(ctx context.Context, call tool.Call) (tool.Result, error) {
	switch t.spec.Name {
	case fetchSpec.Name:
		return t.s.fetch(ctx, t.config, call.Input)
	case searchSpec.Name:
		return refusef("no search provider is configured on this server; use web_fetch if you know an address"), nil
	}
	var res tool.Result
	notes, err := t.s.use(ctx, t.sc, t.session, t.agent, func(ctx context.Context, u *scene) error {
		var err error
		res, err = t.do(ctx, u, call.Input)
		return err
	})
	if err != nil {
		if f, ok := fault.As(err); ok && f.Kind != fault.Internal && f.Kind != fault.NotFound && ctx.Err() == nil {
			return refusef("%s", f.Message), nil
		}
		return tool.Result{}, err
	}
	for _, n := range notes {
		res.Text = strings.TrimRight(res.Text, "\n") + "\n[note: " + n + "]"
	}
	return res, nil
}

// refusef makes a result that reports a failure which the model may mend.
func refusef(format string, args ...any) tool.Result {
	return tool.Result{Text: clean(fmt.Sprintf(format, args...)), IsError: true}
}
