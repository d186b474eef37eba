package agento

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/id"
)

// ruleFile is how the file of a rule ends.
const ruleFile = ".md"

type personalityWire struct {
	SoulMD          string `json:"soulMd"`
	IdentityMD      string `json:"identityMd" doc:"Made from the agent's name until it is written."`
	SoulMDHash      string `json:"soulMdHash" doc:"SHA-256 of soulMd, in hexadecimal."`
	SoulMDUpdatedAt stamp  `json:"soulMdUpdatedAt"`
}

type changedPersonalityWire struct {
	SoulMD          string `json:"soulMd"`
	SoulMDHash      string `json:"soulMdHash" doc:"SHA-256 of soulMd, in hexadecimal."`
	SoulMDUpdatedAt stamp  `json:"soulMdUpdatedAt"`
	NeedsRestart    bool   `json:"needsRestart" doc:"Whether the agent runs, and will use it once it was restarted."`
}

type workflowWire struct {
	WorkflowMD string   `json:"workflowMd"`
	Rules      []string `json:"rules" nullable:"false" doc:"The files of its rules: refunds.md."`
}

type changedWorkflowWire struct {
	WorkflowMD   string `json:"workflowMd"`
	NeedsRestart bool   `json:"needsRestart"`
}

type rulesWire struct {
	Rules []ruleWire `json:"rules" nullable:"false"`
}

type ruleWire struct {
	Name string `json:"name" doc:"Without .md."`
	Size int    `json:"size" doc:"Bytes."`
}

type wholeRuleWire struct {
	Name    string `json:"name"`
	Content string `json:"content"`
}

type changedRuleWire struct {
	Name         string `json:"name"`
	NeedsRestart bool   `json:"needsRestart"`
}

type deletedRuleWire struct {
	Name         string `json:"name"`
	Deleted      bool   `json:"deleted"`
	NeedsRestart bool   `json:"needsRestart"`
}

type putPersonalityInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id, in any spelling."`
	Body    struct {
		SoulMD       string `json:"soulMd" doc:"At most 64 KiB."`
		ExpectedHash string `json:"expectedHash,omitempty" maxLength:"64" doc:"The soulMdHash that you have seen: another is a conflict."`
	}
}

type putWorkflowInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id, in any spelling."`
	Body    struct {
		WorkflowMD string `json:"workflowMd" doc:"At most 64 KiB."`
	}
}

type documentsInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id, in any spelling."`
}

// RuleInput names a rule of an agent. Its type is exported because others embed it.
type RuleInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id, in any spelling."`
	Rule    string `path:"rule_name" doc:"1 to 100 letters, digits, - and _; without .md."`
}

func (in *RuleInput) read() (id.Agent, agent.DocumentPath, error) {
	of, err := id.Parse[id.AgentKind](in.AgentID)
	if err != nil {
		return of, "", err
	}
	path, err := agent.RulePath(in.Rule)
	return of, path, err
}

type putRuleInput struct {
	RuleInput
	Body struct {
		Content string `json:"content" doc:"Markdown, at most 64 KiB."`
	}
}

func (f *face) registerDocuments() {
	const personality, workflow = "/v1/agents/{agent_id}/personality", "/v1/agents/{agent_id}/workflow"
	httpx.Register(f.Face, httpx.Op{
		ID: "getPersonality", Method: http.MethodGet, Path: personality, Tag: "documents", Summary: "Read who an agent is",
		Permission: account.AgentsRead,
	}, f.getPersonality)
	for method, op := range map[string]string{http.MethodPut: "putPersonality", http.MethodPatch: "patchPersonality"} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: personality, Tag: "documents", Summary: "Write who an agent is",
			Example:     `{"soulMd":"You are calm and precise."}`,
			Description: "The former text is kept as a version; Bureau's own API lists and restores versions. PUT and PATCH do the same.",
			Permission:  account.AgentsWrite, Statuses: []int{http.StatusConflict},
		}, f.putPersonality)
	}
	httpx.Register(f.Face, httpx.Op{
		ID: "getWorkflow", Method: http.MethodGet, Path: workflow, Tag: "documents", Summary: "Read what a running agent does",
		Description: "An agent that is not running is a conflict.", Permission: account.AgentsRead, Statuses: []int{http.StatusConflict},
	}, f.getWorkflow)
	for method, op := range map[string]string{http.MethodPut: "putWorkflow", http.MethodPatch: "patchWorkflow"} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: workflow, Tag: "documents", Summary: "Write what an agent does",
			Example:     `{"workflowMd":"1. Read the request.\n2. Answer it."}`,
			Description: "A running agent uses it once it was restarted. PUT and PATCH do the same.",
			Permission:  account.AgentsWrite, Statuses: []int{http.StatusConflict},
		}, f.putWorkflow)
	}
	f.registerRules()
}

