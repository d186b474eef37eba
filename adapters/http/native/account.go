package native

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// APIKeyWire is an API key on the wire. Its type is exported because another embeds it.
type APIKeyWire struct {
	ID         string   `json:"id" doc:"key_..."`
	Type       string   `json:"type" enum:"api_key"`
	Name       string   `json:"name"`
	Prefix     string   `json:"prefix" doc:"The first characters of the key, to tell keys apart."`
	Scopes     []string `json:"scopes" nullable:"false"`
	CreatedAt  stamp    `json:"created_at"`
	ExpiresAt  *stamp   `json:"expires_at"`
	LastUsedAt *stamp   `json:"last_used_at" doc:"Accurate to a minute."`
}

type createdAPIKeyWire struct {
	APIKeyWire
	Key string `json:"key" doc:"The key itself. It is shown this once."`
}

func showKey(k account.Key) APIKeyWire {
	scopes := make([]string, len(k.Permissions))
	for i, p := range k.Permissions {
		scopes[i] = string(p)
	}
	return APIKeyWire{
		ID: k.ID.String(), Type: "api_key", Name: k.Name, Prefix: k.Prefix, Scopes: scopes,
		CreatedAt: stampOf(k.CreatedAt), ExpiresAt: stampPtr(k.ExpiresAt), LastUsedAt: stampPtr(k.LastUsedAt),
	}
}

// scope is the name of a permission that a key may be given.
type scope string

// Schema implements huma.SchemaProvider.
func (scope) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, p := range account.AllPermissions() {
		s.Enum = append(s.Enum, string(p))
	}
	return s
}

type createAPIKeyInput struct {
	Body struct {
		Name      string     `json:"name,omitempty" maxLength:"100" doc:"For people; API key when it is left out."`
		Scopes    []scope    `json:"scopes,omitempty" maxItems:"100" doc:"What the key may do; everything that the calling key may when left out."`
		ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When the key stops working; never when left out."`
	}
}

type listAPIKeysInput struct{ httpx.PageQuery }

type apiKeyInput struct {
	KeyID string `path:"key_id" doc:"The id of an API key."`
}

// TenantWire is a tenant on the wire. Its type is exported because another embeds it.
type TenantWire struct {
	ID        string `json:"id" doc:"tnt_..."`
	Type      string `json:"type" enum:"tenant"`
	Name      string `json:"name"`
	Plan      string `json:"plan" enum:"free,pro,team,unlimited"`
	Standing  string `json:"standing" enum:"active,frozen"`
	CreatedAt stamp  `json:"created_at"`
}

type createdTenantWire struct {
	TenantWire
	APIKey string `json:"api_key" doc:"An admin key of the tenant. It is shown this once."`
}

func showTenant(t account.Tenant) TenantWire {
	return TenantWire{
		ID: t.ID.String(), Type: "tenant", Name: t.Name, Plan: string(t.Plan), Standing: string(t.Standing), CreatedAt: stampOf(t.CreatedAt),
	}
}

