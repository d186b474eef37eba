package bunstore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/tool"
)

// deepTeam is a lead with a payer, whose payment waits for an approval, and a manager, who has a worker that never ends and a clerk
// that asks the client.
type deepTeam struct {
	*teamLab
	v       session.Session
	manager id.Agent
	payer   id.Agent
	uses    map[string]id.Event       // what waits, by the thread's name
	threads map[string]session.Thread // by name
}

func newDeepTeam(t *testing.T, s *Store, budget *session.Budget) *deepTeam {
	t.Helper()
	d := &deepTeam{teamLab: newTeamLab(t, s, "worker", "clerk", "payer"), uses: map[string]id.Event{}, threads: map[string]session.Thread{}}
	d.payer = d.member["payer"]
	member := func(a id.Agent) agent.RosterEntry {
		return agent.RosterEntry{Type: agent.RosterAgent, Agent: a, Version: 1}
	}
	team := func(agents ...agent.RosterEntry) *agent.Multiagent {
		return &agent.Multiagent{Type: agent.Coordinator, Roster: agents}
	}
	d.manager = d.configured(agent.Config{Name: "manager", System: "manager", Multiagent: team(member(d.member["worker"]), member(d.member["clerk"]))})
	d.lead = d.configured(agent.Config{Name: "lead", System: "lead", Multiagent: team(member(d.manager), member(d.payer))})
	d.cfg.Scan = time.Hour // nothing is left to be found later
	d.tools = testTools{{Spec: tool.Spec{Name: "client", InputSchema: json.RawMessage(`{"type":"object"}`)}}}
	_, err := d.Wallets.Deposit(t.Context(), d.Scope, wallet.DepositRequest{Agent: d.payer, Amount: gatetest.USDC(100 * money.MicrosPerUnit)})
	d.must(err)
	d.Policy(t, d.payer, policy.Limits{RequireApprovalAbove: ptrTo(gatetest.USDC(10 * money.MicrosPerUnit))})
	first := func(a llmtest.Answer) func(string, []string) llmtest.Answer {
		return func(_ string, results []string) llmtest.Answer {
			if len(results) > 0 {
				return llmtest.Text(strings.Join(results, " | "))
			}
			return a
		}
	}
	d.plays["lead"] = first(both(ask("a", "manager", "manage"), ask("b", "payer", "pay")))
	d.plays["manager"] = first(both(ask("c", "worker", "work"), ask("d", "clerk", "ask")))
	d.plays["clerk"] = first(llmtest.Call("e", "client", `{}`))
	d.plays["payer"] = first(pay("f", "20.00"))
	d.plays["worker"] = func(string, []string) llmtest.Answer { a := llmtest.Text("hm"); a.Stay = true; return a }
	d.start()
	d.v, err = d.sessions.Create(t.Context(), d.Scope, session.CreateRequest{Agent: d.lead, Budget: budget})
	d.must(err)
	return d
}

// waits lets the team work until nothing but its worker does.
func (d *deepTeam) waits() {
	d.t.Helper()
	d.send(d.v, say("Do it."))
	var need []id.Event
	running := 0
	d.until(d.runLab, d.v, 0, func(e session.Event) bool {
		var b session.IdleBody
		switch {
		case e.Type == session.ThreadRunning:
			running++
		case isIdle(e) && e.Body(&b) == nil:
			need = b.StopReason.Events
		}
		return running == 4 && len(need) == 2
	})
	d.must(d.model.WaitAsked(d.t.Context(), 5))
	for _, th := range d.teamLab.threads(d.v)[1:] {
		d.threads[th.Name] = th
	}
	for _, e := range d.log(d.v) {
		if slices.Contains(need, e.ID) {
			var b struct {
				Thread string `json:"session_thread_id"`
			}
			d.must(e.Body(&b))
			for name, th := range d.threads {
				if th.ID.UUID().String() == b.Thread {
					d.uses[name] = e.ID
				}
			}
		}
	}
	if len(d.threads) != 4 || d.uses["clerk"].IsZero() || d.uses["payer"].IsZero() {
		d.t.Fatalf("%v, %v", d.threads, d.uses)
	}
}

