package app_test

import (
	"context"
	"encoding/json"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
	"github.com/bureau-agents/bureau/ports/llm"
)

// prompted is the model caller, which keeps the system prompt that it was given last.
type prompted struct {
	caller

	mu     sync.Mutex
	system string
}

func (p *prompted) Generate(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	p.mu.Lock()
	p.system = req.System
	p.mu.Unlock()
	return p.caller.Generate(ctx, req)
}

func (p *prompted) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.system
}

// market is a server with an author, whose skills are approved, and a clerk, who uses them in one session.
type market struct {
	*bench

	model  *prompted
	author string
}

func newMarket(t *testing.T, cfg apptest.Config, sandbox bool) *market {
	t.Helper()
	k := &market{model: &prompted{}}
	cfg.Options = append(cfg.Options, app.WithLLM(k.model))
	s := apptest.Start(t, cfg)
	s.WaitForPlugins("calculator")
	var tenant struct {
		APIKey string `json:"api_key"`
	}
	s.Admin.Call("POST", "/v1/tenants", m{"name": "readers", "plan": "team"}, &tenant)
	s.Admin = s.As(tenant.APIKey) // an administrator who is not the operator: what is held is held for the tenant alone
	agent := func(name string, tools []m) string {
		t.Helper()
		var made struct{ ID string }
		s.Admin.Call("POST", "/v1/agents", m{"name": name, "model": "default", "tools": tools}, &made)
		return made.ID
	}
	k.author = agent("author", nil)
	var tools []m
	if sandbox {
		tools = []m{{"type": "agent_toolset_20260401"}}
	}
	k.bench = &bench{t: t, s: s, agent: agent("clerk", tools)}
	k.session = k.open(nil)
	return k
}

// publish hands a version of the skill "letters" in and approves it.
func (k *market) publish(version, body string) (id, sha256 string) {
	k.t.Helper()
	var made struct {
		Skills []struct{ ID, SHA256 string }
	}
	k.s.Admin.Call("POST", "/v1/skills/ingest", m{"agent_id": k.author, "skills": []m{{
		"key": "letters", "name": "Letters", "category": "office", "summary": "Letters of this company.", "prompt_template": body, "version": version,
	}}}, &made)
	k.s.Admin.Call("POST", "/v1/skills/"+made.Skills[0].ID+"/approve", m{"digest": made.Skills[0].SHA256}, nil)
	return made.Skills[0].ID, made.Skills[0].SHA256
}

func (k *market) install(skill string) {
	k.t.Helper()
	k.s.Admin.Call("POST", "/v1/agents/"+k.agent+"/skills", m{"skill_id": skill}, nil)
}

// call has the clerk use a tool and returns its result.
func (k *market) call(tool string, input m) (text string, failed bool) {
	k.t.Helper()
	raw, err := json.Marshal(input)
	if err != nil {
		k.t.Fatal(err)
	}
	res := k.say(k.session, tool+" "+string(raw)).last(k.t, "agent.tool_result")
	return res.text(), res.IsError
}

// reads fails the test unless a tool's result holds a text.
func (k *market) reads(want, tool string, input m) {
	k.t.Helper()
	if text, failed := k.call(tool, input); failed || !strings.Contains(text, want) {
		k.t.Errorf("%s %v: failed %t: %s", tool, input, failed, text)
	}
}

// refuses fails the test unless a tool fails and says something.
func (k *market) refuses(want, tool string, input m) {
	k.t.Helper()
	if text, failed := k.call(tool, input); !failed || !strings.Contains(text, want) {
		k.t.Errorf("%s %v: failed %t: %s", tool, input, failed, text)
	}
}

// blast is what a quarantine says that a skill has touched.
type blast struct {
	SHA256                     string
	Agents, Sessions, Payments int
	Holds                      []struct{ Scope string }
	Moved                      []money
}

func (k *market) quarantine(skill string) (b blast) {
	k.t.Helper()
	k.s.Admin.Call("POST", "/v1/skills/"+skill+"/quarantine", m{"reason": "It writes to a stranger."}, &b)
	return b
}

