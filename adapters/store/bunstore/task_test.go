package bunstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/account/accounttest"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/task"
	"github.com/bureau-agents/bureau/core/task/tasktest"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestTasks(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		tasktest.Run(t, tasktest.Config{New: func(*testing.T) (tasktest.Store, tx.Runner) { return s.Tasks(), s }})
	})
}

// newTasks makes the runs of a node.
func (l *runLab) newTasks(n *runNode, over tx.Runner, agents *agent.Service) *task.Service {
	l.t.Helper()
	accounts, err := account.NewService(accounttest.Deps(n.store.Accounts(), over, l.Clock), account.Config{})
	l.must(err)
	store := n.store.Tasks()
	s, err := task.NewService(task.Deps{
		TX: over, Clock: clock.Func(time.Now), IDs: l.IDs, Logger: slog.New(slog.DiscardHandler), Repository: store, Acts: store, Agents: agents,
		Sessions: n.sessions, Log: n.store.Sessions(), Gate: n.gate, Credits: accounts, Policies: l.Policies, Trail: l.trail,
	})
	l.must(err)
	n.journal.Watch(s)
	n.sessions.OnSend(s.MaySend)
	return s
}

// metered gives the lab's tenant a plan with credits.
func (l *runLab) metered(plan account.Plan) {
	l.t.Helper()
	l.must(l.store.Accounts().SetPlan(context.Background(), l.Scope, plan))
}

// credits returns what the tenant's runs have used and reserved, by the month and by the charges.
func (l *runLab) credits() (month, charges account.CreditMonth) {
	l.t.Helper()
	ctx, now := context.Background(), l.Clock.Now()
	month, err := l.store.Accounts().CreditMonth(ctx, l.Scope, now)
	l.must(err)
	charges, err = l.store.Accounts().Charges(ctx, l.Scope, now)
	l.must(err)
	return month, charges
}

// TestRunsTogether starts runs from two processes at once: together they never take more credits than there are.
func TestRunsTogether(t *testing.T) {
	t.Parallel()
	url := postgresURL(t)
	l := newRunLab(t, openStore(t, Config{URL: url, PoolSize: 8}))
	l.model.AnswerFunc = func(llm.Request) llmtest.Answer { return llmtest.Text("hello") }
	l.start()
	nodes := []*runNode{&l.runNode, l.node(openStore(t, Config{URL: url, PoolSize: 8}))}
	l.metered(account.PlanFree)
	buyer := l.Agent(t, 0)
	var mu sync.Mutex
	var all sync.WaitGroup
	started, refused := 0, 0
	for i := range 64 {
		all.Go(func() {
			r, err := nodes[i%2].tasks.Start(context.Background(), l.Scope, task.StartRequest{Agent: buyer, Task: "Say hello.", Wait: time.Minute})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && r.Status == task.Completed && r.Summary == "hello" && r.Credits == 3:
				started++
			case errors.Is(err, account.ErrCreditsExhausted):
				refused++
			default:
				t.Errorf("%+v %v", r, err)
			}
		})
	}
	all.Wait()
	if started != 16 || refused != 48 {
		t.Errorf("%d runs and %d refusals", started, refused)
	}
	if month, charges := l.credits(); month != charges || month != (account.CreditMonth{Used: 48}) {
		t.Errorf("%+v, and the charges %+v", month, charges)
	}
}

// TestRunDenied fails a run of which an act was denied, although the model went on.
func TestRunDenied(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newRunLab(t, s, pay("a", "20.00"), pay("b", "2.00"), llmtest.Text("I paid 2 instead."))
		l.start()
		l.metered(account.PlanFree)
		buyer := l.Agent(t, 100*money.MicrosPerUnit)
		l.Policy(t, buyer, policy.Limits{MaxPerTransaction: ptrTo(gatetest.USDC(10 * money.MicrosPerUnit))})
		r, err := l.tasks.Start(context.Background(), l.Scope, task.StartRequest{Agent: buyer, Task: "Pay.", Wait: time.Minute})
		if err != nil || r.Status != task.Failed || r.Rule != "max_per_transaction" || r.Summary != "I paid 2 instead." || r.Acts != 2 || r.Credits != 3 {
			t.Errorf("%+v %v", r, err)
		}
	})
}

