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
	c.must("policy", "delete", made.ID)
	if out := c.must("policy", "list"); strings.Contains(out, made.ID) {
		t.Errorf("%s", out)
	}
}
