package app_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app/apptest"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/core/wallet/wallettest"
	"github.com/bureau-agents/bureau/ports/id"
)

// world is a tenant with one resource of each kind. The tenant's name is in every text of it, so that a leak is seen wherever it
// happens.
type world struct {
	name string
	api  *apptest.Client // with an admin key of the tenant
	llm  *apptest.Models // that model cards reach

	webhook, delivery, notice, budget, price, rerate, remote string

	submission, link, member, chat string

	batch, report, agentCard string // of the validation of a card

	peerTask string // of an A2A peer

	event, message, tenant, key, agent, helper, policy, session, toolUse, approval, knowledge, entry, transaction, hold, usage, installed, environment, file, eval, skill, store, memory, memoryVersion, vault, credential, card, installation, publication, resource, run, payment, swarm string
}

// newWorld makes a tenant and fills it.
func newWorld(t *testing.T, s *apptest.Server, name string) *world {
	t.Helper()
	var tenant struct {
		ID     string
		APIKey string `json:"api_key"`
	}
	s.Admin.In(t).Call("POST", "/v1/tenants", m{"name": name}, &tenant)
	w := &world{name: name, tenant: tenant.ID, api: s.As(tenant.APIKey).In(t), llm: s.Models}
	create := func(path string, body any) string {
		t.Helper()
		var made struct{ ID string }
		w.api.Call("POST", path, body, &made)
		return made.ID
	}
	first := func(path string) string {
		t.Helper()
		list := apptest.All[struct{ ID string }](w.api, path)
		if len(list) == 0 {
			t.Fatalf("%s has nothing", path)
		}
		return list[0].ID
	}
	w.key = create("/v1/api_keys", m{"name": name, "scopes": []string{"chat"}})
	w.agent = create("/v1/agents", m{"name": name + " buyer", "model": "offline", "system": name, "metadata": m{"of": name}})
	w.helper = create("/v1/agents", m{"name": name + " helper", "model": "offline"})
	create("/v1/agents/"+w.agent+"/wallet/deposits", m{"amount": usdc("100"), "description": name})
	create("/v1/wallet/deposits", m{"amount": usdc("100"), "description": name})
	w.policy = create("/v1/policies", m{
		"scope": m{"agent_id": w.agent}, "limits": m{"require_approval_above": usdc("30"), "blocked_categories": []string{name}},
	})
	w.installed = create("/v1/agents/"+w.agent+"/skills", m{"skill_id": "calculator"})
	create("/v1/knowledge/ingest", m{"agent_id": w.agent, "chunks": []m{{"text": "The secret of " + name + " is a number.", "source": name + ".md"}}})
	w.store = create("/v1/memory_stores", m{"name": name, "description": name, "agent_id": w.agent, "metadata": m{"of": name}})
	var kept struct {
		ID      string
		Version string `json:"memory_version_id"`
	}
	w.api.Call("POST", "/v1/memory_stores/"+w.store+"/memories", m{"path": "/" + name + "/a.md", "content": "The memory of " + name}, &kept)
	w.memory, w.memoryVersion = kept.ID, kept.Version
	w.skill = create("/v1/skills", skillBody(name))
	var handedIn struct{ Skills []struct{ ID string } }
	w.api.Call("POST", "/v1/skills/ingest", w.submissionBody("1"), &handedIn)
	w.submission = handedIn.Skills[0].ID
	w.link = create("/v1/agent_links", m{"agent_id": w.agent, "user": name})
	w.knowledge = first("/v1/knowledge?agent_id=" + w.agent)
	w.session = create("/v1/sessions", m{"agent": w.agent, "title": name, "metadata": m{"of": name}})
	w.resource = create("/v1/sessions/"+w.session+"/resources", m{"type": "github_repository", "url": "https://github.com/octocat/" + name})
	talk := logged(t, w.api.Stream("POST", "/v1/sessions/"+w.session+"/messages",
		m{"content": "Pay 35 USDC to " + name + ".example for the yearly plan"}).Rest())
	w.toolUse = talk.last(t, "agent.tool_use").ID
	w.approval = first("/v1/approvals?status=pending")
	create("/v1/agents/"+w.agent+"/wallet/payments", m{"amount": usdc("5"), "payee": name + ".example", "description": name})
	create("/v1/agents/"+w.agent+"/wallet/payments", m{"amount": usdc("5"), "payee": name + ".example", "description": name, "rail": "fake"})
	w.payment = first("/v1/payments")
	w.transaction = first("/v1/agents/" + w.agent + "/wallet/transactions")
	w.hold = w.holds(t, s)
	w.event = create("/v1/events", m{"agent_id": w.agent, "event_type": name, "trace_id": name})
	create("/v1/events", m{"agent_id": w.agent, "event_type": name, "trace_id": plain["trace_id"], "payload": m{"of": name}})
	w.message = create("/v1/agent_messages", w.messageBody())
	create("/v1/feedback", m{"target_type": "event", "target_id": w.event, "feedback_type": name, "comment": name})
	create("/v1/feedback", w.feedbackBody())
	w.usage = create("/v1/usage", m{"agent_id": w.agent, "model": name + "-model", "tokens_input": 10})
	w.prices(t, create)
	w.environment = create("/v1/environments", w.environmentBody())
	w.file = create("/v1/files", w.fileBody())
	w.eval = create("/v1/evals", w.evalBody())
	w.api.Call("POST", "/v1/evals/"+w.eval+"/cancel", nil, nil) // what goes on changes by itself
	w.vault = create("/v1/vaults", m{"display_name": name, "metadata": m{"of": name}, "token": name + "-token", "secret_name": "WORLD"})
	w.credential = create("/v1/vaults/"+w.vault+"/credentials", w.credentialBody("https://mcp.invalid/"+name))
	w.installation = w.api.Install("slack", "T-"+name)
	w.publication = create("/v1/integrations/slack/publications", m{"agent_id": w.helper, "installation_id": w.installation, "persona": m{"name": name}})
	w.card = create("/v1/model_cards", w.cardBody(name+"-card"))
	w.swarm = create("/v1/swarms", m{"name": name, "description": name, "icon": name})
	w.api.Call("POST", "/v1/swarms/"+w.swarm+"/agents", m{"agent_id": w.helper}, nil)
	w.documents(create)
	w.hosts(t)
	w.run = create("/v1/agents/"+w.agent+"/runs", m{"task": "Tell me your name, " + name + ".", "context": name, "wait": 60})
	w.tellsOutside(t, create, first)
	w.validates(t)
	w.peers(t)
	w.entry = first("/v1/audit")
	return w
}