func (f *face) registerRules() {
	const rules, rule = "/v1/agents/{agent_id}/rules", "/v1/agents/{agent_id}/rules/{rule_name}"
	httpx.Register(f.Face, httpx.Op{
		ID: "listRules", Method: http.MethodGet, Path: rules, Tag: "documents", Summary: "List the rules of an agent",
		Description: "A rule is a procedure that the agent reads when it needs it.", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *documentsInput) (*output[rulesWire], error) {
		of, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		found, err := f.deps.Documents.Rules(ctx, httpx.Scope(ctx), of)
		if err != nil {
			return nil, err
		}
		w := rulesWire{Rules: make([]ruleWire, len(found))}
		for i, d := range found {
			w.Rules[i].Name, _ = d.Path.Rule()
			w.Rules[i].Size = d.Size
		}
		return ok(w), nil
	})
	httpx.Register(f.Face, httpx.Op{
		ID: "getRule", Method: http.MethodGet, Path: rule, Tag: "documents", Summary: "Read a rule", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *RuleInput) (*output[wholeRuleWire], error) {
		of, path, err := in.read()
		if err != nil {
			return nil, err
		}
		d, err := f.deps.Documents.Get(ctx, httpx.Scope(ctx), of, path)
		if err != nil {
			return nil, err
		}
		return ok(wholeRuleWire{in.Rule, d.Content}), nil
	})
	for method, op := range map[string]string{http.MethodPut: "putRule", http.MethodPatch: "patchRule"} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: rule, Tag: "documents", Summary: "Write a rule",
			Example:     `{"content":"# Refunds\n\nAsk for the order's number first."}`,
			Description: "Makes the rule when there is none. PUT and PATCH do the same.", Permission: account.AgentsWrite,
			Statuses: []int{http.StatusConflict},
		}, func(ctx context.Context, in *putRuleInput) (*output[changedRuleWire], error) {
			of, path, err := in.read()
			if err != nil {
				return nil, err
			}
			_, restart, err := f.deps.Documents.Put(ctx, httpx.Scope(ctx), of, path, in.Body.Content, "")
			if err != nil {
				return nil, err
			}
			return ok(changedRuleWire{in.Rule, restart}), nil
		})
	}
	httpx.Register(f.Face, httpx.Op{
		ID: "deleteRule", Method: http.MethodDelete, Path: rule, Tag: "documents", Summary: "Delete a rule", Permission: account.AgentsWrite,
		Statuses: []int{http.StatusConflict},
	}, func(ctx context.Context, in *RuleInput) (*output[deletedRuleWire], error) {
		of, _, err := in.read()
		if err != nil {
			return nil, err
		}
		restart, err := f.deps.Documents.Remove(ctx, httpx.Scope(ctx), of, in.Rule)
		if err != nil {
			return nil, err
		}
		return ok(deletedRuleWire{in.Rule, true, restart}), nil
	})
}

func (f *face) getPersonality(ctx context.Context, in *documentsInput) (*output[personalityWire], error) {
	of, err := id.Parse[id.AgentKind](in.AgentID)
	if err != nil {
		return nil, err
	}
	soul, err := f.deps.Documents.Get(ctx, httpx.Scope(ctx), of, agent.Soul)
	if err != nil {
		return nil, err
	}
	card, err := f.deps.Documents.Get(ctx, httpx.Scope(ctx), of, agent.IdentityCard)
	if err != nil {
		return nil, err
	}
	return ok(personalityWire{soul.Content, card.Content, soul.Hash, stampOf(soul.UpdatedAt)}), nil
}

func (f *face) putPersonality(ctx context.Context, in *putPersonalityInput) (*output[changedPersonalityWire], error) {
	of, err := id.Parse[id.AgentKind](in.AgentID)
	if err != nil {
		return nil, err
	}
	d, restart, err := f.deps.Documents.Put(ctx, httpx.Scope(ctx), of, agent.Soul, in.Body.SoulMD, in.Body.ExpectedHash)
	if err != nil {
		return nil, err
	}
	return ok(changedPersonalityWire{d.Content, d.Hash, stampOf(d.UpdatedAt), restart}), nil
}

func (f *face) getWorkflow(ctx context.Context, in *documentsInput) (*output[workflowWire], error) {
	of, err := id.Parse[id.AgentKind](in.AgentID)
	if err != nil {
		return nil, err
	}
	if err := f.deps.Hosting.Running(ctx, httpx.Scope(ctx), of); err != nil {
		return nil, err
	}
	d, err := f.deps.Documents.Get(ctx, httpx.Scope(ctx), of, agent.Workflow)
	if err != nil {
		return nil, err
	}
	rules, err := f.deps.Documents.Rules(ctx, httpx.Scope(ctx), of)
	if err != nil {
		return nil, err
	}
	w := workflowWire{WorkflowMD: d.Content, Rules: make([]string, len(rules))}
	for i, r := range rules {
		name, _ := r.Path.Rule()
		w.Rules[i] = name + ruleFile
	}
	return ok(w), nil
}

func (f *face) putWorkflow(ctx context.Context, in *putWorkflowInput) (*output[changedWorkflowWire], error) {
	of, err := id.Parse[id.AgentKind](in.AgentID)
	if err != nil {
		return nil, err
	}
	d, restart, err := f.deps.Documents.Put(ctx, httpx.Scope(ctx), of, agent.Workflow, in.Body.WorkflowMD, "")
	if err != nil {
		return nil, err
	}
	return ok(changedWorkflowWire{d.Content, restart}), nil
}
