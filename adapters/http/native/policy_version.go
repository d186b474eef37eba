package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
)

type policyAsOfWire struct {
	PolicyID string           `json:"policy_id"`
	Type     string           `json:"type" enum:"policy_version"`
	Version  int              `json:"version"`
	Scope    policyScopeWire  `json:"scope"`
	Limits   limitsWire       `json:"limits"`
	Rules    []policyRuleWire `json:"rules" nullable:"false"`
	Mode     string           `json:"mode" enum:"enforce,observe"`
	MadeBy   *string          `json:"made_by" doc:"The API key that made the version, or system; null when that is not known any more."`
	MadeAt   stamp            `json:"made_at" doc:"From when on the version decided."`
}

func showPolicyVersion(v policy.Version) policyAsOfWire {
	p := showPolicy(v.Policy)
	return policyAsOfWire{
		PolicyID: p.ID, Type: "policy_version", Version: p.Version, Scope: p.Scope, Limits: p.Limits, Rules: p.Rules, Mode: p.Mode,
		MadeBy: textPtr(v.By), MadeAt: p.UpdatedAt,
	}
}

type policyVersionsInput struct {
	PolicyInput
	httpx.PageQuery
}

type policyVersionInput struct {
	PolicyInput
	Version string `path:"version" doc:"The number of a version."`
}

func (f *face) registerPolicyVersions() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listPolicyVersions", Method: http.MethodGet, Path: "/v1/policies/{policy_id}/versions", Tag: "policies",
		Summary: "List the versions of a policy, newest first", Permission: account.PoliciesRead,
		Description: "Versions never change, and stay when their policy is removed.",
	}, func(ctx context.Context, in *policyVersionsInput) (*output[httpx.List[policyAsOfWire]], error) {
		p, err := id.Parse[id.PolicyKind](in.PolicyID)
		if err != nil {
			return nil, err
		}
		found, err := f.deps.Policies.Versions(ctx, httpx.Scope(ctx), p, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, showPolicyVersion)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getPolicyVersion", Method: http.MethodGet, Path: "/v1/policies/{policy_id}/versions/{version}", Tag: "policies",
		Summary: "Read a version of a policy", Permission: account.PoliciesRead,
	}, func(ctx context.Context, in *policyVersionInput) (*output[policyAsOfWire], error) {
		p, err := id.Parse[id.PolicyKind](in.PolicyID)
		if err != nil {
			return nil, err
		}
		v, err := f.deps.Policies.Version(ctx, httpx.Scope(ctx), p, versionNumber(in.Version))
		if err != nil {
			return nil, err
		}
		return ok(showPolicyVersion(v)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "restorePolicyVersion", Method: http.MethodPost, Path: "/v1/policies/{policy_id}/versions/{version}/restore", Tag: "policies",
		Summary: "Make a policy as it was in a version", Permission: account.PoliciesWrite,
		Statuses:    []int{http.StatusConflict, http.StatusServiceUnavailable},
		Description: "Limits, rules and mode become those of the version, as a new version. A policy that was removed stays removed.",
	}, func(ctx context.Context, in *policyVersionInput) (*output[policyWire], error) {
		p, err := id.Parse[id.PolicyKind](in.PolicyID)
		if err != nil {
			return nil, err
		}
		got, err := f.deps.Policies.Restore(ctx, httpx.Scope(ctx), p, versionNumber(in.Version))
		if err != nil {
			return nil, err
		}
		return ok(showPolicy(got)), nil
	})
}