// messageBody is what the world's agents tell each other.
func (w *world) messageBody() m {
	return m{
		"sender_id": w.agent, "receiver_id": w.helper, "message_type": w.name, "payload": m{"of": w.name}, "trace_id": plain["trace_id"],
	}
}

// feedbackBody is what a user thinks of a message.
func (w *world) feedbackBody() m {
	return m{
		"target_type": "message", "target_id": w.message, "feedback_type": "thumbs_up", "rating": 5, "comment": w.name, "user": w.name,
	}
}

// eventBody is what the world's agent reports. The event that this one is a part of need not be there.
func (w *world) eventBody() m {
	return m{
		"agent_id": w.agent, "event_type": w.name, "source": w.name, "level": "warning", "trace_id": w.name,
		"parent_event_id": "rep_01h455vb4pex5vsknk084sn02q", "payload": m{"of": w.name},
	}
}

// holds sets money of the world's agent aside, as a payment over a rail does, and returns the hold.
func (w *world) holds(t *testing.T, s *apptest.Server) string {
	t.Helper()
	tenant, err := id.Parse[id.TenantKind](w.tenant)
	if err != nil {
		t.Fatal(err)
	}
	agent, err := id.Parse[id.AgentKind](w.agent)
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Wallets.Hold(t.Context(), account.System(tenant), wallet.HoldRequest{
		Agent: agent, Amount: wallettest.USDC(1_000_000), Payee: w.name + ".example", Description: w.name,
	})
	if err != nil {
		t.Fatal(err)
	}
	return h.ID.String()
}

