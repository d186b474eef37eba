package native

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

func amount(s string) map[string]any { return map[string]any{"amount": s, "currency": "USDC"} }

func TestWallet(t *testing.T) {
	t.Parallel()
	var wallets *wallet.Service
	f := newFixture(t, func(_ *fixture, d *Deps) { wallets = d.Wallets })
	a := f.agentID()
	path := "/v1/agents/" + a.String() + "/wallet"

	empty := f.want(200, http.MethodGet, path, "")
	want := map[string]any{
		"id": empty.get("id"), "type": "wallet", "agent_id": a.String(), "currency": "USDC", "balance": amount("0.00"), "held": amount("0.00"),
		"available": amount("0.00"), "created_at": "2026-07-15T12:30:00.000Z",
	}
	if d := cmp.Diff(want, empty.json); d != "" {
		t.Fatal(d)
	}
	made := f.want(201, http.MethodPost, path+"/deposits", `{"amount":{"amount":"20","currency":"USDC"},"description":"budget"}`)
	wantTx := map[string]any{
		"id": made.get("id"), "type": "transaction", "agent_id": a.String(), "kind": "deposit", "amount": amount("20.00"), "currency": "USDC",
		"payee": nil, "description": "budget", "category": nil, "balance_after": amount("20.00"), "action_id": nil, "refund_of": nil,
		"created_at": "2026-07-15T12:30:00.000Z",
	}
	if got := made.json["balance"]; cmp.Diff(any(amount("20.00")), got) != "" {
		t.Errorf("balance %v", got)
	}
	delete(made.json, "balance")
	if d := cmp.Diff(wantTx, made.json); d != "" {
		t.Error(d)
	}
	act := id.New[id.ActKind](id.NewGenerator(f.clock.Now))
	if _, err := wallets.Pay(t.Context(), f.admin, wallet.PayRequest{
		Agent: a, Amount: money.Of(1_500_000, money.USDC), Payee: "acme.example", Category: "office", Act: act,
	}); err != nil {
		t.Fatal(err)
	}
	other := f.agentID()
	if _, _, err := wallets.Transfer(t.Context(), f.admin, wallet.TransferRequest{
		From: a, To: other, Amount: money.Of(500_000, money.USDC),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := wallets.Hold(t.Context(), f.admin, wallet.HoldRequest{Agent: a, Amount: money.Of(1, money.USDC)}); err != nil {
		t.Fatal(err)
	}
	now := f.want(200, http.MethodGet, path+"?currency=USDC", "")
	for field, want := range map[string]string{"balance": "18.00", "held": "0.000001", "available": "17.999999"} {
		if d := cmp.Diff(any(amount(want)), now.get(field)); d != "" {
			t.Errorf("%s: %s", field, d)
		}
	}
	list := f.want(200, http.MethodGet, path+"/transactions?limit=2", "")
	items, _ := list.get("data").([]any)
	if len(items) != 2 || list.get("has_more") != true {
		t.Fatalf("%s", list.body)
	}
	out, paid := items[0].(map[string]any), items[1].(map[string]any)
	if out["kind"] != "transfer_out" || out["payee"] != other.String() {
		t.Errorf("the transfer is %v", out)
	}
	if paid["kind"] != "payment" || paid["payee"] != "acme.example" || paid["category"] != "office" || paid["action_id"] != act.String() {
		t.Errorf("the payment is %v", paid)
	}
	rest := f.want(200, http.MethodGet, path+"/transactions?cursor="+list.get("next_page").(string), "")
	if d := cmp.Diff([]any{wantTx}, rest.get("data")); d != "" {
		t.Error(d)
	}
	if eur := f.want(200, http.MethodGet, path+"?currency=EUR", ""); eur.get("balance", "currency") != "EUR" {
		t.Errorf("%s", eur.body)
	}
	log := f.want(200, http.MethodGet, "/v1/audit?action=transaction_completed&agent_id="+a.String(), "")
	if items, _ := log.get("data").([]any); len(items) != 1 {
		t.Errorf("the deposit's trail is %s", log.body)
	}
}

func TestDepositIsRepeatable(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	path := "/v1/agents/" + f.agentID().String() + "/wallet"
	body := `{"amount":{"amount":"5"}}`
	one := f.want(201, http.MethodPost, path+"/deposits", body, "Idempotency-Key: k1")
	two := f.want(201, http.MethodPost, path+"/deposits", body, "Idempotency-Key: k1")
	if d := cmp.Diff(one.json, two.json); d != "" {
		t.Error(d)
	}
	if a := f.do(http.MethodPost, path+"/deposits", `{"amount":{"amount":"6"}}`, "Idempotency-Key: k1"); a.StatusCode != 409 {
		t.Errorf("another body: %d %s", a.StatusCode, a.body)
	}
	if w := f.want(200, http.MethodGet, path, ""); w.get("balance", "amount") != "5.00" {
		t.Errorf("%s", w.body)
	}
}

func TestWalletFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.agentID()
	path := "/v1/agents/" + a.String() + "/wallet"
	for body, field := range map[string]string{
		`{"amount":{"amount":"0","currency":"USDC"}}`:                  "amount",
		`{"amount":{"amount":"-1","currency":"USDC"}}`:                 "amount",
		`{"amount":{"amount":"1.0000001","currency":"USDC"}}`:          "amount",
		`{"amount":{"amount":"1e3","currency":"USDC"}}`:                "amount",
		`{"amount":{"amount":20,"currency":"USDC"}}`:                   "amount",
		`{"amount":{"amount":"1","currency":"usdc"}}`:                  "amount",
		`{"amount":{"amount":"1","curency":"USDC"}}`:                   "amount",
		`{"amount":{"amount":"99999999999999"}}`:                       "amount",
		`{"amount":{"amount":"1"},"agent_id":"x"}`:                     "agent_id",
		`{"description":"no amount"}`:                                  "amount",
		`{"amount":{"amount":"1"},"description":"` + long(1001) + `"}`: "description",
	} {
		got := f.do(http.MethodPost, path+"/deposits", body)
		fields, _ := got.get("error", "details", "fields").([]any)
		if got.StatusCode != 400 || len(fields) != 1 || !strings.HasPrefix(fields[0].(map[string]any)["path"].(string), field) {
			t.Errorf("%s: %d %s; want a 400 at %s", body, got.StatusCode, got.body, field)
		}
	}
	bad := f.do(http.MethodGet, path+"?currency=usdc", "")
	fields, _ := bad.get("error", "details", "fields").([]any)
	if bad.StatusCode != 400 || len(fields) != 1 || fields[0].(map[string]any)["path"] != "query.currency" {
		t.Errorf("%d %s", bad.StatusCode, bad.body)
	}
	if w := f.want(200, http.MethodGet, path, ""); w.get("balance", "amount") != "0.00" {
		t.Errorf("%s", w.body)
	}

	_, theirs := f.newTenant(account.PlanFree)
	for _, call := range []struct{ method, path, body string }{
		{http.MethodGet, path, ""}, {http.MethodGet, path + "/transactions", ""},
		{http.MethodPost, path + "/deposits", `{"amount":{"amount":"1"}}`},
	} {
		f.wantError(f.do(call.method, call.path, call.body, "x-api-key: "+theirs), 404, "not_found_error", "agent_not_found")
		f.wantError(f.do(call.method, strings.Replace(call.path, a.String(), "agent_x", 1), call.body), 404, "not_found_error", "agent_not_found")
	}
	reader := "x-api-key: " + f.newKey(account.WalletsRead)
	f.want(200, http.MethodGet, path, "", reader)
	f.wantError(f.do(http.MethodPost, path+"/deposits", `{"amount":{"amount":"1"}}`, reader), 403, "permission_error", "permission_denied")

	if _, err := f.store.Agents().SetStanding(t.Context(), f.admin, a, agent.Frozen); err != nil {
		t.Fatal(err)
	}
	f.wantError(f.do(http.MethodPost, path+"/deposits", `{"amount":{"amount":"1"}}`), 403, "permission_error", "agent_frozen")
	f.want(200, http.MethodGet, path, "")
}

func long(n int) string { return strings.Repeat("x", n) }
