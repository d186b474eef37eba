package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/id"
)

// personalityWire is who an agent is.
type personalityWire struct {
	AgentID           string `json:"agent_id"`
	Type              string `json:"type" enum:"personality"`
	SoulMD            string `json:"soul_md" doc:"SOUL.md: its tone, its values."`
	SoulMDHash        string `json:"soul_md_hash" doc:"SHA-256 of the text, in hexadecimal."`
	SoulMDUpdatedAt   stamp  `json:"soul_md_updated_at"`
	IdentityMD        string `json:"identity_md" doc:"IDENTITY.md: how it is called; made from its name until it is written."`
	IdentityMDHash    string `json:"identity_md_hash"`
	IdentityUpdatedAt stamp  `json:"identity_md_updated_at"`
	NeedsRestart      *bool  `json:"needs_restart,omitempty" doc:"There after a change: whether the agent runs, and will use it once it was restarted."`
}

// workflowWire is what an agent does.
type workflowWire struct {
	AgentID      string   `json:"agent_id"`
	Type         string   `json:"type" enum:"workflow"`
	WorkflowMD   string   `json:"workflow_md" doc:"WORKFLOW.md: what it does, and in which order."`
	Hash         string   `json:"hash" doc:"SHA-256 of the text, in hexadecimal."`
	UpdatedAt    stamp    `json:"updated_at"`
	Rules        []string `json:"rules" nullable:"false" doc:"The names of its rules."`
	NeedsRestart *bool    `json:"needs_restart,omitempty" doc:"There after a change: whether the agent runs, and will use it once it was restarted."`
}

// RuleWire is a rule without its text. It is exported because others embed it.
type RuleWire struct {
	Name      string `json:"name"`
	Type      string `json:"type" enum:"rule"`
	Size      int    `json:"size" doc:"Bytes."`
	Hash      string `json:"hash" doc:"SHA-256 of the text, in hexadecimal."`
	UpdatedAt stamp  `json:"updated_at"`
}

// wholeRuleWire is a rule.
type wholeRuleWire struct {
	RuleWire
	Content      string `json:"content"`
	NeedsRestart *bool  `json:"needs_restart,omitempty" doc:"There after a change: whether the agent runs, and will use it once it was restarted."`
}

type deletedRuleWire struct {
	Name         string `json:"name"`
	Type         string `json:"type" enum:"rule_deleted"`
	NeedsRestart bool   `json:"needs_restart"`
}

func showRule(d agent.Document) RuleWire {
	name, _ := d.Path.Rule()
	return RuleWire{Name: name, Type: "rule", Size: d.Size, Hash: d.Hash, UpdatedAt: stampOf(d.UpdatedAt)}
}

type putPersonalityInput struct {
	AgentInput
	Body struct {
		SoulMD               *string `json:"soul_md,omitempty" doc:"At most 64 KiB."`
		ExpectedHash         string  `json:"expected_hash,omitempty" maxLength:"64" doc:"The soul_md_hash that you have seen: another is a conflict."`
		IdentityMD           *string `json:"identity_md,omitempty" doc:"At most 64 KiB."`
		IdentityExpectedHash string  `json:"identity_expected_hash,omitempty" maxLength:"64"`
	}
}

type putWorkflowInput struct {
	AgentInput
	Body struct {
		WorkflowMD   string `json:"workflow_md" doc:"At most 64 KiB."`
		ExpectedHash string `json:"expected_hash,omitempty" maxLength:"64" doc:"The hash that you have seen: another is a conflict."`
	}
}

// RuleInput names a rule of an agent. Its type is exported because others embed it.
type RuleInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	Rule    string `path:"rule_name" doc:"1 to 100 letters, digits, - and _."`
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
		Content      string `json:"content" doc:"Markdown, at most 64 KiB."`
		ExpectedHash string `json:"expected_hash,omitempty" maxLength:"64" doc:"The hash that you have seen: another is a conflict."`
	}
}

