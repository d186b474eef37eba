package bunstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/tool"
)

// teamLab is a runLab with a coordinator and its roster. Its model plays every agent: what it says is chosen by the agent's system
// prompt and by what it has been told.
type teamLab struct {
	*runLab
	lead   id.Agent
	member map[string]id.Agent
	plays  map[string]func(said string, results []string) llmtest.Answer
}

// configured stores an agent.
func (l *runLab) configured(cfg agent.Config) id.Agent {
	l.t.Helper()
	now := clock.Stored(time.Now())
	if cfg.Metadata == nil {
		cfg.Metadata = map[string]string{}
	}
	a := agent.Agent{
		ID: id.New[id.AgentKind](l.IDs), Tenant: l.Scope.Tenant, Version: 1, Standing: agent.Active, CreatedAt: now, UpdatedAt: now, Config: cfg,
	}
	l.must(l.store.Agents().Insert(context.Background(), l.Scope, a))
	return a.ID
}

// newTeamLab makes a coordinator called lead, whose roster is names, self and an advisor.
func newTeamLab(t *testing.T, s *Store, names ...string) *teamLab {
	t.Helper()
	l := &teamLab{runLab: newRunLab(t, s), member: map[string]id.Agent{}, plays: map[string]func(string, []string) llmtest.Answer{}}
	var roster []agent.RosterEntry
	for _, n := range names {
		l.member[n] = l.configured(agent.Config{Name: n, System: n, Description: "does what a " + n + " does"})
		roster = append(roster, agent.RosterEntry{Type: agent.RosterAgent, Agent: l.member[n], Version: 1})
	}
	roster = append(roster, agent.RosterEntry{Type: agent.RosterSelf}, agent.RosterEntry{Type: agent.RosterAdvisor, Model: "wise"})
	l.lead = l.configured(agent.Config{Name: "lead", System: "lead", Multiagent: &agent.Multiagent{Type: agent.Coordinator, Roster: roster}})
	l.cfg.Scan = 10 * time.Millisecond
	l.model.AnswerFunc = l.play
	return l
}

func (l *teamLab) play(req llm.Request) llmtest.Answer {
	said, results := "", []string{}
	for _, m := range req.Messages {
		for _, b := range m.Blocks {
			switch {
			case b.ToolResult != nil:
				results = append(results, b.ToolResult.Text)
			case m.Role == llm.RoleUser && b.Text != "":
				said, results = b.Text, nil
			}
		}
	}
	who, _, _ := strings.Cut(req.System, " ")
	fn, ok := l.plays[who]
	if !ok {
		fn = func(said string, _ []string) llmtest.Answer { return llmtest.Text(who + " heard: " + said) }
	}
	a := fn(said, results)
	a.Usage = llm.Usage{Input: 10, Output: 5}
	return a
}

func ask(use, name, message string) llmtest.Answer {
	b, _ := json.Marshal(map[string]string{"agent": name, "message": message})
	return llmtest.Call(use, run.DelegateTool, string(b))
}

func both(answers ...llmtest.Answer) llmtest.Answer {
	out := answers[0]
	for _, a := range answers[1:] {
		out.Blocks = append(out.Blocks, a.Blocks...)
	}
	return out
}

func (l *teamLab) open() session.Session {
	l.t.Helper()
	v, err := l.sessions.Create(context.Background(), l.Scope, session.CreateRequest{Agent: l.lead})
	l.must(err)
	return v
}

func (l *teamLab) threads(v session.Session) []session.Thread {
	l.t.Helper()
	p, err := l.sessions.Threads(context.Background(), l.Scope, v.ID, session.ThreadRequest{})
	l.must(err)
	return p.Items
}

// ends waits until the session is idle and does not wait for anybody.
func (l *teamLab) ends(v session.Session) []session.Event {
	l.t.Helper()
	l.until(l.runLab, v, 0, func(e session.Event) bool {
		var b session.IdleBody
		return isIdle(e) && e.Body(&b) == nil && b.StopReason.Type != session.StopRequiresAction
	})
	return l.log(v)
}