// tellsOutside makes a webhook to which nothing can be delivered, with a delivery that was given up.
func (w *world) tellsOutside(t *testing.T, create func(string, any) string, first func(string) string) {
	t.Helper()
	w.budget = create("/v1/budgets", m{"name": w.name, "scope": m{"agent_id": w.agent}, "model": w.name, "amount": "10", "period": "day"})
	w.remote = create("/v1/remote_agents", m{"url": w.llm.URL + "/cards/" + w.name + ".json"})
	w.webhook = create("/v1/webhooks", m{"url": "http://localhost:9/" + w.name, "events": []string{"webhook.test"}, "description": w.name})
	w.delivery = create("/v1/webhooks/"+w.webhook+"/test", nil)
	w.notice = first("/v1/notices?agent_id=" + w.agent)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for status := ""; status != "failed"; <-tick.C {
		var d struct{ Status string }
		w.api.Call("GET", "/v1/webhooks/"+w.webhook+"/deliveries/"+w.delivery, nil, &d)
		status = d.Status
	}
}

// ids are the world's ids by what a path or a query calls them; those that only bodies and answers have are named after their kind.
func (w *world) ids() map[string]string {
	ids := w.valtaIDs()
	maps.Copy(ids, map[string]string{
		"batch_id": w.batch, "report_id": w.report, "agent_card_id": w.agentCard, "a2a_task_id": w.peerTask,
		"tenant_id": w.tenant, "key_id": w.key, "agent_id": w.agent, "helper_id": w.helper, "policy_id": w.policy, "session_id": w.session,
		"resource_id": w.resource, "run_id": w.run, "swarm_id": w.swarm, "member_id": w.member, "chat_id": w.chat,
		"event_id": w.event, "parent_event_id": w.event, "agent_message_id": w.message, "sender_id": w.agent, "receiver_id": w.helper, "target_id": w.message,
		"thread_id":  "sthr_" + strings.TrimPrefix(w.session, "sesn_"),
		"webhook_id": w.webhook, "remote_agent_id": w.remote, "delivery_id": w.delivery, "notice_id": w.notice, "budget_id": w.budget, "price_id": w.price, "rerate_id": w.rerate, "submission_id": w.submission, "link_id": w.link,
		"tool_use_id": w.toolUse, "approval_id": w.approval, "id": w.knowledge, "entry_id": w.entry, "transaction_id": w.transaction, "payment_id": w.payment, "hold_id": w.hold,
		"installation_id": w.installation, "publication_id": w.publication, "usage_id": w.usage, "installed_id": w.installed, "skill_id": w.skill, "memory_store_id": w.store, "memory_id": w.memory, "memory_version_id": w.memoryVersion, "environment_id": w.environment, "file_id": w.file, "eval_id": w.eval, "vault_id": w.vault, "card_id": w.card, "credential_id": w.credential,
	})
	return ids
}

// plain are the path parameters that are not ids of a tenant's things.
var plain = map[string]string{
	"version":        "1",          // of an agent, and of a skill
	"name":           "calculator", // of a plugin: the server's own
	"integration_id": "slack", "provider": "google",
	"skill":    "calculator", // of the catalogue: the server's own
	"filename": "SKILL.md",
	"document": "soul", "rule_name": "new-request",
	"peer_id":  "somebody",                        // of an agent: clients name them, and every world's agent has talked to one of this name
	"report":   "rpt_1705312200000_abc123",        // of a page: whoever has the address may read it, whoever's it is
	"card":     "card_01h455vb4pex5vsknk084sn02q", // of a badge, likewise
	"trace_id": "a-trace-of-everybody",            // tenants choose them, and may choose the same
}

// path returns the address of an operation with the world's ids. It fails the test for a parameter that nobody has said anything about.
func (w *world) path(t *testing.T, op operation) string {
	t.Helper()
	return op.at(func(param string) string {
		v, ok := w.ids()[param]
		if !ok {
			v, ok = plain[param]
		}
		if !ok {
			t.Fatalf("%s %s has a path parameter %q that this test does not know: make such a thing in newWorld and name it in ids",
				op.Method, op.Path, param)
		}
		return v
	})
}

