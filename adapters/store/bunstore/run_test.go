package bunstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/task"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tool"
	"github.com/bureau-agents/bureau/ports/tx"
)

// testBus carries messages between the nodes of one test.
type testBus struct {
	mu   sync.Mutex
	subs map[string][]*func([]byte)
}

func (b *testBus) Publish(_ context.Context, topic string, payload []byte) error {
	if len(payload) > bus.MaxPayload {
		return errors.New("too large")
	}
	b.mu.Lock()
	subs := slices.Clone(b.subs[topic])
	b.mu.Unlock()
	for _, fn := range subs {
		(*fn)(payload)
	}
	return nil
}

func (b *testBus) Subscribe(_ context.Context, topic string, fn func([]byte)) (func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs == nil {
		b.subs = map[string][]*func([]byte){}
	}
	b.subs[topic] = append(b.subs[topic], &fn)
	return func() {}, nil
}

// testMeter prices tokens at one micro-dollar each and counts what was recorded.
type testMeter struct {
	tx       tx.Runner
	mu       sync.Mutex
	calls    []run.Call // those whose transaction committed
	unpriced bool
}

func (m *testMeter) Estimate(_ context.Context, _ account.Scope, _, _ string, in, out int64) (*money.Pico, error) {
	if m.unpriced {
		return nil, nil //nolint:nilnil // nil is a cost that is not known
	}
	p := money.Pico((in + out) * money.PicosPerMicro)
	return &p, nil
}

func (m *testMeter) Price(_ context.Context, _ account.Scope, _, _ string, u llm.Usage, _ time.Time) (usage.Quote, error) {
	if m.unpriced {
		return usage.Quote{}, nil
	}
	p := money.Pico((u.TotalInput() + u.Output) * money.PicosPerMicro)
	return usage.Quote{Cost: &p}, nil
}

func (m *testMeter) Record(ctx context.Context, _ account.Scope, c run.Call) error {
	m.tx.AfterCommit(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.calls = append(m.calls, c)
	})
	return nil
}

// count returns how many calls were recorded.
func (m *testMeter) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.calls)
}

// settled waits until want calls were recorded and returns how many were: what a commit wrote can be read before its meter hears of it.
func (m *testMeter) settled(want int) int {
	for end := time.Now().Add(20 * time.Second); m.count() < want && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return m.count()
}

type testTools []run.BoundTool

func (s testTools) Tools(context.Context, account.Scope, run.Env) ([]run.BoundTool, error) {
	return s, nil
}

type testTool struct {
	spec tool.Spec
	fn   func(ctx context.Context, c tool.Call) (tool.Result, error)
}

func (t testTool) Spec() tool.Spec { return t.spec }
func (t testTool) Call(ctx context.Context, c tool.Call) (tool.Result, error) {
	return t.fn(ctx, c)
}

func newTool(name string, idempotent bool, fn func(ctx context.Context, c tool.Call) (tool.Result, error)) run.BoundTool {
	return run.BoundTool{Tool: testTool{tool.Spec{
		Name: name, Description: name, Idempotent: idempotent, InputSchema: json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"}}}`),
	}, fn}}
}

// runNode is one process of a server.
type runNode struct {
	store    *Store
	gate     *gate.Gate
	hub      *session.Hub
	journal  *session.Journal
	sessions *session.Service
	tasks    *task.Service
	run      *run.Service
}

// runLab is a server with one tenant, whose model says what the test wants.
type runLab struct {
	*gatetest.Lab
	runNode

	t     *testing.T
	model *llmtest.Scripted
	meter *testMeter
	bus   *testBus
	cfg   run.Config
	tools testTools
	more  []run.ToolSource
	trail policy.Trail
	// stores are the memory stores that sessions may be given; nil: none.
	stores session.MemoryStores
	logs   slog.Handler
	dying  *dyingTx // the transactions of the nodes that are started from now on; nil are the store's own
}

// shortLease is waited for when a process is killed on Postgres, and outlasts the pauses of a busy machine: a lease that ends while its
// holder lives makes a turn begin again.
const shortLease = 3 * time.Second

func newRunLab(t *testing.T, s *Store, answers ...llmtest.Answer) *runLab {
	t.Helper()
	return &runLab{
		Lab: gatetest.NewLab(t, gateStore(s), gatetest.Options{}), t: t, model: llmtest.NewScripted(answers...), meter: &testMeter{tx: s}, bus: &testBus{}, trail: quietTrail{}, logs: slog.DiscardHandler,
		cfg:     run.Config{SingleProcess: !s.postgres(), Backoff: time.Millisecond, Lease: time.Minute, Scan: 50 * time.Millisecond},
		runNode: runNode{store: s},
	}
}

// start makes the lab's own node.
func (l *runLab) start() *runLab {
	l.t.Helper()
	l.runNode = *l.node(l.store)
	return l
}

func (l *runLab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// node starts a process over a store.
func (l *runLab) node(s *Store) *runNode {
	l.t.Helper()
	n := &runNode{store: s}
	real, quiet := clock.Func(time.Now), slog.New(slog.DiscardHandler)
	over := tx.Runner(s)
	if l.dying != nil {
		over = l.dying
	}
	var err error
	n.hub, err = session.NewHub(session.HubDeps{Bus: l.bus, IDs: l.IDs, Logger: quiet, Repository: s.Sessions()}, session.HubConfig{Replicated: s.postgres()})
	l.must(err)
	n.journal, err = session.NewJournal(session.JournalDeps{
		TX: over, Clock: real, IDs: l.IDs, Logger: quiet, Hub: n.hub, Log: s.Sessions(), Uses: s.ToolUses(), Turns: s.SessionTurns(), Leases: s.SessionTurns(), Repository: s.Sessions(), Threads: s.Threads(), Outcomes: s.Outcomes(), Spendings: s.Spendings(),
	})
	l.must(err)
	wallets, err := wallet.NewService(wallet.Deps{
		TX: over, Clock: l.Clock, IDs: l.IDs, Logger: quiet, Repository: s.Wallets(), Holds: s.Holds(), Books: s.Wallets(), Owners: anyOwner{}, Trail: l.trail,
	}, wallet.Config{})
	l.must(err)
	n.gate, err = gate.New(gate.Deps{
		TX: over, Clock: l.Clock, IDs: l.IDs, Logger: quiet, Acts: s.Acts(), Tenants: s.Accounts(), Agents: s.Agents(), Policies: s.Policies(),
		Counters: s.Counters(), Approvals: s.Approvals(), Trail: l.trail, Rules: l.Rules, Fences: n.journal,
		Executors: map[rule.Action]gate.Executor{rule.ActionPayment: gate.Payments(wallets), rule.ActionTransfer: gate.Transfers(wallets)},
	}, gate.Config{})
	l.must(err)
	n.gate.Connect(n.journal, n.journal)
	agents, err := agent.NewService(agent.Deps{
		TX: over, Clock: real, IDs: l.IDs, Logger: quiet, Repository: s.Agents(), Models: anyModel{}, Trail: l.trail,
	}, agent.ServiceConfig{})
	l.must(err)
	n.sessions, err = session.NewService(session.Deps{
		TX: over, Clock: real, IDs: l.IDs, Logger: quiet, Repository: s.Sessions(), Log: s.Sessions(), Uses: s.ToolUses(), Turns: s.SessionTurns(),
		Journal: n.journal, Hub: n.hub, Agents: agents, Gate: n.gate, Spendings: s.Spendings(), Policies: l.Policies,
		Eraser: s.Sessions(), Stores: l.stores,
	})
	l.must(err)
	n.tasks = l.newTasks(n, over, agents)
	registry, err := model.NewRegistry(model.Deps{Offline: l.model}, model.Config{})
	l.must(err)
	models, err := model.NewAgents(model.AgentDeps{Registry: registry}, model.AgentConfig{})
	l.must(err)
	n.run, err = run.NewService(run.Deps{
		Clock: real, IDs: l.IDs, Logger: slog.New(l.logs), Journal: n.journal, Sessions: s.Sessions(), Agents: agents, Gate: n.gate, Models: models,
		Meter: l.meter, Sources: append([]run.ToolSource{l.tools}, l.more...),
	}, l.cfg)
	l.must(err)
	l.must(n.hub.Start(context.Background()))
	l.must(n.run.Start(context.Background()))
	l.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_ = n.run.Stop(ctx)
		_ = n.hub.Stop(ctx)
	})
	return n
}

