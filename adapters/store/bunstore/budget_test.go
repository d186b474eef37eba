package bunstore

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/money"
)

// budgeted makes a session whose model calls may cost so many micro-dollars.
func (l *runLab) budgeted(micros int64) session.Session {
	l.t.Helper()
	v, err := l.sessions.Create(context.Background(), l.Scope, session.CreateRequest{
		Agent: l.Agent(l.t, 0), Budget: &session.Budget{MaxListCost: money.Of(micros, money.USD)},
	})
	l.must(err)
	return v
}

func (l *runLab) spent(v session.Session) session.Spending {
	l.t.Helper()
	s, err := l.store.Spendings().Spent(context.Background(), l.Scope, v.ID)
	l.must(err)
	return s
}

const overBudget = "session.error billing_error exhausted, session.usage, session.status_idle budget_reached"

// TestSessionBudget spends a budget to its end and a little further: what is asked of the model is cut to what is left, nothing is
// spent past the budget, and raising it lets the session go on.
func TestSessionBudget(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newRunLab(t, s)
		l.cfg.MaxOutputTokens = 1000
		var asked []int
		l.model.AnswerFunc = func(req llm.Request) llmtest.Answer {
			asked = append(asked, req.MaxOutputTokens)
			a := llmtest.Text("well")
			a.Usage = llm.Usage{Input: 100, Output: 100}
			return a
		}
		l.start()
		const budget = 4_000
		v := l.budgeted(budget)
		turns := 0
		for ; turns < 20; turns++ {
			l.send(v, say("Go on."))
			events := l.idles(v, turns+1)
			if strings.HasPrefix(kinds(events[len(events)-1:])[0], "session.status_idle budget_reached") {
				l.want(events[len(events)-5:], began, overBudget)
				break
			}
		}
		spent := l.spent(v)
		if turns < 3 || turns == 20 || spent.Cost > budget*money.PicosPerMicro || spent.Reserved != 0 {
			t.Errorf("%d turns, %+v", turns, spent)
		}
		if asked[0] != 1000 || asked[len(asked)-1] >= 1000 || asked[len(asked)-1] < 256 {
			t.Errorf("asked for %v tokens", asked)
		}
		got, err := l.sessions.Get(t.Context(), l.Scope, v.ID)
		l.must(err)
		if got.Status() != session.StatusIdle || got.StopReason.Type != session.StopBudgetReached || got.Usage.Cost != spent.Cost {
			t.Errorf("%+v", got)
		}

		update := func(p session.Patch) error {
			_, err := l.sessions.Update(t.Context(), l.Scope, v.ID, p)
			return err
		}
		limit := func(micros int64) *session.Budget { return &session.Budget{MaxListCost: money.Of(micros, money.USD)} }
		if err := update(session.Patch{Budget: limit(1)}); !errors.Is(err, session.ErrBudgetNotRaised) {
			t.Errorf("lowered below what is spent: %v", err)
		}
		l.must(update(session.Patch{Budget: limit(10 * budget)}))
		l.send(v, say("And now?"))
		l.want(l.idles(v, turns+2)[len(l.log(v))-7:], began, spoke, ended)

		l.must(update(session.Patch{ClearBudget: true}))
		if err := update(session.Patch{Budget: limit(budget)}); !errors.Is(err, session.ErrBudgetCreateOnly) {
			t.Errorf("added: %v", err)
		}
		var b session.UpdatedBody
		log := l.log(v)
		l.must(log[len(log)-1].Body(&b))
		if log[len(log)-1].Type != session.SessionUpdated || string(b.Budget) != "null" {
			t.Errorf("%s", log[len(log)-1].Data)
		}
	})
}

// TestSessionBudgetWithoutPrice refuses calls whose price nobody knows.
func TestSessionBudgetWithoutPrice(t *testing.T) {
	t.Parallel()
	l := newRunLab(t, openSQLiteStore(t), llmtest.Text("never"))
	l.meter.unpriced = true
	l.start()
	v := l.budgeted(1_000_000)
	l.send(v, say("Hello."))
	events := l.idles(v, 1)
	l.want(events, began, overBudget)
	if e := find(events, session.SessionError); !strings.Contains(string(e.Data), "price") {
		t.Errorf("%s", e.Data)
	}
	if l.model.Left() != 1 {
		t.Error("the model was asked")
	}
}