func (f *face) registerDocuments() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getPersonality", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/personality", Tag: "documents",
		Summary: "Read who an agent is", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *AgentInput) (*output[personalityWire], error) {
		of, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		return f.personality(ctx, of, nil)
	})
	for method, op := range map[string]string{http.MethodPut: "putPersonality", http.MethodPatch: "patchPersonality"} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/agents/{agent_id}/personality", Tag: "documents", Summary: "Write who an agent is",
			Example: `{"soul_md":"You are calm and precise."}`,
			Description: "Changes what the body names; PUT and PATCH do the same. Former versions are kept. A running agent uses the change once it was " +
				"restarted, any other at its next turn. It makes no version of the agent.",
			Permission: account.AgentsWrite, Statuses: []int{http.StatusConflict},
		}, f.putPersonality)
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "getWorkflow", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/workflow", Tag: "documents",
		Summary: "Read what an agent does", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *AgentInput) (*output[workflowWire], error) {
		of, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		d, err := f.deps.Documents.Get(ctx, httpx.Scope(ctx), of, agent.Workflow)
		if err != nil {
			return nil, err
		}
		return f.workflow(ctx, of, d, nil)
	})
	for method, op := range map[string]string{http.MethodPut: "putWorkflow", http.MethodPatch: "patchWorkflow"} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/agents/{agent_id}/workflow", Tag: "documents", Summary: "Write what an agent does",
			Example:     `{"workflow_md":"1. Read the request.\n2. Answer it."}`,
			Description: "As for its personality: former versions are kept, and a running agent uses the change once it was restarted.",
			Permission:  account.AgentsWrite, Statuses: []int{http.StatusConflict},
		}, f.putWorkflow)
	}
	f.registerRules()
	f.registerDocumentVersions()
}

func (f *face) registerRules() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listRules", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/rules", Tag: "documents",
		Summary: "List the rules of an agent", Permission: account.AgentsRead,
		Description: "All of them, by name. A rule is a procedure that the agent reads when it needs it, by the tool `read_rule`; its prompt has the " +
			"names only.",
	}, func(ctx context.Context, in *AgentInput) (*output[httpx.List[RuleWire]], error) {
		of, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		rules, err := f.deps.Documents.Rules(ctx, httpx.Scope(ctx), of)
		if err != nil {
			return nil, err
		}
		return ok(wholeList(rules, showRule)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getRule", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/rules/{rule_name}", Tag: "documents", Summary: "Read a rule",
		Permission: account.AgentsRead,
	}, func(ctx context.Context, in *RuleInput) (*output[wholeRuleWire], error) {
		of, path, err := in.read()
		if err != nil {
			return nil, err
		}
		d, err := f.deps.Documents.Get(ctx, httpx.Scope(ctx), of, path)
		if err != nil {
			return nil, err
		}
		return ok(wholeRuleWire{RuleWire: showRule(d), Content: d.Content}), nil
	})

	for method, op := range map[string]string{http.MethodPut: "putRule", http.MethodPatch: "patchRule"} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/agents/{agent_id}/rules/{rule_name}", Tag: "documents", Summary: "Write a rule",
			Example:     `{"content":"# Refunds\n\nAsk for the order's number first."}`,
			Description: "Makes the rule when there is none; PUT and PATCH do the same. An agent has at most 200.",
			Permission:  account.AgentsWrite, Statuses: []int{http.StatusConflict},
		}, func(ctx context.Context, in *putRuleInput) (*output[wholeRuleWire], error) {
			of, path, err := in.read()
			if err != nil {
				return nil, err
			}
			d, restart, err := f.deps.Documents.Put(ctx, httpx.Scope(ctx), of, path, in.Body.Content, in.Body.ExpectedHash)
			if err != nil {
				return nil, err
			}
			return ok(wholeRuleWire{showRule(d), d.Content, &restart}), nil
		})
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteRule", Method: http.MethodDelete, Path: "/v1/agents/{agent_id}/rules/{rule_name}", Tag: "documents", Summary: "Delete a rule",
		Description: "Its versions are kept and can be restored.", Permission: account.AgentsWrite, Statuses: []int{http.StatusConflict},
	}, func(ctx context.Context, in *RuleInput) (*output[deletedRuleWire], error) {
		of, _, err := in.read()
		if err != nil {
			return nil, err
		}
		restart, err := f.deps.Documents.Remove(ctx, httpx.Scope(ctx), of, in.Rule)
		if err != nil {
			return nil, err
		}
		return ok(deletedRuleWire{Name: in.Rule, Type: "rule_deleted", NeedsRestart: restart}), nil
	})
}