type (
	anyOwner   struct{}
	anyModel   struct{}
	quietTrail struct{}
)

func (anyOwner) Exists(context.Context, account.Scope, id.Agent) error        { return nil }
func (anyOwner) RequireActive(context.Context, account.Scope, id.Agent) error { return nil }
func (anyModel) CheckModel(context.Context, account.Scope, string) error      { return nil }
func (quietTrail) Note(context.Context, account.Scope, string, id.Agent, map[string]any) error {
	return nil
}

// session makes a session of an agent with a wallet.
func (l *runLab) session(micros int64) session.Session {
	l.t.Helper()
	s, err := l.sessions.Create(context.Background(), l.Scope, session.CreateRequest{Agent: l.Agent(l.t, micros)})
	l.must(err)
	return s
}

func say(text string) session.Input {
	return session.Input{Type: session.UserMessage, Content: session.Text(text)}
}

func (l *runLab) send(s session.Session, inputs ...session.Input) []session.Event {
	l.t.Helper()
	out, err := l.sessions.Send(context.Background(), l.Scope, s.ID, inputs)
	l.must(err)
	return out
}

func (l *runLab) log(s session.Session) []session.Event {
	l.t.Helper()
	events, err := l.store.Sessions().Events(context.Background(), l.Scope, s.ID, session.EventQuery{})
	l.must(err)
	return events
}

// until reads the session's stream from its beginning until an event satisfies stop, and returns what came.
func (n *runNode) until(l *runLab, s session.Session, after int64, stop func(session.Event) bool) []session.Event {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	st, err := n.sessions.Stream(ctx, l.Scope, s.ID, session.StreamOptions{Replay: true, AfterSeq: after})
	l.must(err)
	defer st.Close()
	var out []session.Event
	for f, err := range st.Frames(ctx) {
		l.must(err)
		if f.Event == nil {
			continue
		}
		out = append(out, *f.Event)
		if stop(*f.Event) {
			return out
		}
	}
	l.t.Fatalf("the stream ended after %v", kinds(out))
	return nil
}

func isIdle(e session.Event) bool { return e.Type == session.SessionIdle }

// idles waits for the nth session.status_idle of the log.
func (l *runLab) idles(s session.Session, n int) []session.Event {
	l.t.Helper()
	return l.until(l, s, 0, func(e session.Event) bool {
		if isIdle(e) {
			n--
		}
		return n == 0
	})
}

// kinds names events in a line, with what matters of their bodies.
func kinds(events []session.Event) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = string(e.Type)
		switch e.Type {
		case session.SessionIdle:
			var b session.IdleBody
			_ = e.Body(&b)
			out[i] += " " + string(b.StopReason.Type)
		case session.SessionError:
			var b session.ErrorBody
			_ = e.Body(&b)
			out[i] += " " + string(b.Error.Type) + " " + string(b.Error.RetryStatus.Type)
		case session.AgentToolResult:
			var b session.ToolResultBody
			_ = e.Body(&b)
			if b.IsError {
				out[i] += " error"
			}
		case session.AgentToolUse:
			var b session.ToolUseBody
			_ = e.Body(&b)
			out[i] += " " + b.Permission
			if v := b.Evaluation; v != nil && v.Permitted != nil {
				out[i] += " by " + v.Type + " " + v.Permitted.Type + " " + v.Permitted.Reason
			} else if v != nil && v.Type == string(agent.AlwaysAsk) {
				out[i] += " always"
			}
		case session.SpanModelEnd:
			var b session.SpanEndBody
			_ = e.Body(&b)
			if b.IsError != nil && *b.IsError {
				out[i] += " error"
			}
		}
	}
	return out
}

func (l *runLab) want(events []session.Event, want ...string) {
	l.t.Helper()
	var flat []string
	for _, w := range want {
		flat = append(flat, strings.Split(w, ", ")...)
	}
	if d := cmp.Diff(flat, kinds(events)); d != "" {
		l.t.Errorf("events (-want +got):\n%s", d)
	}
	for i, e := range events {
		if i > 0 && e.Seq != events[i-1].Seq+1 {
			l.t.Errorf("event %d follows %d", e.Seq, events[i-1].Seq)
		}
	}
}

func find(events []session.Event, typ session.EventType) session.Event {
	for _, e := range events {
		if e.Type == typ {
			return e
		}
	}
	return session.Event{}
}

// result returns the text of the one result of a tool use.
func (l *runLab) result(events []session.Event, use id.Event) string {
	l.t.Helper()
	var texts []string
	for _, e := range events {
		if e.Type.IsToolResult() && e.Ref == use {
			var b session.ToolResultBody
			l.must(e.Body(&b))
			texts = append(texts, session.PlainText(b.Content))
		}
	}
	if len(texts) != 1 {
		l.t.Fatalf("%d results for one tool use: %q", len(texts), texts)
	}
	return texts[0]
}

const (
	began  = "user.message, session.status_running"
	asked  = "span.model_request_start"
	spoke  = "span.model_request_start, agent.message, span.model_request_end"
	used   = "session.usage"
	ended  = "session.usage, session.status_idle end_turn"
	waited = "session.status_idle requires_action"
)

func pay(call, amount string) llmtest.Answer {
	return llmtest.Call(call, "pay", `{"amount":"`+amount+`","payee":"vendor.example","description":"servers"}`)
}

