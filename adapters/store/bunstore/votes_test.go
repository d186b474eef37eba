package bunstore

import (
	"slices"
	"testing"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// A confirmation that others have to give, too, is in the log, and the act waits until the last one has come.
func TestConfirmationsOfSeveral(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newRunLab(t, s, pay("one", "20.00"), llmtest.Text("well")).start()
		l.Policy(t, id.Agent{}, policy.Limits{RequireApprovalAbove: ptrTo(gatetest.USDC(10 * money.MicrosPerUnit)), RequiredApprovals: 2})
		v, before, a := parkedPayment(t, l)
		key := func() account.Scope {
			sc := l.Scope
			sc.Key = id.New[id.APIKeyKind](l.IDs)
			return sc
		}
		one, two := key(), key()
		var sent []id.Event
		for n, sc := range []account.Scope{one, one, two} { // the same key's second word changes nothing
			events, err := l.sessions.Send(t.Context(), sc, v.ID, []session.Input{{Type: session.UserToolConfirmation, ToolUse: a.ToolUse, Allow: true}})
			l.must(err)
			sent = append(sent, events[0].ID)
			if n == 2 {
				break
			}
			got, err := l.sessions.Get(t.Context(), l.Scope, v.ID)
			l.must(err)
			uses, err := l.sessions.OpenUses(t.Context(), l.Scope, v.ID)
			l.must(err)
			if got.Status() != session.StatusIdle || len(uses) != 1 || uses[0].State != session.UseParked {
				t.Fatalf("after vote %d: %s, %+v", n+1, got.Status(), uses)
			}
		}
		events := l.idles(v, 2)[len(before):]
		l.want(events, "user.tool_confirmation, user.tool_confirmation, user.tool_confirmation, session.status_running, agent.tool_result", spoke, ended)
		var logged []id.Event
		for _, e := range events[:3] {
			logged = append(logged, e.ID)
		}
		if !slices.Equal(logged, sent) {
			t.Errorf("the log has %v; answered were %v", logged, sent)
		}
		if got := l.Balance(t, v.Agent); got != 30*money.MicrosPerUnit {
			t.Errorf("the wallet has %d", got)
		}
	})
}

// The policies of a session go with it, deleted alone or with its agent; their versions stay.
func TestPoliciesOfDeletedSessions(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newRunLab(t, s).start()
		for name, end := range map[string]func(session.Session) error{
			"deleted":    func(v session.Session) error { return l.sessions.Delete(t.Context(), l.Scope, v.ID) },
			"with agent": func(v session.Session) error { return l.sessions.Destroy(t.Context(), l.Scope, v.Agent) },
		} {
			v := l.session(0)
			p, err := l.Policies.Attach(t.Context(), l.Scope, v.ID, policy.Limits{MaxPerTransaction: ptrTo(gatetest.USDC(1))})
			l.must(err)
			l.must(end(v))
			left, err := l.Policies.List(t.Context(), l.Scope, policy.Filter{Session: v.ID}, page.Request{})
			if err != nil || len(left.Items) > 0 {
				t.Errorf("%s: %+v, %v", name, left.Items, err)
			}
			if _, err := l.Policies.Get(t.Context(), l.Scope, p.ID); fault.KindOf(err) != fault.NotFound {
				t.Errorf("%s: %v", name, err)
			}
			if kept, err := l.Policies.Version(t.Context(), l.Scope, p.ID, 1); err != nil || kept.Scope.Session != v.ID {
				t.Errorf("%s: %+v, %v", name, kept, err)
			}
		}
	})
}
