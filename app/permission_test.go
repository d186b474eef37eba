package app_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/app/apptest"
	"github.com/bureau-agents/bureau/core/account"
)

// publicRoutes is every route that answers without a key.
var publicRoutes = []string{
	"DELETE /v1/oauth/logout", "GET /cards/{card}/badge.svg", "GET /compat/agento/docs", "GET /compat/agento/openapi.json", "GET /compat/valar/docs", "GET /compat/valar/health", "GET /compat/valar/openapi.json",
	"GET /compat/valta/docs", "GET /compat/valta/openapi.json", "GET /docs", "GET /healthz", "GET /openapi.json", "GET /readyz", "GET /reports/{report}", "GET /reports/{report}/badge.svg", "GET /v1/integrations/{integration_id}/callback",
	"GET /v1/oauth/{provider}/authorize", "GET /v1/oauth/{provider}/callback", "POST /v1/integrations/github/webhooks",
	"POST /v1/integrations/slack/events", "POST /v1/oauth/logout", "POST /v1/payments/stripe/webhook", "POST /v1/validate",
}

// anyKeyRoutes are those that every valid key may call.
var anyKeyRoutes = []string{"GET /compat/agento/v1/account", "GET /compat/valta/account", "GET /v1/account", "GET /v1/card_rules", "POST /v1/cards/migrate", "GET /v1/prices", "GET /v1/prices/{price_id}", "POST /v1/validate/batch"}

// secondScopes are what operations need besides the scope that the document names, by their ids.
var secondScopes = map[string]account.Permission{"listQuarantinedPayments": account.WalletsRead, "ingestKnowledgeFile": account.FilesRead}

func (o operation) route() string { return o.Method + " " + o.Path }

// TestKeys calls every operation of the document without a valid key.
func TestKeys(t *testing.T) {
	t.Parallel()
	unraced(t)
	s := startUnhosted(t, apptest.Config{})
	w := newWorld(t, s, "canopus")
	d := readDocument(t, s.Admin)

	var made struct{ ID, Key string }
	s.Admin.Call("POST", "/v1/api_keys", m{"scopes": []string{"admin"}}, &made)
	s.As(made.Key).Call("GET", "/v1/account", nil, nil)
	s.Admin.Call("DELETE", "/v1/api_keys/"+made.ID, nil, nil)

	public := []string{}
	for _, op := range d.ops {
		if op.Public {
			public = append(public, op.route())
			a := s.As("").Do(op.Method, w.path(t, op), w.body(t, op)) // what is signed, or has a state, is refused for want of that
			if code, _, _ := a.Error(); a.Status >= 500 || a.Status == 403 || code == "missing_api_key" {
				t.Errorf("%s without a key: %d %s", op.route(), a.Status, a.Body)
			}
			continue
		}
		for key, want := range map[string]string{
			"": "missing_api_key", "nonsense": "invalid_api_key", "bur_" + strings.Repeat("0", 64): "invalid_api_key", made.Key: "invalid_api_key",
		} {
			code, _ := s.As(key).In(t).Refuse(401, op.Method, w.path(t, op), w.body(t, op))
			if code != want && code != "UNAUTHORISED" && code != apptest.NoCode {
				t.Errorf("%s with the key %q: %s, want %s", op.route(), key, code, want)
			}
		}
	}
	for _, face := range faces { // what no document lists
		for _, path := range []string{face.prefix + "/openapi.json", face.prefix + "/docs"} {
			s.As("").Call("GET", path, nil, nil)
			public = append(public, "GET "+path)
		}
	}
	slices.Sort(public)
	if diff := cmp.Diff(publicRoutes, public); diff != "" {
		t.Errorf("public routes, -want +got:\n%s", diff)
	}
	for _, path := range []string{"/", "/v1", "/metrics", "/debug/pprof/", "/debug/vars", "/console", "/favicon.ico", "/.well-known/agent-card.json"} {
		if a := s.As("").Do("GET", path, nil); a.Status != 401 && a.Status != 404 {
			t.Errorf("GET %s without a key: %d %s", path, a.Status, a.Body)
		}
	}
}