func TestTurn(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		answer := llmtest.Text("ready when you are")
		answer.Usage = llm.Usage{Input: 10, CacheRead: 3, Output: 5}
		l := newRunLab(t, s, answer, llmtest.Text("again")).start()
		v := l.session(0)
		sent := l.send(v, say("Reply."), say("And again."))
		if len(sent) != 2 || sent[0].Seq != 0 || !sent[0].ProcessedAt.IsZero() || sent[0].Type != session.UserMessage {
			t.Errorf("%+v", sent)
		}
		events := l.idles(v, 2)
		l.want(events, began, spoke, ended, began, spoke, ended)
		if events[0].ID != sent[0].ID || events[7].ID != sent[1].ID {
			t.Error("the messages have other ids in the log")
		}
		if events[4].Ref != events[2].ID {
			t.Error("the span's end does not name its start")
		}
		reqs := l.model.Requests()
		want := []llm.Message{
			{Role: llm.RoleUser, Blocks: []llm.Block{{Text: "Reply."}}},
			{Role: llm.RoleAssistant, Blocks: []llm.Block{{Text: "ready when you are"}}},
			{Role: llm.RoleUser, Blocks: []llm.Block{{Text: "And again."}}},
		}
		if d := cmp.Diff(want, reqs[1].Messages); d != "" {
			t.Error(d)
		}
		got, err := l.sessions.Get(t.Context(), l.Scope, v.ID)
		l.must(err)
		if got.Usage.Tokens.Input != 10 || got.Usage.Tokens.CacheRead != 3 || got.Usage.Tokens.Output != 5 || got.Usage.Cost != 18*money.PicosPerMicro {
			t.Errorf("%+v", got.Usage)
		}
		if got.Status() != session.StatusIdle || got.Queued != 0 || got.ActiveFor <= 0 {
			t.Errorf("%+v", got)
		}
		if n := l.meter.settled(2); n != 2 {
			t.Errorf("%d usage rows", n)
		}
	})
}

func TestTurnPays(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newRunLab(t, s, pay("one", "20.00"), llmtest.Text("paid"), pay("two", "999"), llmtest.Text("could not")).start()
		v := l.session(50 * money.MicrosPerUnit)
		l.Policy(t, v.Agent, policy.Limits{MaxPerTransaction: ptrTo(gatetest.USDC(100 * money.MicrosPerUnit))})
		l.send(v, say("Pay 20."))
		events := l.idles(v, 1)
		l.want(events, began, asked, "agent.tool_use allow, span.model_request_end, agent.tool_result", spoke, ended)
		if got := l.Balance(t, v.Agent); got != 30*money.MicrosPerUnit {
			t.Errorf("balance %d", got)
		}
		last := l.model.Requests()[1].Messages
		use := find(events, session.AgentToolUse).ID
		if tr := last[len(last)-1].Blocks[0].ToolResult; tr == nil || tr.ID != use.String() || tr.IsError || !strings.Contains(tr.Text, `"balance_after"`) {
			t.Errorf("the model saw %+v", last)
		}
		l.send(v, say("Pay 999."))
		events = l.idles(v, 2)[len(events):]
		l.want(events, began, asked, "agent.tool_use deny by auto deny policy, span.model_request_end, agent.tool_result error", spoke, ended)
		if got := l.result(events, find(events, session.AgentToolUse).ID); !strings.Contains(got, "max_per_transaction") {
			t.Errorf("the refusal does not name its rule: %s", got)
		}
	})
}

func ptrTo[T any](v T) *T { return &v }

// parkedPayment brings a session to where a payment waits for an approval.
func parkedPayment(t *testing.T, l *runLab) (session.Session, []session.Event, policy.Approval) {
	t.Helper()
	v := l.session(50 * money.MicrosPerUnit)
	l.Policy(t, v.Agent, policy.Limits{RequireApprovalAbove: ptrTo(gatetest.USDC(10 * money.MicrosPerUnit))})
	l.send(v, say("Pay 20."))
	events := l.idles(v, 1)
	l.want(events, began, asked, "agent.tool_use ask by auto ask policy, span.model_request_end", waited)
	var b session.IdleBody
	l.must(events[len(events)-1].Body(&b))
	use := find(events, session.AgentToolUse).ID
	if !slices.Equal(b.StopReason.Events, []id.Event{use}) {
		t.Errorf("waits for %v, want %v", b.StopReason.Events, use)
	}
	uses, err := l.sessions.OpenUses(t.Context(), l.Scope, v.ID)
	l.must(err)
	if len(uses) != 1 || uses[0].State != session.UseParked || uses[0].Approval.IsZero() {
		t.Fatalf("%+v", uses)
	}
	a, err := l.gate.Approval(t.Context(), l.Scope, uses[0].Approval)
	l.must(err)
	return v, events, a
}

func TestTurnParks(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		for name, decide := range map[string]func(l *runLab, v session.Session, a policy.Approval) []string{
			"approved by API": func(l *runLab, _ session.Session, a policy.Approval) []string {
				_, _, err := l.gate.Approve(t.Context(), l.Scope, a.ID)
				l.must(err)
				return []string{"session.status_running, agent.tool_result"}
			},
			"denied by API": func(l *runLab, _ session.Session, a policy.Approval) []string {
				_, err := l.gate.Deny(t.Context(), l.Scope, a.ID, "no")
				l.must(err)
				return []string{"session.status_running, agent.tool_result error"}
			},
			"confirmed": func(l *runLab, v session.Session, a policy.Approval) []string {
				in := session.Input{Type: session.UserToolConfirmation, ToolUse: a.ToolUse, Allow: true}
				chat := account.Scope{Tenant: l.Scope.Tenant, Permissions: []account.Permission{account.Chat}}
				if _, err := l.sessions.Send(t.Context(), chat, v.ID, []session.Input{in}); fault.KindOf(err) != fault.Forbidden {
					l.t.Errorf("without the permission: %v", err)
				}
				if uses, _ := l.sessions.OpenUses(t.Context(), l.Scope, v.ID); len(uses) != 1 || uses[0].State != session.UseParked {
					l.t.Errorf("it does not stay parked: %+v", uses)
				}
				l.send(v, in)
				return []string{"user.tool_confirmation, session.status_running, agent.tool_result"}
			},
			"refused": func(l *runLab, v session.Session, a policy.Approval) []string {
				l.send(v, session.Input{Type: session.UserToolConfirmation, ToolUse: a.ToolUse, DenyMessage: "too dear"})
				return []string{"user.tool_confirmation, session.status_running, agent.tool_result error"}
			},
		} {
			t.Run(name, func(t *testing.T) {
				l := newRunLab(t, s, pay("one", "20.00"), llmtest.Text("well"), llmtest.Text("next")).start()
				v, before, a := parkedPayment(t, l)
				l.send(v, say("Meanwhile?"))
				if got, _ := l.sessions.Get(t.Context(), l.Scope, v.ID); got.Status() != session.StatusIdle || got.Queued != 1 {
					t.Errorf("a message behind a parked turn: %+v", got)
				}
				middle := decide(l, v, a)
				events := l.idles(v, 3)
				l.want(events[len(before):], append(middle, spoke, ended, began, spoke, ended)...)
				paid := int64(50 * money.MicrosPerUnit)
				if !strings.Contains(l.result(events, a.ToolUse), "denied") {
					paid -= 20 * money.MicrosPerUnit
				}
				if got := l.Balance(t, v.Agent); got != paid {
					t.Errorf("balance %d, want %d", got, paid)
				}
				_, err := l.sessions.Send(t.Context(), l.Scope, v.ID, []session.Input{{Type: session.UserToolConfirmation, ToolUse: a.ToolUse, Allow: true}})
				if !errors.Is(err, session.ErrNoSuchToolUse) {
					t.Errorf("a second word: %v", err)
				}
			})
		}
	})
}