// body returns a valid body of an operation, in this world's ids, and nil for one without a body. It fails the test for an operation that nobody
// has written a body for.
func (w *world) body(t *testing.T, op operation) any {
	t.Helper()
	if op.Body == "" {
		return nil
	}
	if strings.HasPrefix(op.ID, "valta.") {
		return w.valtaBody(t, op)
	}
	if strings.HasPrefix(op.ID, "valar.") {
		return w.valarBody(t, op)
	}
	if strings.HasPrefix(op.ID, "agento.") {
		return w.agentoBody(t, op)
	}
	say := m{"type": "user.message", "content": []m{{"type": "text", "text": w.name}}}
	amount := usdc("1.50")
	bodies := map[string]any{
		"reportAgentMessage": w.messageBody(), "submitFeedback": w.feedbackBody(), "putRetention": m{"events_days": 3650, "messages_days": 3650, "feedback_days": nil},
		"reportEvent": w.eventBody(), "reportEvents": m{"events": []m{w.eventBody(), w.eventBody()}},
		"createPublication": m{
			"agent_id": w.agent, "installation_id": w.installation, "environment_id": w.environment, "session_granularity": "per_channel", "mode": "full",
			"persona": m{"name": w.name, "avatar_url": "https://example.com/a.png"}, "capabilities": []string{"mentions"}, "channels": []string{"C1"},
		},
		"updatePublication": w.publicationPatch(), "patchPublication": w.publicationPatch(), "putPublication": w.publicationPatch(),
		"uninstallIntegration": m{"installation_id": w.installation},
		"slackWebhook":         m{"type": "url_verification", "challenge": w.name}, "githubWebhook": m{"action": "created"},
		"createAPIKey":    m{"name": w.name, "scopes": []string{"chat"}, "expires_at": "2100-01-01T00:00:00Z"},
		"createTenant":    m{"name": w.name, "plan": "free"},
		"sendChatMessage": m{"message": w.name, "peer_id": plain["peer_id"], "session_id": w.chat, "context": m{"name": w.name}}, "createChatSession": m{"peer_id": w.name, "name": w.name},
		"createAgent":     w.hostedBody(),
		"createSwarm":     m{"name": w.name + " again", "slug": w.name + "-2", "description": w.name, "icon": "🐝"},
		"updateSwarm":     w.swarmPatch(),
		"patchSwarm":      w.swarmPatch(),
		"putSwarm":        w.swarmPatch(),
		"joinSwarm":       m{"agent_id": w.helper},
		"putSwarmAgent":   m{"agent_id": w.helper},
		"patchAgent":      w.agentBody(),
		"updateAgent":     w.agentBody(),
		"putAgent":        w.agentBody(),
		"createVault":     m{"display_name": w.name, "metadata": m{"of": w.name}, "auth": w.credentialBody("https://mcp.invalid/again")["auth"]},
		"createModelCard": w.cardBody(w.name + "-another"),
		"updateModelCard": w.cardPatch(), "patchModelCard": w.cardPatch(), "putModelCard": w.cardPatch(),
		"updateVault": w.vaultPatch(), "patchVault": w.vaultPatch(), "putVault": w.vaultPatch(),
		"createVaultCredential": w.credentialBody("https://mcp.invalid/another/" + w.name),
		"updateVaultCredential": w.credentialPatch(), "patchVaultCredential": w.credentialPatch(), "putVaultCredential": w.credentialPatch(),
		"createDeposit": m{"amount": amount, "description": w.name}, "createOwnDeposit": m{"amount": amount, "description": w.name},
		"fundWallet": m{"amount": amount, "description": w.name}, "withdrawFromWallet": m{"amount": amount, "description": w.name},
		"createRefund":      m{"amount": amount, "description": w.name},
		"refundPayment":     m{"amount": amount},
		"resolvePayment":    m{"outcome": "succeeded", "reference": w.name, "note": w.name},
		"createPaidRequest": m{"url": "https://paid." + w.name + ".example/a", "method": "POST", "headers": m{"X-Of": w.name}, "body": w.name, "max_amount": amount, "category": "stamps", "description": w.name},
		"stripeWebhook":     m{},
		"createPayment":     m{"amount": amount, "payee": w.name + ".example", "description": w.name, "category": "stamps"},
		"createTransfer": m{
			"from_agent_id": w.agent, "to_agent_id": w.helper, "amount": amount, "description": w.name,
		},
		"createBudget": m{"name": w.name, "scope": m{"agent_id": w.agent}, "model": "gpt-4o", "provider": "openai", "amount": "10.50", "period": "week", "alerts": []int{90}},
		"updateBudget": w.budgetPatch(), "patchBudget": w.budgetPatch(), "putBudget": w.budgetPatch(),
		"createPolicy": m{
			"scope": m{"agent_id": w.agent},
			"limits": m{
				"daily_limit": amount, "approval_ttl": 60, "blocked_domains": []string{"bad.example"}, "daily_token_limit": 1000,
				"max_per_transaction": amount, "windows": []m{{"measure": "count", "window": "hour", "rolling": true, "max_count": 1000}},
				"structuring": m{"near_percent": 90}, "allowed_times": []m{{"from": "00:00", "to": "24:00", "timezone": "Europe/Berlin"}},
			},
		},
		"updatePolicy":     m{"limits": m{"daily_limit": amount, "blocked_categories": []string{w.name, "other"}}},
		"simulateDecision": m{"agent_id": w.agent, "amount": amount, "payee": w.name + ".example", "action": "payment"},
		"simulateHistory": m{
			"policy": m{"scope": m{"agent_id": w.agent}, "limits": m{"daily_limit": amount, "new_payee": "deny"}, "mode": "observe"},
			"from":   "2026-01-01T00:00:00Z", "agent_id": w.agent, "limit": 10,
		},
		"denyApproval":      m{"reason": w.name},
		"installAgentSkill": m{"skill_id": "calculator"},
		"ingestSkills":      w.submissionBody("2"), "approveSkill": m{"reason": w.name}, "denySkill": m{"reason": w.name},
		"quarantineSkill": m{"reason": w.name, "digest": strings.Repeat("0b", 32)}, "acceptSkillVersion": m{"reason": w.name},
		"blockSkillDigest":  m{"reason": w.name, "digest": strings.Repeat("0c", 32)},
		"createAgentLink":   m{"agent_id": w.agent, "user": w.name + "@example.com"},
		"startRun":          m{"task": w.name + ": say hello.", "context": w.name, "wait": 0, "limits": m{"max_per_transaction": amount}},
		"createMemoryStore": m{"name": w.name, "description": w.name, "agent_id": w.agent, "metadata": m{"of": w.name}},
		"updateMemoryStore": w.memoryStorePatch(), "patchMemoryStore": w.memoryStorePatch(), "putMemoryStore": w.memoryStorePatch(),
		"searchMemories": m{"query": "the memory", "limit": 3}, "createMemory": m{"path": "/b/" + w.name, "content": w.name},
		"updateMemory": w.memoryPatch(), "patchMemory": w.memoryPatch(), "putMemory": w.memoryPatch(),
		"createSkill": skillBody(w.name), "uploadSkill": skillBody(w.name), "createSkillVersion": skillBody(w.name),
		"installPlugin": "not a program",
		"exportTraces":  m{"resourceSpans": []m{}}, "exportLogs": m{"resourceLogs": []m{}},
		"ingestKnowledgeFile": m{"agent_id": w.agent, "file_id": w.file, "source": w.name, "metadata": m{"of": w.name}, "target_characters": 300},
		"ingestKnowledge":     m{"agent_id": w.agent, "chunks": []m{{"text": "Another text of " + w.name, "source": "b.md", "metadata": m{"a": 1}}}},
		"reembedKnowledge":    m{"agent_id": w.agent},
		"searchKnowledge":     m{"agent_id": w.agent, "query": "the secret", "limit": 3},
		"reportUsage":         m{"agent_id": w.agent, "model": "gpt-4o", "provider": "openai", "tokens_input": 10, "tokens_output": 3, "cost": "0.01"},
		"reportUsages": m{"reports": []m{{
			"agent_id": w.agent, "model": w.name, "tokens_input": 10, "service_tier": "batch", "modifiers": []string{"eu"}, "used_at": "2026-01-01T00:00:00Z",
		}}},
		"setPrices": m{"prices": []m{w.priceBody()}}, "rerateUsage": m{"since": "2026-01-01T00:00:00Z", "agent_id": w.agent, "provider": w.name},
		"createSession": m{
			"agent":          m{"type": "agent_with_overrides", "id": w.agent, "version": 1, "model": m{"id": "offline"}, "system": w.name, "skills": []m{}},
			"environment_id": w.environment, "vault_ids": []string{w.vault}, "title": w.name, "metadata": m{"of": w.name}, "initial_events": []m{say},
			"budget": m{"type": "limit", "max_list_cost": m{"amount": "10.50", "currency": "USD"}},
			"resources": []m{
				{"type": "file", "file_id": w.file, "mount_path": "/workspace/data/" + w.name}, {"type": "memory_store", "memory_store_id": w.store, "access": "read_only"},
				w.repositoryBody(),
			},
		},
		"updateSession": w.sessionPatch(), "patchSession": w.sessionPatch(), "putSession": w.sessionPatch(),
		"attachSessionResource": w.repositoryBody(), "updateSessionResource": m{"authorization_token": w.name},
		"patchSessionResource": m{"authorization_token": w.name}, "putSessionResource": m{"authorization_token": w.name},
		"registerRemoteAgent": m{"url": w.llm.URL + "/cards/" + w.name + "-2.json", "credential": m{"type": "api_key", "secret": w.name}},
		"refreshRemoteAgent":  m{"accept_signature": true},
		"updateRemoteAgent":   m{"description": w.name, "credential": m{"type": "bearer", "secret": w.name}},
		"createWebhook":       m{"url": "https://hooks.invalid/" + w.name, "events": []string{"agent.*", "budget.alert"}, "description": w.name, "enabled": false, "secret": "a-secret-of-the-world-" + w.name},
		"updateWebhook":       w.webhookPatch(), "patchWebhook": w.webhookPatch(), "putWebhook": w.webhookPatch(),
		"rotateWebhookSecret": m{"secret": "whsec_" + strings.Repeat("QUJD", 10), "overlap_seconds": 60},
		"createEval":          w.evalBody(),
		"createEvalRun":       w.evalBody(),
		"uploadFile":          w.fileBody(),
		"createEnvironment":   w.environmentBody(),
		"updateEnvironment":   w.environmentBody(),
		"patchEnvironment":    w.environmentBody(),
		"putEnvironment":      w.environmentBody(),
		"sendSessionMessage":  m{"content": w.name},
		"sendSessionEvents": m{"events": []m{
			say, {"type": "user.tool_confirmation", "tool_use_id": w.toolUse, "result": "deny", "deny_message": w.name},
		}},
	}
	maps.Copy(bodies, w.documentBodies())
	maps.Copy(bodies, w.hostingBodies())
	maps.Copy(bodies, w.validationBodies())
	body, ok := bodies[op.ID]
	if !ok {
		t.Fatalf("%s %s (%s) has a body that this test does not know: write a valid one here, with ids wherever it takes some",
			op.Method, op.Path, op.ID)
	}
	return body
}