// TestRunWhoseModelFails fails with what the model's provider said.
func TestRunWhoseModelFails(t *testing.T) {
	t.Parallel()
	l := newRunLab(t, openSQLiteStore(t), llmtest.Fail(400, "no such model"))
	l.start()
	r, err := l.tasks.Start(context.Background(), l.Scope, task.StartRequest{Agent: l.Agent(t, 0), Task: "Say hello.", Wait: time.Minute})
	if err != nil || r.Status != task.Failed || r.Error == "" || r.Rule != "" || r.CompletedAt == nil {
		t.Errorf("%+v %v", r, err)
	}
}

// TestEveryCrashPointOfRuns kills a process in each transaction from the start of a run to its end, before and after its commit, and lets
// another one go on: the run is there as a whole or not at all, ends once, and is charged once.
func TestEveryCrashPointOfRuns(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			s := openSQLiteStore(t)
			for at := firstCrash(after); ; at += *crashStep {
				d := &dyingTx{Runner: s, at: at, after: after, died: make(chan struct{})}
				runOnce(t, s, d)
				if t.Failed() {
					t.Fatalf("killed in transaction %d", at)
				}
				if !d.reached() {
					return
				}
			}
		})
	}
}

// runOnce starts a run of three acts in a process that dies as d says, and checks what another one makes of it.
func runOnce(t *testing.T, s *Store, d *dyingTx) {
	l := newRunLab(t, s)
	l.cfg.Scan = 5 * time.Millisecond
	l.model.AnswerFunc = func(req llm.Request) llmtest.Answer {
		results := 0
		for _, m := range req.Messages {
			for _, b := range m.Blocks {
				if b.ToolResult != nil {
					results++
				}
			}
		}
		if results > 0 {
			return llmtest.Text("all paid")
		}
		a := pay("a", "1.00")
		a.Blocks = append(a.Blocks, pay("b", "2.00").Blocks...)
		a.Blocks = append(a.Blocks, pay("c", "3.00").Blocks...)
		return a
	}
	trail, err := audit.NewService(audit.Deps{
		TX: s, Clock: clock.Func(time.Now), IDs: l.IDs, Logger: slog.New(slog.DiscardHandler), Repository: s.Audit(), Seals: s.Audit(),
	}, audit.Config{})
	l.must(err)
	l.trail = trail
	l.metered(account.PlanFree)
	buyer := l.Agent(t, 100*money.MicrosPerUnit)
	l.Policy(t, buyer, policy.Limits{DailyLimit: ptrTo(gatetest.USDC(50 * money.MicrosPerUnit))})
	l.dying = d
	first := l.node(s)
	l.dying = nil
	ctx := context.Background()
	r, startErr := first.tasks.Start(ctx, l.Scope, task.StartRequest{Agent: buyer, Task: "Pay."})
	if startErr != nil && !errors.Is(startErr, errKilled) {
		t.Fatal(startErr)
	}
	req := task.ListRequest{Agent: buyer}
	if startErr == nil { // the run goes on until it has ended or its process has
		for ended := false; !ended && !d.dead.Load(); {
			got, err := s.Tasks().Get(ctx, l.Scope, r.ID)
			l.must(err)
			ended = got.Status.Final()
			time.Sleep(time.Millisecond)
		}
	}
	now, cancel := context.WithCancel(ctx)
	cancel()
	_ = first.run.Stop(now)
	second := l.node(s)
	found, err := s.Tasks().List(ctx, l.Scope, req)
	l.must(err)
	if n := len(found.Items); n > 1 || n == 0 && startErr == nil {
		t.Fatalf("%d runs, and the start said %v", n, startErr)
	}
	want := account.CreditMonth{}
	actions := map[string]int{}
	if len(found.Items) == 1 {
		r = found.Items[0]
		second.until(l, session.Session{ID: r.Session}, 0, isIdle)
		if r, err = s.Tasks().Get(ctx, l.Scope, r.ID); err != nil || r.Status != task.Completed || r.Summary != "all paid" || r.Credits != 5 || r.Acts != 3 {
			t.Errorf("%+v %v", r, err)
		}
		want = account.CreditMonth{Used: 5}
		actions = map[string]int{"agent_run_started": 1, "agent_run_completed": 1, "transaction_completed": 3}
	}
	if month, charges := l.credits(); month != want || charges != want {
		t.Errorf("%+v, and the charges %+v, not %+v", month, charges, want)
	}
	entries, err := trail.List(ctx, l.Scope, audit.Filter{Agent: buyer})
	l.must(err)
	for _, e := range entries.Items {
		if actions[e.Action]--; actions[e.Action] < 0 && e.Action != "policy_created" {
			t.Errorf("%s once more than it should be", e.Action)
		}
	}
	for action, n := range actions {
		if n > 0 {
			t.Errorf("%d %s are missing", n, action)
		}
	}
	_ = second.run.Stop(now)
}

