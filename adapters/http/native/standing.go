package native

import (
	"context"
	"fmt"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/ports/id"
)

type standingWire struct {
	ID       string `json:"id" doc:"Of the agent, the swarm or the tenant."`
	Type     string `json:"type" enum:"agent,swarm,tenant"`
	Standing string `json:"standing" enum:"active,frozen" doc:"What holds now: an agent stays frozen while its swarm is."`
	Stopped  int    `json:"stopped" doc:"Turns that were ended and waiting acts that were voided."`
	InFlight int    `json:"in_flight" doc:"Acts that had begun; they settle."`
	Turns    int    `json:"turns" doc:"Turns that ran or waited, and were ended."`
	Voided   int    `json:"voided" doc:"Acts that waited for an approval, or had one and had not begun."`
}

func showFreeze(of, kind string, r gate.FreezeReport) *output[standingWire] {
	return ok(standingWire{
		ID: of, Type: kind, Standing: "frozen", Stopped: r.Stopped, InFlight: r.InFlight, Turns: r.Turns, Voided: r.Voided,
	})
}

const freezeDescription = "Once this answers, no act of %s starts anywhere: no payment, no model call, no tool call. What waits is void, what runs " +
	"is ended, what has begun settles."

func (f *face) registerStanding() {
	httpx.Register(f.Face, httpx.Op{
		ID: "freezeAgent", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/freeze", Tag: "agents",
		Summary: "Stop an agent", Permission: account.AgentsWrite, Description: fmt.Sprintf(freezeDescription, "the agent"),
	}, func(ctx context.Context, in *AgentInput) (*output[standingWire], error) {
		agent, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		r, err := f.deps.Gate.Freeze(ctx, httpx.Scope(ctx), agent)
		if err != nil {
			return nil, err
		}
		return showFreeze(agent.String(), "agent", r), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "unfreezeAgent", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/unfreeze", Tag: "agents",
		Summary: "Let a frozen agent act again", Permission: account.AgentsWrite,
		Description: "What the freeze cancelled stays cancelled. An agent whose swarm is frozen stays frozen until that is unfrozen, too.",
	}, func(ctx context.Context, in *AgentInput) (*output[standingWire], error) {
		agent, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		if err := f.deps.Gate.Unfreeze(ctx, httpx.Scope(ctx), agent); err != nil {
			return nil, err
		}
		now, err := f.deps.Agents.Get(ctx, httpx.Scope(ctx), agent)
		if err != nil {
			return nil, err
		}
		return ok(standingWire{ID: agent.String(), Type: "agent", Standing: string(now.Standing)}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "freezeSwarm", Method: http.MethodPost, Path: "/v1/swarms/{swarm_id}/freeze", Tag: "swarms",
		Summary: "Stop every agent of a swarm, those that join later included", Permission: account.AgentsWrite,
		Description: fmt.Sprintf(freezeDescription, "any of its agents"),
	}, func(ctx context.Context, in *swarmInput) (*output[standingWire], error) {
		swarm, err := id.Parse[id.SwarmKind](in.SwarmID)
		if err != nil {
			return nil, err
		}
		r, err := f.deps.Gate.FreezeSwarm(ctx, httpx.Scope(ctx), swarm)
		if err != nil {
			return nil, err
		}
		return showFreeze(swarm.String(), "swarm", r), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "unfreezeSwarm", Method: http.MethodPost, Path: "/v1/swarms/{swarm_id}/unfreeze", Tag: "swarms",
		Summary: "Let the agents of a frozen swarm act again", Permission: account.AgentsWrite,
		Description: "Except those that are frozen themselves. What the freeze cancelled stays cancelled.",
	}, func(ctx context.Context, in *swarmInput) (*output[standingWire], error) {
		swarm, err := id.Parse[id.SwarmKind](in.SwarmID)
		if err != nil {
			return nil, err
		}
		if err := f.deps.Gate.UnfreezeSwarm(ctx, httpx.Scope(ctx), swarm); err != nil {
			return nil, err
		}
		return ok(standingWire{ID: swarm.String(), Type: "swarm", Standing: "active"}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "freezeTenant", Method: http.MethodPost, Path: "/v1/tenants/{tenant_id}/freeze", Tag: "account",
		Summary: "Stop every agent of a tenant: of the caller's own, or of any for the operator", Permission: account.Admin,
		Description: fmt.Sprintf(freezeDescription, "any of its agents"),
	}, func(ctx context.Context, in *tenantInput) (*output[standingWire], error) {
		sc, err := f.tenantScope(ctx, in)
		if err != nil {
			return nil, err
		}
		r, err := f.deps.Gate.FreezeTenant(ctx, sc)
		if err != nil {
			return nil, err
		}
		return showFreeze(sc.Tenant.String(), "tenant", r), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "unfreezeTenant", Method: http.MethodPost, Path: "/v1/tenants/{tenant_id}/unfreeze", Tag: "account",
		Summary:     "Let the agents of a frozen tenant act again",
		Description: "Only the operator may: a tenant that the operator stopped must not free itself.", Permission: account.Operator,
	}, func(ctx context.Context, in *tenantInput) (*output[standingWire], error) {
		sc, err := f.tenantScope(ctx, in)
		if err != nil {
			return nil, err
		}
		if err := f.deps.Gate.UnfreezeTenant(ctx, sc); err != nil {
			return nil, err
		}
		return ok(standingWire{ID: sc.Tenant.String(), Type: "tenant", Standing: "active"}), nil
	})
}

// tenantScope returns the caller's scope moved to a tenant that it may see.
func (f *face) tenantScope(ctx context.Context, in *tenantInput) (account.Scope, error) {
	sc := httpx.Scope(ctx)
	tenant, err := id.Parse[id.TenantKind](in.TenantID)
	if err != nil {
		return sc, err
	}
	t, err := f.deps.Account.GetTenant(ctx, sc, tenant)
	if err != nil {
		return sc, err
	}
	sc.Tenant = t.ID
	return sc, nil
}