func results(events []session.Event) []string {
	var out []string
	for _, e := range events {
		if e.Type == session.AgentToolResult {
			var b session.ToolResultBody
			_ = e.Body(&b)
			text := session.PlainText(b.Content)
			if b.IsError {
				text = "error: " + text
			}
			out = append(out, text)
		}
	}
	return out
}

func count(events []session.Event, typ session.EventType) int {
	n := 0
	for _, e := range events {
		if e.Type == typ {
			n++
		}
	}
	return n
}

func TestDelegation(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newTeamLab(t, s, "researcher", "writer")
		l.plays["lead"] = func(said string, results []string) llmtest.Answer {
			if len(results) > 0 {
				return llmtest.Text(strings.Join(results, " | "))
			}
			return both(ask("a", "researcher", "find it"), ask("b", "writer", "write it"), llmtest.Call("c", run.AdvisorTool, `{"question":"is it wise?"}`))
		}
		l.start()
		v := l.open()
		l.send(v, say("Do it."))
		events := l.ends(v)
		for typ, n := range map[session.EventType]int{
			session.ThreadCreated: 3, session.AgentThreadSent: 3, session.AgentThreadReceived: 3, session.ThreadRunning: 3,
			session.ThreadIdle: 3, session.AgentToolResult: 3, session.SessionIdle: 1, session.SessionRunning: 1,
		} {
			if got := count(events, typ); got != n {
				t.Errorf("%d of %s, want %d: %v", got, typ, n, kinds(events))
			}
		}
		for _, want := range []string{"researcher heard: find it", "writer heard: write it", "You heard: is it wise?"} {
			if !slices.ContainsFunc(results(events), func(r string) bool { return strings.HasPrefix(r, want) }) {
				t.Errorf("no result says %q: %q", want, results(events))
			}
		}
		threads := l.threads(v)
		if len(threads) != 4 || threads[0].Type != session.ThreadPrimary || threads[0].Key() != session.ThreadOf(v.ID) {
			t.Fatalf("%+v", threads)
		}
		for i, th := range threads[1:] {
			if th.Status() != session.StatusIdle || th.Busy || !th.Use.IsZero() || th.Parent != v.ID || th.Root != v.ID || th.Usage.Tokens.Output != 5 {
				t.Errorf("%+v", th)
			}
			if want := []session.ThreadType{session.ThreadAgent, session.ThreadAgent, session.ThreadAdvisor}[i]; th.Type != want {
				t.Errorf("thread %d is %s, want %s", i, th.Type, want)
			}
			// It is reached as a thread alone.
			if _, err := l.sessions.Get(t.Context(), l.Scope, th.ID); fault.KindOf(err) != fault.NotFound {
				t.Errorf("a thread is a session: %v", err)
			}
			if _, err := l.sessions.Send(t.Context(), l.Scope, th.ID, []session.Input{say("hi")}); fault.KindOf(err) != fault.NotFound {
				t.Errorf("a thread takes messages: %v", err)
			}
			own, _, err := l.sessions.ThreadEvents(t.Context(), l.Scope, v.ID, th.Key(), session.EventQuery{Limit: 100})
			l.must(err)
			if own[0].Type != session.AgentThreadReceived || own[len(own)-1].Type != session.SessionIdle {
				t.Errorf("%v", kinds(own))
			}
		}
		p, err := l.sessions.List(t.Context(), l.Scope, session.ListRequest{})
		l.must(err)
		if len(p.Items) != 1 {
			t.Errorf("%d sessions are listed", len(p.Items))
		}
		sums, err := l.sessions.ThreadUsage(t.Context(), l.Scope, []id.Session{v.ID})
		l.must(err)
		if sums[v.ID].Tokens.Output != 15 {
			t.Errorf("%+v", sums)
		}
		// The advisor was given nothing to do anything with.
		for _, r := range l.model.Requests() {
			if strings.HasPrefix(r.System, "You advise") && len(r.Tools) != 0 || r.System == "researcher" && len(r.Tools) != 1 {
				t.Errorf("%s is offered %d tools", r.System, len(r.Tools))
			}
		}
	})
}