// stopped fails the test unless nothing goes on in a thread, and nothing of it can be approved.
func (d *deepTeam) stopped(name string) {
	d.t.Helper()
	ctx := context.Background()
	th := d.threads[name]
	if turns, err := d.store.SessionTurns().LockSession(ctx, d.Scope, th.ID); err != nil || len(turns) > 0 {
		d.t.Errorf("%s goes on: %+v, %v", name, turns, err)
	}
	if uses, err := d.store.ToolUses().Open(ctx, d.Scope, th.ID); err != nil || len(uses) > 0 {
		d.t.Errorf("%s has open uses: %+v, %v", name, uses, err)
	}
	if waiting, err := d.store.Acts().Unstarted(ctx, d.Scope, gate.Unstarted{Session: th.ID}); err != nil || len(waiting) > 0 {
		d.t.Errorf("%s can still be approved: %+v, %v", name, waiting, err)
	}
	if now, err := d.store.Threads().Get(ctx, d.Scope, th.ID, false); err != nil || now.Busy || !now.Use.IsZero() {
		d.t.Errorf("%s is busy: %+v, %v", name, now, err)
	}
}

// sound fails the test unless every log of the team is gapless, and every tool use in it has one result, or none if it is open.
func (d *deepTeam) sound() {
	d.t.Helper()
	soundLog(d.t, d.store, d.runLab, d.v.ID)
	for _, th := range d.threads {
		soundLog(d.t, d.store, d.runLab, th.ID)
	}
	d.Sound(d.t)
}

func soundLog(t *testing.T, s *Store, l *runLab, of id.Session) {
	t.Helper()
	events, err := s.Sessions().Events(context.Background(), l.Scope, of, session.EventQuery{})
	l.must(err)
	open, err := s.ToolUses().Open(context.Background(), l.Scope, of)
	l.must(err)
	results, spans := map[id.Event]int{}, map[id.Event]int{}
	for _, u := range open {
		results[u.ID]++
	}
	for _, e := range events {
		switch {
		case e.Type.IsToolResult() && !e.Crossed():
			results[e.Ref]++
		case e.Type == session.SpanModelEnd:
			spans[e.Ref]++
		}
	}
	for i, e := range events {
		if e.Seq != int64(i+1) {
			t.Errorf("event %d has the number %d", i+1, e.Seq)
		}
		if e.Type.IsToolUse() && !e.Crossed() && results[e.ID] != 1 {
			t.Errorf("%s has %d results: %v", e.ID, results[e.ID], kinds(events))
		}
		if e.Type == session.SpanModelStart && spans[e.ID] > 1 {
			t.Errorf("the span %s has %d ends", e.ID, spans[e.ID])
		}
	}
}

// TestTeamIsEnded ends what a team does, as a whole or one branch of it, while its threads work, wait for a client and wait for an
// approval: all of it ends in the same transaction, and nothing can be approved or paid afterwards.
func TestTeamIsEnded(t *testing.T) {
	t.Parallel()
	everybody, branch := []string{"manager", "worker", "clerk", "payer"}, []string{"manager", "worker", "clerk"}
	for name, c := range map[string]struct {
		end      func(ctx context.Context, d *deepTeam) error
		stops    []string
		archives bool
	}{
		"delete": {func(ctx context.Context, d *deepTeam) error { return d.sessions.Delete(ctx, d.Scope, d.v.ID) }, everybody, true},
		"archive": {func(ctx context.Context, d *deepTeam) error {
			_, err := d.sessions.Archive(ctx, d.Scope, d.v.ID)
			return err
		}, everybody, true},
		"interrupt": {func(ctx context.Context, d *deepTeam) error {
			_, err := d.sessions.Send(ctx, d.Scope, d.v.ID, []session.Input{{Type: session.UserInterrupt}})
			return err
		}, everybody, false},
		"freeze": {func(ctx context.Context, d *deepTeam) error {
			_, err := d.gate.Freeze(ctx, d.Scope, d.lead)
			return err
		}, everybody, false},
		"destroy": {func(ctx context.Context, d *deepTeam) error {
			_, err := d.journal.InterruptAgents(ctx, d.Scope, []id.Agent{d.lead}, "the agent was deleted")
			return err
		}, everybody, false},
		"interrupt a thread": {func(ctx context.Context, d *deepTeam) error {
			_, err := d.sessions.Send(ctx, d.Scope, d.v.ID, []session.Input{{Type: session.UserInterrupt, Thread: d.threads["manager"].Key()}})
			return err
		}, branch, false},
		"archive a thread": {func(ctx context.Context, d *deepTeam) error {
			_, err := d.sessions.ArchiveThread(ctx, d.Scope, d.v.ID, d.threads["manager"].Key())
			return err
		}, branch, true},
		"freeze a thread": {func(ctx context.Context, d *deepTeam) error {
			_, err := d.gate.Freeze(ctx, d.Scope, d.manager)
			return err
		}, branch, false},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			eachStore(t, func(t *testing.T, s *Store) {
				d := newDeepTeam(t, s, nil)
				d.waits()
				payment := find(d.logOf("payer"), session.AgentToolUse)
				rec, ok, err := d.gate.Lookup(t.Context(), d.Scope, payment.ID.String())
				if err != nil || !ok || rec.State != gate.Parked {
					t.Fatalf("%+v, %v", rec, err)
				}
				d.must(c.end(t.Context(), d))
				for _, name := range c.stops {
					d.stopped(name)
					th, err := s.Threads().Get(t.Context(), d.Scope, d.threads[name].ID, false)
					d.must(err)
					if archived := th.ArchivedAt != nil; archived != c.archives {
						t.Errorf("%s is archived: %v", name, archived)
					}
				}
				_, _, err = d.gate.Approve(t.Context(), d.Scope, rec.Approval)
				if len(c.stops) == len(everybody) {
					if !errors.Is(err, policy.ErrDecided) {
						t.Errorf("approved: %v", err)
					}
					if sum, _ := d.Paid(t, d.payer); sum != 0 {
						t.Errorf("%d were paid", sum)
					}
					if turns, err := s.SessionTurns().LockSession(t.Context(), d.Scope, d.v.ID); err != nil || len(turns) > 0 {
						t.Errorf("the lead goes on: %+v, %v", turns, err)
					}
				} else {
					d.must(err)
					got := results(d.ends(d.v))
					if len(got) != 2 || !strings.HasPrefix(got[0], "error: manager did not") || !strings.Contains(got[1], "balance_after") {
						t.Errorf("%q", got)
					}
				}
				d.sound()
			})
		})
	}
}