// submissionBody is a skill that the world's agent hands in.
func (w *world) submissionBody(version string) m {
	return m{"agent_id": w.agent, "skills": []m{{
		"key": w.name, "name": w.name, "category": w.name, "summary": w.name, "description_md": w.name, "tags": []string{w.name},
		"requirements": []m{{"name": w.name, "type": "credential"}}, "prompt_template": w.name, "code_snippet": w.name,
		"config_schema": m{"type": "object", "properties": m{w.name: m{"type": "string"}}}, "version": version,
	}}}
}

func (w *world) sessionPatch() m {
	return m{
		"title": w.name + " again", "metadata": m{"more": w.name}, "vault_ids": []string{w.vault}, "agent": m{"tools": []m{}, "mcp_servers": []m{}},
		"budget": nil,
	}
}

func (w *world) budgetPatch() m {
	return m{"name": w.name + " again", "amount": m{"amount": "20", "currency": "USD"}, "period": "month", "alerts": []int{50, 100}}
}

func (w *world) webhookPatch() m {
	return m{"url": "https://hooks.invalid/" + w.name, "events": []string{"webhook.test"}, "description": w.name + " again", "enabled": true}
}

func (w *world) repositoryBody() m {
	return m{
		"type": "github_repository", "url": "https://github.com/octocat/hello-" + w.name, "mount_path": "/workspace/hello",
		"authorization_token": w.name, "checkout": m{"type": "branch", "name": "main"},
	}
}