func TestTurnUsesTools(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		two := llmtest.Call("a", "echo", `{"n":1}`)
		two.Blocks = append(two.Blocks, llmtest.Call("b", "broken", `{}`).Blocks...)
		two.Blocks = append(two.Blocks, llmtest.Call("c", "nothing", `{}`).Blocks...)
		two.Blocks = append(two.Blocks, llmtest.Call("d", "echo", `{"n":"x"}`).Blocks...)
		two.Blocks = append(two.Blocks, llmtest.Call("e", "panics", `{}`).Blocks...)
		two.Blocks = append(two.Blocks, llmtest.Call("f", "slow", `{}`).Blocks...)
		l := newRunLab(t, s, two, llmtest.Text("done"))
		l.cfg.ToolTimeout = 50 * time.Millisecond
		l.tools = testTools{
			newTool("echo", true, func(_ context.Context, c tool.Call) (tool.Result, error) {
				return tool.Result{Text: "echo " + string(c.Input)}, nil
			}),
			newTool("broken", true, func(context.Context, tool.Call) (tool.Result, error) { return tool.Result{}, tool.ErrUnavailable }),
			newTool("panics", true, func(context.Context, tool.Call) (tool.Result, error) { panic("!") }),
			newTool("slow", true, func(ctx context.Context, _ tool.Call) (tool.Result, error) {
				<-ctx.Done()
				return tool.Result{}, ctx.Err()
			}),
		}
		l.start()
		v := l.session(0)
		l.send(v, say("Do."))
		events := l.idles(v, 1)
		l.want(events, began, asked, strings.Repeat("agent.tool_use allow, ", 6)+"span.model_request_end", "agent.tool_result",
			strings.TrimSuffix(strings.Repeat("agent.tool_result error, ", 5), ", "), spoke, ended)
		var got []string
		for _, e := range events {
			if e.Type == session.AgentToolUse {
				got = append(got, l.result(events, e.ID))
			}
		}
		for i, want := range []string{`echo {"n":1}`, "not available", "no tool", "invalid input", "internal error", "did not answer"} {
			if !strings.Contains(got[i], want) {
				t.Errorf("result %d: %q lacks %q", i, got[i], want)
			}
		}
		// One message with all results answers one message with all uses.
		last := l.model.Requests()[1].Messages
		if len(last) != 3 || len(last[1].Blocks) != 6 || len(last[2].Blocks) != 6 {
			t.Errorf("%+v", last)
		}
	})
}

// TestTextsThatNoDatabaseKeeps: what a tool or a model writes does not end a turn.
func TestTextsThatNoDatabaseKeeps(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		use := llmtest.Call("a", "bad", `{}`)
		use.Blocks = append(use.Blocks, llmtest.Call("b", "no\x00tool", `{"n":"\u0000"}`).Blocks...)
		l := newRunLab(t, s, use, llmtest.Text("done"))
		l.tools = testTools{newTool("bad", true, func(context.Context, tool.Call) (tool.Result, error) {
			return tool.Result{IsError: true, Text: "bad \x00 \xff text"}, nil
		})}
		l.start()
		v := l.session(0)
		l.send(v, say("Go."))
		l.want(l.idles(v, 1), began, asked, "agent.tool_use allow, agent.tool_use allow, span.model_request_end",
			"agent.tool_result error, agent.tool_result error", spoke, ended)
	})
}

func TestTurnWaitsForTheClient(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		both := llmtest.Call("a", "lookup", `{"q":"x"}`)
		both.Blocks = append(both.Blocks, llmtest.Call("b", "danger", `{}`).Blocks...)
		l := newRunLab(t, s, both, llmtest.Text("done"))
		danger := newTool("danger", true, func(context.Context, tool.Call) (tool.Result, error) { return tool.Result{Text: "boom"}, nil })
		danger.Ask = true
		l.tools = testTools{danger}
		l.start()
		a := agent.Agent{
			ID: id.New[id.AgentKind](l.IDs), Tenant: l.Scope.Tenant, Version: 1, Standing: agent.Active, CreatedAt: time.Now(), UpdatedAt: time.Now(),
			Config: agent.Config{Name: "custom", Tools: []agent.Tool{{
				Type: agent.CustomTool, Name: "lookup", Description: "looks up", InputSchema: json.RawMessage(`{"type":"object"}`),
			}}},
		}
		l.must(s.Agents().Insert(t.Context(), l.Scope, a))
		v, err := l.sessions.Create(t.Context(), l.Scope, session.CreateRequest{Agent: a.ID, Initial: []session.Input{say("Go.")}})
		l.must(err)
		events := l.idles(v, 1)
		l.want(events, began, asked, "agent.custom_tool_use, agent.tool_use ask always, span.model_request_end", waited)
		custom, ask := find(events, session.AgentCustomToolUse).ID, find(events, session.AgentToolUse).ID
		l.send(v, session.Input{Type: session.UserToolConfirmation, ToolUse: ask, Allow: true})
		if got, _ := l.sessions.Get(t.Context(), l.Scope, v.ID); got.Status() != session.StatusIdle {
			t.Errorf("goes on before the other result: %s", got.Status())
		}
		if _, err := l.sessions.Send(t.Context(), l.Scope, v.ID, []session.Input{{Type: session.UserToolConfirmation, ToolUse: custom, Allow: true}}); !errors.Is(err, session.ErrNoSuchToolUse) {
			t.Errorf("a confirmation of a client's tool: %v", err)
		}
		l.send(v, session.Input{Type: session.UserCustomToolResult, ToolUse: custom, Content: session.Text("found")})
		events = l.idles(v, 2)[len(events):]
		l.want(events, "user.tool_confirmation, user.custom_tool_result, session.status_running, agent.tool_result", spoke, ended)
		if got := l.result(events, ask); got != "boom" {
			t.Errorf("result %q", got)
		}
		last := l.model.Requests()[1].Messages
		if n := len(last[len(last)-1].Blocks); n != 2 {
			t.Errorf("the model saw %d results", n)
		}
	})
}

// TestClientAnswersAtOnce: a client that answers a tool use as soon as it sees it is heard, although the turn's holder is busy with
// another one.
func TestClientAnswersAtOnce(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		both := llmtest.Call("a", "work", `{}`)
		both.Blocks = append(both.Blocks, llmtest.Call("b", "lookup", `{"q":"x"}`).Blocks...)
		l := newRunLab(t, s, both, llmtest.Text("done"))
		release := make(chan struct{})
		l.tools = testTools{newTool("work", true, func(ctx context.Context, _ tool.Call) (tool.Result, error) {
			select {
			case <-release:
				return tool.Result{Text: "worked"}, nil
			case <-ctx.Done():
				return tool.Result{}, ctx.Err()
			}
		})}
		l.start()
		a := agent.Agent{
			ID: id.New[id.AgentKind](l.IDs), Tenant: l.Scope.Tenant, Version: 1, Standing: agent.Active, CreatedAt: time.Now(), UpdatedAt: time.Now(),
			Config: agent.Config{Name: "custom", Tools: []agent.Tool{{
				Type: agent.CustomTool, Name: "lookup", Description: "looks up", InputSchema: json.RawMessage(`{"type":"object"}`),
			}}},
		}
		l.must(s.Agents().Insert(t.Context(), l.Scope, a))
		v, err := l.sessions.Create(t.Context(), l.Scope, session.CreateRequest{Agent: a.ID, Initial: []session.Input{say("Go.")}})
		l.must(err)
		seen := l.until(l, v, 0, func(e session.Event) bool { return e.Type == session.AgentCustomToolUse })
		l.send(v, session.Input{
			Type: session.UserCustomToolResult, ToolUse: find(seen, session.AgentCustomToolUse).ID, Content: session.Text("found"),
		})
		close(release)
		l.want(l.idles(v, 1), began, asked, "agent.tool_use allow, agent.custom_tool_use, span.model_request_end",
			"user.custom_tool_result, agent.tool_result", spoke, ended)
	})
}

