package bunstore

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tool"
	"github.com/bureau-agents/bureau/ports/tx"
)

// dyingTx runs the transactions of a process that is killed in its at-th one: right before that commits, or right after. Nothing
// that the process does from then on reaches the store.
type dyingTx struct {
	tx.Runner
	at    int64
	after bool
	fault error // unless nil, only the one transaction fails, with this, and the process goes on

	n    atomic.Int64
	dead atomic.Bool
	once sync.Once
	died chan struct{}
}

var errKilled = errors.New("the process was killed")

type insideKey struct{ *dyingTx }

func (d *dyingTx) Do(ctx context.Context, fn func(context.Context) error) error {
	if ctx.Value(insideKey{d}) != nil {
		return d.Runner.Do(ctx, fn)
	}
	ctx = context.WithValue(ctx, insideKey{d}, true)
	mine := d.n.Add(1) == d.at
	err := d.Runner.Do(ctx, func(ctx context.Context) error {
		if d.dead.Load() {
			return errKilled
		}
		if err := fn(ctx); err != nil || !mine {
			return err
		}
		d.dead.Store(d.fault == nil)
		if d.after {
			return nil
		}
		return d.error()
	})
	if !mine {
		return err
	}
	d.dead.Store(d.fault == nil)
	d.once.Do(func() { close(d.died) })
	return d.error()
}

func (d *dyingTx) error() error {
	if d.fault != nil {
		return d.fault
	}
	return errKilled
}

func (d *dyingTx) reached() bool { return d.n.Load() >= d.at }

// crashWorld is a conversation that does one of everything, and what the outside saw of it.
type crashWorld struct {
	*runLab
	trail *audit.Service
	v     session.Session
	caps  policy.Policy
	tries int // how many model calls there may be

	cutShort bool // turns may be given up

	budget *int64 // of tokens; nil leaves model calls without a row

	mu    sync.Mutex
	calls map[string]map[string]int // by tool, by key
}

// letGo is a slog.Handler that hears when a process lets a turn go until its lease runs out.
type letGo chan struct{}

func (letGo) Enabled(context.Context, slog.Level) bool { return true }
func (h letGo) WithAttrs([]slog.Attr) slog.Handler     { return h }
func (h letGo) WithGroup(string) slog.Handler          { return h }
func (h letGo) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "turn put off" || r.Message == "turn not claimed" {
		h <- struct{}{}
	}
	return nil
}

// expire lets the lease of a session's turn run out.
func (l *runLab) expire(v session.Session) {
	l.t.Helper()
	l.must(l.store.write(context.Background(), func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "UPDATE session_turns SET lease_until = ? WHERE session_id = ? AND state = 'running'", at(time.Unix(0, 0)), v.ID)
		return err
	}))
}

// newCrashWorld makes a session with two messages. The first one makes the agent pay 20, call a tool that may be repeated and one
// that may not; then pay 30, which waits for an approval, and ask the client; the second makes it pay 1.
func newCrashWorld(t *testing.T, s *Store) *crashWorld {
	t.Helper()
	w := &crashWorld{runLab: newRunLab(t, s), calls: map[string]map[string]int{}, tries: 6, budget: ptrTo(int64(1_000_000_000))}
	var err error
	w.trail, err = audit.NewService(audit.Deps{
		TX: s, Clock: clock.Func(time.Now), IDs: w.IDs, Logger: slog.New(slog.DiscardHandler), Repository: s.Audit(), Seals: s.Audit(),
	}, audit.Config{})
	w.must(err)
	w.runLab.trail = w.trail
	w.cfg.Scan = 5 * time.Millisecond
	w.model.AnswerFunc = crashAnswer
	w.tools = testTools{
		newTool("again", true, w.count("again")), newTool("once", false, w.count("once")),
		{Spec: tool.Spec{Name: "client", InputSchema: json.RawMessage(`{"type":"object"}`)}},
	}
	return w
}

func (w *crashWorld) count(name string) func(context.Context, tool.Call) (tool.Result, error) {
	w.calls[name] = map[string]int{}
	return func(_ context.Context, c tool.Call) (tool.Result, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls[name][c.Key]++
		return tool.Result{Text: "done"}, nil
	}
}