func (w *world) memoryStorePatch() m {
	return m{"name": w.name + " again", "description": w.name, "agent_id": w.agent, "metadata": m{"more": w.name}}
}

func (w *world) memoryPatch() m {
	sum := sha256.Sum256([]byte("The memory of " + w.name))
	return m{
		"content": "The memory of " + w.name, "path": "/" + w.name + "/a.md",
		"precondition": m{"type": "content_sha256", "content_sha256": hex.EncodeToString(sum[:])},
	}
}

// skillBody is an uploaded skill.
func skillBody(name string) m {
	return m{"display_title": name, "files": []m{
		{"filename": "s/SKILL.md", "content": "---\nname: notes\ndescription: Notes of " + name + ".\n---\nWrite notes.\n"},
	}}
}

func (w *world) publicationPatch() m {
	return m{"environment_id": w.environment, "session_granularity": "per_event", "persona": m{"name": w.name}, "channels": []string{"C2"}}
}

func (w *world) swarmPatch() m {
	return m{"name": w.name, "slug": w.name, "description": w.name, "icon": nil}
}

// agentBody names every kind of thing that an agent's configuration can.
func (w *world) agentBody() m {
	return m{
		"name": w.name + " twin", "model": "offline", "description": w.name, "system": w.name, "metadata": m{"of": w.name},
		"tools": []m{
			{"type": "agent_toolset_20260401", "configs": []m{{"name": "bash", "enabled": false}}},
			{"type": "custom", "name": "look_up", "description": "Looks up.", "input_schema": m{"type": "object"}},
		},
		"skills":     []m{{"skill_id": w.skill, "type": "custom"}, {"skill_id": "builtin_pdf", "type": "anthropic", "version": "1"}},
		"multiagent": m{"type": "coordinator", "agents": []any{m{"type": "agent", "id": w.helper}}},
	}
}

