package native

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
)

func TestSeveralApprovers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withGate)
	agent, wallet := f.funded("100")
	f.policy(agent, `{"require_approval_above":"10","required_approvals":2}`)
	ask := func() string {
		return "/v1/approvals/" + f.pay(wallet, "10", "").get("approval", "id").(string)
	}
	one, two := "x-api-key: "+f.newKey(account.Approvals), "x-api-key: "+f.newKey(account.Approvals)

	path := ask()
	f.wantError(f.do(http.MethodPost, path+"/approve", ""), 403, "permission_error", "approver_is_requester")
	for range 2 { // the same key counts once
		first := f.want(200, http.MethodPost, path+"/approve", "", one)
		if first.get("status") != "pending" || first.get("act", "state") != "parked" || first.get("required_approvals") != 2.0 || len(first.get("votes").([]any)) != 1 {
			t.Fatalf("%s", first.body)
		}
	}
	done := f.want(200, http.MethodPost, path+"/approve", "", two)
	if done.get("status") != "approved" || done.get("act", "state") != "done" || len(done.get("votes").([]any)) != 2 {
		t.Errorf("%s", done.body)
	}
	f.wantError(f.do(http.MethodPost, path+"/approve", "", one), 409, "conflict_error", "approval_decided")

	path = ask()
	f.want(200, http.MethodPost, path+"/approve", "", one)
	if denied := f.want(200, http.MethodPost, path+"/deny", "", two); denied.get("status") != "denied" || denied.get("act", "state") != "denied" {
		t.Errorf("%s", denied.body)
	}
	for _, bad := range []string{`{"required_approvals":0}`, `{"required_approvals":11}`} {
		body := fmt.Sprintf(`{"scope":{"agent_id":%q},"limits":%s}`, agent, bad)
		f.wantError(f.do(http.MethodPost, "/v1/policies", body), 400, "invalid_request_error", "invalid_request")
	}
}

func TestObservingPolicy(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withGate)
	agent, wallet := f.funded("100")
	made := f.want(201, http.MethodPost, "/v1/policies", fmt.Sprintf(`{"scope":{"agent_id":%q},"limits":{"daily_limit":"15"},"mode":"observe"}`, agent))
	wantDecision(t, f.pay(wallet, "1", ""), "denied", "no_policy") // a policy that observes allows nobody to pay
	f.policy(agent, `{}`)
	for i, would := range []any{nil, "daily_limit", nil} {
		paid := f.pay(wallet, []string{"10", "10", "5"}[i], "")
		wantDecision(t, paid, "completed", nil)
		var got any
		if paid.get("decision", "would") != nil {
			got = paid.get("decision", "would", "rule")
			if paid.get("decision", "would", "outcome") != "deny" || paid.get("decision", "would", "policy_id") != made.get("id") {
				t.Errorf("%s", paid.body)
			}
		}
		if got != would {
			t.Errorf("payment %d: would be stopped by %v; want %v", i, got, would)
		}
	}
	simulated := f.want(200, http.MethodPost, "/v1/policies/simulate", fmt.Sprintf(`{"agent_id":%q,"amount":"1"}`, agent))
	if simulated.get("outcome") != "allow" || simulated.get("would", "rule") != "daily_limit" {
		t.Errorf("%s", simulated.body)
	}
	path := "/v1/policies/" + made.get("id").(string)
	if got := f.want(200, http.MethodPatch, path, `{"mode":"enforce"}`); got.get("mode") != "enforce" || got.get("limits", "daily_limit") == nil {
		t.Errorf("%s", got.body)
	}
	wantDecision(t, f.pay(wallet, "1", ""), "denied", "daily_limit") // what was really spent counts now
}

