package bunstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/tool"
)

// TestEveryCrashPointOfDelegations kills a process in each transaction of a conversation in which two subagents work, one of them
// asking the client, and lets another process go on: every delegation makes one thread and gets one result.
func TestEveryCrashPointOfDelegations(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			s := openSQLiteStore(t)
			for at := firstCrash(after); ; at += *crashStep {
				l := newTeamLab(t, s, "researcher", "writer")
				l.tools = testTools{{Spec: tool.Spec{Name: "client", InputSchema: json.RawMessage(`{"type":"object"}`)}}}
				l.plays["lead"] = func(_ string, results []string) llmtest.Answer {
					if len(results) > 0 {
						return llmtest.Text("all done")
					}
					return both(ask("a", "researcher", "ask"), ask("b", "writer", "write"))
				}
				l.plays["researcher"] = func(_ string, results []string) llmtest.Answer {
					if len(results) == 0 {
						return llmtest.Call("x", "client", `{}`)
					}
					return llmtest.Text("the client said " + results[0])
				}
				l.cfg.Scan = time.Hour
				client := l.idleNode()
				l.cfg.Scan = 5 * time.Millisecond
				l.runNode = *client
				v := l.open()
				l.send(v, say("Do it."))
				d := &dyingTx{Runner: s, at: at, after: after, died: make(chan struct{})}
				l.survive(d, v)
				l.checkDelegations(v)
				if t.Failed() {
					t.Fatalf("killed in transaction %d: %v", at, kinds(l.log(v)))
				}
				if !d.reached() {
					t.Logf("%d transactions", d.n.Load())
					return
				}
			}
		})
	}
}

// survive lets a process that dies as d says, and then another one, run the session, and gives the answers that it asks for.
func (l *teamLab) survive(d *dyingTx, v session.Session) {
	l.t.Helper()
	l.dying = d
	first := l.node(l.store)
	l.dying = nil
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
	died, deadline := d.died, time.After(20*time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-died:
			died = nil
			current = l.node(l.store)
			stop(first)
		case <-tick.C:
			if l.reply(v) {
				return
			}
		case <-deadline:
			l.t.Fatalf("killed in transaction %d, the conversation does not come to its end: %v", d.at, kinds(l.log(v)))
		}
	}
}

// reply answers what the session asks its client; true: it is over.
func (l *teamLab) reply(v session.Session) bool {
	l.t.Helper()
	ctx := context.Background()
	got, err := l.sessions.Get(ctx, l.Scope, v.ID)
	l.must(err)
	if got.Active != session.StatusIdle || got.StopReason == nil || got.Queued > 0 {
		return false
	}
	if got.StopReason.Type != session.StopRequiresAction {
		return true
	}
	for _, use := range got.StopReason.Events {
		_, err := l.sessions.Send(ctx, l.Scope, v.ID, []session.Input{{Type: session.UserCustomToolResult, ToolUse: use, Content: session.Text("yes")}})
		if err != nil && fault.KindOf(err) != fault.NotFound && !errors.Is(err, errKilled) {
			l.t.Fatal(err)
		}
	}
	return false
}

func (l *teamLab) checkDelegations(v session.Session) {
	l.t.Helper()
	events := l.log(v)
	for typ, n := range map[session.EventType]int{
		session.ThreadCreated: 2, session.AgentThreadSent: 2, session.AgentThreadReceived: 2, session.AgentToolResult: 2, session.AgentMessage: 1,
		session.UserCustomToolResult: 1, session.AgentCustomToolUse: 1,
	} {
		if got := count(events, typ); got != n {
			l.t.Errorf("%d of %s, want %d", got, typ, n)
		}
	}
	answered := map[id.Event]bool{}
	uses := map[id.Event]bool{}
	for i, e := range events {
		if e.Seq != int64(i+1) {
			l.t.Errorf("event %d has the number %d", i+1, e.Seq)
		}
		var b session.ToolUseBody
		switch {
		case e.Type == session.AgentToolUse && e.Body(&b) == nil && b.Name == run.DelegateTool:
			uses[e.ID] = true
		case e.Type == session.AgentToolResult:
			answered[e.Ref] = true
		}
	}
	for u := range uses {
		if !answered[u] {
			l.t.Errorf("%s has no result", u)
		}
	}
	for _, want := range []string{"the client said yes", "writer heard: write"} {
		found := false
		for _, r := range results(events) {
			found = found || len(r) > len(want) && r[:len(want)] == want
		}
		if !found {
			l.t.Errorf("no result says %q: %q", want, results(events))
		}
	}
	threads := l.threads(v)
	if len(threads) != 3 {
		l.t.Errorf("%d threads", len(threads))
	}
	for _, th := range threads[1:] {
		if th.Busy || th.LastTurn != 1 || th.Mirrored > th.LastSeq {
			l.t.Errorf("%+v", th)
		}
	}
}
