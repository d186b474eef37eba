package agent

import (
	"context"
	"fmt"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/fault"
)

// checkRemotes refuses remote agents that are not there, unless was has them already, and those whose name another tool of the agent
// has: one of the two would not be offered. Where was has both, it is told when it runs, and may be changed in other ways.
func (s *Service) checkRemotes(ctx context.Context, sc account.Scope, cfg, was Config) error {
	var f check.Faults
	for i, t := range cfg.Tools {
		if t.Type != A2AAgent {
			continue
		}
		at := slices.IndexFunc(was.Tools, func(o Tool) bool { return o.Type == A2AAgent && o.Remote == t.Remote })
		name, err := s.d.Remotes.CheckRemote(ctx, sc, t.Remote)
		if at >= 0 && fault.KindOf(err) == fault.NotFound {
			continue // it was removed
		}
		if err != nil {
			return err
		}
		other := s.namesake(cfg, name)
		if !t.Default.Enabled || other == noTool || at >= 0 && was.Tools[at].Default.Enabled && s.namesake(was, name) == other {
			continue
		}
		path := fmt.Sprintf("tools[%d].remote_agent_id", i)
		if other == builtInTool {
			f.Addf(path, "the remote agent is named %s, as a built-in tool is: give it another name", name)
		} else {
			f.Addf(path, "the remote agent is named %s, as a custom tool of the agent is: give one of them another name", name)
		}
	}
	return f.Err(ErrInvalid)
}

// namesake is another tool of an agent that has a remote agent's name.
type namesake int

const (
	noTool namesake = iota
	builtInTool
	customTool
)

// namesake returns which of the tools that cfg offers, remote agents aside, has a name.
func (s *Service) namesake(cfg Config, name string) namesake {
	if slices.Contains(s.cfg.Reserved, name) {
		return builtInTool
	}
	if set, ok := cfg.Toolset(); ok {
		if enabled, _ := set.Lookup(name); enabled {
			return builtInTool
		}
	}
	if slices.ContainsFunc(cfg.CustomTools(), func(c Tool) bool { return c.Name == name }) {
		return customTool
	}
	return noTool
}
