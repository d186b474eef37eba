package native

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// pays has an agent pay out of its wallet, past the gate.
func (f *fixture) pays(wallets *wallet.Service, a id.Agent, amount money.Amount, payee string) wallet.Transaction {
	f.t.Helper()
	t, err := wallets.Pay(f.t.Context(), f.admin, wallet.PayRequest{Agent: a, Amount: amount, Payee: payee})
	if err != nil {
		f.t.Fatal(err)
	}
	return t
}

func (a answer) fields(names ...string) []any {
	out := make([]any, len(names))
	for i, n := range names {
		out[i] = a.json[n]
	}
	return out
}

func TestOwnWallet(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.agentID()
	path := "/v1/agents/" + a.String() + "/wallet"
	empty := f.want(200, http.MethodGet, "/v1/wallet", "")
	if d := cmp.Diff([]any{nil, "USDC", any(amount("0.00"))}, empty.fields("agent_id", "currency", "balance")); d != "" {
		t.Error(d)
	}
	f.wantError(f.do(http.MethodPost, path+"/funding", `{"amount":"1"}`), 402, "billing_error", "insufficient_funds")
	f.want(201, http.MethodPost, "/v1/wallet/deposits", `{"amount":"100"}`)
	in := f.want(201, http.MethodPost, path+"/funding", `{"amount":"60","description":"budget"}`, "Idempotency-Key: k")
	again := f.want(201, http.MethodPost, path+"/funding", `{"amount":"60","description":"budget"}`, "Idempotency-Key: k")
	if d := cmp.Diff(in.json, again.json); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]any{a.String(), "transfer_in", nil, any(amount("60.00"))}, in.fields("agent_id", "kind", "payee", "balance")); d != "" {
		t.Error(d)
	}
	out := f.want(201, http.MethodPost, path+"/withdrawals", `{"amount":"15"}`)
	if d := cmp.Diff([]any{a.String(), "transfer_out", any(amount("45.00"))}, out.fields("agent_id", "kind", "balance")); d != "" {
		t.Error(d)
	}
	own := f.want(200, http.MethodGet, "/v1/wallet/transactions?kind=transfer_in,transfer_out", "")
	items, _ := own.get("data").([]any)
	if len(items) != 2 || items[0].(map[string]any)["payee"] != a.String() || items[0].(map[string]any)["agent_id"] != nil {
		t.Errorf("%s", own.body)
	}
	both := f.want(200, http.MethodGet, "/v1/transactions/"+in.get("id").(string), "")
	if sides, _ := both.get("sides").([]any); len(sides) != 2 || both.get("agent_id") != nil || both.get("refundable") != nil {
		t.Errorf("%s", both.body)
	}
	if w := f.want(200, http.MethodGet, "/v1/wallet", ""); w.get("balance", "amount") != "55.00" {
		t.Errorf("%s", w.body)
	}
	if log := f.want(200, http.MethodGet, "/v1/audit?action=transaction_completed", ""); len(log.get("data").([]any)) != 3 {
		t.Errorf("%s", log.body)
	}
	if _, err := f.store.Agents().SetStanding(t.Context(), f.admin, a, agent.Frozen); err != nil {
		t.Fatal(err)
	}
	f.wantError(f.do(http.MethodPost, path+"/funding", `{"amount":"1"}`), 403, "permission_error", "agent_frozen")
	f.wantError(f.do(http.MethodPost, path+"/withdrawals", `{"amount":"1"}`), 403, "permission_error", "agent_frozen")
}