func TestTurnIsInterrupted(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		interrupt := session.Input{Type: session.UserInterrupt}
		t.Run("while the model speaks", func(t *testing.T) {
			stay := llmtest.Text("I was about to")
			stay.Stay = true
			l := newRunLab(t, s, stay, llmtest.Text("next")).start()
			v := l.session(0)
			st, err := l.sessions.Stream(t.Context(), l.Scope, v.ID, session.StreamOptions{Chunks: true})
			l.must(err)
			defer st.Close()
			l.send(v, say("Talk."), say("Then?"))
			var status []string
			for f, err := range st.Frames(t.Context()) {
				l.must(err)
				if c := f.Chunk; c != nil && c.Kind == session.ChunkMessage && c.Phase == session.PhaseDelta && len(status) == 0 {
					status = append(status, "")
					l.send(v, interrupt)
				}
				if c := f.Chunk; c != nil && c.Kind == session.ChunkMessage && c.Phase == session.PhaseEnd {
					status = append(status, c.Status)
				}
				if len(status) == 3 {
					break
				}
			}
			if d := cmp.Diff([]string{"", session.ChunkInterrupted, session.ChunkCompleted}, status); d != "" {
				t.Error(d)
			}
			l.want(l.idles(v, 2), began, asked, "user.interrupt, span.model_request_end error", ended, began, spoke, ended)
		})
		t.Run("while a payment waits", func(t *testing.T) {
			l := newRunLab(t, s, pay("one", "20.00"), llmtest.Text("next")).start()
			v, before, a := parkedPayment(t, l)
			l.send(v, say("Next."), interrupt)
			events := l.idles(v, 3)
			l.want(events[len(before):], "user.interrupt, agent.tool_result error", ended, began, spoke, ended)
			if got := l.result(events, a.ToolUse); !strings.Contains(got, "interrupted") {
				t.Errorf("result %q", got)
			}
			if _, _, err := l.gate.Approve(t.Context(), l.Scope, a.ID); !errors.Is(err, policy.ErrDecided) {
				t.Errorf("approved after the interrupt: %v", err)
			}
		})
		t.Run("while a tool works", func(t *testing.T) {
			working, gone := make(chan struct{}), make(chan struct{})
			l := newRunLab(t, s, llmtest.Call("a", "work", `{}`))
			l.tools = testTools{newTool("work", false, func(ctx context.Context, _ tool.Call) (tool.Result, error) {
				close(working)
				<-ctx.Done()
				close(gone)
				return tool.Result{}, ctx.Err()
			})}
			l.start()
			v := l.session(0)
			l.send(v, say("Work."))
			<-working
			l.send(v, interrupt)
			<-gone
			events := l.idles(v, 1)
			l.want(events, began, asked, "agent.tool_use allow, span.model_request_end, user.interrupt, agent.tool_result error", ended)
		})
		t.Run("on an idle session", func(t *testing.T) {
			l := newRunLab(t, s).start()
			v := l.session(0)
			l.send(v, interrupt)
			l.want(l.log(v), "user.interrupt")
		})
	})
}

func TestModelErrors(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		cut := llmtest.Text("half an ans")
		cut.Fail = &llmtest.Failure{Cut: true}
		const retrying, exhausted = "session.error model_overloaded_error retrying", "session.error model_overloaded_error exhausted"
		const gone = "span.model_request_end error"
		for name, tc := range map[string]struct {
			answers []llmtest.Answer
			want    []string
			calls   int
		}{
			"limited once": {
				[]llmtest.Answer{llmtest.Fail(429, "slow down"), llmtest.Text("ok")},
				[]string{began, asked, "session.error model_rate_limited_error retrying, agent.message, span.model_request_end", ended}, 2,
			},
			"cut once": {
				[]llmtest.Answer{cut, llmtest.Text("whole answer")},
				[]string{began, asked, retrying, "agent.message, span.model_request_end", ended}, 2,
			},
			"down": {
				[]llmtest.Answer{llmtest.Fail(503, ""), llmtest.Fail(503, ""), llmtest.Fail(503, ""), llmtest.Fail(503, "")},
				[]string{began, asked, retrying, retrying, retrying, gone, exhausted, used, "session.status_idle retries_exhausted"}, 4,
			},
			"refused": {
				[]llmtest.Answer{llmtest.Fail(400, "bad"), llmtest.Text("never")},
				[]string{began, asked, gone, "session.error model_request_failed_error exhausted", used, "session.status_idle retries_exhausted"}, 1,
			},
		} {
			t.Run(name, func(t *testing.T) {
				l := newRunLab(t, s, tc.answers...).start()
				v := l.session(0)
				st, err := l.sessions.Stream(t.Context(), l.Scope, v.ID, session.StreamOptions{Chunks: true})
				l.must(err)
				defer st.Close()
				l.send(v, say("Hello."))
				l.want(l.idles(v, 1), tc.want...)
				if got := len(l.model.Requests()); got != tc.calls {
					t.Errorf("%d calls, want %d", got, tc.calls)
				}
				failed := name == "down" || name == "refused"
				if n := l.meter.settled(1); n != 1 || l.meter.calls[0].Failed != failed || failed != (l.meter.calls[0].Quote.Cost == nil) {
					t.Errorf("recorded %+v; want one call, failed: %t", l.meter.calls, failed)
				}
				text := map[id.Event]string{}
				ended := map[id.Event]string{}
				var final session.Event
				for f, err := range st.Frames(t.Context()) {
					l.must(err)
					if c := f.Chunk; c != nil && c.Kind == session.ChunkMessage {
						text[c.ID] += c.Delta
						if c.Phase == session.PhaseEnd {
							ended[c.ID] = c.Status
						}
					}
					if f.Event != nil && f.Event.Type == session.AgentMessage {
						final = *f.Event
					}
					if f.Event != nil && isIdle(*f.Event) {
						break
					}
				}
				for e, status := range ended {
					if want := map[bool]string{true: session.ChunkCompleted, false: session.ChunkAborted}[e == final.ID]; status != want {
						t.Errorf("a stream ended as %s, want %s", status, want)
					}
				}
				if name == "cut once" && (text[final.ID] != "whole answer" || len(text) != 2) {
					t.Errorf("%v", text)
				}
			})
		}
	})
}

