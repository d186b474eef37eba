package native

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

// withGate adds the gate and the policies, with one rule that is called spend_limit.
func withGate(f *fixture, d *Deps) {
	f.t.Helper()
	log, ids := slog.New(slog.DiscardHandler), id.NewGenerator(time.Now)
	var err error
	if d.Policies, err = policy.NewService(policy.Deps{
		TX: f.store, Clock: f.clock, IDs: ids, Logger: log, Repository: f.store.Policies(), Archive: f.store.Policies(), Trail: d.Audit, Rules: oneRule{},
	}); err != nil {
		f.t.Fatal(err)
	}
	if d.Gate, err = gate.New(gate.Deps{
		TX: f.store, Clock: f.clock, IDs: ids, Logger: log, Acts: f.store.Acts(), Tenants: f.store.Accounts(), Agents: f.store.Agents(),
		Policies: f.store.Policies(), Counters: f.store.Counters(), Approvals: f.store.Approvals(), Trail: d.Audit, Rules: oneRule{},
		Executors: map[rule.Action]gate.Executor{
			rule.ActionPayment: gate.Payments(d.Wallets), rule.ActionTransfer: gate.Transfers(d.Wallets),
		},
	}, gate.Config{}); err != nil {
		f.t.Fatal(err)
	}
}

// oneRule knows spend_limit, which denies what its configuration's "never" names as payee.
type oneRule struct{}

func (oneRule) Rule(_ context.Context, _ account.Scope, name string) (rule.Evaluator, error) {
	if name != "spend_limit" {
		return nil, policy.ErrRuleUnknown
	}
	return oneRule{}, nil
}

func (oneRule) Describe() rule.Description {
	return rule.Description{Name: "spend_limit", Summary: "s", Inputs: []string{rule.InputPayee}}
}

func (oneRule) Validate(_ context.Context, config json.RawMessage) error {
	if !strings.Contains(string(config), "never") {
		return fault.Invalidf("never", "is required")
	}
	return nil
}

func (oneRule) Evaluate(_ context.Context, in rule.Input) (rule.Verdict, error) {
	if strings.Contains(string(in.Config), fmt.Sprintf("%q", in.Payee)) {
		return rule.Verdict{Outcome: rule.Deny, Reason: "never them"}, nil
	}
	return rule.Verdict{Outcome: rule.Allow}, nil
}

// funded makes an agent with this much USDC.
func (f *fixture) funded(amount string) (agent, wallet string) {
	f.t.Helper()
	agent = f.newAgent()
	wallet = "/v1/agents/" + agent + "/wallet"
	f.want(201, http.MethodPost, wallet+"/deposits", `{"amount":{"amount":"`+amount+`","currency":"USDC"}}`)
	return agent, wallet
}

func (f *fixture) policy(agent, limits string) answer {
	f.t.Helper()
	return f.want(201, http.MethodPost, "/v1/policies", fmt.Sprintf(`{"scope":{"agent_id":%q},"limits":%s}`, agent, limits))
}

// pay asks for a payment and returns its answer.
func (f *fixture) pay(wallet, amount, rest string, header ...string) answer {
	f.t.Helper()
	body := `{"amount":{"amount":"` + amount + `","currency":"USDC"}` + rest + `}`
	return f.want(200, http.MethodPost, wallet+"/payments", body, header...)
}

// wantDecision checks the status of a payment and who decided it.
func wantDecision(t *testing.T, a answer, status string, rule any) {
	t.Helper()
	if a.get("status") != status || a.get("decision", "rule") != rule || a.get("approved") != (status == "completed") {
		t.Errorf("want %s by %v: %s", status, rule, a.body)
	}
}

