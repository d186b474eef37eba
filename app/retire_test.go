package app_test

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/bureau-agents/bureau/app/apptest"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// TestDestroy destroys an agent that has one of everything: nothing of it is found any more, its money is the account's, and what must be
// proven later is still there.
func TestDestroy(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		s.WaitForPlugins("calculator")
		w := newWorld(t, s, "canopus")
		w.api.Call("POST", "/v1/swarms/"+w.swarm+"/agents", m{"agent_id": w.agent}, nil)
		balance := func(path string) string {
			t.Helper()
			var got struct {
				Balance struct{ Amount string }
			}
			w.api.Call("GET", path, nil, &got)
			return got.Balance.Amount
		}
		had := balance("/v1/agents/" + w.agent + "/wallet")
		if had == "0.00" || balance("/v1/wallet") != "100.00" {
			t.Fatalf("the agent has %s, the account %s", had, balance("/v1/wallet"))
		}
		var gone struct{ ID, Type string }
		w.api.Call("POST", "/v1/agents/"+w.agent+"/destroy", nil, &gone)
		if gone.ID != w.agent || gone.Type != "agent_deleted" {
			t.Errorf("answer %+v", gone)
		}
		for _, path := range []string{
			"/v1/agents/" + w.agent, "/v1/agents/" + w.agent + "/versions", "/v1/agents/" + w.agent + "/wallet", "/v1/agents/" + w.agent + "/skills",
			"/v1/agents/" + w.agent + "/runs", "/v1/sessions/" + w.session, "/v1/sessions/" + w.session + "/events", "/v1/policies/" + w.policy,
			"/v1/memory_stores/" + w.store, "/v1/knowledge?agent_id=" + w.agent,
		} {
			w.api.Refuse(http.StatusNotFound, "GET", path, nil)
		}
		for _, call := range [][2]string{{"POST", "/destroy"}, {"POST", "/freeze"}, {"POST", "/unfreeze"}, {"DELETE", ""}, {"PATCH", ""}} {
			w.api.Refuse(http.StatusNotFound, call[0], "/v1/agents/"+w.agent+call[1], m{})
		}
		for _, path := range []string{"/v1/agents?archived=true", "/v1/agents?standing=archived", "/v1/swarms/" + w.swarm + "/agents"} {
			if slices.Contains(idsOf(w.api, path), w.agent) {
				t.Errorf("%s still lists the agent", path)
			}
		}
		swept, err := strconv.ParseFloat(had, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := balance("/v1/wallet"), strconv.FormatFloat(100+swept, 'f', 2, 64); got != want {
			t.Errorf("the account has %s, want its 100 and the agent's %s", got, had)
		}
		var approval struct{ Status string }
		w.api.Call("GET", "/v1/approvals/"+w.approval, nil, &approval)
		if approval.Status == "pending" || approval.Status == "approved" {
			t.Errorf("the approval is %s", approval.Status)
		}
		var actions []string
		for _, e := range apptest.All[struct{ Action string }](w.api, "/v1/audit?agent_id="+w.agent) {
			actions = append(actions, e.Action)
		}
		for _, want := range []string{"agent_created", "transaction_completed", "policy_deleted", "agent_deleted"} {
			if !slices.Contains(actions, want) {
				t.Errorf("the audit trail of the agent has no %s: %v", want, actions)
			}
		}
		if !slices.Contains(idsOf(w.api, "/v1/usage"), w.usage) {
			t.Error("the usage row is gone")
		}
		w.api.Call("GET", "/v1/evals/"+w.eval, nil, nil)
		w.api.Call("GET", "/v1/audit/verify", nil, nil)
		tenant, err := id.Parse[id.TenantKind](w.tenant)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Wallets.CheckInvariants(t.Context(), account.System(tenant)); err != nil {
			t.Error(err)
		}
	})
}

func idsOf(c *apptest.Client, path string) (out []string) {
	for _, v := range apptest.All[struct{ ID string }](c, path) {
		out = append(out, v.ID)
	}
	return out
}

