package session

import (
	"context"
	"fmt"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// Environments hands out what sandboxes are made from; environment.Service does.
type Environments interface {
	// Use returns an environment that cannot be deleted before the transaction in ctx ends, or id.NotFound, or an error that says that
	// it is archived.
	Use(ctx context.Context, sc account.Scope, environment id.Environment) (environment.Environment, error)
}

// Vaults knows whose credentials sessions may use; secret.Service does.
type Vaults interface {
	// CheckVaults returns id.NotFound for the first of the vaults that is not there, and a conflict for one that is archived.
	CheckVaults(ctx context.Context, sc account.Scope, vaults []id.Vault) error
}

// Files knows which files there are. app wires core/file.
type Files interface {
	// CheckFile returns id.NotFound for a file that is not there.
	CheckFile(ctx context.Context, sc account.Scope, file id.File) error
}

// MemoryStores knows which memory stores there are. app wires core/memory.
type MemoryStores interface {
	// DescribeStore returns the name and the description of a store, id.NotFound, or an error that says that it is archived.
	DescribeStore(ctx context.Context, sc account.Scope, store id.MemoryStore) (name, description string, err error)
}

// checkFiles refuses content that refers to files that are not there.
func (s *Service) checkFiles(ctx context.Context, sc account.Scope, inputs []Input) error {
	for _, in := range inputs {
		for _, f := range FilesIn(in.Content) {
			if s.d.Files == nil {
				return id.NotFound[id.FileKind](f.String())
			}
			if err := s.d.Files.CheckFile(ctx, sc, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkVaults refuses vaults that are too many, named twice, or not the tenant's.
func (s *Service) checkVaults(ctx context.Context, sc account.Scope, vaults []id.Vault) error {
	if len(vaults) > MaxVaults {
		return fault.Invalidf("vault_ids", "must have at most %d vaults", MaxVaults)
	}
	for i, v := range vaults {
		if slices.Contains(vaults[:i], v) {
			return fault.Invalidf(fmt.Sprintf("vault_ids[%d]", i), "names a vault twice")
		}
	}
	if len(vaults) == 0 {
		return nil
	}
	if s.d.Vaults == nil {
		return id.NotFound[id.VaultKind](vaults[0].String())
	}
	return s.d.Vaults.CheckVaults(ctx, sc, vaults)
}

// useEnvironment makes sure that a session can be held in an environment; it must run in the transaction that stores the session.
func (s *Service) useEnvironment(ctx context.Context, sc account.Scope, env id.Environment) error {
	if env.IsZero() {
		return nil
	}
	if s.d.Environments == nil {
		return id.NotFound[id.EnvironmentKind](env.String())
	}
	_, err := s.d.Environments.Use(ctx, sc, env)
	return err
}

// CheckBudget returns a fault.Invalid for a budget that no session can have.
func CheckBudget(b *Budget) error {
	switch {
	case b == nil:
	case b.MaxListCost.Currency != money.USD:
		return fault.Invalidf("budget.max_list_cost.currency", "must be USD")
	case b.MaxListCost.Micros <= 0:
		return fault.Invalidf("budget.max_list_cost.amount", "must be positive")
	}
	return nil
}

// override checks what a client replaces of an agent, and names faults by their place in the client's body.
func (s *Service) override(ctx context.Context, sc account.Scope, a agent.Agent, o *agent.Overrides) (*agent.Overrides, error) {
	if o == nil || *o == (agent.Overrides{}) {
		return nil, nil //nolint:nilnil // nothing is overridden
	}
	out, err := s.d.Agents.Override(ctx, sc, a, *o)
	if err != nil {
		return nil, within(err, "agent")
	}
	return &out, nil
}

// within puts the fields of an error below path.
func within(err error, path string) error {
	f, ok := fault.As(err)
	if !ok || len(f.Fields) == 0 {
		return err
	}
	out := *f
	out.Fields = make([]fault.Field, len(f.Fields))
	for i, v := range f.Fields {
		out.Fields[i] = fault.Field{Path: path + "." + v.Path, Message: v.Message}
	}
	return out.Withf("%s: %s", out.Fields[0].Path, out.Fields[0].Message)
}
