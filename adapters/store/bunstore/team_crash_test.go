package bunstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/tool"
)

// TestEveryCrashPointOfBudgets kills a process in each transaction of a conversation whose threads spend one budget at once, and lets
// another one go on, which on Postgres works on the same team by then: the budget is passed at no moment, and what
// the model was asked for has been counted.
func TestEveryCrashPointOfBudgets(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			eachStore(t, func(t *testing.T, s *Store) {
				step := *crashStep
				if s.postgres() {
					step *= 6 // each waits for a lease to end
				}
				for at := firstCrash(after); ; at += step {
					d := &dyingTx{Runner: s, at: at, after: after, died: make(chan struct{})}
					spendTogether(t, s, d)
					if t.Failed() {
						t.Fatalf("killed in transaction %d", at)
					}
					if !d.reached() {
						t.Logf("%d transactions", d.n.Load())
						return
					}
				}
			})
		})
	}
}

func spendTogether(t *testing.T, s *Store, d *dyingTx) {
	t.Helper()
	const budget, each = 6_000, 15 // micro-dollars; what is reserved for a call is much more than it costs
	l := newTeamLab(t, s, "researcher", "writer", "critic")
	l.cfg.MaxOutputTokens = 300
	l.tools = testTools{newTool("again", true, func(context.Context, tool.Call) (tool.Result, error) { return tool.Result{Text: "more"}, nil })}
	l.plays["lead"] = func(_ string, results []string) llmtest.Answer {
		if len(results) > 0 {
			return llmtest.Text("all done")
		}
		return both(ask("a", "researcher", "go"), ask("b", "writer", "go"), ask("c", "critic", "go"))
	}
	for name := range l.member {
		l.plays[name] = func(_ string, results []string) llmtest.Answer {
			if len(results) == 3 {
				return llmtest.Text("done")
			}
			return llmtest.Call(fmt.Sprint("x", len(results)), "again", `{}`)
		}
	}
	l.cfg.Scan = time.Hour
	l.runNode = *l.idleNode()
	l.cfg.Scan = 5 * time.Millisecond
	if s.postgres() {
		l.cfg.Lease = 300 * time.Millisecond
	}
	v, err := l.sessions.Create(t.Context(), l.Scope, session.CreateRequest{
		Agent: l.lead, Budget: &session.Budget{MaxListCost: money.Of(budget, money.USD)},
	})
	l.must(err)
	l.send(v, say("Do it."))
	l.dying = d
	first := l.node(s)
	l.dying = nil
	var other *runNode
	stop := func(n *runNode) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if n == first && d.dead.Load() {
			cancel()
		}
		_ = n.run.Stop(ctx)
	}
	died, deadline := d.died, time.After(20*time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-died:
			died = nil
			if other == nil {
				other = l.node(s)
			}
			stop(first)
		case <-tick.C:
			if got := l.spent(v); got.Cost+got.Reserved > budget*money.PicosPerMicro {
				t.Fatalf("%+v", got)
			}
			if over = l.reply(v); other == nil && s.postgres() && d.n.Load() >= d.at/2 {
				other = l.node(s)
			}
		case <-deadline:
			t.Fatalf("the conversation does not come to its end: %v", kinds(l.log(v)))
		}
	}
	for _, n := range []*runNode{first, other} {
		if n != nil {
			stop(n)
		}
	}
	got := l.spent(v)
	if asked := int64(len(l.model.Requests())) * each; got.Reserved != 0 || got.Cost < money.Pico(asked*money.PicosPerMicro) || got.Cost > budget*money.PicosPerMicro {
		t.Errorf("%d were spent, and %+v counted", asked, got)
	}
	soundLog(t, s, l.runLab, v.ID)
	for _, th := range l.threads(v)[1:] {
		soundLog(t, s, l.runLab, th.ID)
		if th.Busy || th.Status() != session.StatusIdle {
			t.Errorf("%+v", th)
		}
	}
}

