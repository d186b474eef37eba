package agent

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
)

// Overrides replaces parts of a Config. nil fields stay as they are; empty ones clear.
type Overrides struct {
	Model      *Model
	System     *string
	Tools      *[]Tool
	MCPServers *[]MCPServer
	Skills     *[]SkillRef
}

// With returns c with o in place. c is not changed.
func (c Config) With(o *Overrides) Config {
	if o == nil {
		return c
	}
	if o.Model != nil {
		c.Model = *o.Model
	}
	if o.System != nil {
		c.System = *o.System
	}
	if o.Tools != nil {
		c.Tools = *o.Tools
	}
	if o.MCPServers != nil {
		c.MCPServers = *o.MCPServers
	}
	if o.Skills != nil {
		c.Skills = *o.Skills
	}
	return c
}

// Override returns o with its defaults written out, after checking by the rules of agents what it makes of a's configuration. It
// returns ErrInvalid, whose paths are those of the configuration, or the ModelChecker's refusal.
func (s *Service) Override(ctx context.Context, sc account.Scope, a Agent, o Overrides) (Overrides, error) {
	next, err := s.admit(ctx, sc, a.Config.With(&o), a.Config)
	if err != nil {
		return Overrides{}, err
	}
	if o.Model != nil {
		o.Model = &next.Model
	}
	if o.Tools != nil {
		o.Tools = &next.Tools
	}
	if o.MCPServers != nil {
		o.MCPServers = &next.MCPServers
	}
	if o.Skills != nil {
		o.Skills = &next.Skills
	}
	return o, nil
}
