package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMoneyCommands(t *testing.T) {
	c := newTerminal(t)
	c.must("agent", "create", "buyer")
	c.must("wallet", "deposit", "buyer", "100.5", "--description", "budget")
	c.wants([]string{"USDC", "100.50", "0.00"}, "wallet", "show", "buyer")
	c.wants([]string{"deposit", "100.50 USDC", "budget"}, "wallet", "transactions", "buyer")

	var agent struct{ ID string }
	if err := json.Unmarshal([]byte(c.must("agent", "get", "buyer")), &agent); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "policy.json")
	text := `{"scope":{"agent_id":"` + agent.ID + `"},"limits":{"require_approval_above":{"amount":"10","currency":"USDC"}}}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(c.must("policy", "create", file)), &made); err != nil || !strings.HasPrefix(made.ID, "pol_") {
		t.Fatal(made, err)
	}
	c.wants([]string{made.ID, agent.ID, "enforce"}, "policy", "list")
	change := filepath.Join(t.TempDir(), "change.json")
	if err := os.WriteFile(change, []byte(`{"limits":{"daily_limit":{"amount":"60","currency":"USDC"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c.wants([]string{`"version": 2`}, "policy", "update", made.ID, change)
	c.wants([]string{`"60.00"`}, "policy", "versions", made.ID)
	c.wants([]string{"REASON"}, "approval", "list")
	budgets(t, c, agent.ID)
	c.must("policy", "delete", made.ID)
	if out := c.must("policy", "list"); strings.Contains(out, made.ID) {
		t.Errorf("%s", out)
	}
}

// budgets makes budgets and looks at what models have cost.
func budgets(t *testing.T, c *terminal, agent string) {
	t.Helper()
	var made struct {
		ID     string
		Period string
		Alerts []int
	}
	out := c.must("budget", "create", "of the buyer", "2.50", "--agent", "buyer", "--period", "day", "--alert", "90", "--alert", "10")
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.Period != "day" || len(made.Alerts) != 2 {
		t.Fatal(made, err)
	}
	c.wants([]string{made.ID, "of the buyer", agent, "2.50", "day", "0 %"}, "budget", "list")
	c.wants([]string{made.ID, `"percent": 0`}, "budget", "show", made.ID)
	c.wants([]string{"CALLS", "COST", "total", "the period before"}, "usage", "--by", "day", "--since", "2026-01-01", "--until", "2026-01-08", "--agent", "buyer")
	c.must("budget", "delete", made.ID)
	if out := c.must("budget", "list"); strings.Contains(out, made.ID) {
		t.Errorf("%s", out)
	}
}