func TestTurnOverBudget(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		const refused = "session.error billing_error exhausted, session.usage, session.status_idle budget_reached"
		l := newRunLab(t, s, llmtest.Text("never")).start()
		v := l.session(0)
		l.Policy(t, v.Agent, policy.Limits{DailyCostLimit: ptrTo(money.Of(1, money.USD))})
		l.send(v, say("Hello."))
		l.want(l.idles(v, 1), began, refused)

		l.must(l.run.Stop(t.Context()))
		unpriced := newRunLab(t, s, llmtest.Text("never"))
		unpriced.meter.unpriced = true
		unpriced.start()
		v = unpriced.session(0)
		unpriced.Policy(t, v.Agent, policy.Limits{DailyCostLimit: ptrTo(money.Of(1e9, money.USD))})
		unpriced.send(v, say("Hello."))
		events := unpriced.idles(v, 1)
		unpriced.want(events, began, refused)
		if !strings.Contains(string(find(events, session.SessionError).Data), "price_unknown") {
			t.Errorf("%s", find(events, session.SessionError).Data)
		}
		if got := len(l.model.Requests()) + len(unpriced.model.Requests()); got != 0 {
			t.Errorf("%d model calls", got)
		}
	})
}

func TestTurnIsBounded(t *testing.T) {
	t.Parallel()
	l := newRunLab(t, openSQLiteStore(t))
	l.cfg.MaxCalls = 3
	l.model.AnswerFunc = func(llm.Request) llmtest.Answer { return llmtest.Call("x", "nothing", `{}`) }
	l.start()
	v := l.session(0)
	l.send(v, say("Loop."))
	step := asked + ", agent.tool_use allow, span.model_request_end, agent.tool_result error"
	l.want(l.idles(v, 1), began, step, step, step, "session.error tool_use_limit_reached_error exhausted", "session.usage, session.status_idle retries_exhausted")
}

func TestFreezeEndsTurns(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		stay := llmtest.Text("on and on")
		stay.Stay = true
		l := newRunLab(t, s, stay, llmtest.Text("never")).start()
		v := l.session(0)
		l.send(v, say("Talk."), say("Then?"))
		l.must(l.model.WaitAsked(t.Context(), 1))
		report, err := l.gate.Freeze(t.Context(), l.Scope, v.Agent)
		l.must(err)
		if report.Stopped != 2 {
			t.Errorf("%+v", report)
		}
		events := l.idles(v, 1)
		l.want(events, began, asked, "span.model_request_end error, user.message, session.error unknown_error exhausted", ended)
		l.must(l.model.WaitIdle(t.Context()))
		if got, _ := l.sessions.Get(t.Context(), l.Scope, v.ID); got.Status() != session.StatusIdle {
			t.Errorf("%+v", got)
		}
		l.send(v, say("Hello?"))
		events = l.idles(v, 2)[len(events):]
		l.want(events, began, "session.error model_request_failed_error exhausted", ended)
		if !strings.Contains(string(events[2].Data), "frozen") {
			t.Errorf("%s", events[2].Data)
		}
		l.must(l.gate.Unfreeze(t.Context(), l.Scope, v.Agent))
		l.send(v, say("Now?"))
		l.want(l.idles(v, 3)[13:], began, spoke, ended)
	})
}

// crash takes a process's store away first, so that nothing it does from then on is seen by others, as if it had been killed.
func (n *runNode) crash(t *testing.T) {
	t.Helper()
	if err := n.store.Close(); err != nil {
		t.Fatal(err)
	}
	now, cancel := context.WithCancel(t.Context())
	cancel()
	_ = n.run.Stop(now)
}

// restart opens what a killed process left.
func (l *runLab) restart(path, url string) {
	l.t.Helper()
	l.crash(l.t)
	s := openStore(l.t, Config{Path: path, URL: url, PoolSize: 8})
	l.runNode = *l.node(s)
	l.Store = gateStore(s)
}

func eachCrash(t *testing.T, fn func(t *testing.T, open func() *Store, path, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := sqlitePath(t)
		fn(t, func() *Store { return openStore(t, Config{Path: path}) }, path, "")
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := postgresURL(t)
		fn(t, func() *Store { return openStore(t, Config{URL: url, PoolSize: 8}) }, "", url)
	})
}

func TestCrashInATool(t *testing.T) {
	t.Parallel()
	eachCrash(t, func(t *testing.T, open func() *Store, path, url string) {
		working := make(chan struct{}, 2)
		var calls, repeated atomic.Int32
		var dead atomic.Bool
		l := newRunLab(t, open(), llmtest.Call("p", "again", `{}`), llmtest.Call("q", "once", `{}`), llmtest.Text("over"))
		l.cfg.Lease = shortLease
		block := func(n *atomic.Int32) func(context.Context, tool.Call) (tool.Result, error) {
			return func(ctx context.Context, _ tool.Call) (tool.Result, error) {
				if n.Add(1) > 1 || dead.Load() && n == &repeated {
					return tool.Result{Text: "done"}, nil
				}
				working <- struct{}{}
				<-ctx.Done()
				return tool.Result{}, ctx.Err()
			}
		}
		l.tools = testTools{newTool("again", true, block(&repeated)), newTool("once", false, block(&calls))}
		l.start()
		v := l.session(0)
		l.send(v, say("Go."))
		<-working
		dead.Store(true)
		l.restart(path, url)
		<-working // the second tool: killed again
		l.restart(path, url)
		events := l.idles(v, 1)
		l.want(events, began, asked, "agent.tool_use allow, span.model_request_end, agent.tool_result", asked,
			"agent.tool_use allow, span.model_request_end, agent.tool_result error", spoke, ended)
		if repeated.Load() != 2 || calls.Load() != 1 {
			t.Errorf("the idempotent tool was called %d times, the other %d times", repeated.Load(), calls.Load())
		}
		var uses []id.Event
		for _, e := range events {
			if e.Type == session.AgentToolUse {
				uses = append(uses, e.ID)
			}
		}
		if got := l.result(events, uses[0]); got != "done" {
			t.Errorf("repeated: %q", got)
		}
		if got := l.result(events, uses[1]); !strings.Contains(got, "outcome is unknown") {
			t.Errorf("not repeated: %q", got)
		}
		if got := len(l.model.Requests()); got != 3 {
			t.Errorf("%d model calls: an answer in the log was asked for again", got)
		}
	})
}

func TestCrashWhileTheModelSpeaks(t *testing.T) {
	t.Parallel()
	eachCrash(t, func(t *testing.T, open func() *Store, path, url string) {
		stay := llmtest.Text("half")
		stay.Stay = true
		l := newRunLab(t, open(), stay, llmtest.Text("whole"))
		l.cfg.Lease = shortLease
		l.start()
		v := l.session(0)
		l.send(v, say("Go."))
		l.must(l.model.WaitAsked(t.Context(), 1))
		l.restart(path, url)
		l.want(l.idles(v, 1), began, asked, "span.model_request_end error", spoke, ended)
	})
}

func TestCrashWithAParkedTurn(t *testing.T) {
	t.Parallel()
	eachCrash(t, func(t *testing.T, open func() *Store, path, url string) {
		l := newRunLab(t, open(), pay("one", "20.00"), llmtest.Text("paid"), llmtest.Text("queued"))
		l.cfg.Lease = shortLease
		l.start()
		v, before, a := parkedPayment(t, l)
		l.send(v, say("Behind."))
		l.restart(path, url)
		_, _, err := l.gate.Approve(t.Context(), l.Scope, a.ID)
		l.must(err)
		events := l.idles(v, 3)
		l.want(events[len(before):], "session.status_running, agent.tool_result", spoke, ended, began, spoke, ended)
	})
}

