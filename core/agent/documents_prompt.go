package agent

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tool"
)

// ReadRuleTool is the name of the tool by which agents read their rules.
const ReadRuleTool = "read_rule"

// told returns the documents that an agent works with, without the Content of its rules: those that there were when the instance that runs
// it was started, or else the newest. hosted says that there is such an instance.
func (s *Documents) told(ctx context.Context, sc account.Scope, agent id.Agent) (all []Document, hosted bool, err error) {
	var at time.Time
	if s.hosting != nil {
		if at, hosted, err = s.hosting.StartedAt(ctx, sc, agent); err != nil {
			return nil, false, err
		}
	}
	if !hosted {
		at = time.Time{}
	}
	all, err = s.d.Repository.Documents(ctx, sc, agent, at, false)
	return all, hosted, err
}

// Prompt returns what the agent's documents add to what its model is told: Soul, IdentityCard and Workflow, those that are blank left
// out, and the names of its rules. The default IdentityCard is told to agents that are hosted or have other documents; to those that
// have neither, Prompt adds nothing.
func (s *Documents) Prompt(ctx context.Context, sc account.Scope, a Agent) (string, error) {
	found, hosted, err := s.told(ctx, sc, a.ID)
	if err != nil || len(found) == 0 && !hosted {
		return "", err
	}
	all := withDefaults(a, found)
	var parts []string
	for _, path := range []DocumentPath{Soul, IdentityCard, Workflow} {
		i := slices.IndexFunc(all, func(d Document) bool { return d.Path == path })
		if text := strings.TrimSpace(all[i].Content); text != "" {
			parts = append(parts, text)
		}
	}
	if names := ruleNames(all); len(names) > 0 {
		parts = append(parts, "You have rules: procedures that are written down. Before you do what one of them is about, read it with the tool "+
			ReadRuleTool+" and follow it. Their names:\n- "+strings.Join(names, "\n- "))
	}
	return strings.Join(parts, "\n\n"), nil
}

func ruleNames(all []Document) []string {
	var names []string
	for _, d := range all {
		if name, ok := d.Path.Rule(); ok {
			names = append(names, name)
		}
	}
	return names
}

// Tools returns the tool by which an agent reads its rules; none for an agent without rules.
func (s *Documents) Tools(ctx context.Context, sc account.Scope, agent id.Agent) ([]tool.Tool, error) {
	found, _, err := s.told(ctx, sc, agent)
	if err != nil {
		return nil, err
	}
	rules := map[string]Document{}
	for _, d := range found {
		if name, ok := d.Path.Rule(); ok {
			rules[name] = d
		}
	}
	if len(rules) == 0 {
		return nil, nil
	}
	return []tool.Tool{ruleTool{s, sc, agent, rules}}, nil
}

// ruleTool reads the rules of one agent.
type ruleTool struct {
	s     *Documents
	sc    account.Scope
	agent id.Agent
	rules map[string]Document // by name, without their Content
}

// Spec implements tool.Tool.
func (ruleTool) Spec() tool.Spec {
	return tool.Spec{
		Name:        ReadRuleTool,
		Description: "Read one of your rules, a procedure that is written down, by its name. Use it before you do what the rule is about.",
		InputSchema: json.RawMessage(`{"type":"object","properties":{"name":{"type":"string",` +
			`"description":"The rule's name, as your instructions list it.","minLength":1,"maxLength":103}},"required":["name"]}`),
		Idempotent: true,
	}
}

// Call implements tool.Tool.
func (t ruleTool) Call(ctx context.Context, call tool.Call) (tool.Result, error) {
	var in struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(call.Input, &in); err != nil {
		return tool.Result{Text: `The input must be an object with the text "name".`, IsError: true}, nil //nolint:nilerr // the model is told
	}
	name := strings.TrimSuffix(strings.TrimSpace(in.Name), markdown)
	rule, ok := t.rules[name]
	if !ok {
		return t.unknown(), nil
	}
	text, err := t.read(ctx, name, rule)
	if errors.Is(err, ErrDocumentNotFound) {
		return t.unknown(), nil
	}
	if err != nil {
		return tool.Result{}, err
	}
	if text == "" {
		text = "The rule is empty."
	}
	return tool.Result{Text: text}, nil
}

func (t ruleTool) unknown() tool.Result {
	names := strings.Join(slices.Sorted(maps.Keys(t.rules)), ", ")
	return tool.Result{Text: "There is no rule of this name. You have: " + names + ".", IsError: true}
}

// read asks the agent's instance for a rule, and the store when there is none.
func (t ruleTool) read(ctx context.Context, name string, rule Document) (string, error) {
	if t.s.reader != nil {
		if text, asked, err := t.s.reader.ReadRule(ctx, t.sc, t.agent, name); err != nil || asked {
			return text, err
		}
	}
	d, err := t.s.d.Repository.DocumentVersion(ctx, t.sc, t.agent, rule.Path, rule.Version)
	return d.Content, err
}