// TestDestroyRaces has several callers destroy an agent at once, while others pay it and it pays them: one succeeds, nothing deadlocks, and no
// money is lost.
func TestDestroyRaces(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		c := s.Admin.In(t)
		create := func(path string, body any) string {
			t.Helper()
			var made struct{ ID string }
			c.Call("POST", path, body, &made)
			return made.ID
		}
		create("/v1/policies", m{"scope": m{"tenant": true}, "limits": m{}})
		a, b := create("/v1/agents", m{"name": "a", "model": "offline"}), create("/v1/agents", m{"name": "b", "model": "offline"})
		for _, of := range []string{a, b} {
			create("/v1/agents/"+of+"/wallet/deposits", m{"amount": usdc("100"), "description": "start"})
		}
		var mu sync.Mutex
		statuses := map[int]int{}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				from, to := a, b
				if i%2 == 0 {
					from, to = b, a
				}
				for range 10 {
					got := c.Do("POST", "/v1/transfers", m{"from_agent_id": from, "to_agent_id": to, "amount": usdc("1"), "description": "to and fro"})
					if got.Status != http.StatusOK && got.Status != http.StatusCreated && got.Status != http.StatusNotFound {
						t.Errorf("transfer: %d %s", got.Status, got.Body)
					}
				}
			})
		}
		for range 4 {
			wg.Go(func() {
				got := c.Do("POST", "/v1/agents/"+a+"/destroy", nil)
				mu.Lock()
				defer mu.Unlock()
				statuses[got.Status]++
			})
		}
		wg.Wait()
		if statuses[http.StatusOK] != 1 || statuses[http.StatusNotFound] != 3 {
			t.Errorf("destroying at once answered %v", statuses)
		}
		c.Call("POST", "/v1/agents/"+b+"/destroy", nil, nil)
		var own struct {
			Balance struct{ Amount string }
		}
		c.Call("GET", "/v1/wallet", nil, &own)
		if own.Balance.Amount != "200.00" {
			t.Errorf("the account has %s of 200", own.Balance.Amount)
		}
	})
}

// TestSwarmOfAnAgent puts agents into swarms by their own calls, and frees a slot of the plan by destroying one.
func TestSwarmOfAnAgent(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	c := s.Admin.In(t)
	create := func(path string, body any) string {
		t.Helper()
		var made struct{ ID string }
		c.Call("POST", path, body, &made)
		return made.ID
	}
	swarm := create("/v1/swarms", m{"name": "Growth"})
	type shown struct {
		Standing string
		SwarmID  *string  `json:"swarm_id"`
		FrozenBy []string `json:"frozen_by"`
		Version  int
	}
	agent := create("/v1/agents", m{"name": "a", "model": "offline", "swarm_id": swarm})
	var got shown
	look := func(standing string, in bool, by ...string) {
		t.Helper()
		if got.Standing != standing || (got.SwarmID != nil) != in || got.Version != 1 || !slices.Equal(got.FrozenBy, append([]string{}, by...)) {
			t.Errorf("the agent is %+v", got)
		}
	}
	read := func() {
		t.Helper()
		got = shown{}
		c.Call("GET", "/v1/agents/"+agent, nil, &got)
	}
	read()
	look("active", true)
	c.Call("POST", "/v1/swarms/"+swarm+"/freeze", nil, nil)
	c.Refuse(http.StatusConflict, "PATCH", "/v1/agents/"+agent, m{"swarm_id": nil})
	c.Call("POST", "/v1/agents/"+agent+"/freeze", nil, nil)
	read()
	look("frozen", true, "agent", "swarm")
	if l := idsOf(c, "/v1/agents?standing=frozen&swarm_id="+swarm); len(l) != 1 {
		t.Errorf("frozen members: %v", l)
	}
	c.Refuse(http.StatusForbidden, "POST", "/v1/agents/"+agent+"/wallet/deposits", m{"amount": usdc("1")})
	var standing struct{ Standing string }
	c.Call("POST", "/v1/agents/"+agent+"/unfreeze", nil, &standing)
	if standing.Standing != "frozen" {
		t.Errorf("unfrozen in a frozen swarm it is %s", standing.Standing)
	}
	read()
	look("frozen", true, "swarm")
	c.Call("POST", "/v1/swarms/"+swarm+"/unfreeze", nil, nil)
	c.Call("PATCH", "/v1/agents/"+agent, m{"swarm_id": nil}, nil)
	read()
	look("active", false)
	c.Refuse(http.StatusNotFound, "PATCH", "/v1/agents/"+agent, m{"swarm_id": "swarm_01h2xcejqtf2nbrexx3vqjhp41"})

	var tenant struct {
		APIKey string `json:"api_key"`
	}
	c.Call("POST", "/v1/tenants", m{"name": "small", "plan": "free"}, &tenant)
	small := s.As(tenant.APIKey).In(t)
	small.Refuse(http.StatusForbidden, "POST", "/v1/swarms", m{"name": "none"})
	var last struct{ ID string }
	for range 3 {
		small.Call("POST", "/v1/agents", m{"name": "one", "model": "offline"}, &last)
	}
	small.Refuse(http.StatusForbidden, "POST", "/v1/agents", m{"name": "four", "model": "offline"})
	small.Call("POST", "/v1/agents/"+last.ID+"/destroy", nil, nil)
	small.Call("POST", "/v1/agents", m{"name": "four", "model": "offline"}, nil)
}