// personality answers with who an agent is; restart is nil for a read.
func (f *face) personality(ctx context.Context, of id.Agent, restart *bool) (*output[personalityWire], error) {
	soul, err := f.deps.Documents.Get(ctx, httpx.Scope(ctx), of, agent.Soul)
	if err != nil {
		return nil, err
	}
	card, err := f.deps.Documents.Get(ctx, httpx.Scope(ctx), of, agent.IdentityCard)
	if err != nil {
		return nil, err
	}
	return ok(personalityWire{
		AgentID: of.String(), Type: "personality", SoulMD: soul.Content, SoulMDHash: soul.Hash, SoulMDUpdatedAt: stampOf(soul.UpdatedAt),
		IdentityMD: card.Content, IdentityMDHash: card.Hash, IdentityUpdatedAt: stampOf(card.UpdatedAt), NeedsRestart: restart,
	}), nil
}

func (f *face) putPersonality(ctx context.Context, in *putPersonalityInput) (*output[personalityWire], error) {
	of, err := id.Parse[id.AgentKind](in.AgentID)
	if err != nil {
		return nil, err
	}
	b := &in.Body
	var changes []agent.DocumentChange
	if b.SoulMD != nil {
		changes = append(changes, agent.DocumentChange{Path: agent.Soul, Content: *b.SoulMD, Expected: b.ExpectedHash})
	}
	if b.IdentityMD != nil {
		changes = append(changes, agent.DocumentChange{Path: agent.IdentityCard, Content: *b.IdentityMD, Expected: b.IdentityExpectedHash})
	}
	_, restart, err := f.deps.Documents.PutAll(ctx, httpx.Scope(ctx), of, changes)
	if err != nil {
		return nil, err
	}
	return f.personality(ctx, of, &restart)
}

// workflow answers with what an agent does; restart is nil for a read.
func (f *face) workflow(ctx context.Context, of id.Agent, d agent.Document, restart *bool) (*output[workflowWire], error) {
	rules, err := f.deps.Documents.Rules(ctx, httpx.Scope(ctx), of)
	if err != nil {
		return nil, err
	}
	w := workflowWire{
		AgentID: of.String(), Type: "workflow", WorkflowMD: d.Content, Hash: d.Hash, UpdatedAt: stampOf(d.UpdatedAt),
		Rules: make([]string, len(rules)), NeedsRestart: restart,
	}
	for i, r := range rules {
		w.Rules[i], _ = r.Path.Rule()
	}
	return ok(w), nil
}

func (f *face) putWorkflow(ctx context.Context, in *putWorkflowInput) (*output[workflowWire], error) {
	of, err := id.Parse[id.AgentKind](in.AgentID)
	if err != nil {
		return nil, err
	}
	d, restart, err := f.deps.Documents.Put(ctx, httpx.Scope(ctx), of, agent.Workflow, in.Body.WorkflowMD, in.Body.ExpectedHash)
	if err != nil {
		return nil, err
	}
	return f.workflow(ctx, of, d, &restart)
}

// wholeList is a list that is always whole.
func wholeList[E, T any](items []E, show func(E) T) httpx.List[T] {
	l := httpx.List[T]{Data: make([]T, len(items))}
	for i, item := range items {
		l.Data[i] = show(item)
	}
	return l
}