// lose takes a session's turn from its holder. The holder may be about to renew its lease, hence the repetition.
func (l *runLab) lose(v session.Session) {
	l.t.Helper()
	epoch := func() (n int64) {
		l.must(l.store.read(context.Background()).QueryRowContext(context.Background(),
			"SELECT max(epoch) FROM session_turns WHERE session_id = ?", v.ID).Scan(&n))
		return n
	}
	for before := epoch(); ; {
		l.expire(v)
		for range 20 {
			if epoch() > before {
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
}

// crashAnswer says what the conversation wants next, whoever asks and however often.
func crashAnswer(req llm.Request) llmtest.Answer {
	messages, results := 0, 0
	for _, m := range req.Messages {
		for _, b := range m.Blocks {
			switch {
			case b.ToolResult != nil:
				results++
			case m.Role == llm.RoleUser:
				messages++
			}
		}
	}
	a := llmtest.Text("done")
	switch {
	case messages == 1 && results == 0:
		a = pay("a", "20.00")
		a.Blocks = append(a.Blocks, llmtest.Call("b", "again", `{}`).Blocks...)
		a.Blocks = append(a.Blocks, llmtest.Call("c", "once", `{}`).Blocks...)
	case messages == 1 && results == 3:
		a = pay("d", "30.00")
		a.Blocks = append(a.Blocks, llmtest.Call("e", "client", `{}`).Blocks...)
	case messages == 2 && results == 5:
		a = pay("f", "1.00")
	}
	a.Usage = llm.Usage{Input: 10, Output: 5}
	return a
}

// play starts a process that is killed as d says, and another one once it is; client does what a person has to do. It returns
// once the conversation is over.
func (w *crashWorld) play(d *dyingTx, client *runNode) {
	w.t.Helper()
	gone := make(letGo, 100)
	w.dying, w.logs = d, gone
	first := w.node(w.store)
	w.dying = nil
	current := first
	stop := func(n *runNode) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if n == first && d.dead.Load() {
			cancel()
		}
		_ = n.run.Stop(ctx)
	}
	defer func() { stop(current) }()
	died := d.died
	deadline := time.After(20 * time.Second)
	for tick := time.NewTicker(2 * time.Millisecond); ; {
		select {
		case <-died:
			died = nil
			if d.fault == nil {
				current = w.node(w.store)
				stop(first)
			}
		case <-gone:
			if d.fault != nil { // otherwise it is a dead process that talks
				w.expire(w.v)
			}
		case <-tick.C:
			if w.act(client) {
				tick.Stop()
				return
			}
		case <-deadline:
			w.t.Fatalf("the conversation does not come to its end: %v", kinds(w.log(w.v)))
		}
	}
}

// act gives the approval and the result that the conversation waits for; true: it is over.
func (w *crashWorld) act(client *runNode) bool {
	w.t.Helper()
	ctx := context.Background()
	uses, err := w.store.ToolUses().Open(ctx, w.Scope, w.v.ID)
	w.must(err)
	for _, u := range uses {
		switch u.State {
		case session.UseParked:
			_, _, err = client.gate.Approve(ctx, w.Scope, u.Approval)
		case session.UseClient:
			_, err = client.sessions.Send(ctx, w.Scope, w.v.ID, []session.Input{
				{Type: session.UserCustomToolResult, ToolUse: u.ID, Content: session.Text("here")},
			})
		}
		if err != nil && !errors.Is(err, policy.ErrDecided) && !errors.Is(err, session.ErrNoSuchToolUse) && !errors.Is(err, errKilled) {
			w.t.Fatal(err)
		}
	}
	v, err := w.store.Sessions().Get(ctx, w.Scope, w.v.ID)
	w.must(err)
	return v.Queued == 0 && v.Active == session.StatusIdle && v.StopReason != nil && v.StopReason.Type != session.StopRequiresAction
}

// check fails the test unless everything happened once.
func (w *crashWorld) check() {
	w.t.Helper()
	ctx := context.Background()
	events := w.log(w.v)
	ids, results, spans := map[id.Event]bool{}, map[id.Event][]string{}, map[id.Event]int{}
	names := map[id.Event]string{}
	tokens, answers, cut, paid, payments := int64(0), 0, 0, int64(0), 0
	for i, e := range events {
		if e.Seq != int64(i+1) || ids[e.ID] {
			w.t.Errorf("event %d has the number %d and an id that is seen: %v", i+1, e.Seq, ids[e.ID])
		}
		ids[e.ID] = true
		switch {
		case e.Type.IsToolUse():
			var b session.ToolUseBody
			w.must(e.Body(&b))
			names[e.ID] = b.Name
		case e.Type.IsToolResult():
			var b session.ToolResultBody
			w.must(e.Body(&b))
			results[e.Ref] = append(results[e.Ref], session.PlainText(b.Content))
		case e.Type == session.SpanModelStart:
			spans[e.ID] = 0
		case e.Type == session.SpanModelEnd:
			spans[e.Ref]++
			var b session.SpanEndBody
			w.must(e.Body(&b))
			if b.IsError != nil && !*b.IsError {
				answers++
				tokens += 15
			} else {
				cut++
			}
		case e.Type == session.SessionError && !w.cutShort:
			w.t.Errorf("a session.error: %s", e.Data)
		}
	}
	if len(names) != 6 && !w.cutShort {
		w.t.Errorf("%d tool uses, want 6: %v", len(names), kinds(events))
	}
	for use, name := range names {
		got := results[use]
		if len(got) != 1 {
			w.t.Errorf("%d results for one use of %s: %q", len(got), name, got)
			continue
		}
		calls := w.calls[name][use.String()]
		switch {
		case name == "pay" && strings.Contains(got[0], "balance_after"):
			var out struct{ Amount string }
			w.must(json.Unmarshal([]byte(got[0]), &out))
			amount, err := money.Parse(out.Amount, money.USDC)
			w.must(err)
			paid += amount.Micros
			payments++
		case w.cutShort:
		case name == "pay":
			w.t.Errorf("a payment that was made has the result %q", got[0])
		case name == "again" && (got[0] != "done" || calls < 1):
			w.t.Errorf("a tool that may be repeated, called %d times, has the result %q", calls, got[0])
		case name == "once" && calls > 1, name == "once" && got[0] == "done" && calls != 1,
			name == "once" && got[0] != "done" && !strings.Contains(got[0], "outcome is unknown"):
			w.t.Errorf("a tool that must not be repeated, called %d times, has the result %q", calls, got[0])
		}
	}
	for span, ends := range spans {
		if ends != 1 {
			w.t.Errorf("the span %s has %d ends", span, ends)
		}
	}
	// A holder that was too slow for its lease is cut off while it settles: its answer is asked for again, and what this meter, which is
	// no part of the store, has noted stays.
	if n := len(w.model.Requests()); answers != 5 && !w.cutShort || n > w.tries+cut {
		w.t.Errorf("%d model calls brought %d answers, want 5", n, answers)
	}
	if n := w.meter.settled(answers); n < answers || n > answers+cut {
		w.t.Errorf("%d usage rows for %d answers", n, answers)
	}
	if payments != 3 && !w.cutShort || payments == 3 && paid != 51*money.MicrosPerUnit {
		w.t.Errorf("%d payments of %d together have a result", payments, paid)
	}
	if sum, n := w.Paid(w.t, w.v.Agent); sum != paid || n != payments || w.Balance(w.t, w.v.Agent) != 100*money.MicrosPerUnit-paid {
		w.t.Errorf("%d payments of %d together were made, and %d of %d have a result", n, sum, payments, paid)
	}
	w.Sound(w.t)
	if c := w.Counter(w.t, w.caps, "daily_limit", rule.WindowDay, "USDC"); c.Spent != paid || c.Reserved != 0 {
		w.t.Errorf("the cap has counted %+v", c)
	}
	c := w.Counter(w.t, w.caps, "daily_token_limit", rule.WindowDay, policy.UnitTokens)
	if w.budget != nil && c.Spent < tokens || c.Reserved != 0 {
		w.t.Errorf("the budget has counted %+v, and %d tokens were used", c, tokens)
	}
	if n, err := w.store.Acts().InFlight(ctx, w.Scope, gate.Unstarted{Agent: w.v.Agent}); err != nil || n != 0 {
		w.t.Errorf("%d acts have no end: %v", n, err)
	}
	if waiting, err := w.store.Acts().Unstarted(ctx, w.Scope, gate.Unstarted{Agent: w.v.Agent}); err != nil || len(waiting) != 0 {
		w.t.Errorf("acts still wait: %+v %v", waiting, err)
	}
	v, err := w.store.Sessions().Get(ctx, w.Scope, w.v.ID)
	w.must(err)
	if v.Usage.Tokens.Input+v.Usage.Tokens.Output != tokens || v.LastSeq != int64(len(events)) {
		w.t.Errorf("the session says %+v", v)
	}
	w.checkTrail()
}

func (w *crashWorld) checkTrail() {
	w.t.Helper()
	report, err := w.trail.Verify(context.Background(), w.Scope)
	w.must(err)
	list, err := w.trail.List(context.Background(), w.Scope, audit.Filter{})
	w.must(err)
	got := map[string]int{}
	for _, e := range list.Items {
		got[e.Action]++
	}
	want := map[string]int{
		"transaction_completed": 3, "approval_requested": 1, "approval_approved": 1, "tool_called": 3,
	}
	if !report.Valid || !maps.Equal(got, want) && !w.cutShort {
		w.t.Errorf("the trail: %+v, %v, want %v", report, got, want)
	}
}

// begin makes the session and the messages, without anybody who runs them.
func (w *crashWorld) begin(client *runNode) {
	w.t.Helper()
	w.runNode = *client
	w.v = w.session(100 * money.MicrosPerUnit)
	w.caps = w.Policy(w.t, w.v.Agent, policy.Limits{
		RequireApprovalAbove: ptrTo(gatetest.USDC(25 * money.MicrosPerUnit)), DailyLimit: ptrTo(gatetest.USDC(1000 * money.MicrosPerUnit)),
		DailyTokenLimit: w.budget,
	})
	w.send(w.v, say("First."), say("Second."))
}

// crashStep thins out the transactions that are killed or fail, one after the other: the long crash runs take all of them.
var crashStep = flag.Int64("crash.step", 10, "kill every n-th transaction")

// firstCrash is the first transaction that is killed. Before and after the commit it is another one, so that what one run leaves out the
// other takes.
func firstCrash(after bool) int64 {
	if after {
		return 1 + *crashStep/2
	}
	return 1
}

// TestEveryCrashPoint kills a process in each transaction of a conversation, before and after its commit, and lets another one
// go on: every payment is made once, every tool use has one result, nothing that the log holds is asked for again, and the
// trail holds together.
func TestEveryCrashPoint(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			s := openSQLiteStore(t)
			for at := firstCrash(after); ; at += *crashStep {
				w := newCrashWorld(t, s)
				w.cfg.Scan = time.Hour // the client's node runs nothing by itself
				client := w.idleNode()
				w.cfg.Scan = 5 * time.Millisecond
				w.begin(client)
				d := &dyingTx{Runner: s, at: at, after: after, died: make(chan struct{})}
				w.play(d, client)
				w.check()
				if t.Failed() {
					t.Fatalf("killed in transaction %d: %v", at, kinds(w.log(w.v)))
				}
				if !d.reached() {
					t.Logf("%d transactions", d.n.Load())
					return
				}
			}
		})
	}
}