func TestPolicyVersions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withGate)
	agent := f.newAgent()
	made := f.policy(agent, `{"daily_limit":"80"}`)
	path := "/v1/policies/" + made.get("id").(string)
	f.want(200, http.MethodPatch, path, `{"limits":{"daily_limit":"90"},"mode":"observe"}`)
	list := f.want(200, http.MethodGet, path+"/versions?limit=1", "")
	if got := list.get("data").([]any); len(got) != 1 || got[0].(map[string]any)["version"] != 2.0 || list.get("has_more") != true {
		t.Errorf("%s", list.body)
	}
	first := f.want(200, http.MethodGet, path+"/versions/1", "")
	if first.get("policy_id") != made.get("id") || first.get("limits", "daily_limit", "amount") != "80.00" || first.get("mode") != "enforce" ||
		first.get("made_by") != f.admin.Key.String() {
		t.Errorf("%s", first.body)
	}
	restored := f.want(200, http.MethodPost, path+"/versions/1/restore", "")
	if restored.get("version") != 3.0 || restored.get("limits", "daily_limit", "amount") != "80.00" || restored.get("mode") != "enforce" {
		t.Errorf("%s", restored.body)
	}
	f.wantError(f.do(http.MethodGet, path+"/versions/9", ""), 404, "not_found_error", "policy_version_not_found")
	f.want(200, http.MethodDelete, path, "")
	f.want(200, http.MethodGet, path+"/versions/3", "")
	f.wantError(f.do(http.MethodPost, path+"/versions/1/restore", ""), 404, "not_found_error", "policy_not_found")
	unknown := "/v1/policies/pol_01h00000000000000000000000/versions"
	f.wantError(f.do(http.MethodGet, unknown, ""), 404, "not_found_error", "policy_not_found")
}

func TestReplay(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withGate)
	agent, wallet := f.funded("100")
	f.policy(agent, `{"daily_limit":"15","max_per_transaction":"12"}`)
	f.pay(wallet, "10", "")
	f.pay(wallet, "10", "")
	for action, rule := range map[string]any{"transaction_completed": nil, "transaction_blocked": "daily_limit"} {
		entry := f.want(200, http.MethodGet, "/v1/audit?action="+action, "").get("data").([]any)[0].(map[string]any)
		got := f.want(200, http.MethodPost, "/v1/audit/"+entry["id"].(string)+"/replay", "")
		if got.get("same") != true || got.get("decision_now", "rule") != rule || got.get("decision_then", "rule") != rule || got.get("basis") != "policies" {
			t.Errorf("%s", got.body)
		}
	}
	other := f.want(200, http.MethodGet, "/v1/audit?action=policy_created", "").get("data").([]any)[0].(map[string]any)
	f.wantError(f.do(http.MethodPost, "/v1/audit/"+other["id"].(string)+"/replay", ""), 409, "conflict_error", "no_decision")
	f.wantError(f.do(http.MethodPost, "/v1/audit/ae_01h00000000000000000000000/replay", ""), 404, "not_found_error", "audit_entry_not_found")
	if list := f.want(200, http.MethodGet, "/v1/audit?actor="+f.admin.Key.String()+"&action=transaction_blocked&to=2030-01-01T00:00:00Z", ""); len(list.get("data").([]any)) != 1 {
		t.Errorf("%s", list.body)
	}
}