func TestRefund(t *testing.T) {
	t.Parallel()
	var wallets *wallet.Service
	f := newFixture(t, func(_ *fixture, d *Deps) { wallets = d.Wallets })
	a := f.agentID()
	f.want(201, http.MethodPost, "/v1/agents/"+a.String()+"/wallet/deposits", `{"amount":{"amount":"20","currency":"EUR"}}`)
	p := f.pays(wallets, a, money.Of(10_000_000, "EUR"), "acme.example")
	path := "/v1/transactions/" + p.ID.String()
	for body, field := range map[string]string{
		`{"amount":"0"}`: "amount", `{"amount":{"amount":"1","currency":"USDC"}}`: "amount.currency", `{"amount":"1","x":1}`: "x",
	} {
		got := f.do(http.MethodPost, path+"/refund", body)
		fields, _ := got.get("error", "details", "fields").([]any)
		if got.StatusCode != 400 || len(fields) != 1 || fields[0].(map[string]any)["path"] != field {
			t.Errorf("%s: %d %s; want a 400 at %s", body, got.StatusCode, got.body, field)
		}
	}
	part := f.want(201, http.MethodPost, path+"/refund", `{"amount":"4","description":"broken"}`, "Idempotency-Key: r")
	want := []any{"refund", p.ID.String(), "acme.example", "broken", "EUR", any(map[string]any{"amount": "14.00", "currency": "EUR"})}
	if d := cmp.Diff(want, part.fields("kind", "refund_of", "payee", "description", "currency", "balance")); d != "" {
		t.Error(d)
	}
	f.want(201, http.MethodPost, path+"/refund", `{"amount":"4","description":"broken"}`, "Idempotency-Key: r")
	f.wantError(f.do(http.MethodPost, path+"/refund", `{"amount":"6.000001"}`), 409, "conflict_error", "refund_too_large")
	got := f.want(200, http.MethodGet, path, "")
	if got.get("refunded", "amount") != "4.00" || got.get("refundable", "amount") != "6.00" {
		t.Errorf("%s", got.body)
	}
	f.want(201, http.MethodPost, path+"/refund", "")
	f.wantError(f.do(http.MethodPost, path+"/refund", ""), 409, "conflict_error", "refund_too_large")
	if w := f.want(200, http.MethodGet, "/v1/agents/"+a.String()+"/wallets", ""); len(w.get("data").([]any)) != 2 {
		t.Errorf("%s", w.body)
	}

	_, theirs := f.newTenant(account.PlanFree)
	f.wantError(f.do(http.MethodGet, path, "", "x-api-key: "+theirs), 404, "not_found_error", "transaction_not_found")
	f.wantError(f.do(http.MethodPost, path+"/refund", "", "x-api-key: "+theirs), 404, "not_found_error", "transaction_not_found")
	reader := "x-api-key: " + f.newKey(account.WalletsRead)
	f.want(200, http.MethodGet, path, "", reader)
	f.wantError(f.do(http.MethodPost, path+"/refund", "", reader), 403, "permission_error", "permission_denied")
}

