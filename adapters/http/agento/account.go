package agento

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
)

type accountWire struct {
	ID    string    `json:"id" doc:"acct_..."`
	Name  string    `json:"name"`
	Plan  planWire  `json:"plan"`
	Usage usageWire `json:"usage"`
}

type planWire struct {
	ID       string       `json:"id" enum:"plan_free,plan_pro,plan_team,plan_unlimited"`
	Name     string       `json:"name"`
	Status   string       `json:"status" enum:"active,frozen"`
	Limits   limitsWire   `json:"limits"`
	Features featuresWire `json:"features"`
}

type limitsWire struct {
	MaxAgents         int `json:"maxAgents" doc:"-1 is no limit, here and below."`
	MaxSkillsPerAgent int `json:"maxSkillsPerAgent"`
}

type featuresWire struct {
	APIAccess bool `json:"api_access"`
	Swarms    bool `json:"swarms"`
}

type usageWire struct {
	Agents        int `json:"agents" doc:"Agents that are not archived."`
	RunningAgents int `json:"runningAgents"`
}

var planNames = map[account.Plan]string{
	account.PlanFree: "Free", account.PlanPro: "Pro", account.PlanTeam: "Team", account.PlanUnlimited: "Unlimited",
}

func (f *face) registerAccount() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getAccount", Method: http.MethodGet, Path: "/v1/account", Tag: "account",
		Summary: "Read the account, its plan and what is used of it", AnyKey: true,
	}, func(ctx context.Context, _ *struct{}) (*output[accountWire], error) {
		o, err := f.deps.Account.Overview(ctx, httpx.Scope(ctx))
		if err != nil {
			return nil, err
		}
		running, err := f.deps.Hosting.CountRunning(ctx, httpx.Scope(ctx))
		if err != nil {
			return nil, err
		}
		return ok(accountWire{
			ID: o.Tenant.ID.Spell("acct"), Name: o.Tenant.Name,
			Plan: planWire{
				ID: "plan_" + string(o.Tenant.Plan), Name: planNames[o.Tenant.Plan], Status: string(o.Tenant.Standing),
				Limits:   limitsWire{o.Limits.Agents, o.Limits.SkillsPerAgent},
				Features: featuresWire{APIAccess: true, Swarms: o.Limits.Swarms},
			},
			Usage: usageWire{o.Agents, running},
		}), nil
	})
}
