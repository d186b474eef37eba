package agent

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