func TestStatement(t *testing.T) {
	t.Parallel()
	var wallets *wallet.Service
	f := newFixture(t, func(_ *fixture, d *Deps) { wallets = d.Wallets })
	a := f.agentID()
	path := "/v1/agents/" + a.String() + "/wallet"
	f.want(201, http.MethodPost, path+"/deposits", `{"amount":"100"}`)
	f.pays(wallets, a, money.Of(30_000_000, money.USDC), "acme.example")
	f.pays(wallets, a, money.Of(5_000_000, money.USDC), "other.example")
	st := f.want(200, http.MethodGet, path+"/statement?period=2026-07&limit=1", "")
	list := st.json["transactions"].(map[string]any)
	if len(list["data"].([]any)) != 1 || list["has_more"] != true {
		t.Errorf("%s", st.body)
	}
	delete(st.json, "transactions")
	want := map[string]any{
		"type": "statement", "agent_id": a.String(), "currency": "USDC", "from": "2026-07-01T00:00:00.000Z", "to": "2026-08-01T00:00:00.000Z",
		"opening_balance": amount("0.00"), "closing_balance": amount("65.00"), "money_in": amount("100.00"), "money_out": amount("35.00"),
		"totals": []any{
			map[string]any{"kind": "deposit", "direction": "in", "count": 1.0, "amount": amount("100.00")},
			map[string]any{"kind": "payment", "direction": "out", "count": 2.0, "amount": amount("35.00")},
		},
	}
	if d := cmp.Diff(want, st.json); d != "" {
		t.Error(d)
	}
	next := f.want(200, http.MethodGet, path+"/statement?period=2026-08", "")
	if next.get("opening_balance", "amount") != "65.00" || next.get("closing_balance", "amount") != "65.00" {
		t.Errorf("%s", next.body)
	}
	if now := f.want(200, http.MethodGet, path+"/statement", ""); now.get("closing_balance", "amount") != "65.00" {
		t.Errorf("%s", now.body)
	}
	if own := f.want(200, http.MethodGet, "/v1/wallet/statement", ""); own.get("agent_id") != nil || own.get("closing_balance", "amount") != "0.00" {
		t.Errorf("%s", own.body)
	}
	for query, field := range map[string]string{
		"period=2026-13": "query.period", "period=2026-07&from=2026-07-01T00:00:00Z": "query.period",
		"from=2026-07-02T00:00:00Z&to=2026-07-01T00:00:00Z": "query.to", "from=yesterday": "query.from",
	} {
		got := f.do(http.MethodGet, path+"/statement?"+query, "")
		fields, _ := got.get("error", "details", "fields").([]any)
		if got.StatusCode != 400 || len(fields) != 1 || fields[0].(map[string]any)["path"] != field {
			t.Errorf("%s: %d %s; want a 400 at %s", query, got.StatusCode, got.body, field)
		}
	}
	only := f.want(200, http.MethodGet, path+"/transactions?payee=acme.example", "")
	if items := only.get("data").([]any); len(items) != 1 || items[0].(map[string]any)["payee"] != "acme.example" {
		t.Errorf("%s", only.body)
	}
	until := f.clock.Now().UTC().Format(time.RFC3339Nano)
	if none := f.want(200, http.MethodGet, path+"/transactions?to="+until, ""); len(none.get("data").([]any)) != 0 {
		t.Errorf("%s", none.body)
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	var wallets *wallet.Service
	f := newFixture(t, func(_ *fixture, d *Deps) { wallets = d.Wallets })
	a := f.agentID()
	path := "/v1/agents/" + a.String() + "/wallet"
	f.want(201, http.MethodPost, path+"/deposits", `{"amount":"100"}`)
	hold := func(ttl time.Duration) string {
		t.Helper()
		h, err := wallets.Hold(t.Context(), f.admin, wallet.HoldRequest{Agent: a, Amount: money.Of(1_000_000, money.USDC), Payee: "acme.example", TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		return h.ID.String()
	}
	one, bound := hold(time.Hour), hold(wallet.UntilEnded)
	list := f.want(200, http.MethodGet, path+"/holds", "")
	if items := list.get("data").([]any); len(items) != 2 || items[1].(map[string]any)["id"] != one {
		t.Errorf("%s", list.body)
	}
	voided := f.want(200, http.MethodPost, "/v1/holds/"+one+"/void", "")
	if d := cmp.Diff([]any{one, "voided", any(amount("1.00")), nil}, voided.fields("id", "status", "amount", "captured")); d != "" {
		t.Error(d)
	}
	f.wantError(f.do(http.MethodPost, "/v1/holds/"+one+"/void", ""), 409, "conflict_error", "hold_resolved")
	f.wantError(f.do(http.MethodPost, "/v1/holds/"+bound+"/void", ""), 409, "conflict_error", "hold_in_use")
	if got := f.want(200, http.MethodGet, "/v1/holds/"+one, ""); got.get("status") != "voided" {
		t.Errorf("%s", got.body)
	}
	if w := f.want(200, http.MethodGet, path, ""); w.get("held", "amount") != "1.00" {
		t.Errorf("%s", w.body)
	}
	if log := f.want(200, http.MethodGet, "/v1/audit?action=hold_voided", ""); len(log.get("data").([]any)) != 1 {
		t.Errorf("%s", log.body)
	}
	if gone := f.want(200, http.MethodGet, path+"/holds?status=voided", ""); len(gone.get("data").([]any)) != 1 {
		t.Errorf("%s", gone.body)
	}
	_, theirs := f.newTenant(account.PlanFree)
	f.wantError(f.do(http.MethodPost, "/v1/holds/"+bound+"/void", "", "x-api-key: "+theirs), 404, "not_found_error", "hold_not_found")
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	var wallets *wallet.Service
	f := newFixture(t, func(_ *fixture, d *Deps) { wallets = d.Wallets })
	a := f.agentID()
	f.want(201, http.MethodPost, "/v1/agents/"+a.String()+"/wallet/deposits", `{"amount":"100"}`)
	good := f.want(200, http.MethodGet, "/v1/reconciliation", "")
	if good.get("ok") != true || good.get("checked", "entries") != 1.0 || len(good.get("differences").([]any)) != 0 {
		t.Errorf("%s", good.body)
	}
	p := f.pays(wallets, a, money.Of(30_000_000, money.USDC), "acme.example") // past the gate
	bad := f.want(200, http.MethodGet, "/v1/reconciliation", "")
	var got []string
	for _, d := range bad.get("differences").([]any) {
		d := d.(map[string]any)
		got = append(got, fmt.Sprint(d["kind"], " ", d["transaction_id"] == p.ID.String(), " ", d["expected"], " ", d["found"]))
	}
	if d := cmp.Diff([]string{"payment_without_act true an act <nil>", "entry_without_audit true 30.00 <nil>"}, got); d != "" || bad.get("ok") != false {
		t.Errorf("%s\n%s", d, bad.body)
	}
	if r := f.want(200, http.MethodGet, "/v1/reconciliation?to=2026-07-01T00:00:00Z", ""); r.get("ok") != true {
		t.Errorf("%s", r.body)
	}
	reader := "x-api-key: " + f.newKey(account.WalletsRead)
	f.wantError(f.do(http.MethodGet, "/v1/reconciliation", "", reader), 403, "permission_error", "permission_denied")
}