// TestEveryFailingTransaction lets each transaction of a conversation fail once, undone or committed, in a process that goes on:
// besides, no answer of a model and no result of a tool is lost.
func TestEveryFailingTransaction(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			s := openSQLiteStore(t)
			for at := firstCrash(after); ; at += *crashStep {
				w := newCrashWorld(t, s)
				w.cfg.Scan = time.Hour // the client's node runs nothing by itself
				client := w.idleNode()
				w.cfg.Scan = 5 * time.Millisecond
				w.tries, w.budget = 5, nil
				w.begin(client)
				d := &dyingTx{Runner: s, at: at, after: after, fault: errBusy, died: make(chan struct{})}
				w.play(d, client)
				w.check()
				if t.Failed() {
					t.Fatalf("transaction %d failed: %v", at, kinds(w.log(w.v)))
				}
				if !d.reached() {
					return
				}
			}
		})
	}
}

// TestEveryFatalTransaction lets each transaction fail once as only a defect makes it fail: the turn may be given up for it, and
// what is in the log is true all the same. Nothing of the turn can be approved afterwards.
func TestEveryFatalTransaction(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			s := openSQLiteStore(t)
			for at := firstCrash(after); ; at += *crashStep {
				w := newCrashWorld(t, s)
				w.cfg.Scan = time.Hour // the client's node runs nothing by itself
				client := w.idleNode()
				w.cfg.Scan, w.cutShort = 5*time.Millisecond, true
				w.begin(client)
				d := &dyingTx{Runner: s, at: at, after: after, fault: errors.New("a defect"), died: make(chan struct{})}
				w.play(d, client)
				w.check()
				if t.Failed() {
					t.Fatalf("transaction %d failed: %v", at, kinds(w.log(w.v)))
				}
				if !d.reached() {
					return
				}
			}
		})
	}
}

// idleNode is a process that serves clients and runs no turns.
func (l *runLab) idleNode() *runNode {
	l.t.Helper()
	n := l.node(l.store)
	l.must(n.run.Stop(context.Background()))
	return n
}