// TestDelegationGoesOn sends a second message to a thread, and refuses what cannot be delegated.
func TestDelegationGoesOn(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newTeamLab(t, s, "researcher")
		l.plays["lead"] = func(said string, results []string) llmtest.Answer {
			switch len(results) {
			case 0:
				return both(ask("a", "researcher", "first"), llmtest.Call("b", run.DelegateTool, `{"agent":"researcher","message":" "}`),
					llmtest.Call("c", run.DelegateTool, `{"agent":"researcher","message":"x","thread_id":"sthr_00000000000000000000000000"}`))
			case 3:
				_, thread, _ := strings.Cut(results[0], "session_thread_id: ")
				if thread == "" {
					_, thread, _ = strings.Cut(strings.Join(results, "\n"), "session_thread_id: ")
					thread, _, _ = strings.Cut(thread, "\n")
				}
				return llmtest.Call("d", run.DelegateTool, fmt.Sprintf(`{"agent":"researcher","message":"second","thread_id":%q}`, thread))
			}
			return llmtest.Text("done")
		}
		l.start()
		v := l.open()
		l.send(v, say("Do it."))
		events := l.ends(v)
		got := strings.Join(results(events), "\n")
		for _, want := range []string{"researcher heard: first", "researcher heard: second", "error: not delegated: the message is empty", "error: not delegated: no session thread"} {
			if !strings.Contains(got, want) {
				t.Errorf("no result says %q: %s", want, got)
			}
		}
		if n := len(l.threads(v)); n != 2 {
			t.Errorf("%d threads", n)
		}
	})
}

// TestThreadAsks lets a subagent ask the client and pay with a confirmation: both are answered through the session.
func TestThreadAsks(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newTeamLab(t, s, "researcher", "payer")
		gate := make(chan struct{})
		l.tools = testTools{
			{Spec: tool.Spec{Name: "client", InputSchema: json.RawMessage(`{"type":"object"}`)}},
			func() run.BoundTool {
				b := newTool("guarded", true, func(context.Context, tool.Call) (tool.Result, error) { return tool.Result{Text: "was done"}, nil })
				b.Ask = true
				return b
			}(),
		}
		l.plays["lead"] = func(said string, results []string) llmtest.Answer {
			if len(results) > 0 {
				return llmtest.Text("all done")
			}
			return both(ask("a", "researcher", "ask"), ask("b", "payer", "do"))
		}
		l.plays["researcher"] = func(_ string, results []string) llmtest.Answer {
			if len(results) == 0 {
				return llmtest.Call("x", "client", `{}`)
			}
			return llmtest.Text("the client said " + results[0])
		}
		l.plays["payer"] = func(_ string, results []string) llmtest.Answer {
			if len(results) == 0 {
				a := llmtest.Call("y", "guarded", `{}`)
				a.Hold = gate
				return a
			}
			return llmtest.Text("it " + results[0])
		}
		l.start()
		v := l.open()
		l.send(v, say("Do it."))
		waits := func(n int) (out []id.Event) {
			t.Helper()
			l.until(l.runLab, v, 0, func(e session.Event) bool {
				var b session.IdleBody
				if !isIdle(e) || e.Body(&b) != nil || len(b.StopReason.Events) != n {
					return false
				}
				out = b.StopReason.Events
				return true
			})
			return out
		}
		first := waits(1)
		close(gate)
		all := waits(2)
		if !slices.Contains(all, first[0]) {
			t.Errorf("%v does not go on naming %v", all, first)
		}
		events := l.log(v)
		for _, want := range all {
			i := slices.IndexFunc(events, func(e session.Event) bool { return e.ID == want })
			if i < 0 || !events[i].Crossed() {
				t.Fatalf("%s is not in the session's log", want)
			}
			e := events[i]
			in := session.Input{Type: session.UserCustomToolResult, ToolUse: e.ID, Content: session.Text("yes")}
			if e.Type == session.AgentToolUse {
				in = session.Input{Type: session.UserToolConfirmation, ToolUse: e.ID, Allow: true}
			}
			sent := l.send(v, in)
			if len(sent) != 1 || !sent[0].Crossed() {
				t.Errorf("%+v", sent)
			}
			if _, err := l.sessions.Send(t.Context(), l.Scope, v.ID, []session.Input{in}); fault.KindOf(err) != fault.NotFound {
				t.Errorf("answered twice: %v", err)
			}
		}
		events = l.ends(v)
		got := strings.Join(results(events), "\n")
		if !strings.Contains(got, "the client said yes") || !strings.Contains(got, "it was done") {
			t.Errorf("%s\n%v", got, kinds(events))
		}
		// The session was running whenever nobody had to act.
		status := ""
		for _, e := range events {
			if e.Type == session.SessionRunning && status == "running" {
				t.Errorf("running twice: %v", kinds(events))
			}
			switch e.Type {
			case session.SessionRunning:
				status = "running"
			case session.SessionIdle:
				status = "idle"
			}
		}
	})
}

