package session

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/internal/metadata"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Patch is a change to a session. nil fields stay.
type Patch struct {
	Title    *string            // "" clears it
	Metadata map[string]*string // per key: nil removes it
	Vaults   *[]id.Vault
	// Tools and MCPServers replace those of the session's agent for this session. They can be changed only while it is idle, and hold
	// from the next turn on.
	Tools      *[]agent.Tool
	MCPServers *[]agent.MCPServer
	// Budget replaces the budget that the session was created with; ClearBudget removes it for good.
	Budget      *Budget
	ClearBudget bool
}

// Update changes a session and says so in its log. It returns id.NotFound, ErrArchived, ErrRunning, ErrBudgetCreateOnly,
// ErrBudgetNotRaised or a fault.Invalid.
func (s *Service) Update(ctx context.Context, sc account.Scope, session id.Session, p Patch) (Session, error) {
	if p.Title != nil {
		if err := checkTitle(*p.Title); err != nil {
			return Session{}, err
		}
	}
	if err := CheckBudget(p.Budget); err != nil {
		return Session{}, err
	}
	if p.Vaults != nil {
		if err := s.checkVaults(ctx, sc, *p.Vaults); err != nil {
			return Session{}, err
		}
	}
	v, err := s.own(ctx, sc, session)
	if err != nil {
		return Session{}, err
	}
	var base agent.Agent
	if p.Tools != nil || p.MCPServers != nil {
		if base, err = s.d.Agents.GetVersion(ctx, sc, v.Agent, v.AgentVersion); err != nil {
			return Session{}, err
		}
	}
	var out Session
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		spent := Spending{}
		if p.Budget != nil {
			var err error
			if spent, err = s.d.Spendings.Spent(ctx, sc, session); err != nil {
				return err
			}
		}
		var changed UpdatedBody
		differs := false
		var err error
		out, err = s.d.Repository.Update(ctx, sc, session, func(v *Session) error {
			var err error
			if changed, differs, err = s.patch(ctx, sc, v, p, base, spent); err == nil && differs {
				v.UpdatedAt = clock.Stored(s.d.Clock.Now())
			}
			return err
		})
		if err != nil || !differs {
			return err
		}
		events, err := s.d.Journal.append(ctx, sc, Append{Session: session}, []Entry{{Type: SessionUpdated, Body: changed}})
		if err == nil {
			out.LastSeq = events[len(events)-1].Seq
		}
		return err
	})
	return out, err
}

// patch applies p to a locked session and returns what it changed.
func (s *Service) patch(
	ctx context.Context, sc account.Scope, v *Session, p Patch, base agent.Agent, spent Spending,
) (changed UpdatedBody, differs bool, err error) {
	if v.ArchivedAt != nil {
		return changed, false, ErrArchived
	}
	if p.Title != nil && *p.Title != v.Title {
		v.Title, changed.Title, differs = *p.Title, p.Title, true
	}
	if merged := metadata.Merge(v.Metadata, p.Metadata); !maps.Equal(merged, v.Metadata) {
		if err := checkMetadata(merged); err != nil {
			return changed, false, err
		}
		v.Metadata, changed.Metadata, differs = merged, merged, true
	}
	if p.Vaults != nil && !slices.Equal(v.Vaults, *p.Vaults) {
		v.Vaults, differs = *p.Vaults, true
		changed.Vaults = uuids(v.Vaults)
	}
	if p.Tools != nil || p.MCPServers != nil {
		if v.Status() != StatusIdle {
			return changed, false, ErrRunning
		}
		next := agent.Overrides{}
		if v.Overrides != nil {
			next = *v.Overrides
		}
		if p.Tools != nil {
			next.Tools = p.Tools
		}
		if p.MCPServers != nil {
			next.MCPServers = p.MCPServers
		}
		// Against what the session has: a model or a skill that was removed since does not keep its tools from being changed.
		base.Config = base.Config.With(v.Overrides)
		if v.Overrides, err = s.override(ctx, sc, base, &next); err != nil {
			return changed, false, err
		}
		base.Config = base.Config.With(v.Overrides)
		team, err := s.Team(ctx, sc, base)
		if err != nil {
			return changed, false, err
		}
		if changed.Agent, err = snapshotOf(base, team); err != nil {
			return changed, false, err
		}
		differs = true
	}
	switch {
	case p.Budget != nil && v.Budget == nil:
		return changed, false, ErrBudgetCreateOnly
	case p.Budget != nil && *p.Budget != *v.Budget:
		if p.Budget.MaxListCost.Micros < v.Budget.MaxListCost.Micros && !spent.within(*p.Budget) {
			return changed, false, ErrBudgetNotRaised.WithFields(fault.Field{
				Path: "budget.max_list_cost.amount", Message: "must be above what the session has spent and what its model calls under way may cost",
			})
		}
		v.Budget, differs = p.Budget, true
	case p.ClearBudget && v.Budget != nil:
		v.Budget, differs = nil, true
	default:
		return changed, differs, nil
	}
	changed.Budget, err = encodeBody(budgetBody(v.Budget))
	return changed, differs, err
}

func uuids(vaults []id.Vault) *[]string {
	out := make([]string, len(vaults))
	for i, v := range vaults {
		out[i] = v.UUID().String()
	}
	return &out
}

// UpdatedBody is that of session.updated: what has changed, as it is now.
type UpdatedBody struct {
	Title    *string           `json:"title,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Vaults   *[]string         `json:"vault_ids,omitempty"`
	Agent    *AgentSnapshot    `json:"agent,omitempty"`
	Budget   json.RawMessage   `json:"budget,omitempty"` // null: removed
}