func TestSimulateProposed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withGate)
	agent, wallet := f.funded("100")
	stored := f.policy(agent, `{"daily_limit":"50"}`).get("id").(string)
	for _, n := range []string{"10", "20", "5"} {
		f.clock.Advance(time.Minute)
		wantDecision(t, f.pay(wallet, n, ""), "completed", nil)
	}
	simulate := func(rest string) answer {
		return f.want(200, http.MethodPost, "/v1/policies/simulate", fmt.Sprintf(`{"agent_id":%q,"amount":"20"%s}`, agent, rest))
	}
	for rest, rule := range map[string]any{
		``: "daily_limit", // 35 of 50 are spent
		`,"policy":{"limits":{"daily_limit":"60"}},"replace":"` + stored + `"`:     nil,
		`,"policy":{"scope":{"tenant":true},"limits":{"max_per_transaction":"1"}}`: "max_per_transaction",
		`,"policy":{"limits":{"weekly_limit":"54"}},"replace":"` + stored + `"`:    "weekly_limit", // what was spent counts
	} {
		if got := simulate(rest); got.get("rule") != rule {
			t.Errorf("%s: %s; want %v", rest, got.body, rule)
		}
	}
	other := f.newAgent()
	if got := simulate(`,"policy":{"scope":{"agent_id":"` + other + `"},"limits":{"max_per_transaction":"1"}}`); got.get("rule") != "daily_limit" {
		t.Errorf("a policy of another agent: %s", got.body)
	}
	history := func(rest string) answer {
		return f.want(200, http.MethodPost, "/v1/policies/simulate/history", `{"from":"2026-07-01T00:00:00Z",`+rest+`}`)
	}
	// 20 would be denied and not count, so that 5 fits.
	got := history(`"policy":{"scope":{"tenant":true},"limits":{"daily_limit":"15"},"rules":[{"plugin":"spend_limit","config":{"never":"x"}}]}`)
	if got.get("acts") != 3.0 || got.get("allowed") != 2.0 || got.get("would_deny") != 1.0 || got.get("skipped_rules").([]any)[0] != "spend_limit" {
		t.Errorf("%s", got.body)
	}
	amounts := got.get("amounts").([]any)[0].(map[string]any)
	changed := got.get("changed").([]any)[0].(map[string]any)
	if amounts["total"] != "35.00" || amounts["would_deny"] != "20.00" || changed["rule"] != "daily_limit" || changed["agent_id"] != agent {
		t.Errorf("%s", got.body)
	}
	first := history(`"limit":1,"policy":{"limits":{"require_approval_above":"6"}},"replace":"` + stored + `"`)
	if first.get("would_park") != 2.0 || first.get("has_more") != true || first.get("changed").([]any)[0].(map[string]any)["amount"].(map[string]any)["amount"] != "10.00" {
		t.Errorf("%s", first.body)
	}
	second := history(`"limit":1,"cursor":"` + first.get("next_page").(string) + `","policy":{"limits":{"require_approval_above":"6"}},"replace":"` + stored + `"`)
	if second.get("has_more") != false || second.get("changed").([]any)[0].(map[string]any)["amount"].(map[string]any)["amount"] != "20.00" {
		t.Errorf("%s", second.body)
	}
	// A window that began before from is filled with what was spent before.
	late := f.want(200, http.MethodPost, "/v1/policies/simulate/history", `{"from":"2026-07-15T12:32:30Z","policy":{"scope":{"tenant":true},"limits":{"daily_limit":"34"}}}`)
	if late.get("acts") != 1.0 || late.get("would_deny") != 1.0 {
		t.Errorf("%s", late.body)
	}
	if late.get("truncated") != false || late.get("from") != "2026-07-15T12:32:30.000Z" {
		t.Errorf("%s", late.body)
	}
	for _, scope := range []string{`"agent_id":"agent_01h00000000000000000000000"`, `"swarm_id":"swarm_01h00000000000000000000000"`} {
		body := `{"policy":{"scope":{` + scope + `}}`
		f.want(404, http.MethodPost, "/v1/policies/simulate/history", body+`,"from":"2026-07-01T00:00:00Z"}`)
		f.want(404, http.MethodPost, "/v1/policies/simulate", body+`,"amount":"1","agent_id":"`+agent+`"}`)
	}
	for body, path := range map[string]string{
		`{"from":"2026-07-01T00:00:00Z","policy":{}}`:                                                      "policy.scope",
		`{"from":"2026-07-01T00:00:00Z","policy":{"scope":{"tenant":true},"limits":{"daily_limit":"-1"}}}`: "policy.limits.daily_limit",
		`{"from":"2026-07-01T00:00:00Z","to":"2026-07-01T00:00:00Z","policy":{"scope":{"tenant":true}}}`:   "to",
		`{"from":"2026-07-01T00:00:00Z","cursor":"x","policy":{"scope":{"tenant":true}}}`:                  "cursor",
	} {
		got := f.do(http.MethodPost, "/v1/policies/simulate/history", body)
		if got.StatusCode != 400 || !strings.Contains(string(got.body), path) {
			t.Errorf("%s: %d %s; want %s", body, got.StatusCode, got.body, path)
		}
	}
}