// fileBody is an upload, as JSON rather than as a form.
func (w *world) fileBody() m {
	return m{
		"filename": w.name + ".txt", "content": w.name, "media_type": "text/plain", "encoding": "utf8", "session_id": w.session,
		"downloadable": true, "expires_in_seconds": 7776000,
	}
}

// evalBody names everything that an evaluation can have, but for what needs a sandbox.
func (w *world) evalBody() m {
	return m{
		"agent_id": w.agent, "agent_version": 1, "environment_id": w.environment, "name": w.name,
		"tasks": []m{{
			"id": w.name, "messages": []string{"What is 17 * 23?"}, "timeout_ms": 60000, "trials": 2,
			"scorer": m{"type": "weighted", "threshold": 0.5, "scorers": []m{
				{"type": "includes", "texts": []string{"391"}, "weight": 2}, {"type": "max_steps", "steps": 5},
			}},
		}},
	}
}

// environmentBody names everything that an environment can have.
func (w *world) environmentBody() m {
	return m{
		"name": w.name, "description": w.name, "metadata": m{"of": w.name}, "scope": "account",
		"config": m{
			"type": "cloud",
			"networking": m{
				"type": "limited", "allowed_hosts": []string{w.name + ".example"}, "allow_mcp_servers": true, "allow_package_managers": true,
			},
			"packages": m{
				"type": "packages", "apt": []string{"ffmpeg"}, "cargo": []string{"ripgrep"}, "gem": []string{"rails:7.1.0"},
				"go": []string{"example.com/x@v1"}, "npm": []string{"@a/b@1"}, "pip": []string{"requests==2.31"},
			},
		},
	}
}

