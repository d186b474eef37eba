package agent

import "github.com/bureau-agents/bureau/core/internal/metadata"

// Change is a field of a Patch that may be left as it is. The zero value leaves it.
type Change[T any] struct {
	set   bool
	value T
}

// Set returns the change to v. The zero value of T clears the field where it may be empty.
func Set[T any](v T) Change[T] { return Change[T]{set: true, value: v} }

// apply stores the change, if there is one, in field.
func (c Change[T]) apply(field *T) {
	if c.set {
		*field = c.value
	}
}

// Patch is a change of a Config. The zero value changes nothing.
type Patch struct {
	// Version, when it is not 0, must be the current version; otherwise the update fails with ErrVersionConflict.
	Version int

	Name        Change[string] // cannot be cleared
	Description Change[string]
	System      Change[string]
	Model       Change[Model]  // replaced as a whole, but for an Effort that is left out
	Tools       Change[[]Tool] // lists are replaced as a whole
	MCPServers  Change[[]MCPServer]
	Skills      Change[[]SkillRef]
	Multiagent  Change[*Multiagent]
	Identity    Change[*Identity]

	// ClearMetadata removes every pair before Metadata is applied, which sets a key to a value and removes a key with nil.
	ClearMetadata bool
	Metadata      map[string]*string
}

// Apply returns c with the patch applied; c itself is not changed. The result is not checked.
func (p Patch) Apply(c Config) Config {
	p.Name.apply(&c.Name)
	p.Description.apply(&c.Description)
	p.System.apply(&c.System)
	if effort := c.Model.Effort; p.Model.set {
		c.Model = p.Model.value
		if c.Model.Effort == "" {
			c.Model.Effort = effort
		}
	}
	p.Tools.apply(&c.Tools)
	p.MCPServers.apply(&c.MCPServers)
	p.Skills.apply(&c.Skills)
	p.Multiagent.apply(&c.Multiagent)
	p.Identity.apply(&c.Identity)
	if p.ClearMetadata {
		c.Metadata = map[string]string{}
	}
	c.Metadata = metadata.Merge(c.Metadata, p.Metadata)
	return c
}