// TestTeamUnderStress sends to teams, interrupts them and their threads, archives threads and decides about what is parked, all at once
// while their threads spend a budget and come to their ends: nobody waits for somebody who waits for him, and every log stays sound.
func TestTeamUnderStress(t *testing.T) {
	t.Parallel()
	d := &deadlocks{}
	s, err := Open(t.Context(), Config{URL: postgresURL(t), PoolSize: 24, Logger: slog.New(d)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	const teams, rounds = 3, 12
	var all []*deepTeam
	for range teams {
		team := newDeepTeam(t, s, &session.Budget{MaxListCost: money.Of(1_000_000_000, money.USD)})
		team.plays["worker"] = func(_ string, results []string) llmtest.Answer {
			if len(results) < 3 {
				return llmtest.Call(fmt.Sprint("w", len(results)), "again", `{}`)
			}
			return llmtest.Text("worked")
		}
		team.tools = append(team.tools, newTool("again", true, func(context.Context, tool.Call) (tool.Result, error) { return tool.Result{Text: "more"}, nil }))
		team.cfg.Lease, team.cfg.Scan = 300*time.Millisecond, 20*time.Millisecond // renewed, and looked for, all the time
		team.start()
		all = append(all, team)
	}
	ctx := context.Background()
	fine := func(err error) {
		switch fault.KindOf(err) {
		case fault.NotFound, fault.Conflict:
			return
		}
		if err != nil {
			t.Error(err)
		}
	}
	var wg sync.WaitGroup
	for _, team := range all {
		threads := func() []session.Thread {
			p, err := team.sessions.Threads(ctx, team.Scope, team.v.ID, session.ThreadRequest{Statuses: []session.Status{session.StatusRunning, session.StatusIdle}})
			fine(err)
			return p.Items
		}
		send := func(in ...session.Input) {
			_, err := team.sessions.Send(ctx, team.Scope, team.v.ID, in)
			fine(err)
		}
		wg.Go(func() { // messages, and interrupts of everything
			for i := range rounds {
				send(say("Do it."))
				time.Sleep(15 * time.Millisecond) // lets some of the turn happen; any moment will do
				if i%3 == 2 {
					send(say("Again."), session.Input{Type: session.UserInterrupt})
				}
			}
		})
		for n := range 2 {
			wg.Go(func() { // one thread
				for i := range rounds {
					for _, th := range threads() {
						switch {
						case th.Type == session.ThreadPrimary || (i+n+th.Depth)%3 != 0:
						case i%4 == 3:
							_, err := team.sessions.ArchiveThread(ctx, team.Scope, team.v.ID, th.Key())
							fine(err)
						default:
							send(session.Input{Type: session.UserInterrupt, Thread: th.Key()})
						}
					}
				}
			})
		}
		wg.Go(func() { // what waits
			for range 2 * rounds {
				for _, th := range threads() {
					uses, err := s.ToolUses().Open(ctx, team.Scope, th.ID)
					fine(err)
					for _, u := range uses {
						switch u.State {
						case session.UseClient:
							send(session.Input{Type: session.UserCustomToolResult, ToolUse: u.ID, Content: session.Text("here")})
						case session.UseParked:
							if _, _, err := team.gate.Approve(ctx, team.Scope, u.Approval); !errors.Is(err, policy.ErrDecided) {
								fine(err)
							}
						}
					}
				}
			}
		})
	}
	wg.Wait()
	for _, team := range all {
		if _, err := team.sessions.Archive(ctx, team.Scope, team.v.ID); err != nil {
			t.Fatal(err)
		}
		p, err := team.sessions.Threads(ctx, team.Scope, team.v.ID, session.ThreadRequest{})
		team.must(err)
		for _, th := range p.Items {
			if th.Type != session.ThreadPrimary {
				team.threads[th.ID.String()] = th
			}
			if turns, err := s.SessionTurns().LockSession(ctx, team.Scope, th.ID); err != nil || len(turns) > 0 || th.Status() != session.StatusTerminated {
				t.Errorf("%s goes on: %+v, %v", th.Name, turns, err)
			}
		}
		team.sound()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.seen) > 0 {
		slices.Sort(d.seen)
		t.Errorf("%d transactions had to be repeated: %v", len(d.seen), slices.Compact(d.seen))
	}
}

// TestEveryCrashPointOfSummaries kills a process in each transaction of a conversation whose older part is summarised, and lets another
// one go on: every message is answered once, and every summary that has begun has an end.
func TestEveryCrashPointOfSummaries(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			s := openSQLiteStore(t)
			for at := firstCrash(after); ; at += *crashStep {
				d := &dyingTx{Runner: s, at: at, after: after, died: make(chan struct{})}
				summariseTogether(t, s, d)
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

func summariseTogether(t *testing.T, s *Store, d *dyingTx) {
	t.Helper()
	const messages = 6
	l := newTeamLab(t, s)
	l.cfg.ContextBytes = 1500
	l.model.AnswerFunc = func(req llm.Request) llmtest.Answer {
		if summarises(req) {
			return llmtest.Text("much was said")
		}
		return llmtest.Text(strings.Repeat("x", 300))
	}
	l.cfg.Scan = time.Hour
	l.runNode = *l.idleNode()
	l.cfg.Scan = 5 * time.Millisecond
	v := l.session(0)
	for range messages {
		l.send(v, say("Go on."))
	}
	l.survive(d, v)
	events := l.log(v)
	soundLog(t, s, l.runLab, v.ID)
	ends := map[id.Event]int{}
	for _, e := range events {
		if e.Type == session.SpanCompactionEnd {
			ends[e.Ref]++
		}
	}
	for _, e := range events {
		if e.Type == session.SpanCompactionStart && ends[e.ID] != 1 {
			t.Errorf("a summary has %d ends: %v", ends[e.ID], kinds(events))
		}
	}
	if n := count(events, session.AgentMessage); n != messages || count(events, session.ThreadCompacted) == 0 {
		t.Errorf("%d answers: %v", n, kinds(events))
	}
	sound(t, l.model.Requests())
}

// BenchmarkList is a page of sessions, the threads of one, and what those have used, over logs of different lengths.
func BenchmarkList(b *testing.B) {
	for _, length := range []int{100, 10_000} {
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			s := openSQLiteStore(b)
			sc := account.System(id.New[id.TenantKind](ids))
			var roots []id.Session
			for range 20 {
				v := session.Session{ID: id.New[id.SessionKind](ids), Agent: id.New[id.AgentKind](ids), AgentVersion: 1, CreatedAt: time.Now(), UpdatedAt: time.Now()}
				if err := s.Sessions().Create(b.Context(), sc, v); err != nil {
					b.Fatal(err)
				}
				roots = append(roots, v.ID)
			}
			for range session.MaxThreads {
				th := session.Thread{Session: session.Session{
					ID: id.New[id.SessionKind](ids), Agent: id.New[id.AgentKind](ids), AgentVersion: 1, Parent: roots[0], Root: roots[0],
					CreatedAt: time.Now(), UpdatedAt: time.Now(),
				}, Type: session.ThreadAgent, Name: "worker", Depth: 1}
				if err := s.Threads().Create(b.Context(), sc, th); err != nil {
					b.Fatal(err)
				}
			}
			for range length / 100 {
				a := session.Append{Session: roots[0], At: time.Now()}
				for range 100 {
					a.Events = append(a.Events, session.Event{ID: id.New[id.EventKind](ids), Type: session.AgentMessage, Data: []byte(`{"content":[]}`)})
				}
				if _, err := s.Sessions().Append(b.Context(), sc, a); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if _, err := s.Sessions().List(b.Context(), sc, session.ListRequest{}); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Threads().List(b.Context(), sc, roots[0], session.ThreadRequest{}); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Threads().Usage(b.Context(), sc, roots); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Threads().Lagging(b.Context(), 256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