func (d *deepTeam) logOf(name string) []session.Event {
	d.t.Helper()
	events, err := d.store.Sessions().Events(context.Background(), d.Scope, d.threads[name].ID, session.EventQuery{})
	d.must(err)
	return events
}

// TestThreadPays gives the word on a subagent's payment through the session, and beside it.
func TestThreadPays(t *testing.T) {
	t.Parallel()
	confirm := func(allow bool) func(context.Context, *deepTeam, id.Approval) error {
		return func(ctx context.Context, d *deepTeam, _ id.Approval) error {
			in := session.Input{Type: session.UserToolConfirmation, ToolUse: d.uses["payer"], Allow: allow}
			_, err := d.sessions.Send(ctx, d.Scope, d.v.ID, []session.Input{in})
			return err
		}
	}
	for name, c := range map[string]struct {
		say  func(ctx context.Context, d *deepTeam, approval id.Approval) error
		paid int64
		want string
	}{
		"allowed": {confirm(true), 20 * money.MicrosPerUnit, "balance_after"},
		"denied":  {confirm(false), 0, "a person denied it"},
		"approved": {func(ctx context.Context, d *deepTeam, a id.Approval) error {
			_, _, err := d.gate.Approve(ctx, d.Scope, a)
			return err
		}, 20 * money.MicrosPerUnit, "balance_after"},
		"refused": {func(ctx context.Context, d *deepTeam, a id.Approval) error {
			_, err := d.gate.Deny(ctx, d.Scope, a, "")
			return err
		}, 0, "a person denied it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachStore(t, func(t *testing.T, s *Store) {
				d := newDeepTeam(t, s, nil)
				d.waits()
				rec, _, err := d.gate.Lookup(t.Context(), d.Scope, d.uses["payer"].String())
				d.must(err)
				d.must(c.say(t.Context(), d, rec.Approval))
				if err := c.say(t.Context(), d, rec.Approval); err == nil {
					t.Error("the word was given twice")
				}
				d.until(d.runLab, d.v, 0, func(e session.Event) bool { return e.Type == session.AgentThreadReceived })
				d.send(d.v, session.Input{Type: session.UserInterrupt, Thread: d.threads["manager"].Key()})
				got := strings.Join(results(d.ends(d.v)), "\n")
				if !strings.Contains(got, c.want) {
					t.Errorf("%s", got)
				}
				if sum, _ := d.Paid(t, d.payer); sum != c.paid {
					t.Errorf("%d were paid", sum)
				}
				d.sound()
			})
		})
	}
}
