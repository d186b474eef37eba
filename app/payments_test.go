package app_test

import (
	"testing"

	"github.com/bureau-agents/bureau/app/apptest"
)

// TestRails pays over a rail and for a request by the API, and takes back.
func TestRails(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	var made struct{ ID string }
	s.Admin.Call("POST", "/v1/agents", m{"name": "buyer", "model": "offline"}, &made)
	wallet := "/v1/agents/" + made.ID + "/wallet"
	s.Admin.Call("POST", wallet+"/deposits", m{"amount": usdc("100")}, nil)
	s.Admin.Call("POST", "/v1/policies", m{"scope": m{"agent_id": made.ID}, "limits": m{"require_approval_above": usdc("30")}}, nil)
	type answer struct {
		Status, Rail string
		Payment      string `json:"payment_id"`
		Transaction  struct{ ID string }
		Approval     struct{ ID string }
	}
	pay := func(amount, payee string) (a answer) {
		t.Helper()
		s.Admin.Call("POST", wallet+"/payments", m{"amount": usdc(amount), "payee": payee, "rail": "fake"}, &a)
		return a
	}
	type shown struct {
		Status    string
		Refunded  struct{ Amount string }
		Reference string
	}
	read := func(id string) (p shown) {
		t.Helper()
		s.Admin.Call("GET", "/v1/payments/"+id, nil, &p)
		return p
	}

	paid := pay("10", "vendor.example")
	if p := read(paid.Payment); paid.Status != "completed" || paid.Rail != "fake" || p.Status != "succeeded" || p.Reference == "" {
		t.Errorf("paid: %+v, %+v", paid, p)
	}
	if code, _ := s.Admin.Refuse(409, "POST", "/v1/transactions/"+paid.Transaction.ID+"/refund", nil); code != "refund_over_rail" {
		t.Errorf("a refund that the rail has not made: %s", code)
	}
	s.Admin.Call("POST", "/v1/payments/"+paid.Payment+"/refund", m{"amount": "4"}, nil)
	if p := read(paid.Payment); p.Refunded.Amount != "4.00" {
		t.Errorf("refunded: %+v", p)
	}
	if p := pay("5", "declined.example"); p.Status != "failed" {
		t.Errorf("declined: %+v", p)
	}
	s.Admin.Refuse(400, "POST", wallet+"/payments", m{"amount": usdc("1"), "payee": "vendor.example", "rail": "pigeon"})

	parked := pay("40", "vendor.example")
	s.Admin.Call("POST", "/v1/approvals/"+parked.Approval.ID+"/approve", nil, nil)
	if _, err := s.Payments.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	var of struct{ Data []struct{ Status string } }
	s.Admin.Call("GET", "/v1/payments?status=succeeded&agent_id="+made.ID, nil, &of)
	if len(of.Data) != 2 {
		t.Errorf("after the approval: %+v", of)
	}

	var fetched struct {
		Paid    bool
		Payment *answer
		Result  map[string]any
	}
	s.Admin.Call("POST", wallet+"/paid_requests", m{"url": "https://paid.vendor.example/a"}, &fetched)
	if !fetched.Paid || fetched.Payment == nil || fetched.Payment.Rail != "shop" || fetched.Result == nil {
		t.Errorf("a request that costs money: %+v", fetched)
	}
	fetched.Payment = nil
	s.Admin.Call("POST", wallet+"/paid_requests", m{"url": "https://vendor.example/a"}, &fetched)
	if fetched.Paid || fetched.Payment != nil || fetched.Result["body"] != "free" {
		t.Errorf("a request that costs nothing: %+v", fetched)
	}
	s.Admin.Refuse(409, "POST", wallet+"/paid_requests", m{"url": "https://paid.vendor.example/a", "max_amount": "0.05"})
	var left struct{ Balance, Held struct{ Amount string } }
	s.Admin.Call("GET", wallet, nil, &left)
	if left.Balance.Amount != "53.90" || left.Held.Amount != "0.00" {
		t.Errorf("left: %+v", left)
	}
	s.As("").Refuse(400, "POST", "/v1/payments/stripe/webhook", m{})
}
