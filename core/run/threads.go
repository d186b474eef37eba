package run

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/tool"
)

// The tools by which a coordinator's model reaches its roster.
const (
	DelegateTool = "delegate"
	AdvisorTool  = "ask_advisor"
)

// maxDepth is how many delegations may lead to a thread.
const maxDepth = 2

// advisorSystem is what an advisor is told.
const advisorSystem = "You advise another agent. You see nothing but its question and have no tools: answer from what you know, in short, " +
	"and say what you do not know."

// member is an entry of an agent's roster under the name by which its model calls it.
type member struct {
	name  string
	entry agent.RosterEntry
	agent agent.Agent // of entries that are agents
	gone  string      // why it cannot be reached; "" when it can
}

// describe says in a line who the member is.
func (m member) describe() string {
	switch {
	case m.gone != "":
		return m.name + " (" + m.gone + ")"
	case m.entry.Type == agent.RosterSelf:
		return m.name + ": another copy of yourself, which delegates to nobody"
	case m.agent.Config.Description != "":
		return m.name + ": " + m.agent.Config.Description
	}
	return m.name
}

// enterThread makes of a session that works for another one what its delegation is: it has the environment, the vaults and the
// resources of the session at the top, an advisor nothing but its model, and a copy nobody to delegate to.
func (t *turn) enterThread(ctx context.Context) error {
	th, err := t.s.d.Journal.Thread(ctx, t.ref)
	if err != nil {
		return err
	}
	t.thread = &th
	root, err := t.s.d.Sessions.Get(ctx, t.sc, th.Root)
	if err != nil {
		return err
	}
	t.sess.Environment, t.sess.Vaults, t.sess.Resources = root.Environment, root.Vaults, root.Resources
	t.sess.Private = root.Private
	t.root, t.budgeted = root.ID, root.Budget != nil
	cfg := &t.agent.Config
	switch th.Type {
	case session.ThreadAdvisor:
		*cfg = agent.Config{Name: cfg.Name, System: advisorSystem, Model: agent.Model{ID: th.Model}}
	case session.ThreadSelf:
		*cfg = cfg.With(root.Overrides)
		cfg.Multiagent = nil
	}
	return t.s.d.Journal.Follow(ctx, t.ref)
}

// leaveThread tells the session at the top how a turn of one of its threads ended or parked. What does not get through is found by
// the scan.
func (s *Service) leaveThread(ctx context.Context, ref session.Ref) {
	ctx = context.WithoutCancel(ctx)
	if err := s.d.Journal.Follow(ctx, ref); err != nil {
		s.warn(ctx, "thread not followed", err)
	}
}

// followThreads tells what got lost: threads that were stopped from outside, or whose process went away.
func (s *Service) followThreads(ctx context.Context) {
	refs, err := s.d.Journal.Lagging(ctx, waitingMost)
	if err != nil {
		s.warn(ctx, "threads not found", err)
		return
	}
	for _, r := range refs {
		if err := s.d.Journal.Follow(ctx, r); err != nil {
			s.warn(ctx, "thread not followed", err)
		}
	}
}

// delegations returns the tools of a coordinator; none for an agent that works alone.
func (t *turn) delegations(ctx context.Context) ([]BoundTool, error) {
	t.roster = nil
	m := t.agent.Config.Multiagent
	if m == nil || m.Type != agent.Coordinator {
		return nil, nil
	}
	if err := t.readRoster(ctx, *m); err != nil {
		return nil, err
	}
	var names, advisors, who []string
	for _, v := range t.roster {
		switch {
		case v.entry.Type == agent.RosterAdvisor:
			advisors = append(advisors, v.name)
		case v.gone == "":
			names = append(names, v.name)
			fallthrough
		default:
			who = append(who, v.describe())
		}
	}
	var out []BoundTool
	if len(names) > 0 {
		out = append(out, BoundTool{delegate: true, Spec: tool.Spec{
			Name: DelegateTool, Idempotent: true,
			Description: "Delegate a task to another agent of your team: ask it to do something, and get its answer. Several can work at the " +
				"same time when you call this more than once in one answer. The team: " + strings.Join(who, "; ") + ".",
			InputSchema: schemaOf(map[string]any{
				"agent":     map[string]any{"type": "string", "enum": names, "description": "The agent's name"},
				"message":   map[string]any{"type": "string", "description": "The task, with everything that the agent needs to know: it sees nothing else"},
				"thread_id": map[string]any{"type": "string", "description": "To go on with an earlier delegation: the session_thread_id of its answer"},
			}, "agent", "message"),
		}})
	}
	if len(advisors) > 0 {
		out = append(out, BoundTool{delegate: true, Spec: tool.Spec{
			Name: AdvisorTool, Idempotent: true,
			Description: "Ask an advisor, which is another model without tools, for its opinion on a question, and get its answer.",
			InputSchema: schemaOf(map[string]any{
				"advisor":  map[string]any{"type": "string", "enum": advisors, "description": "The advisor's model; the first one when left out"},
				"question": map[string]any{"type": "string", "description": "The question, with everything that the advisor needs to know"},
			}, "question"),
		}})
	}
	return out, nil
}

func schemaOf(properties map[string]any, required ...string) json.RawMessage {
	b, err := json.Marshal(map[string]any{"type": "object", "properties": properties, "required": required})
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return b
}

