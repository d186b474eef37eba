package paymenttest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/payment"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/page"
	port "github.com/bureau-agents/bureau/ports/payment"
	railtest "github.com/bureau-agents/bureau/ports/payment/paymenttest"
	"github.com/bureau-agents/bureau/ports/rule"
)

// testFetch pays for requests. What policies do not let be sent is not sent, and leaves no approval that nobody could use.
func testFetch(t *testing.T, l *Lab) {
	shop := railtest.Shop{Fake: l.Rail}
	l.Payments = l.service(t, l.store.TX, l.Gate, shop, nil)
	const paid = "https://paid.vendor.example/a"
	request := func(key, url string) payment.FetchRequest {
		return payment.FetchRequest{Act: gate.Act{Key: key, Agent: l.Purse}, Request: port.Request{Method: "GET", URL: url}}
	}
	refuse := func(r payment.FetchRequest, want error) {
		t.Helper()
		sent := shop.Calls("fetch")
		got, err := l.Payments.Fetch(bg, l.Scope, r)
		if !errors.Is(err, want) || got.Act != nil || got.Result != nil {
			t.Errorf("%+v, %v; want %v", got, err, want)
		}
		if n := shop.Calls("fetch") - sent; n != 0 && !errors.Is(want, payment.ErrTooDear) {
			t.Errorf("it was sent %d times", n)
		}
		waiting, err := l.Approvals(bg, l.Scope, policy.ApprovalFilter{Status: []policy.ApprovalStatus{policy.ApprovalPending}}, page.Request{})
		if err != nil || len(waiting.Items) != 0 {
			t.Errorf("%+v wait, %v", waiting.Items, err)
		}
	}
	free, err := l.Payments.Fetch(bg, l.Scope, request("", "https://vendor.example/"))
	if err != nil || free.Act != nil || free.Result == nil {
		t.Errorf("free: %+v, %v", free, err)
	}
	for range 2 {
		got, err := l.Payments.Fetch(bg, l.Scope, request("k", paid))
		if err != nil || got.Act == nil || got.Act.State != gate.Done || got.Act.Act.Rail != "fake" || !json.Valid(got.Result) {
			t.Fatalf("paid: %+v, %v", got, err)
		}
	}
	l.moved(t, 1)
	refuse(request("k", paid+"?other"), gate.ErrKeyReused)
	cheap := request("", paid)
	cheap.Most = ptr(gatetest.USDC(50_000))
	refuse(cheap, payment.ErrTooDear)

	limits := l.Policy(t, l.Purse, policy.Limits{RequireApprovalAbove: ptr(gatetest.USDC(50_000))})
	waits, err := l.Payments.Fetch(bg, l.Scope, request("w", paid))
	if err != nil || waits.Act == nil || waits.Act.State != gate.Parked || waits.Result != nil {
		t.Fatalf("a payment that needs an approval: %+v, %v", waits, err)
	}
	_, _, err = l.Approve(bg, l.Scope, waits.Act.Approval)
	must(t, err)
	sent := shop.Calls("fetch")
	got, err := l.Payments.Fetch(bg, l.Scope, request("w", paid))
	if err != nil || got.Act.ID != waits.Act.ID || got.Act.State != gate.Done || got.Result == nil || shop.Calls("fetch") != sent {
		t.Errorf("once it is approved: %+v, %v", got, err)
	}
	l.moved(t, 2)
	must(t, l.Policies.Delete(bg, l.Scope, limits.ID))

	l.Rules.Set("tools", gatetest.Rule{Fn: func(_ context.Context, in rule.Input) (rule.Verdict, error) {
		if in.Action == rule.ActionToolCall {
			return rule.Verdict{Outcome: rule.Approve, Reason: "sure?"}, nil
		}
		return rule.Verdict{Outcome: rule.Allow}, nil
	}})
	asks := l.Policy(t, l.Purse, policy.Limits{}, policy.RuleRef{Plugin: "tools"})
	refuse(request("", paid), payment.ErrRefused)
	refuse(request("t", paid), payment.ErrRefused)
	if noted := l.Trail.Of("policy_violation"); len(noted) != 2 || noted[0].Metadata["rule"] != "tools" {
		t.Errorf("in the trail: %+v", noted)
	}
	judged := request("j", paid)
	judged.Judged = true
	if got, err := l.Payments.Fetch(bg, l.Scope, judged); err != nil || got.Act.State != gate.Done {
		t.Errorf("judged before: %+v, %v", got, err)
	}
	must(t, l.Policies.Delete(bg, l.Scope, asks.ID))

	_, err = l.Freeze(bg, l.Scope, l.Purse)
	must(t, err)
	refuse(request("f", paid), agent.ErrFrozen)
	l.pass(t, time.Hour)
	l.moved(t, 3)
	l.Sound(t)
}
