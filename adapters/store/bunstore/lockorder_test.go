package bunstore

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/money"
)

// deadlocks is a slog.Handler that keeps what the store says of transactions that Postgres broke off.
type deadlocks struct {
	mu   sync.Mutex
	seen []string
}

func (d *deadlocks) Enabled(context.Context, slog.Level) bool { return true }
func (d *deadlocks) WithAttrs([]slog.Attr) slog.Handler       { return d }
func (d *deadlocks) WithGroup(string) slog.Handler            { return d }
func (d *deadlocks) Handle(_ context.Context, r slog.Record) error {
	if !strings.Contains(r.Message, "repeated") {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" {
			d.seen = append(d.seen, a.Value.String())
		}
		return true
	})
	return nil
}

// TestLockOrder decides about what is parked while the session, the agent or the account is stopped: whoever comes first wins,
// and nobody waits for somebody who waits for him.
func TestLockOrder(t *testing.T) {
	t.Parallel()
	d := &deadlocks{}
	s, err := Open(t.Context(), Config{URL: postgresURL(t), PoolSize: 24, Logger: slog.New(d)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	l := newRunLab(t, s)
	l.model.AnswerFunc = func(req llm.Request) llmtest.Answer {
		if len(req.Messages) > 1 {
			return llmtest.Text("well")
		}
		a := pay("a", "20.00")
		a.Blocks = append(a.Blocks, pay("b", "21.00").Blocks...)
		return a
	}
	l.start()
	bg := context.Background()
	fine := func(err error) {
		for _, ok := range []error{policy.ErrDecided, session.ErrArchived, session.ErrNoSuchToolUse} {
			if errors.Is(err, ok) {
				return
			}
		}
		if err != nil {
			t.Error(err)
		}
	}
	send := func(v session.Session, inputs ...session.Input) {
		_, err := l.sessions.Send(bg, l.Scope, v.ID, inputs)
		fine(err)
	}
	interrupt := session.Input{Type: session.UserInterrupt}
	stops := []func(v session.Session){
		func(v session.Session) { send(v, interrupt) },
		func(v session.Session) { send(v, say("Wait."), interrupt, say("Go on.")) },
		func(v session.Session) {
			send(v, session.Input{Type: session.SystemMessage, Content: session.Text("Stop.")}, interrupt)
		},
		func(v session.Session) { _, err := l.sessions.Archive(bg, l.Scope, v.ID); fine(err) },
		func(v session.Session) { fine(l.sessions.Delete(bg, l.Scope, v.ID)) },
		func(v session.Session) { _, err := l.gate.Freeze(bg, l.Scope, v.Agent); fine(err) },
	}
	const rounds = 4
	var sessions []session.Session
	for range rounds * len(stops) {
		v := l.session(50 * money.MicrosPerUnit)
		l.Policy(t, v.Agent, policy.Limits{RequireApprovalAbove: ptrTo(gatetest.USDC(10 * money.MicrosPerUnit))})
		l.send(v, say("Pay."))
		sessions = append(sessions, v)
	}
	for _, v := range sessions {
		l.idles(v, 1)
	}
	for i, v := range sessions {
		uses, err := l.sessions.OpenUses(bg, l.Scope, v.ID)
		l.must(err)
		if len(uses) != 2 {
			t.Fatalf("%+v", uses)
		}
		var wg sync.WaitGroup
		wg.Go(func() { _, _, err := l.gate.Approve(bg, l.Scope, uses[1].Approval); fine(err) })
		wg.Go(func() { _, err := l.gate.Deny(bg, l.Scope, uses[0].Approval, ""); fine(err) })
		wg.Go(func() { stops[i%len(stops)](v) })
		wg.Wait()
	}
	for i, v := range sessions {
		events := l.log(v)
		for _, e := range events {
			if e.Type == session.AgentToolUse {
				l.result(events, e.ID)
			}
		}
		if waiting, err := l.store.Acts().Unstarted(bg, l.Scope, gate.Unstarted{Session: v.ID}); err != nil || len(waiting) > 0 {
			t.Errorf("round %d: acts still wait: %+v, %v", i, waiting, err)
		}
	}
	l.Sound(t)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.seen) > 0 {
		slices.Sort(d.seen)
		t.Errorf("%d transactions had to be repeated: %v", len(d.seen), slices.Compact(d.seen))
	}
}