func TestPayments(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withGate)
	agent, wallet := f.funded("100")
	wantDecision(t, f.pay(wallet, "1", ""), "denied", "no_policy")
	pol := f.policy(agent, `{"max_per_transaction":{"amount":"50","currency":"USDC"},"daily_limit":"80","blocked_categories":["gambling"],
		"allowed_domains":["vendor.example","*.vendor.example"]}`)

	paid := f.pay(wallet, "20.50", `,"payee":"https://api.vendor.example/x","category":"software","description":"seats"`, "Idempotency-Key: k1")
	wantDecision(t, paid, "completed", nil)
	want := map[string]any{
		"id": paid.get("id"), "type": "payment", "status": "completed", "approved": true, "agent_id": agent, "to_agent_id": nil,
		"rail": "ledger", "payment_id": nil, "amount": amount("20.50"), "payee": "https://api.vendor.example/x", "category": "software", "description": "seats",
		"approval": nil, "error": nil, "created_at": "2026-07-15T12:30:00.000Z",
		"decision": map[string]any{
			"outcome": "allow", "rule": nil, "reason": nil, "would": nil,
			"policies": []any{map[string]any{"policy_id": pol.get("id"), "version": 1.0}},
		},
		"transaction": map[string]any{
			"id": paid.get("transaction", "id"), "type": "transaction", "agent_id": agent, "kind": "payment", "amount": amount("20.50"),
			"currency": "USDC", "payee": "https://api.vendor.example/x", "description": "seats", "category": "software",
			"balance_after": amount("79.50"), "action_id": paid.get("id"), "refund_of": nil, "created_at": "2026-07-15T12:30:00.000Z",
		},
	}
	if d := cmp.Diff(want, paid.json); d != "" {
		t.Error(d)
	}
	again := f.pay(wallet, "20.50", `,"payee":"https://api.vendor.example/x","category":"software","description":"seats"`, "Idempotency-Key: k1")
	if d := cmp.Diff(paid.json, again.json); d != "" {
		t.Error(d)
	}
	f.wantError(f.do(http.MethodPost, wallet+"/payments", `{"amount":"21","payee":"vendor.example"}`, "Idempotency-Key: k1"),
		409, "conflict_error", "idempotency_key_reused")

	wantDecision(t, f.pay(wallet, "51", `,"payee":"vendor.example"`), "denied", "max_per_transaction")
	wantDecision(t, f.pay(wallet, "1", `,"payee":"vendor.example","category":"Gambling"`), "denied", "blocked_categories")
	wantDecision(t, f.pay(wallet, "1", `,"payee":"https://vendor.example@evil.example"`), "denied", "allowed_domains")
	wantDecision(t, f.pay(wallet, "1", ``), "denied", "allowed_domains")
	wantDecision(t, f.pay(wallet, "50", `,"payee":"vendor.example"`), "completed", nil)
	over := f.pay(wallet, "9.51", `,"payee":"vendor.example"`)
	wantDecision(t, over, "denied", "daily_limit")
	if reason, _ := over.get("decision", "reason").(string); !strings.Contains(reason, "70.50 USDC") {
		t.Errorf("%s", over.body)
	}
	if w := f.want(200, http.MethodGet, wallet, ""); w.get("balance", "amount") != "29.50" {
		t.Errorf("%s", w.body)
	}
	log := f.want(200, http.MethodGet, "/v1/audit?action=transaction_blocked&agent_id="+agent, "")
	if items, _ := log.get("data").([]any); len(items) != 6 {
		t.Errorf("%s", log.body)
	}
}

func TestPaymentFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withGate)
	agent, wallet := f.funded("100")
	f.policy(agent, `{}`)
	for body, path := range map[string]string{
		`{}`:                               "amount",
		`{"amount":"0"}`:                   "amount",
		`{"amount":"-1"}`:                  "amount",
		`{"amount":null}`:                  "amount",
		`{"amount":20}`:                    "amount",
		`{"amount":"1","payeee":"x"}`:      "payeee",
		`{"amount":"1","payee":"a\u0000"}`: "payee",
	} {
		got := f.do(http.MethodPost, wallet+"/payments", body)
		fields, _ := got.get("error", "details", "fields").([]any)
		if got.StatusCode != 400 || len(fields) != 1 || fields[0].(map[string]any)["path"] != path {
			t.Errorf("%s: %d %s; want a 400 at %s", body, got.StatusCode, got.body, path)
		}
	}
	reader := "x-api-key: " + f.newKey(account.WalletsRead, account.PoliciesWrite, account.Chat)
	f.wantError(f.do(http.MethodPost, wallet+"/payments", `{"amount":"1"}`, reader), 403, "permission_error", "permission_denied")
	_, theirs := f.newTenant(account.PlanFree)
	for _, c := range []struct{ path, body string }{
		{wallet + "/payments", `{"amount":"1"}`},
		{"/v1/transfers", `{"from_agent_id":"` + agent + `","to_agent_id":"` + agent + `","amount":"1"}`},
		{"/v1/policies/simulate", `{"agent_id":"` + agent + `","amount":"1"}`},
		{"/v1/policies", `{"scope":{"agent_id":"` + agent + `"}}`},
		{"/v1/agents/" + agent + "/freeze", ""},
		{"/v1/agents/" + agent + "/unfreeze", ""},
	} {
		if got := f.do(http.MethodPost, c.path, c.body, "x-api-key: "+theirs); got.StatusCode != 404 && got.StatusCode != 400 {
			t.Errorf("%s of another tenant: %d %s", c.path, got.StatusCode, got.body)
		}
	}
	if w := f.want(200, http.MethodGet, wallet, ""); w.get("balance", "amount") != "100.00" {
		t.Errorf("%s", w.body)
	}
}

