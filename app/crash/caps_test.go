package crash

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app/internal/process"
)

// capped is an agent under one kind of cap, and what 64 callers that ask it for a payment of 1 USDC each must come to.
type capped struct {
	name    string
	limits  map[string]any
	rules   []any
	deposit int
	payee   string // "" is another one for each caller
	done    int    // payments that go through, exactly
	status  string // of all others
	rule    string // that stops them

	agent string
	got   map[string]int
}

const callersOfCaps = 64

func caps() []*capped {
	window := func(more map[string]any) map[string]any {
		w := map[string]any{"window": "day"}
		for k, v := range more {
			w[k] = v
		}
		return map[string]any{"windows": []any{w}}
	}
	all := []*capped{
		{name: "rolling", limits: window(map[string]any{"measure": "amount", "rolling": true, "max": usdc(7)}), done: 7, rule: "rolling_daily_limit"},
		{name: "velocity", limits: window(map[string]any{"measure": "count", "max_count": 7}), done: 7, rule: "daily_count_limit"},
		{
			name: "rolling velocity", limits: window(map[string]any{"measure": "count", "rolling": true, "max_count": 7}), done: 7,
			rule: "rolling_daily_count_limit",
		},
		{name: "wallet", limits: map[string]any{"max_per_transaction": usdc(1)}, deposit: 7, done: 7, rule: "insufficient_funds"},
		{name: "per transaction", limits: map[string]any{"max_per_transaction": amount{"0.99", "USDC"}}, rule: "max_per_transaction"},
		{name: "approval", limits: map[string]any{"require_approval_above": usdc(1)}, status: "pending_approval", rule: "require_approval_above"},
		{
			name: "structuring", payee: "vendor.example", done: 3, rule: "structuring",
			limits: map[string]any{"max_per_transaction": usdc(1), "structuring": map[string]any{"window_minutes": 600, "min_payments": 4}},
		},
		{name: "new payees", limits: map[string]any{"new_payee": "deny"}, rule: "new_payee"},
		{
			name: "plugin", done: 7, rule: "spend_limit",
			rules: []any{map[string]any{"plugin": "spend_limit", "config": map[string]any{"window": "day", "max": "7", "currency": "USDC"}}},
		},
		{
			name: "all at once", done: 5, rule: "hourly_limit", rules: []any{
				map[string]any{"plugin": "spend_limit", "config": map[string]any{"window": "week", "max": "9", "currency": "USDC"}},
			},
			limits: map[string]any{
				"max_per_transaction": usdc(1), "hourly_limit": usdc(5), "daily_limit": usdc(6), "monthly_limit": usdc(8), "all_time_limit": usdc(10),
				"windows": []any{map[string]any{"measure": "count", "window": "month", "max_count": 11}},
			},
		},
	}
	for _, name := range []string{"hourly", "daily", "weekly", "monthly", "all_time"} {
		all = append(all, &capped{name: name, limits: map[string]any{name + "_limit": usdc(7)}, done: 7, rule: name + "_limit"})
	}
	return all
}