// TestTwoReplicas has one process start turns and another go on with them, over one Postgres.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	url := postgresURL(t)
	l := newRunLab(t, openStore(t, Config{URL: url, PoolSize: 8}))
	l.cfg.Lease = shortLease
	var calls atomic.Int32
	hold := make(chan struct{})
	l.model.AnswerFunc = func(req llm.Request) llmtest.Answer {
		if calls.Add(1) <= 4 {
			return llmtest.Answer{Hold: hold, Blocks: []llm.Block{{Text: "late"}}}
		}
		return llmtest.Text("in time")
	}
	l.start()
	second := openStore(t, Config{URL: url, PoolSize: 8})
	var sessions []session.Session
	for i := range 4 {
		v := l.session(0)
		sessions = append(sessions, v)
		l.send(v, say(fmt.Sprint("one ", i)), say("two"))
	}
	l.must(l.model.WaitAsked(t.Context(), 4))
	first := l.runNode
	first.crash(t)
	n := l.node(second)
	l.runNode = *n
	for _, v := range sessions {
		l.want(n.until(l, v, 0, func() func(session.Event) bool {
			idles := 0
			return func(e session.Event) bool {
				if isIdle(e) {
					idles++
				}
				return idles == 2
			}
		}()), began, asked, "span.model_request_end error", spoke, ended, began, spoke, ended)
	}
	close(hold) // the former holder finds itself fenced, or its store gone
	if _, err := first.journal.Append(t.Context(), session.Step{
		Turn:    session.Turn{ID: id.New[id.TurnKind](l.IDs), Tenant: l.Scope.Tenant, Session: sessions[0].ID, Epoch: 1},
		Entries: []session.Entry{{Type: session.AgentMessage, Body: session.MessageBody{}}},
	}); err == nil {
		t.Error("a dead process wrote")
	}
}

// TestStreamElsewhere reads, in one process, the turn that another one runs: its events, its chunks, and the end that a third one
// makes of it.
func TestStreamElsewhere(t *testing.T) {
	t.Parallel()
	url := postgresURL(t)
	long := strings.Repeat("many words and – ", 200)
	stay := llmtest.Text(long)
	stay.Stay = true
	l := newRunLab(t, openStore(t, Config{URL: url, PoolSize: 8}), stay).start()
	l.cfg.Scan = time.Hour // the others run nothing
	reader, third := l.node(openStore(t, Config{URL: url, PoolSize: 4})), l.node(openStore(t, Config{URL: url, PoolSize: 4}))
	v := l.session(0)
	st, err := reader.sessions.Stream(t.Context(), l.Scope, v.ID, session.StreamOptions{Chunks: true})
	l.must(err)
	defer st.Close()
	l.send(v, say("Talk."))
	var got []session.Event
	var text, status string
	for f, err := range st.Frames(t.Context()) {
		l.must(err)
		if c := f.Chunk; c != nil && c.Kind == session.ChunkMessage {
			text += c.Delta
			status = c.Status
			if text == long && c.Phase == session.PhaseDelta {
				_, err := third.sessions.Send(t.Context(), l.Scope, v.ID, []session.Input{{Type: session.UserInterrupt}})
				l.must(err)
			}
		}
		if f.Event != nil {
			got = append(got, *f.Event)
		}
		if len(got) > 0 && isIdle(got[len(got)-1]) && status != "" {
			break
		}
	}
	l.want(got, began, asked, "user.interrupt, span.model_request_end error", ended)
	if text != long || status != session.ChunkInterrupted {
		t.Errorf("%d bytes came as chunks, want %d; the stream ended as %q", len(text), len(long), status)
	}
	l.must(l.model.WaitIdle(t.Context())) // the process that ran it has heard
}

// TestStaleHolder lets a process that was too slow come back: nothing of what it does then reaches the log.
func TestStaleHolder(t *testing.T) {
	t.Parallel()
	url := postgresURL(t)
	l := newRunLab(t, openStore(t, Config{URL: url, PoolSize: 8}))
	hold := make(chan struct{})
	l.model.Push(llmtest.Answer{Hold: hold, Blocks: []llm.Block{{Text: "stale"}}}, llmtest.Text("fresh"))
	l.cfg.Lease = time.Hour // it never renews
	l.start()
	v := l.session(0)
	l.send(v, say("Go."))
	l.must(l.model.WaitAsked(t.Context(), 1))
	// Whoever takes over sees the lease as run out.
	l.must(l.store.write(t.Context(), func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "UPDATE session_turns SET lease_until = now() - interval '1 second' WHERE state = 'running'")
		return err
	}))
	second := l.node(openStore(t, Config{URL: url, PoolSize: 8}))
	events := second.until(l, v, 0, isIdle)
	close(hold)
	l.must(l.model.WaitIdle(t.Context()))
	l.want(events, began, asked, "span.model_request_end error", spoke, ended)
	if got := l.log(v); len(got) != len(events) || strings.Contains(string(find(got, session.AgentMessage).Data), "stale") {
		t.Errorf("the stale holder wrote: %v", kinds(got))
	}
}

// TestTakenOverWhileAToolWorks lets a process lose a turn while a tool of it works: the tool is cut off, and whoever goes on repeats
// it or says that nobody knows, but does not say that it failed.
func TestTakenOverWhileAToolWorks(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		use := llmtest.Call("a", "again", `{}`)
		use.Blocks = append(use.Blocks, llmtest.Call("b", "once", `{}`).Blocks...)
		l := newRunLab(t, s, use, llmtest.Text("over"))
		var again, once atomic.Int32
		working := make(chan struct{}, 2)
		cutOff := func(n *atomic.Int32) func(context.Context, tool.Call) (tool.Result, error) {
			return func(ctx context.Context, _ tool.Call) (tool.Result, error) {
				if n.Add(1) > 1 {
					return tool.Result{Text: "done"}, nil
				}
				working <- struct{}{}
				<-ctx.Done()
				return tool.Result{}, ctx.Err()
			}
		}
		l.tools = testTools{newTool("again", true, cutOff(&again)), newTool("once", false, cutOff(&once))}
		l.start()
		v := l.session(0)
		l.send(v, say("Go."))
		for range 2 {
			<-working
			l.lose(v)
		}
		events := l.idles(v, 1)
		l.want(events, began, asked, "agent.tool_use allow, agent.tool_use allow, span.model_request_end",
			"agent.tool_result, agent.tool_result error", spoke, ended)
		if !strings.Contains(string(events[7].Data), "outcome is unknown") || again.Load() != 2 || once.Load() != 1 {
			t.Errorf("called %d and %d times: %s", again.Load(), once.Load(), events[7].Data)
		}
	})
}

// TestDrain hands running turns over when a process stops.
func TestDrain(t *testing.T) {
	t.Parallel()
	url := postgresURL(t)
	l := newRunLab(t, openStore(t, Config{URL: url, PoolSize: 8}))
	stay := llmtest.Text("slow")
	stay.Stay = true
	l.model.Push(stay, llmtest.Text("elsewhere"))
	l.start()
	v := l.session(0)
	l.send(v, say("Go."))
	l.must(l.model.WaitAsked(t.Context(), 1))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	l.must(l.run.Stop(ctx))
	second := l.node(openStore(t, Config{URL: url, PoolSize: 8}))
	start := time.Now()
	l.want(second.until(l, v, 0, isIdle), began, asked, "span.model_request_end error", spoke, ended)
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("released turns were taken over after %s, with a lease of %s", d, l.cfg.Lease)
	}
}