func TestTransfers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withGate)
	from, wallet := f.funded("100")
	to := f.newAgent()
	f.policy(from, `{"daily_limit":"30"}`)
	body := func(amount string) string {
		return fmt.Sprintf(`{"from_agent_id":%q,"to_agent_id":%q,"amount":%q,"description":"share"}`, from, to, amount)
	}
	made := f.want(200, http.MethodPost, "/v1/transfers", body("30"))
	wantDecision(t, made, "completed", nil)
	if made.get("to_agent_id") != to || made.get("type") != "transfer" || made.get("transaction", "kind") != "transfer_out" {
		t.Errorf("%s", made.body)
	}
	wantDecision(t, f.want(200, http.MethodPost, "/v1/transfers", body("0.01")), "denied", "daily_limit")
	if w := f.want(200, http.MethodGet, wallet, ""); w.get("balance", "amount") != "70.00" {
		t.Errorf("%s", w.body)
	}
	f.wantError(f.do(http.MethodPost, "/v1/transfers", fmt.Sprintf(`{"from_agent_id":%q,"to_agent_id":%q,"amount":"1"}`, from, from)),
		400, "invalid_request_error", "invalid_request")
	f.wantError(f.do(http.MethodPost, "/v1/transfers", fmt.Sprintf(`{"from_agent_id":%q,"to_agent_id":"agent_x","amount":"1"}`, from)),
		404, "not_found_error", "agent_not_found")
}