// TestCapsHoldAcrossProcesses lets 64 callers pay through two processes over one database, under every kind of cap at the same time: what
// goes through is what the cap lets through, to the cent.
func TestCapsHoldAcrossProcesses(t *testing.T) {
	fleet := start(t, overPostgres(t))
	replica, err := fleet[0].StartReplica(t.Context(), t.TempDir())
	must(t, err)
	t.Cleanup(replica.Kill)
	fleet = append(fleet, replica)

	ctx := t.Context()
	began := time.Now()
	all := caps()
	for _, c := range all {
		c.prepare(ctx, t, fleet[0])
	}
	shared := sharedCap(ctx, t, fleet[0])
	every := slices.Concat(all, shared)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range callersOfCaps {
		wg.Go(func() {
			for n := range every {
				c := every[(i+n)%len(every)]
				status, rule, err := c.pay(ctx, fleet[(i+n)%2], i)
				mu.Lock()
				if err != nil {
					t.Errorf("%s, caller %d: %v", c.name, i, err)
				}
				c.got[status+" "+rule]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if began.Truncate(time.Hour) != time.Now().Truncate(time.Hour) { // the windows ended meanwhile, and each cap may have held twice
		for _, c := range all {
			if n := c.got["completed "]; n > 2*c.done {
				t.Errorf("%s: %v in two windows; want at most twice %d", c.name, c.got, c.done)
			}
		}
		return
	}
	for _, c := range all {
		c.check(ctx, t, replica)
	}
	total := 0
	for _, c := range shared {
		total += c.got["completed "]
	}
	if total != 7 {
		t.Errorf("two agents that share a limit of 7 made %d payments", total)
	}
	var trail struct {
		Valid bool `json:"valid"`
	}
	must(t, replica.Call(ctx, "GET", "/v1/audit/verify", "", nil, &trail))
	if !trail.Valid {
		t.Error("the audit trail does not verify")
	}
}

// prepare makes the agent, its wallet and its policy.
func (c *capped) prepare(ctx context.Context, t *testing.T, s *process.Server) {
	t.Helper()
	c.got = map[string]int{}
	if c.deposit == 0 {
		c.deposit = 1000
	}
	if c.status == "" {
		c.status = "denied"
	}
	var made struct {
		ID string `json:"id"`
	}
	must(t, s.Call(ctx, "POST", "/v1/agents", "", map[string]any{"name": c.name, "model": "offline"}, &made))
	c.agent = made.ID
	must(t, s.Call(ctx, "POST", "/v1/agents/"+c.agent+"/wallet/deposits", "", map[string]any{"amount": usdc(c.deposit), "description": "budget"}, nil))
	if c.limits == nil && c.rules == nil {
		return
	}
	body := map[string]any{"scope": map[string]any{"agent_id": c.agent}, "limits": c.limits, "rules": c.rules}
	if c.limits == nil {
		body["limits"] = map[string]any{}
	}
	if c.rules == nil {
		body["rules"] = []any{}
	}
	err := s.Call(ctx, "POST", "/v1/policies", "", body, nil)
	for deadline := time.Now().Add(settleTime); err != nil && c.rules != nil && time.Now().Before(deadline); { // until its plugin is there
		time.Sleep(100 * time.Millisecond)
		err = s.Call(ctx, "POST", "/v1/policies", "", body, nil)
	}
	must(t, err)
}

// sharedCap makes a swarm of two agents with one limit for both.
func sharedCap(ctx context.Context, t *testing.T, s *process.Server) []*capped {
	t.Helper()
	var swarm struct {
		ID string `json:"id"`
	}
	must(t, s.Call(ctx, "POST", "/v1/swarms", "", map[string]any{"name": "buyers"}, &swarm))
	both := []*capped{{name: "first of a swarm"}, {name: "second of a swarm"}}
	for _, c := range both {
		c.prepare(ctx, t, s)
		must(t, s.Call(ctx, "PATCH", "/v1/agents/"+c.agent, "", map[string]any{"swarm_id": swarm.ID}, nil))
	}
	must(t, s.Call(ctx, "POST", "/v1/policies", "", map[string]any{
		"scope": map[string]any{"swarm_id": swarm.ID}, "limits": map[string]any{"daily_limit": usdc(7)},
	}, nil))
	return both
}

// pay asks for a payment of 1 USDC.
func (c *capped) pay(ctx context.Context, s *process.Server, caller int) (status, rule string, err error) {
	var answer struct {
		Status   string `json:"status"`
		Decision struct {
			Rule string `json:"rule"`
		} `json:"decision"`
	}
	payee := c.payee
	if payee == "" {
		payee = fmt.Sprintf("v%d.example", caller)
	}
	err = s.Call(ctx, "POST", "/v1/agents/"+c.agent+"/wallet/payments", "", map[string]any{
		"amount": usdc(1), "payee": payee, "description": "load",
	}, &answer)
	return answer.Status, answer.Decision.Rule, err
}

func (c *capped) check(ctx context.Context, t *testing.T, s *process.Server) {
	t.Helper()
	if stopped := c.got[c.status+" "+c.rule]; c.got["completed "] != c.done || stopped != callersOfCaps-c.done {
		t.Errorf("%s: %v; want %d completed and the rest %s by %s", c.name, c.got, c.done, c.status, c.rule)
	}
	var wallet struct {
		Balance amount `json:"balance"`
	}
	must(t, s.Call(ctx, "GET", "/v1/agents/"+c.agent+"/wallet", "", nil, &wallet))
	if want := usdc(c.deposit - c.done); wallet.Balance != want {
		t.Errorf("%s: balance %v, want %v", c.name, wallet.Balance, want)
	}
}