// TestSessionBudgetRaces lets the threads of one session begin and end model calls at once: their reservations never add up to more
// than the budget, and all of it can be used.
func TestSessionBudgetRaces(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		const threads, cost, budget = 12, 100, 720 // seven calls fit
		l := newRunLab(t, s)
		l.cfg.Scan = time.Hour
		l.start()
		root := l.budgeted(budget)
		sc := account.System(l.Scope.Tenant)
		turns := make([]session.Turn, threads)
		for i := range turns {
			child := root
			child.ID, child.Parent, child.Root, child.Budget = id.New[id.SessionKind](l.IDs), root.ID, root.ID, nil
			l.must(s.Sessions().Create(t.Context(), sc, child))
			_, err := s.SessionTurns().Enqueue(t.Context(), sc, child.ID, []session.Turn{{
				ID: id.New[id.TurnKind](l.IDs), Session: child.ID, Agent: child.Agent, CreatedAt: time.Now(),
				Input: session.Event{ID: l.journal.NewEventID(), Type: session.UserMessage, Data: []byte(`{"content":[]}`)},
			}})
			l.must(err)
			c, ok, err := l.journal.Claim(t.Context(), session.Ref{Tenant: sc.Tenant, Session: child.ID}, "test", time.Minute)
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			turns[i] = c.Turn
		}
		price := money.Pico(cost * money.PicosPerMicro)
		begin := func(turn *session.Turn) error {
			turn.Span = l.journal.NewEventID()
			_, err := l.journal.Append(context.Background(), session.Step{
				Turn: *turn, Entries: []session.Entry{{ID: turn.Span, Type: session.SpanModelStart, Body: session.SpanStartBody{}}},
				Reserve: &session.Reservation{Root: root.ID, Cost: &price},
			})
			return err
		}
		end := func(turn *session.Turn, used session.Usage) error {
			_, err := l.journal.Append(context.Background(), session.Step{
				Turn: *turn, Entries: []session.Entry{{Type: session.SpanModelEnd, Ref: turn.Span, Body: session.SpanEndBody{}, Usage: used}},
			})
			return err
		}
		var all sync.WaitGroup
		var refused atomic.Int32
		done := make([]bool, threads)
		for i := range turns {
			all.Go(func() {
				switch err := begin(&turns[i]); {
				case err == nil:
					done[i] = true
				case errors.Is(err, session.ErrBudgetReached):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := threads - refused.Load(); n != budget/cost {
			t.Errorf("%d calls have begun", n)
		}
		if got := l.spent(root); got.Reserved != 700*money.PicosPerMicro || got.Cost != 0 {
			t.Errorf("%+v", got)
		}
		// Each costs half: as many fit again as half of the budget holds, less what is left over.
		for i := range turns {
			all.Go(func() {
				if !done[i] {
					return
				}
				if err := end(&turns[i], session.Usage{Cost: price / 2}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got := l.spent(root); got.Reserved != 0 || got.Cost != 350*money.PicosPerMicro {
			t.Errorf("%+v", got)
		}
		refused.Store(0)
		for i := range turns {
			all.Go(func() {
				switch err := begin(&turns[i]); {
				case err == nil:
					if err := end(&turns[i], session.Usage{Cost: price}); err != nil {
						t.Error(err)
					}
				case errors.Is(err, session.ErrBudgetReached):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		got := l.spent(root)
		if got.Cost != 650*money.PicosPerMicro || got.Reserved != 0 || refused.Load() != threads-3 {
			t.Errorf("%+v, %d refused", got, refused.Load())
		}
		used, err := s.Threads().Usage(t.Context(), sc, []id.Session{root.ID})
		l.must(err)
		if used[root.ID].Cost != got.Cost {
			t.Errorf("%+v", used)
		}
	})
}

// TestCrashSpendsTheReservation kills the process while the model speaks: what the call may have cost is spent, nobody knows better.
func TestCrashSpendsTheReservation(t *testing.T) {
	t.Parallel()
	eachCrash(t, func(t *testing.T, open func() *Store, path, url string) {
		stay := llmtest.Text("half")
		stay.Stay = true
		l := newRunLab(t, open(), stay, llmtest.Text("never"))
		l.cfg.Lease, l.cfg.MaxOutputTokens = 300*time.Millisecond, 1000
		l.start()
		v := l.budgeted(2_500) // one call, which may cost more than half of it
		l.send(v, say("Go."))
		l.must(l.model.WaitAsked(t.Context(), 1))
		held := l.spent(v)
		if held.Reserved < 1_250*money.PicosPerMicro || held.Cost != 0 {
			t.Errorf("%+v", held)
		}
		l.restart(path, url)
		l.want(l.idles(v, 1), began, asked, "span.model_request_end error", overBudget)
		if got := l.spent(v); got.Cost != held.Reserved || got.Reserved != 0 {
			t.Errorf("%+v, held %+v", got, held)
		}
		if got, err := l.sessions.Get(t.Context(), l.Scope, v.ID); err != nil || got.Usage.Cost != 0 || got.Usage.Unknown != held.Reserved {
			t.Errorf("%+v, %v", got.Usage, err)
		}
	})
}

// TestInterruptSettles ends turns from outside while the model speaks. Whoever holds the turn settles the call; when nobody does, because
// its process is gone, another one does once the lease is over.
func TestInterruptSettles(t *testing.T) {
	t.Parallel()
	url := postgresURL(t)
	stay := llmtest.Text("on and on")
	stay.Stay = true
	l := newRunLab(t, openStore(t, Config{URL: url, PoolSize: 8}), stay, stay)
	l.cfg.Lease, l.cfg.Scan = time.Second, 20*time.Millisecond
	l.start()
	v := l.budgeted(1_000_000)
	l.Policy(t, v.Agent, policy.Limits{DailyCostLimit: ptrTo(money.Of(1e9, money.USD))}) // so that the gate keeps the call
	settled := func(n *runNode, span session.Event, reserved money.Pico) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			rec, ok, err := n.gate.Lookup(ctx, l.Scope, span.ID.String())
			l.must(err)
			got, err := n.store.Spendings().Spent(ctx, l.Scope, v.ID)
			l.must(err)
			if ok && rec.State == gate.Done && got.Reserved == 0 && got.Cost == reserved {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("%+v, %v, %+v", rec, ok, got)
			}
		}
	}
	interrupt := func(n *runNode) {
		t.Helper()
		_, err := n.sessions.Send(t.Context(), l.Scope, v.ID, []session.Input{{Type: session.UserInterrupt}})
		l.must(err)
	}
	spans := func() []session.Event {
		var out []session.Event
		for _, e := range l.log(v) {
			if e.Type == session.SpanModelStart {
				out = append(out, e)
			}
		}
		return out
	}
	l.send(v, say("Talk."))
	l.must(l.model.WaitAsked(t.Context(), 1))
	first := l.spent(v).Reserved
	interrupt(&l.runNode)
	settled(&l.runNode, spans()[0], first)

	l.send(v, say("Talk again."))
	l.must(l.model.WaitAsked(t.Context(), 2))
	second := l.spent(v).Reserved
	other := openStore(t, Config{URL: url, PoolSize: 8})
	l.crash(t)
	l.cfg.Lease = time.Minute // it does not take over what the first one ran
	n := l.node(other)
	l.runNode = *n
	interrupt(n)
	if got := l.spent(v); got.Reserved != second || got.Cost != first {
		t.Errorf("%+v right after the interrupt", got)
	}
	settled(n, spans()[1], first+second)
}

// TestStreamsAreCounted refuses a tenant more streams than a process serves, and counts those that were closed no more.
func TestStreamsAreCounted(t *testing.T) {
	t.Parallel()
	s := openSQLiteStore(t)
	l := newRunLab(t, s).start()
	v := l.session(0)
	hub, err := session.NewHub(session.HubDeps{Bus: l.bus, IDs: l.IDs, Logger: slog.New(slog.DiscardHandler), Repository: s.Sessions()}, session.HubConfig{MaxStreams: 2})
	l.must(err)
	svc, err := session.NewService(session.Deps{
		TX: s, Clock: l.Clock, IDs: l.IDs, Logger: slog.New(slog.DiscardHandler), Repository: s.Sessions(), Log: s.Sessions(), Uses: s.ToolUses(),
		Turns: s.SessionTurns(), Journal: l.journal, Hub: hub, Agents: noAgents{}, Gate: l.gate, Spendings: s.Spendings(),
	})
	l.must(err)
	open := func() (*session.Stream, error) {
		return svc.Stream(t.Context(), l.Scope, v.ID, session.StreamOptions{})
	}
	first, err := open()
	l.must(err)
	second, err := open()
	l.must(err)
	defer second.Close()
	if _, err := open(); !errors.Is(err, session.ErrTooManyStreams) {
		t.Errorf("a third stream: %v", err)
	}
	other := account.System(id.New[id.TenantKind](l.IDs))
	if _, err := svc.Stream(t.Context(), other, v.ID, session.StreamOptions{}); errors.Is(err, session.ErrTooManyStreams) {
		t.Errorf("another tenant: %v", err)
	}
	first.Close()
	first.Close() // counts once
	third, err := open()
	l.must(err)
	defer third.Close()
	if _, err := open(); !errors.Is(err, session.ErrTooManyStreams) {
		t.Errorf("a third stream again: %v", err)
	}
}

type noAgents struct{ session.Agents }