func TestApprovals(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withGate)
	agent, wallet := f.funded("100")
	f.policy(agent, `{"require_approval_above":"10","approval_ttl":60}`)
	asked := f.pay(wallet, "10", `,"payee":"vendor.example","description":"chairs"`, "Idempotency-Key: a")
	wantDecision(t, asked, "pending_approval", "require_approval_above")
	if asked.get("decision", "outcome") != "require_approval" || asked.get("transaction") != nil {
		t.Errorf("%s", asked.body)
	}
	path := "/v1/approvals/" + asked.get("approval", "id").(string)
	pending := f.want(200, http.MethodGet, path, "")
	want := map[string]any{
		"id": asked.get("approval", "id"), "type": "approval", "agent_id": agent, "session_id": nil, "run_id": nil, "tool_use_id": nil,
		"act_id": asked.get("id"), "action": "payment", "amount": amount("10.00"), "payee": "vendor.example", "description": "chairs",
		"rule": "require_approval_above", "reason": pending.get("reason"), "status": "pending", "expires_at": "2026-07-15T12:31:00.000Z",
		"decided_by": nil, "decided_at": nil, "note": nil, "created_at": "2026-07-15T12:30:00.000Z",
		"requested_by": f.admin.Key.String(), "required_approvals": 1.0, "approver_not_requester": false, "votes": []any{},
	}
	if d := cmp.Diff(want, pending.json); d != "" {
		t.Error(d)
	}
	if list := f.want(200, http.MethodGet, "/v1/approvals?status=pending&agent_id="+agent, ""); len(list.get("data").([]any)) != 1 {
		t.Errorf("%s", list.body)
	}
	writer := "x-api-key: " + f.newKey(account.WalletsWrite)
	f.wantError(f.do(http.MethodPost, path+"/approve", "", writer), 403, "permission_error", "permission_denied")
	done := f.want(200, http.MethodPost, path+"/approve", "")
	if done.get("status") != "approved" || done.get("act", "state") != "done" || done.get("decided_by") == nil {
		t.Errorf("%s", done.body)
	}
	f.wantError(f.do(http.MethodPost, path+"/approve", ""), 409, "conflict_error", "approval_decided")
	f.wantError(f.do(http.MethodPost, path+"/deny", `{"reason":"late"}`), 409, "conflict_error", "approval_decided")
	wantDecision(t, f.pay(wallet, "10", `,"payee":"vendor.example","description":"chairs"`, "Idempotency-Key: a"), "completed", nil)

	second := f.pay(wallet, "11", "")
	denied := f.want(200, http.MethodPost, "/v1/approvals/"+second.get("approval", "id").(string)+"/deny", `{"reason":"too dear"}`)
	if denied.get("status") != "denied" || denied.get("note") != "too dear" || denied.get("act", "state") != "denied" {
		t.Errorf("%s", denied.body)
	}
	third := f.pay(wallet, "12", "")
	f.clock.Advance(time.Minute)
	if late := f.want(200, http.MethodGet, "/v1/approvals/"+third.get("approval", "id").(string), ""); late.get("status") != "expired" {
		t.Errorf("%s", late.body)
	}
	fourth := f.pay(wallet, "13", "")
	frozen := f.want(200, http.MethodPost, "/v1/agents/"+agent+"/freeze", "")
	if d := cmp.Diff(map[string]any{"id": agent, "type": "agent", "standing": "frozen", "stopped": 1.0, "in_flight": 0.0, "turns": 0.0, "voided": 1.0}, frozen.json); d != "" {
		t.Error(d)
	}
	if void := f.want(200, http.MethodGet, "/v1/approvals/"+fourth.get("approval", "id").(string), ""); void.get("status") != "denied" {
		t.Errorf("%s", void.body)
	}
	if list := f.want(200, http.MethodGet, "/v1/approvals?status=denied", ""); len(list.get("data").([]any)) != 2 {
		t.Errorf("%s", list.body)
	}
	wantDecision(t, f.pay(wallet, "1", ""), "denied", "frozen")
	f.want(200, http.MethodPost, "/v1/agents/"+agent+"/unfreeze", "")
	wantDecision(t, f.pay(wallet, "1", ""), "completed", nil)
	_, theirs := f.newTenant(account.PlanFree)
	for _, c := range []string{"/approve", "/deny"} {
		f.wantError(f.do(http.MethodPost, path+c, "", "x-api-key: "+theirs), 404, "not_found_error", "approval_not_found")
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withGate)
	agent := f.newAgent()
	made := f.want(201, http.MethodPost, "/v1/policies", fmt.Sprintf(`{"scope":{"agent_id":%q},
		"limits":{"daily_limit":{"amount":"80","currency":"USDC"},"daily_cost_limit":"5","monthly_token_limit":1000,"approval_ttl":3600,
		"blocked_domains":["evil.example"]},"rules":[{"plugin":"spend_limit","config":{"never":"acme"}}]}`, agent))
	usd := map[string]any{"amount": "5.00", "currency": "USD"}
	limits := map[string]any{
		"max_per_transaction": nil, "hourly_limit": nil, "daily_limit": amount("80.00"), "weekly_limit": nil, "monthly_limit": nil,
		"all_time_limit": nil, "require_approval_above": nil, "approval_ttl": 3600.0, "required_approvals": 1.0, "approver_not_requester": false, "blocked_categories": []any{},
		"allowed_categories": []any{}, "allowed_payees": []any{}, "blocked_payees": []any{}, "allowed_domains": []any{},
		"blocked_domains": []any{"evil.example"}, "daily_cost_limit": usd, "monthly_cost_limit": nil, "daily_token_limit": nil,
		"monthly_token_limit": 1000.0, "per_run_limit": nil, "windows": []any{}, "structuring": nil, "new_payee": "allow",
		"allowed_times": []any{}, "min_card_score": nil, "require_valid_card": false, "require_signed_card": false,
	}
	want := map[string]any{
		"id": made.get("id"), "type": "policy", "scope": map[string]any{"agent_id": agent}, "limits": limits, "mode": "enforce", "version": 1.0,
		"rules":      []any{map[string]any{"plugin": "spend_limit", "config": map[string]any{"never": "acme"}}},
		"created_at": "2026-07-15T12:30:00.000Z", "updated_at": "2026-07-15T12:30:00.000Z",
	}
	if d := cmp.Diff(want, made.json); d != "" {
		t.Fatal(d)
	}
	path := "/v1/policies/" + made.get("id").(string)
	f.clock.Advance(time.Second)
	got := f.want(200, http.MethodPatch, path, `{"limits":{"daily_limit":null,"weekly_limit":"9","blocked_domains":null,"approval_ttl":null},"version":1}`)
	limits["daily_limit"], limits["weekly_limit"], limits["blocked_domains"], limits["approval_ttl"] = nil, amount("9.00"), []any{}, nil
	want["version"], want["updated_at"] = 2.0, "2026-07-15T12:30:01.000Z"
	if d := cmp.Diff(want, got.json); d != "" {
		t.Error(d)
	}
	f.wantError(f.do(http.MethodPatch, path, `{"limits":{},"version":1}`), 409, "conflict_error", "policy_version_conflict")
	if got = f.want(200, http.MethodPatch, path, `{"rules":[]}`); len(got.get("rules").([]any)) != 0 {
		t.Errorf("%s", got.body)
	}
	f.want(201, http.MethodPost, "/v1/policies", `{"scope":{"tenant":true},"limits":{"monthly_limit":"1000"}}`)
	for query, n := range map[string]int{"": 2, "?agent_id=" + agent: 1, "?scope=tenant": 1, "?limit=1": 1} {
		if list := f.want(200, http.MethodGet, "/v1/policies"+query, ""); len(list.get("data").([]any)) != n {
			t.Errorf("%s: %s", query, list.body)
		}
	}
	_, theirs := f.newTenant(account.PlanFree)
	for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
		f.wantError(f.do(method, path, `{"limits":{}}`, "x-api-key: "+theirs), 404, "not_found_error", "policy_not_found")
	}
	if gone := f.want(200, http.MethodDelete, path, ""); gone.get("type") != "policy_deleted" {
		t.Errorf("%s", gone.body)
	}
	f.wantError(f.do(http.MethodGet, path, ""), 404, "not_found_error", "policy_not_found")
}

func TestPolicyFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withGate)
	agent := f.newAgent()
	for body, path := range map[string]string{
		`{"scope":{}}`: "scope",
		`{"scope":{"tenant":true,"agent_id":"` + agent + `"}}`:                                                 "scope",
		`{"scope":{"tenant":true},"limits":{"dayly_limit":"1"}}`:                                               "limits.dayly_limit",
		`{"scope":{"tenant":true},"limits":{"daily_limit":"-1"}}`:                                              "limits.daily_limit",
		`{"scope":{"tenant":true},"limits":{"daily_limit":"a lot"}}`:                                           "limits.daily_limit",
		`{"scope":{"tenant":true},"limits":{"daily_limit":{"amount":"1","currency":"usdc"}}}`:                  "limits.daily_limit.currency",
		`{"scope":{"tenant":true},"limits":{"daily_cost_limit":{"amount":"1","currency":"USDC"}}}`:             "limits.daily_cost_limit",
		`{"scope":{"tenant":true},"limits":{"daily_token_limit":-1}}`:                                          "limits.daily_token_limit",
		`{"scope":{"tenant":true},"limits":{"approval_ttl":0}}`:                                                "limits.approval_ttl",
		`{"scope":{"tenant":true},"limits":{"approval_ttl":99999999999}}`:                                      "limits.approval_ttl",
		`{"scope":{"tenant":true},"limits":{"blocked_domains":["a b"]}}`:                                       "limits.blocked_domains[0]",
		`{"scope":{"tenant":true},"limits":{"blocked_categories":["ok"," "]}}`:                                 "limits.blocked_categories[1]",
		`{"scope":{"tenant":true},"limits":{"max_per_transaction":"10","require_approval_above":"10.000001"}}`: "limits.require_approval_above",
		`{"scope":{"tenant":true},"rules":[{"plugin":"unknown"}]}`:                                             "rules[0].plugin",
		`{"scope":{"tenant":true},"rules":[{"plugin":"spend_limit"}]}`:                                         "rules[0].config.never",
		`{"scope":{"tenant":true},"rules":[{"plugin":"spend_limit","confg":{}}]}`:                              "rules[0].confg",
		`{"scope":{"tenant":true},"limit":{}}`:                                                                 "limit",
	} {
		got := f.do(http.MethodPost, "/v1/policies", body)
		fields, _ := got.get("error", "details", "fields").([]any)
		if got.StatusCode != 400 || len(fields) != 1 || fields[0].(map[string]any)["path"] != path {
			t.Errorf("%s: %d %s; want a 400 at %s", body, got.StatusCode, got.body, path)
		}
	}
	f.wantError(f.do(http.MethodPost, "/v1/policies", `{"scope":{"agent_id":"agent_01h455vb4pex5vsknk084sn02q"}}`),
		404, "not_found_error", "agent_not_found")
	f.wantError(f.do(http.MethodPost, "/v1/policies", `{"scope":{"swarm_id":"swarm_01h455vb4pex5vsknk084sn02q"}}`),
		404, "not_found_error", "swarm_not_found")
	f.wantError(f.do(http.MethodPost, "/v1/policies", `{"scope":{"tenant":true}}`, "x-api-key: "+f.newKey(account.PoliciesRead)),
		403, "permission_error", "permission_denied")
}