// TestThreadsAreStopped interrupts one thread, then the session, then archives it.
func TestThreadsAreStopped(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newTeamLab(t, s, "researcher", "writer")
		l.plays["lead"] = func(said string, results []string) llmtest.Answer {
			if len(results) > 0 {
				return llmtest.Text(strings.Join(results, " | "))
			}
			return both(ask("a", "researcher", "one"), ask("b", "writer", "two"))
		}
		stay := func(string, []string) llmtest.Answer { a := llmtest.Text("hm"); a.Stay = true; return a }
		l.plays["researcher"], l.plays["writer"] = stay, stay
		l.start()
		v := l.open()
		run := func() []session.Thread {
			t.Helper()
			from := l.log(v)
			after := int64(len(from))
			l.send(v, say("Do it."))
			n := 0
			l.until(l.runLab, v, after, func(e session.Event) bool {
				if e.Type == session.ThreadRunning {
					n++
				}
				return n == 2
			})
			all := l.threads(v)
			return all[len(all)-2:]
		}
		two := run()
		l.send(v, session.Input{Type: session.UserInterrupt, Thread: two[0].Key()})
		l.until(l.runLab, v, 0, func(e session.Event) bool { return e.Type == session.AgentThreadReceived })
		if got, _ := l.sessions.Thread(t.Context(), l.Scope, v.ID, two[1].Key()); got.Status() != session.StatusRunning {
			t.Errorf("the other thread is %s", got.Status())
		}
		if _, err := l.sessions.ArchiveThread(t.Context(), l.Scope, v.ID, two[1].Key()); err != nil {
			t.Fatal(err)
		}
		events := l.ends(v)
		if got := strings.Join(results(events), "\n"); !strings.Contains(got, "interrupted by the user") || !strings.Contains(got, "archived") {
			t.Errorf("%s", got)
		}
		two = run()
		l.send(v, session.Input{Type: session.UserInterrupt})
		for _, th := range two {
			got, err := l.sessions.Thread(t.Context(), l.Scope, v.ID, th.Key())
			l.must(err)
			if got.Status() != session.StatusIdle || got.Busy {
				t.Errorf("after the interrupt: %+v", got)
			}
		}
		if got, _ := l.sessions.Get(t.Context(), l.Scope, v.ID); got.Status() != session.StatusIdle {
			t.Errorf("the session is %s", got.Status())
		}
		two = run()
		if _, err := l.sessions.Archive(t.Context(), l.Scope, v.ID); err != nil {
			t.Fatal(err)
		}
		for _, th := range two {
			got, err := l.sessions.Thread(t.Context(), l.Scope, v.ID, th.Key())
			l.must(err)
			if got.Status() != session.StatusTerminated || got.Busy {
				t.Errorf("after the archive: %+v", got)
			}
		}
		events = l.log(v)
		if n := count(events, session.ThreadTerminated); n != 6 || events[len(events)-1].Type != session.SessionTerminated {
			t.Errorf("%d threads were terminated: %v", n, kinds(events))
		}
	})
}