type createTenantInput struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"100" pattern:"\\S" patternDescription:"more than blanks"`
		Plan string `json:"plan,omitempty" enum:"free,pro,builder,team,startup,unlimited" default:"unlimited" doc:"builder is pro, startup is team."`
	}
}

type tenantInput struct {
	TenantID string `path:"tenant_id" doc:"The id of a tenant."`
}

type accountWire struct {
	ID       string       `json:"id" doc:"The tenant's id."`
	Type     string       `json:"type" enum:"account"`
	Name     string       `json:"name"`
	Standing string       `json:"standing" enum:"active,frozen"`
	Plan     planWire     `json:"plan"`
	Usage    accountUsage `json:"usage"`
	Features features     `json:"features"`

	CreditsRemaining int   `json:"credits_remaining" doc:"What runs may still use this month; -1 is no limit."`
	CreditsTotal     int   `json:"credits_total" doc:"What runs may use in a calendar month, UTC; -1 is no limit."`
	CreditsResetAt   stamp `json:"credits_reset_at" doc:"The first of the next month, 00:00 UTC. What is left then is gone."`
}

type planWire struct {
	ID     string     `json:"id" enum:"free,pro,team,unlimited"`
	Name   string     `json:"name"`
	Limits planLimits `json:"limits"`
}

type planLimits struct {
	MaxAgents         int `json:"max_agents" doc:"-1 is no limit, here and below."`
	MaxSkillsPerAgent int `json:"max_skills_per_agent"`
	MonthlyCredits    int `json:"monthly_credits"`
	RequestsPerMinute int `json:"requests_per_minute"`
	DailyValidations  int `json:"daily_validations"`
}

type accountUsage struct {
	Agents        int `json:"agents" doc:"Agents that are not archived."`
	RunningAgents int `json:"running_agents" doc:"Hosted agents that run."`
}

type features struct {
	APIAccess bool `json:"api_access"`
	Swarms    bool `json:"swarms"`
}

var planNames = map[account.Plan]string{
	account.PlanFree: "Free", account.PlanPro: "Pro", account.PlanTeam: "Team", account.PlanUnlimited: "Unlimited",
}

func showAccount(o account.Overview) accountWire {
	return accountWire{
		ID: o.Tenant.ID.String(), Type: "account", Name: o.Tenant.Name, Standing: string(o.Tenant.Standing),
		Plan: planWire{
			ID: string(o.Tenant.Plan), Name: planNames[o.Tenant.Plan],
			Limits: planLimits{
				MaxAgents: o.Limits.Agents, MaxSkillsPerAgent: o.Limits.SkillsPerAgent, MonthlyCredits: o.Limits.MonthlyCredits,
				RequestsPerMinute: o.Limits.RequestsPerMinute, DailyValidations: o.Limits.DailyValidations,
			},
		},
		Usage:    accountUsage{Agents: o.Agents},
		Features: features{APIAccess: true, Swarms: o.Limits.Swarms},

		CreditsRemaining: o.Credits.Remaining, CreditsTotal: o.Credits.Total, CreditsResetAt: stampOf(o.Credits.ResetsAt),
	}
}

func (f *face) registerAccount() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getAccount", Method: http.MethodGet, Path: "/v1/account", Tag: "account",
		Summary: "Read the caller's account, its plan and what it uses of it", AnyKey: true,
	}, func(ctx context.Context, _ *struct{}) (*output[accountWire], error) {
		o, err := f.deps.Account.Overview(ctx, httpx.Scope(ctx))
		if err != nil {
			return nil, err
		}
		w := showAccount(o)
		if f.deps.Hosting != nil { // tests of one area leave it out
			if w.Usage.RunningAgents, err = f.deps.Hosting.CountRunning(ctx, httpx.Scope(ctx)); err != nil {
				return nil, err
			}
		}
		return ok(w), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "createAPIKey", Method: http.MethodPost, Path: "/v1/api_keys", Tag: "account", Status: http.StatusCreated,
		Example: `{"name":"ci","scopes":["agents:read","chat"]}`,
		Summary: "Make an API key", Permission: account.Admin, Strict: true, Secret: true,
	}, func(ctx context.Context, in *createAPIKeyInput) (*output[createdAPIKeyWire], error) {
		req := account.CreateKeyRequest{Name: in.Body.Name, ExpiresAt: in.Body.ExpiresAt}
		for _, s := range in.Body.Scopes {
			req.Permissions = append(req.Permissions, account.Permission(s))
		}
		key, secret, err := f.deps.Account.CreateKey(ctx, httpx.Scope(ctx), req)
		if err != nil {
			return nil, err
		}
		return ok(createdAPIKeyWire{showKey(key), secret}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listAPIKeys", Method: http.MethodGet, Path: "/v1/api_keys", Tag: "account",
		Summary: "List API keys, newest first", Permission: account.Admin,
	}, func(ctx context.Context, in *listAPIKeysInput) (*output[httpx.List[APIKeyWire]], error) {
		keys, err := f.deps.Account.ListKeys(ctx, httpx.Scope(ctx), in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(keys, showKey)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteAPIKey", Method: http.MethodDelete, Path: "/v1/api_keys/{key_id}", Tag: "account",
		Summary: "Revoke an API key", Permission: account.Admin,
	}, func(ctx context.Context, in *apiKeyInput) (*output[httpx.Deleted], error) {
		key, err := id.Parse[id.APIKeyKind](in.KeyID)
		if err != nil {
			return nil, err
		}
		if err := f.deps.Account.RevokeKey(ctx, httpx.Scope(ctx), key); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: key.String(), Type: "api_key_deleted"}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "createTenant", Method: http.MethodPost, Path: "/v1/tenants", Tag: "account", Status: http.StatusCreated,
		Example: `{"name":"acme","plan":"team"}`,
		Summary: "Make a tenant with an admin key", Permission: account.Operator, Strict: true, Secret: true,
	}, func(ctx context.Context, in *createTenantInput) (*output[createdTenantWire], error) {
		t, _, secret, err := f.deps.Account.CreateTenant(ctx, httpx.Scope(ctx), in.Body.Name, account.Plan(in.Body.Plan))
		if err != nil {
			return nil, err
		}
		return ok(createdTenantWire{showTenant(t), secret}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getTenant", Method: http.MethodGet, Path: "/v1/tenants/{tenant_id}", Tag: "account",
		Summary: "Read a tenant: the caller's own, or any for the operator", Permission: account.Admin,
	}, func(ctx context.Context, in *tenantInput) (*output[TenantWire], error) {
		tenant, err := id.Parse[id.TenantKind](in.TenantID)
		if err != nil {
			return nil, err
		}
		t, err := f.deps.Account.GetTenant(ctx, httpx.Scope(ctx), tenant)
		if err != nil {
			return nil, err
		}
		return ok(showTenant(t)), nil
	})
}