// readRoster resolves who is on the roster, each under a name of its own.
func (t *turn) readRoster(ctx context.Context, m agent.Multiagent) error {
	taken := map[string]bool{}
	for _, e := range m.Roster {
		v := member{entry: e}
		switch e.Type {
		case agent.RosterSelf:
			v.name, v.agent = agent.RosterSelf, t.agent
		case agent.RosterAdvisor:
			v.name = e.Model
		default:
			a, err := t.s.d.Agents.GetVersion(ctx, t.sc, e.Agent, e.Version)
			switch {
			case fault.KindOf(err) == fault.NotFound:
				v.name, v.gone = e.Agent.String(), "it was deleted"
			case err != nil:
				return err
			default:
				v.name, v.agent = a.Config.Name, a
				switch a.Standing {
				case agent.Frozen:
					v.gone = "it is frozen"
				case agent.Archived:
					v.gone = "it is archived"
				}
			}
		}
		for base, n := v.name, 2; taken[v.name]; n++ {
			v.name = base + " " + strconv.Itoa(n)
		}
		taken[v.name] = true
		t.roster = append(t.roster, v)
	}
	return nil
}

// handle hands a tool use to a thread; blocked means that it waits for the thread's answer.
func (t *turn) handle(ctx context.Context, rec gate.Record, u session.ToolUse) (blocked bool, err error) {
	to, message, err := t.recipient(ctx, u)
	if err == nil {
		_, err = t.s.d.Gate.End(ctx, t.sc, rec, gate.Settlement{State: gate.Done, Cost: new(money.Pico), Fence: t.t.Fence()}, func(ctx context.Context) error {
			from := ""
			if t.thread != nil {
				from = t.thread.Name
			}
			_, err := t.s.d.Journal.Delegate(ctx, t.t, u.ID, to, from, session.Text(message))
			return err
		})
		if err == nil {
			return true, nil
		}
	}
	if fe, ok := fault.As(err); ok && (fe.Kind == fault.Invalid || fe.Kind == fault.NotFound || fe.Kind == fault.Conflict) && fe.Code != session.ErrFenced.Code {
		return false, t.end(ctx, rec, u, gate.Settlement{State: gate.Failed, Error: fe.Message}, session.ErrorResult("not delegated: "+fe.Message))
	}
	return false, err
}

var errNotDelegated = fault.New(fault.Invalid, "not_delegated", "it cannot be delegated")

// recipient says which thread a tool use goes to, and with what message. Errors of Kind Invalid, NotFound and Conflict are for the
// model.
func (t *turn) recipient(ctx context.Context, u session.ToolUse) (session.Thread, string, error) {
	var in struct {
		Agent    string `json:"agent"`
		Message  string `json:"message"`
		Thread   string `json:"thread_id"`
		Advisor  string `json:"advisor"`
		Question string `json:"question"`
	}
	if err := json.Unmarshal(u.Input, &in); err != nil {
		return session.Thread{}, "", errNotDelegated.Withf("the input is not an object of strings")
	}
	name, message := in.Agent, in.Message
	if u.Name == AdvisorTool {
		name, message = in.Advisor, in.Question
	}
	if strings.TrimSpace(message) == "" {
		return session.Thread{}, "", errNotDelegated.Withf("the message is empty")
	}
	if u.Name == DelegateTool && in.Thread != "" {
		thread, err := id.Parse[id.ThreadKind](in.Thread)
		if err != nil {
			return session.Thread{}, "", err
		}
		to, err := t.s.d.Journal.FindThread(ctx, t.ref, thread)
		if err == nil && to.Parent != t.ref.Session {
			err = id.NotFound[id.ThreadKind](in.Thread)
		}
		return to, message, err
	}
	i := slices.IndexFunc(t.roster, func(m member) bool {
		return (m.entry.Type == agent.RosterAdvisor) == (u.Name == AdvisorTool) && (m.name == name || u.Name == AdvisorTool && name == "")
	})
	if i < 0 {
		return session.Thread{}, "", errNotDelegated.Withf("there is nobody named %q on the team", name)
	}
	m, depth := t.roster[i], 1
	if t.thread != nil {
		depth = t.thread.Depth + 1
	}
	switch {
	case m.gone != "":
		return session.Thread{}, "", errNotDelegated.Withf("%s cannot be asked: %s", m.name, m.gone)
	case depth > maxDepth:
		return session.Thread{}, "", errNotDelegated.Withf("delegations go %d deep, and you are that deep already: do it yourself", maxDepth)
	}
	typ := session.ThreadAgent
	switch m.entry.Type {
	case agent.RosterSelf:
		typ = session.ThreadSelf
	case agent.RosterAdvisor:
		typ = session.ThreadAdvisor
	}
	to := t.s.d.Journal.NewThread(t.sess, typ, depth)
	to.Name = m.name
	switch typ {
	case session.ThreadAgent:
		to.Agent, to.AgentVersion = m.agent.ID, m.agent.Version
	case session.ThreadAdvisor:
		to.Model = m.entry.Model
	}
	to.Title = cut(m.name, session.MaxTitle)
	return to, message, nil
}

// warnOfRoster says once, at the beginning of a session, what of its agent's configuration this server does not run.
func (t *turn) warnOfRoster(ctx context.Context) error {
	m := t.agent.Config.Multiagent
	if t.t.Number != 1 || m == nil || m.Type != agent.Multiagent20261001 {
		return nil
	}
	return t.append(ctx, session.Entry{Type: session.SessionWarning, Body: session.WarningBody{
		Source:  "multiagent",
		Message: fmt.Sprintf("this server runs multiagent configurations of type %s and not %s: the agent works alone", agent.Coordinator, m.Type),
	}})
}