// TestThreadOfFrozenAgent freezes a subagent: its delegation ends with an error, and the coordinator goes on.
func TestThreadOfFrozenAgent(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newTeamLab(t, s, "researcher")
		l.plays["lead"] = func(said string, results []string) llmtest.Answer {
			if len(results) > 0 {
				return llmtest.Text(results[0])
			}
			return ask("a", "researcher", "one")
		}
		l.plays["researcher"] = func(string, []string) llmtest.Answer { a := llmtest.Text("hm"); a.Stay = true; return a }
		l.start()
		v := l.open()
		l.send(v, say("Do it."))
		l.until(l.runLab, v, 0, func(e session.Event) bool { return e.Type == session.ThreadRunning })
		if _, err := l.journal.InterruptAgents(t.Context(), l.Scope, []id.Agent{l.member["researcher"]}, "the agent was frozen"); err != nil {
			t.Fatal(err)
		}
		events := l.ends(v)
		if got := results(events); len(got) != 1 || !strings.Contains(got[0], "the agent was frozen") {
			t.Errorf("%q", got)
		}
	})
}

// TestDestroyedAgents destroys a subagent while the coordinator waits for it, and then the coordinator: nothing is left of either.
func TestDestroyedAgents(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newTeamLab(t, s, "researcher", "writer")
		l.plays["lead"] = func(said string, results []string) llmtest.Answer {
			if len(results) > 0 {
				return llmtest.Text("done")
			}
			return both(ask("a", "researcher", "one"), ask("b", "writer", "two"))
		}
		l.plays["researcher"] = func(string, []string) llmtest.Answer { a := llmtest.Text("hm"); a.Stay = true; return a }
		l.start()
		v := l.open()
		l.send(v, say("Do it."))
		l.until(l.runLab, v, 0, func(e session.Event) bool { return e.Type == session.AgentThreadReceived })
		if err := l.sessions.Destroy(t.Context(), l.Scope, l.member["researcher"]); err != nil {
			t.Fatal(err)
		}
		events := l.ends(v)
		if got := strings.Join(results(events), "\n"); !strings.Contains(got, "the agent was deleted") || !strings.Contains(got, "writer heard: two") {
			t.Errorf("%s", got)
		}
		if n := len(l.threads(v)); n != 2 {
			t.Errorf("%d threads", n)
		}
		if err := l.sessions.Destroy(t.Context(), l.Scope, l.lead); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"sessions", "session_threads", "session_turns"} {
			var n int
			l.must(s.read(t.Context()).QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table+" WHERE tenant_id = ?", l.Scope.Tenant).Scan(&n))
			if n != 0 {
				t.Errorf("%d rows of %s are left", n, table)
			}
		}
	})
}

// TestDepth lets a subagent with a roster of its own delegate once more, and no deeper.
func TestDepth(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newTeamLab(t, s, "leaf")
		deep := l.configured(agent.Config{Name: "deep", System: "deep", Multiagent: &agent.Multiagent{Type: agent.Coordinator, Roster: []agent.RosterEntry{
			{Type: agent.RosterAgent, Agent: l.member["leaf"], Version: 1},
		}}})
		middle := l.configured(agent.Config{Name: "middle", System: "middle", Multiagent: &agent.Multiagent{Type: agent.Coordinator, Roster: []agent.RosterEntry{
			{Type: agent.RosterAgent, Agent: deep, Version: 1},
		}}})
		l.lead = l.configured(agent.Config{Name: "top", System: "top", Multiagent: &agent.Multiagent{Type: agent.Coordinator, Roster: []agent.RosterEntry{
			{Type: agent.RosterAgent, Agent: middle, Version: 1},
		}}})
		for name, next := range map[string]string{"top": "middle", "middle": "deep", "deep": "leaf"} {
			l.plays[name] = func(_ string, results []string) llmtest.Answer {
				if len(results) > 0 {
					return llmtest.Text(name + " got: " + results[0])
				}
				return ask("a", next, "go on")
			}
		}
		l.start()
		v := l.open()
		l.send(v, say("Do it."))
		events := l.ends(v)
		if got := strings.Join(results(events), "\n"); !strings.HasPrefix(got, "middle got: deep got: not delegated: delegations go 2 deep") {
			t.Errorf("%s", got)
		}
		threads := l.threads(v)
		if len(threads) != 3 || threads[2].Depth != 2 || threads[2].Parent != threads[1].ID || threads[2].Root != v.ID {
			t.Errorf("%+v", threads)
		}
		if n := count(events, session.ThreadCreated); n != 2 {
			t.Errorf("%d threads were created: %v", n, kinds(events))
		}
	})
}