// TestMarketSkillReachesTurns checks that what is installed is what an agent runs, from its next turn on, until it is installed again.
func TestMarketSkillReachesTurns(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		k := newMarket(t, cfg, false)
		letters := m{"skill": "letters"}
		k.refuses("read_skill", "read_skill", letters) // there is no such tool yet
		of, first := k.publish("1.0.0", "Begin with Ahoy.")
		k.install(of)
		k.reads("Begin with Ahoy.", "read_skill", letters)
		if p := k.model.last(); !strings.Contains(p, "- letters: Letters of this company.") || strings.Contains(p, "Ahoy") {
			t.Errorf("the prompt:\n%s", p)
		}
		again, second := k.publish("2.0.0", "Begin with Moin.")
		same(t, of, again)
		k.reads("Begin with Ahoy.", "read_skill", letters)
		type installed struct{ Name, SHA256 string }
		path := "/v1/agents/" + k.agent + "/skills"
		same(t, []installed{{"letters", first}}, apptest.All[installed](k.s.Admin, path))
		k.install(of)
		k.reads("Begin with Moin.", "read_skill", letters)
		same(t, []installed{{"letters", second}}, apptest.All[installed](k.s.Admin, path))
	})
}

// TestQuarantineStopsSessions checks that a session that runs loses what goes into quarantine, whatever it is, that the report names what the
// session did with it, and that a release gives it back.
func TestQuarantineStopsSessions(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		k := newMarket(t, cfg, false)
		letters, sum := m{"skill": "letters"}, m{"expression": "17 * 23"}
		of, digest := k.publish("1.0.0", "Begin with Ahoy.")
		k.install(of)
		k.install("calculator")
		k.s.Admin.Call("POST", "/v1/agents/"+k.agent+"/wallet/deposits", m{"amount": usdc("100")}, nil)
		k.s.Admin.Call("POST", "/v1/policies", m{"scope": m{"agent_id": k.agent}, "limits": m{"daily_limit": usdc("60")}}, nil)
		pay := func(amount string) {
			t.Helper()
			k.reads(amount, "pay", m{"amount": amount, "currency": "USDC", "payee": "vendor.example"})
		}
		pay("3.00")
		k.reads("Ahoy", "read_skill", letters)
		pay("20.00")
		k.reads("391", "calculator", sum)
		idle := k.open(nil) // has used nothing
		k.say(idle, `pay {"amount":"1.00","currency":"USDC","payee":"vendor.example"}`)

		b := k.quarantine(of)
		same(t, []any{digest, 1, 1, 1, []money{usdc("20.00")}}, []any{b.SHA256, b.Agents, b.Sessions, b.Payments, b.Moved})
		touched := "/v1/skills/" + of + "/quarantine/"
		type used struct {
			SessionID string `json:"session_id"`
			AgentID   string `json:"agent_id"`
			Manner    string
		}
		same(t, []used{{k.session, k.agent, "read"}}, apptest.All[used](k.s.Admin, touched+"sessions"))
		type paid struct {
			SessionID string `json:"session_id"`
			Amount    string
			Payee     string
		}
		same(t, []paid{{k.session, "20.00", "vendor.example"}}, apptest.All[paid](k.s.Admin, touched+"payments"))

		k.refuses("not available", "read_skill", letters)
		if p := k.model.last(); strings.Contains(p, "letters") {
			t.Errorf("the prompt:\n%s", p)
		}
		k.reads("391", "calculator", sum) // the other skill is not touched
		b = k.quarantine("calculator")
		same(t, "tenant", b.Holds[0].Scope)
		same(t, []int{1, 1, 0}, []int{b.Agents, b.Sessions, b.Payments})
		k.refuses("calculator", "calculator", sum)

		for _, ref := range []string{of, "calculator"} {
			k.s.Admin.Call("DELETE", "/v1/skills/"+ref+"/quarantine", nil, nil)
		}
		k.reads("Ahoy", "read_skill", letters)
		k.reads("391", "calculator", sum)
	})
}

// TestQuarantineEmptiesSandboxes checks that the files of a skill in quarantine are not in sandboxes, also where they have been.
func TestQuarantineEmptiesSandboxes(t *testing.T) {
	t.Parallel()
	k := newMarket(t, apptest.Config{}, true)
	of, _ := k.publish("1.0.0", "Begin with Ahoy.")
	k.install(of)
	show := m{"command": "cat /mnt/skills/letters/SKILL.md"}
	k.reads("Ahoy", "bash", show)
	k.publish("2.0.0", "Begin with Moin.")
	k.install(of)
	k.reads("Moin", "bash", show)
	if b := k.quarantine(of); b.Sessions != 1 || b.Agents != 1 {
		t.Errorf("got %+v", b)
	}
	k.refuses("No such file", "bash", show)
	session := k.session
	k.session = k.open(nil)
	k.refuses("No such file", "bash", show)
	k.s.Admin.Call("DELETE", "/v1/skills/"+of+"/quarantine", nil, nil)
	k.reads("Moin", "bash", show)
	k.session = session
	k.reads("Moin", "bash", show)
}
