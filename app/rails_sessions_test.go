package app_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app/apptest"
	"github.com/bureau-agents/bureau/ports/payment/paymenttest"
)

// railPaid is a payment over a rail as the API answers it.
type railPaid struct {
	ID, Status, Rail, Payee string
	SessionID               string `json:"session_id"`
	Amount                  money
	Result                  any
}

// overRails is an agent that pays over rails in the runs that it is given.
type overRails struct {
	runs
	s *apptest.Server
}

func (o overRails) payments() []railPaid {
	o.t.Helper()
	return apptest.All[railPaid](o.Client, "/v1/payments?agent_id="+o.agent)
}

// left demands what the wallet has, that nothing is held, and how often the rail and the shop have been charged.
func (o overRails) left(balance string, fake, shop int) {
	o.t.Helper()
	var w struct{ Balance, Held money }
	o.Call("GET", "/v1/agents/"+o.agent+"/wallet", nil, &w)
	if w.Balance != usdc(balance) || w.Held != usdc("0.00") {
		o.t.Errorf("the wallet has %+v, not %s", w, balance)
	}
	if a, b := o.s.Rail.Moved(), o.s.Shop.Moved(); a != fake || b != shop {
		o.t.Errorf("the rail was charged %d times and the shop %d, not %d and %d", a, b, fake, shop)
	}
}

// ends demands how a run ended.
func (o overRails) ends(got runAnswer, status, rule, says string) {
	o.t.Helper()
	said := got.errorText()
	if got.Summary != nil {
		said += *got.Summary
	}
	if got.Status != status || rule != "" && (got.Rule == nil || *got.Rule != rule) || !strings.Contains(said, says) {
		o.t.Errorf("the run is %+v and says %q; want %s by %q with %q", got, said, status, rule, says)
	}
}

// TestRailsInSessions has an agent pay over a rail and for requests by its tools: within its policies, over them, after an approval,
// and not after a freeze.
func TestRailsInSessions(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		o := overRails{newRuns(t, s, "pro"), s}
		o.payOverRail()
		o.payForRequests()
		if err := s.Wallets.CheckInvariants(context.WithoutCancel(t.Context()), o.scope(s)); err != nil {
			t.Error(err)
		}
	})
}

func (o overRails) payOverRail() {
	o.t.Helper()
	paid := o.start("Pay 20 USDC to api.vendor.example over fake.", nil)
	o.ends(paid, "completed", "", "20")
	if got := o.payments(); len(got) != 1 || got[0].Status != "succeeded" || got[0].Rail != "fake" || got[0].SessionID != paid.SessionID ||
		got[0].Payee != "api.vendor.example" {
		o.t.Errorf("%+v", got)
	}
	o.left("480.00", 1, 0)

	o.ends(o.start("Pay 80 USDC to api.vendor.example over fake.", nil), "failed", "max_per_transaction", "")
	o.left("480.00", 1, 0)

	waits := o.start("Pay 40 USDC to api.vendor.example over fake.", nil)
	o.ends(waits, "waiting_approval", "", "")
	o.left("480.00", 1, 0)
	o.Call("POST", "/v1/approvals/"+o.approval(waits)+"/approve", nil, nil)
	o.ends(o.until(waits.ID, "completed"), "completed", "", "40")
	o.left("440.00", 2, 0)

	denied := o.start("Pay 40 USDC to api.vendor.example over fake.", nil)
	o.Call("POST", "/v1/approvals/"+o.approval(denied)+"/deny", m{"reason": "too dear"}, nil)
	o.ends(o.until(denied.ID, "failed"), "failed", "require_approval_above", "too dear")

	o.frozen(o.start("Pay 40 USDC to api.vendor.example over fake.", nil))
	o.start("Pay 5 USDC to declined.example over fake.", nil)
	if got := o.payments(); len(got) != 3 || got[0].Status != "failed" {
		o.t.Errorf("declined: %+v", got)
	}
	o.left("440.00", 2, 0)

	// The rail pays and its answer gets lost: the turn goes on, and what became of the payment is found out later.
	var lost atomic.Bool
	o.s.Rail.Hook = func(op, _ string) paymenttest.Fault {
		if op == "charge" && lost.CompareAndSwap(false, true) {
			return paymenttest.After
		}
		return paymenttest.None
	}
	o.ends(o.start("Pay 10 USDC to api.vendor.example over fake.", nil), "completed", "", "")
	for deadline := time.Now().Add(30 * time.Second); o.payments()[0].Status != "succeeded"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			o.t.Fatalf("the payment is %+v", o.payments()[0])
		}
	}
	o.left("430.00", 3, 0)
}

func (o overRails) payForRequests() {
	o.t.Helper()
	const (
		fetch = "Use the paid_fetch tool with url https://paid.vendor.example/a"
		free  = "Use the paid_fetch tool with url https://vendor.example/a"
	)
	asked := m{"limits": m{"require_approval_above": usdc("0.05")}}

	o.ends(o.start(free, nil), "completed", "", "free")
	o.left("430.00", 3, 0)

	o.ends(o.start(fetch, nil), "completed", "", "paid")
	if got := o.payments(); got[0].Rail != "shop" || got[0].Payee != "paid.vendor.example" || got[0].Amount != usdc("0.10") || got[0].Result == nil {
		o.t.Errorf("%+v", got[0])
	}
	o.left("429.90", 3, 1)

	charges := o.s.Shop.Calls("charge")
	o.ends(o.start(fetch, m{"limits": m{"max_per_transaction": usdc("0.05")}}), "failed", "max_per_transaction", "")
	o.ends(o.start(fetch+" and max_amount 0.05", nil), "completed", "", "0.10")

	waits := o.start(fetch, asked)
	o.ends(waits, "waiting_approval", "", "")
	if n := o.s.Shop.Calls("charge"); n != charges {
		o.t.Errorf("the shop was asked for %d charges that nobody allowed", n-charges)
	}
	o.left("429.90", 3, 1)
	fetched := o.s.Shop.Calls("fetch")
	o.Call("POST", "/v1/approvals/"+o.approval(waits)+"/approve", nil, nil)
	o.ends(o.until(waits.ID, "completed"), "completed", "", "paid")
	if n := o.s.Shop.Calls("fetch"); n != fetched {
		o.t.Errorf("after the approval the price was asked for %d times more", n-fetched)
	}
	o.left("429.80", 3, 2)

	denied := o.start(fetch, asked)
	o.Call("POST", "/v1/approvals/"+o.approval(denied)+"/deny", m{"reason": "too dear"}, nil)
	o.ends(o.until(denied.ID, "failed"), "failed", "require_approval_above", "too dear")
	o.frozen(o.start(fetch, asked))
	o.left("429.80", 3, 2)
}

// frozen freezes the agent while a run waits for an approval, which is void then, and lets it act again.
func (o overRails) frozen(waits runAnswer) {
	o.t.Helper()
	o.ends(waits, "waiting_approval", "", "")
	approval := o.approval(waits)
	o.Call("POST", "/v1/agents/"+o.agent+"/freeze", nil, nil)
	o.ends(o.until(waits.ID, "failed"), "failed", "frozen", "")
	o.Refuse(409, "POST", "/v1/approvals/"+approval+"/approve", nil)
	o.Call("POST", "/v1/agents/"+o.agent+"/unfreeze", nil, nil)
}