func TestSimulate(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withGate)
	agent, wallet := f.funded("100")
	pol := f.want(201, http.MethodPost, "/v1/policies", fmt.Sprintf(
		`{"scope":{"agent_id":%q},"limits":{"daily_limit":"50","require_approval_above":"40"},"rules":[{"plugin":"spend_limit","config":{"never":"acme"}}]}`, agent))
	f.pay(wallet, "20", "")
	for body, want := range map[string][2]any{
		`"amount":"30"`:                     {"allow", nil},
		`"amount":"30.01"`:                  {"deny", "daily_limit"},
		`"amount":"1","payee":"acme"`:       {"deny", "spend_limit"},
		`"action":"model_call","tokens":10`: {"allow", nil},
		`"action":"tool_call","tool":"x"`:   {"allow", nil},
	} {
		got := f.want(200, http.MethodPost, "/v1/policies/simulate", fmt.Sprintf(`{"agent_id":%q,%s}`, agent, body))
		if got.get("outcome") != want[0] || got.get("rule") != want[1] {
			t.Errorf("%s: %s; want %v", body, got.body, want)
		}
		if p, _ := got.get("policies").([]any); len(p) != 1 || p[0].(map[string]any)["policy_id"] != pol.get("id") {
			t.Errorf("%s", got.body)
		}
	}
	if w := f.want(200, http.MethodGet, wallet, ""); w.get("balance", "amount") != "80.00" {
		t.Errorf("%s", w.body)
	}
}

func TestFreezeTenant(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withGate)
	agent, wallet := f.funded("100")
	f.policy(agent, `{}`)
	path := "/v1/tenants/" + f.admin.Tenant.String()
	if got := f.want(200, http.MethodPost, path+"/freeze", ""); got.get("standing") != "frozen" || got.get("type") != "tenant" {
		t.Errorf("%s", got.body)
	}
	wantDecision(t, f.pay(wallet, "1", ""), "denied", "frozen")
	f.want(200, http.MethodPost, path+"/unfreeze", "")
	wantDecision(t, f.pay(wallet, "1", ""), "completed", nil)
	tenant, theirs := f.newTenant(account.PlanFree)
	f.wantError(f.do(http.MethodPost, path+"/freeze", "", "x-api-key: "+theirs), 404, "not_found_error", "tenant_not_found")
	f.want(200, http.MethodPost, "/v1/tenants/"+tenant.ID.String()+"/freeze", "")
	f.wantError(f.do(http.MethodPost, "/v1/tenants/"+tenant.ID.String()+"/unfreeze", "", "x-api-key: "+theirs),
		403, "permission_error", "permission_denied")
}

// TestPaymentsAtOnce repeats one payment under one key and another under none, all at once.
func TestPaymentsAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withGate)
	agent, wallet := f.funded("100")
	f.policy(agent, `{"daily_limit":"10"}`)
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			key := "Idempotency-Key: same"
			if i%2 == 0 {
				key = "X-Ignored: x"
			}
			if a := f.do(http.MethodPost, wallet+"/payments", `{"amount":"1"}`, key); a.StatusCode != 200 {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
	wg.Wait()
	w := f.want(200, http.MethodGet, wallet, "")
	if b := w.get("balance", "amount"); b != "90.00" { // 12 alone and one of the twelve twins ask for 13, the cap is 10
		t.Errorf("%s", w.body)
	}
}