// TestRunStartWaits holds a run back until a person has decided about its start.
func TestRunStartWaits(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newRunLab(t, s)
		l.model.AnswerFunc = func(llm.Request) llmtest.Answer { return llmtest.Text("hello") }
		l.Rules.Set("starts", gatetest.Rule{Fn: func(_ context.Context, in rule.Input) (rule.Verdict, error) {
			if in.Action == rule.ActionRunStart {
				return rule.Verdict{Outcome: rule.Approve, Reason: "ask first"}, nil
			}
			return rule.Verdict{Outcome: rule.Allow}, nil
		}})
		l.start()
		l.metered(account.PlanFree)
		ctx, buyer := context.Background(), l.Agent(t, 0)
		l.Policy(t, buyer, policy.Limits{}, policy.RuleRef{Plugin: "starts"})
		start := func() (task.Run, id.Approval) {
			t.Helper()
			r, err := l.tasks.Start(ctx, l.Scope, task.StartRequest{Agent: buyer, Task: "Say hello.", Wait: time.Minute})
			if err != nil || r.Status != task.WaitingApproval {
				t.Fatalf("%+v %v", r, err)
			}
			waiting, err := l.gate.Approvals(ctx, l.Scope, policy.ApprovalFilter{Status: []policy.ApprovalStatus{policy.ApprovalPending}}, page.Request{})
			if err != nil || len(waiting.Items) != 1 || waiting.Items[0].Session != r.Session {
				t.Fatalf("%+v %v", waiting, err)
			}
			return r, waiting.Items[0].ID
		}
		get := func(r task.Run) task.Run {
			t.Helper()
			got, err := l.tasks.Get(ctx, l.Scope, buyer, r.ID)
			l.must(err)
			return got
		}
		charged := func(used int) {
			t.Helper()
			if month, charges := l.credits(); month != charges || month != (account.CreditMonth{Used: used}) {
				t.Errorf("%+v, and the charges %+v", month, charges)
			}
		}

		r, approval := start()
		charged(0)
		hello := []session.Input{{Type: session.UserMessage, Content: session.Text("hello")}}
		if _, err := l.sessions.Send(ctx, l.Scope, r.Session, hello); !errors.Is(err, task.ErrWaits) {
			t.Errorf("a message to a run that waits to start: %v", err)
		}
		_, _, err := l.gate.Approve(ctx, l.Scope, approval)
		l.must(err)
		l.must(l.tasks.Tend(ctx))
		l.idles(session.Session{ID: r.Session}, 1)
		if got := get(r); got.Status != task.Completed || got.Summary != "hello" || got.Credits != 3 || got.Pending {
			t.Errorf("%+v", got)
		}
		charged(3)

		r, approval = start()
		_, err = l.gate.Deny(ctx, l.Scope, approval, "not today")
		l.must(err)
		l.must(l.tasks.Tend(ctx))
		if got := get(r); got.Status != task.Failed || got.Rule != "rule:starts" && got.Rule != "starts" || !strings.Contains(got.Error, "not today") {
			t.Errorf("%+v", got)
		}

		r, _ = start()
		if got, err := l.tasks.Cancel(ctx, l.Scope, buyer, r.ID); err != nil || got.Status != task.Failed || got.Error != "cancelled" || got.Credits != 0 {
			t.Errorf("%+v %v", got, err)
		}

		r, _ = start()
		_, err = l.gate.Freeze(ctx, l.Scope, buyer)
		l.must(err)
		l.must(l.tasks.Tend(ctx))
		if got := get(r); got.Status != task.Failed || got.Rule != policy.RuleFrozen {
			t.Errorf("%+v", got)
		}
		l.must(l.gate.Unfreeze(ctx, l.Scope, buyer))

		r, approval = start()
		l.must(l.store.Accounts().SaveCreditMonth(ctx, l.Scope, l.Clock.Now(), account.CreditMonth{Used: 49}))
		_, _, err = l.gate.Approve(ctx, l.Scope, approval)
		l.must(err)
		l.must(l.tasks.Tend(ctx))
		if got := get(r); got.Status != task.Failed || !strings.Contains(got.Error, "credits") || got.Credits != 0 {
			t.Errorf("%+v", got)
		}
	})
}
