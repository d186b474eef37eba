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
// has: one of the two would not be offered.
func (s *Service) checkRemotes(ctx context.Context, sc account.Scope, cfg, was Config) error {
	builtIn := s.cfg.Reserved
	if _, ok := cfg.Toolset(); ok {
		builtIn = slices.Concat(builtIn, ToolsetNames())
	}
	var f check.Faults
	for i, t := range cfg.Tools {
		if t.Type != A2AAgent {
			continue
		}
		name, err := s.d.Remotes.CheckRemote(ctx, sc, t.Remote)
		if fault.KindOf(err) == fault.NotFound &&
			slices.ContainsFunc(was.Tools, func(o Tool) bool { return o.Type == A2AAgent && o.Remote == t.Remote }) {
			continue // it was removed
		}
		if err != nil {
			return err
		}
		path := fmt.Sprintf("tools[%d].remote_agent_id", i)
		if slices.Contains(builtIn, name) {
			f.Addf(path, "the remote agent is named %s, as a built-in tool is: give it another name", name)
		} else if slices.ContainsFunc(cfg.CustomTools(), func(c Tool) bool { return c.Name == name }) {
			f.Addf(path, "the remote agent is named %s, as a custom tool of the agent is: give one of them another name", name)
		}
	}
	return f.Err(ErrInvalid)
}