// TestPermissions calls every operation of the document with a key that may do all but that, and with a key that may do only that.
func TestPermissions(t *testing.T) {
	t.Parallel()
	unraced(t)
	s := startUnhosted(t, apptest.Config{})
	s.WaitForPlugins() // the catalogue changes meanwhile
	w := newWorld(t, s, "deneb")
	d := readDocument(t, s.Admin)

	key := func(of *apptest.Client, scopes ...account.Permission) *apptest.Client {
		t.Helper()
		var made struct{ Key string }
		of.Call("POST", "/v1/api_keys", m{"scopes": scopes}, &made)
		return s.As(made.Key)
	}
	allBut := map[account.Permission]*apptest.Client{}
	only := map[account.Permission]*apptest.Client{}
	for _, p := range account.AllPermissions() {
		others := slices.DeleteFunc(account.AllPermissions(), func(o account.Permission) bool { return o == p || o == account.Admin })
		allBut[p], only[p] = key(w.api, others...), key(w.api, p)
	}
	// Nobody's key carries the operator's permission by name: it is an admin key of the operator's tenant.
	allBut[account.Operator], only[account.Operator] = w.api, s.Admin
	allButAdmin := slices.DeleteFunc(account.AllPermissions(), func(p account.Permission) bool { return p == account.Admin })
	operatorsClerk := key(s.Admin, allButAdmin...)
	unrelated := key(w.api, account.EvalsRead)

	both := map[string]*apptest.Client{}
	for _, op := range d.ops {
		if second, two := secondScopes[op.ID]; two {
			both[op.ID] = key(w.api, account.Permission(op.Scope), second)
		}
	}
	same(t, len(secondScopes), len(both))

	before := w.snapshot(t, d)
	free := []string{}
	for _, op := range d.ops {
		scope := account.Permission(op.Scope)
		switch {
		case op.Public:
			continue
		case scope == "":
			free = append(free, op.route())
			unrelated.Call(op.Method, w.path(t, op), w.body(t, op), nil)
			continue
		case allBut[scope] == nil:
			t.Errorf("%s needs the scope %q, which there is not", op.route(), scope)
			continue
		}
		refused := []*apptest.Client{allBut[scope], unrelated}
		if scope == account.EvalsRead {
			refused[1] = only[account.FilesRead]
		}
		if scope == account.Operator {
			refused = append(refused, operatorsClerk)
		}
		enough := only[scope]
		if second, two := secondScopes[op.ID]; two {
			refused = append(refused, enough, allBut[second])
			enough = both[op.ID]
		}
		for _, c := range refused {
			if code, _ := c.Refuse(403, op.Method, w.path(t, op), w.body(t, op)); code != "permission_denied" && code != "FORBIDDEN" && code != apptest.NoCode {
				t.Errorf("%s: %s", op.route(), code)
			}
		}
		// With ids that nobody has the call goes as far as the lookup, and changes nothing.
		path := op.at(func(string) string { return "nothing" })
		if path == op.Path && (op.Method != "GET" && op.Body == "" || op.Stream) {
			continue
		}
		var body any
		if op.Body != "" {
			body = "[]"
		}
		if a := enough.Do(op.Method, path, body); a.Status == 401 || a.Status == 403 {
			t.Errorf("%s with no more than %q: %d %s", op.route(), scope, a.Status, a.Body)
		}
	}
	if diff := cmp.Diff(anyKeyRoutes, free); diff != "" {
		t.Errorf("routes for every key, -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(before, w.snapshot(t, d)); diff != "" {
		t.Errorf("a refused call has changed something:\n%s", diff)
	}
}

// TestKeyCannotGrow proves that a key makes no key that may do more, and that only admin makes keys.
func TestKeyCannotGrow(t *testing.T) {
	t.Parallel()
	s := startUnhosted(t, apptest.Config{})
	w := newWorld(t, s, "electra")
	var made struct {
		ID, Key string
		Scopes  []string
	}
	w.api.Call("POST", "/v1/api_keys", m{"scopes": []string{"chat", "agents:read"}}, &made)
	clerk := s.As(made.Key)
	clerk.Refuse(403, "POST", "/v1/api_keys", m{"scopes": []string{"chat"}})
	clerk.Refuse(403, "GET", "/v1/api_keys", nil)
	w.api.Refuse(400, "POST", "/v1/api_keys", m{"scopes": []string{"operator"}})
	w.api.Call("POST", "/v1/api_keys", m{}, &made)
	same(t, []string{"admin"}, made.Scopes)
	s.As(made.Key).Refuse(403, "POST", "/v1/tenants", m{"name": "mine"})
}

// TestPermissionsWithin tries what one permission opens only in part: another one guards the rest.
func TestPermissionsWithin(t *testing.T) {
	t.Parallel()
	s := startUnhosted(t, apptest.Config{})
	w := newWorld(t, s, "vega")
	key := func(scopes ...account.Permission) *apptest.Client {
		t.Helper()
		var made struct{ Key string }
		w.api.Call("POST", "/v1/api_keys", m{"scopes": scopes}, &made)
		return s.As(made.Key)
	}

	t.Run("limits of runs", func(t *testing.T) {
		var poor struct{ ID string }
		w.api.Call("POST", "/v1/agents", m{"name": "no policy of its own", "model": "offline"}, &poor)
		path, run := "/v1/agents/"+poor.ID+"/runs", m{"task": "Pay 20 to api.vendor.example.", "wait": 0, "limits": m{"max_per_transaction": usdc("50")}}
		clerk := key(account.AgentsRead, account.AgentsWrite, account.Chat, account.WalletsWrite)
		if code, _ := clerk.In(t).Refuse(403, "POST", path, run); code != "permission_denied" {
			t.Error(code)
		}
		if runs := apptest.All[m](w.api, path); len(runs) != 0 {
			t.Errorf("made: %v", runs)
		}
		key(account.AgentsWrite, account.PoliciesWrite).In(t).Call("POST", path, run, nil)
	})

	t.Run("swarms of agents", func(t *testing.T) {
		var swarm, made struct{ ID string }
		w.api.Call("POST", "/v1/swarms", m{"name": "capped"}, &swarm)
		agent := m{"name": "member", "model": "offline", "swarm_id": swarm.ID}
		clerk := key(account.AgentsRead, account.AgentsWrite).In(t)
		clerk.Refuse(403, "POST", "/v1/agents", agent)
		if found := apptest.All[m](w.api, "/v1/swarms/"+swarm.ID+"/agents"); len(found) != 0 {
			t.Errorf("joined: %v", found)
		}
		w.api.Call("POST", "/v1/agents", agent, &made)
		clerk.Refuse(403, "PATCH", "/v1/agents/"+made.ID, m{"swarm_id": nil})
		clerk.Call("PATCH", "/v1/agents/"+made.ID, m{"swarm_id": swarm.ID, "description": "stays"}, nil)
		key(account.AgentsWrite, account.SwarmsWrite).In(t).Call("PATCH", "/v1/agents/"+made.ID, m{"swarm_id": nil}, nil)
	})

	t.Run("notices", func(t *testing.T) {
		path := "/v1/agents/" + w.agent
		w.api.Call("POST", path+"/wallet/deposits", m{"amount": usdc("5"), "description": "funds"}, nil)
		w.api.Call("POST", path+"/freeze", nil, nil)
		w.api.Call("POST", path+"/unfreeze", nil, nil)
		type notice struct{ ID, Type string }
		all := apptest.All[notice](w.api, "/v1/notices")
		clerk := key(account.IntegrationsRead, account.IntegrationsWrite, account.AgentsRead).In(t)
		mine := apptest.All[notice](clerk, "/v1/notices")
		kinds := func(of []notice) (kinds []string) {
			for _, n := range of {
				kinds = append(kinds, n.Type)
			}
			return kinds
		}
		if !slices.Contains(kinds(mine), "agent.frozen") || slices.Contains(kinds(mine), "wallet.deposit") || !slices.Contains(kinds(all), "wallet.deposit") {
			t.Errorf("read %v of %v", kinds(mine), kinds(all))
		}
		clerk.Refuse(403, "GET", "/v1/notices?type=wallet.deposit", nil)
		for _, n := range all {
			if n.Type == "wallet.deposit" {
				clerk.Refuse(403, "GET", "/v1/notices/"+n.ID, nil)
			}
		}
		hook := m{"url": "https://example.com/hook", "events": []string{"*"}}
		for _, events := range [][]string{{"*"}, {"wallet.*"}, {"agent.frozen", "transaction.completed"}} {
			hook["events"] = events
			if code, _ := clerk.Refuse(403, "POST", "/v1/webhooks", hook); code != "permission_denied" {
				t.Errorf("%v: %s", events, code)
			}
		}
		hook["events"] = []string{"agent.frozen", "agent.run.*"}
		var own, whole struct{ ID string }
		clerk.Call("POST", "/v1/webhooks", hook, &own)
		clerk.Refuse(403, "PATCH", "/v1/webhooks/"+own.ID, m{"events": []string{"*"}})
		hook["events"], hook["enabled"] = []string{"*"}, false
		w.api.Call("POST", "/v1/webhooks", hook, &whole)
		clerk.Refuse(403, "PATCH", "/v1/webhooks/"+whole.ID, m{"url": "https://example.net/mine"})
		clerk.Call("PATCH", "/v1/webhooks/"+whole.ID, m{"description": "everything"}, nil)
	})
}