// credentialBody has every field that a credential for an MCP server can.
func (w *world) credentialBody(url string) m {
	return m{"display_name": w.name, "metadata": m{"of": w.name}, "auth": m{
		"type": "mcp_oauth", "access_token": w.name + "-access", "mcp_server_url": url, "expires_at": "2100-01-01T00:00:00Z",
		"refresh": m{
			"client_id": w.name, "refresh_token": w.name + "-refresh", "token_endpoint": "https://auth.invalid/token",
			"token_endpoint_auth": m{"type": "client_secret_post", "client_secret": w.name + "-client"}, "resource": url, "scope": "read",
		},
	}}
}

func (w *world) credentialPatch() m {
	return m{"display_name": w.name + " again", "metadata": m{"more": w.name}, "auth": m{
		"type": "mcp_oauth", "access_token": w.name + "-access-2", "expires_at": "2100-01-01T00:00:00Z",
		"refresh": m{"refresh_token": w.name + "-refresh-2", "scope": "write"},
	}}
}

// cardBody has every field that a model card can.
func (w *world) cardBody(handle string) m {
	return m{
		"model_id": handle, "provider": "oai-compatible", "model": w.name + "-model", "base_url": w.llm.URL, "api_key": w.name + "-key",
		"custom_headers": m{"x-of": w.name + "-header"}, "is_default": false,
	}
}

func (w *world) cardPatch() m {
	return m{"api_key": w.name + "-key-2", "model": w.name + "-model-2", "base_url": w.llm.URL + "/v1", "custom_headers": m{"x-of": w.name + "-2"}}
}

func (w *world) vaultPatch() m {
	return m{"display_name": w.name + " again", "metadata": m{"more": w.name}, "token": w.name + "-token-2"}
}

// uuids returns the ids in their plain spelling, which every face accepts too.
func uuids(t *testing.T, ids map[string]string) map[string]string {
	t.Helper()
	out := maps.Clone(ids)
	for name, text := range out {
		out[name] = uuidOf(t, text)
	}
	return out
}

func uuidOf(t *testing.T, text string) string {
	t.Helper()
	if r, err := validation.ParseReport(text); err == nil { // these have a spelling of their own
		return r.UUID().String()
	}
	if b, err := validation.ParseBatch(text); err == nil {
		return b.UUID().String()
	}
	_, suffix, _ := strings.Cut(text, "_")
	a, err := id.Parse[id.AgentKind]("agent_" + suffix) // every kind writes its bits alike
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return a.UUID().String()
}

// traces are the texts that show something of this world: its name, and its ids in both spellings.
func (w *world) traces(t *testing.T) []string {
	t.Helper()
	ids := w.ids()
	return slices.Concat([]string{w.name}, slices.Collect(maps.Values(ids)), slices.Collect(maps.Values(uuids(t, ids))))
}

// snapshot is everything that the tenant can read about itself, without what time alone changes.
func (w *world) snapshot(t *testing.T, d document) map[string]string {
	t.Helper()
	shown := map[string]string{}
	for _, op := range d.ops {
		if op.Method != "GET" || op.Scope == "operator" || op.Public || op.ID == "installIntegration" || op.ID == "getModelCardKey" || op.ID == "createAuditCheckpoint" || op.Stream && op.ID != "listSessionEvents" {
			continue
		}
		path := w.path(t, op)
		switch op.ID {
		case "listKnowledge":
			path += "?agent_id=" + w.agent
		case "agento.listKnowledge":
			path += "?agentId=" + w.agent
		case "reconcile":
			path += "?from=2026-01-01T00:00:00Z&to=2026-01-31T00:00:00Z" // now goes on
		case "compareEvals", "compareEvalRuns":
			path += "?with=" + w.eval
		}
		a := w.api.Do("GET", path, nil)
		if a.Status != 200 {
			t.Fatalf("GET %s: %d %s", path, a.Status, a.Body)
		}
		shown[op.ID] = timeless(a.Body)
	}
	return shown
}

// timeless drops the members that change by themselves.
func timeless(body []byte) string {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return string(body)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, sub := range v {
				if k == "last_used_at" || k == "duration_seconds" || k == "measured_at" {
					v[k] = nil
					continue
				}
				walk(sub)
			}
		case []any:
			for _, sub := range v {
				walk(sub)
			}
		}
	}
	walk(v)
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return string(body)
	}
	return string(b)
}