// TestStreamsLoseNothing reads one log by many readers while it grows: each sees every event once, in order.
func TestStreamsLoseNothing(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newRunLab(t, s).start()
		v := l.session(0)
		const total = 120
		var wg sync.WaitGroup
		read := func(after int64, opt session.StreamOptions) {
			st, err := l.sessions.Stream(t.Context(), l.Scope, v.ID, opt)
			if err != nil {
				t.Error(err)
				return
			}
			defer st.Close()
			next := after + 1
			for f, err := range st.Frames(t.Context()) {
				if err != nil {
					t.Error(err)
					return
				}
				if f.Event == nil {
					continue
				}
				if f.Event.Seq != next {
					t.Errorf("event %d where %d was due", f.Event.Seq, next)
					return
				}
				if next++; f.Event.Seq == total {
					return
				}
			}
		}
		for range 4 {
			wg.Go(func() {
				for range total / 4 {
					l.send(v, session.Input{Type: session.UserInterrupt})
				}
			})
		}
		for i := range 6 {
			wg.Go(func() { read(0, session.StreamOptions{Replay: true}) })
			wg.Go(func() { read(int64(i), session.StreamOptions{Replay: true, AfterSeq: int64(i)}) })
		}
		wg.Wait()
	})
}

// TestLongEvents reads a log whose events do not fit into the memory together: pages get shorter, and nothing is left out.
func TestLongEvents(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newRunLab(t, s).start()
		v := l.session(0)
		text := strings.Repeat("long ", 1<<18)
		const count = 8
		for range count {
			l.send(v, session.Input{Type: session.SystemMessage, Content: session.Text(text)})
		}
		for _, desc := range []bool{false, true} {
			var seqs []int64
			pages := 0
			for q, more := (session.EventQuery{Desc: desc, Limit: 1000}), true; more; pages++ {
				var events []session.Event
				var err error
				events, more, err = l.sessions.Events(t.Context(), l.Scope, v.ID, q)
				l.must(err)
				size := 0
				for _, e := range events {
					size += len(e.Data)
					seqs = append(seqs, e.Seq)
				}
				if last := events[len(events)-1].Seq; desc {
					q.BeforeSeq = last
				} else {
					q.AfterSeq = last
				}
				if size > 6<<20 {
					t.Errorf("a page of %d bytes", size)
				}
			}
			slices.Sort(seqs)
			if !slices.Equal(seqs, []int64{1, 2, 3, 4, 5, 6, 7, 8}) || pages != count/4 {
				t.Errorf("descending %v: %v in %d pages", desc, seqs, pages)
			}
		}
		l.until(l, v, 0, func(e session.Event) bool { return e.Seq == count })
	})
}

func TestArchiveAndDelete(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newRunLab(t, s, pay("one", "20.00"), pay("two", "20.00")).start()
		v, before, a := parkedPayment(t, l)
		got, err := l.sessions.Archive(t.Context(), l.Scope, v.ID)
		l.must(err)
		if got.Status() != session.StatusTerminated {
			t.Errorf("%+v", got)
		}
		l.want(l.log(v)[len(before):], "agent.tool_result error", ended, "session.status_terminated")
		if _, _, err := l.gate.Approve(t.Context(), l.Scope, a.ID); !errors.Is(err, policy.ErrDecided) {
			t.Errorf("approved after the archive: %v", err)
		}
		if _, err := l.sessions.Send(t.Context(), l.Scope, v.ID, []session.Input{say("x")}); !errors.Is(err, session.ErrArchived) {
			t.Errorf("send: %v", err)
		}
		if _, err := l.sessions.Archive(t.Context(), l.Scope, v.ID); err != nil {
			t.Errorf("again: %v", err)
		}
		l.must(l.sessions.Delete(t.Context(), l.Scope, v.ID))
		if _, err := l.sessions.Get(t.Context(), l.Scope, v.ID); fault.KindOf(err) != fault.NotFound {
			t.Errorf("get: %v", err)
		}
	})
}

// TestContextIsBounded has a long conversation send only its newest part, from the cache and from a cold start alike.
func TestContextIsBounded(t *testing.T) {
	t.Parallel()
	l := newRunLab(t, openSQLiteStore(t))
	l.cfg.ContextBytes = 4000
	l.model.AnswerFunc = func(req llm.Request) llmtest.Answer { return llmtest.Text(strings.Repeat("x", 300)) }
	l.start()
	v := l.session(0)
	for i := range 30 {
		l.send(v, say(fmt.Sprintf("message %d", i)))
		l.idles(v, i+1)
	}
	check := func() {
		reqs := l.model.Requests()
		msgs := reqs[len(reqs)-1].Messages
		first := msgs[0].Blocks[0].Text
		if len(msgs) < 2 || len(msgs) > 25 || msgs[0].Role != llm.RoleUser || !strings.HasPrefix(first, "[system] Summary of the conversation so far:\nxxx") {
			t.Errorf("%d messages, the first %.200q", len(msgs), first)
		}
	}
	check()
	l.node(l.store) // a process with nothing in its memory, whose kicks come last
	l.send(v, say("message last"))
	l.idles(v, 31)
	check()
}

// TestMessageToModel measures how long it takes from a message to the first model call.
func TestMessageToModel(t *testing.T) {
	l := newRunLab(t, openSQLiteStore(t))
	began := make(chan time.Time, 1)
	l.model.AnswerFunc = func(llm.Request) llmtest.Answer {
		began <- time.Now()
		return llmtest.Text("ok")
	}
	l.start()
	v := l.session(0)
	var all []time.Duration
	for i := range 40 {
		start := time.Now()
		l.send(v, say("hello"))
		all = append(all, (<-began).Sub(start))
		l.idles(v, i+1)
	}
	slices.Sort(all)
	t.Logf("p50 %s, p90 %s", all[20], all[36])
}

func BenchmarkAppend(b *testing.B) {
	for _, length := range []int{100, 10_000} {
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			s := openSQLiteStore(b)
			sc := account.System(id.New[id.TenantKind](ids))
			v := session.Session{ID: id.New[id.SessionKind](ids), Agent: id.New[id.AgentKind](ids), AgentVersion: 1, CreatedAt: time.Now(), UpdatedAt: time.Now()}
			repo := s.Sessions()
			if err := repo.Create(b.Context(), sc, v); err != nil {
				b.Fatal(err)
			}
			data := json.RawMessage(`{"content":[{"type":"text","text":"` + strings.Repeat("word ", 90) + `"}]}`)
			fill := func(n int) {
				a := session.Append{Session: v.ID, At: time.Now()}
				for range n {
					a.Events = append(a.Events, session.Event{ID: id.New[id.EventKind](ids), Type: session.AgentMessage, Data: data})
				}
				if _, err := repo.Append(context.Background(), sc, a); err != nil {
					b.Fatal(err)
				}
			}
			for range length / 100 {
				fill(100)
			}
			for b.Loop() {
				fill(1)
			}
		})
	}
}
