package bunstore

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/tool"
)

func summarises(req llm.Request) bool { return strings.HasPrefix(req.System, "You summarise") }

// sound fails the test for a request that no provider takes: results without their uses, or an agent that speaks first.
func sound(t *testing.T, reqs []llm.Request) {
	t.Helper()
	for _, r := range reqs {
		open := map[string]bool{}
		for i, m := range r.Messages {
			if i == 0 && m.Role != llm.RoleUser || i > 0 && m.Role == r.Messages[i-1].Role {
				t.Errorf("message %d is the %s's", i, m.Role)
			}
			for _, b := range m.Blocks {
				if b.ToolUse != nil {
					open[b.ToolUse.ID] = true
				}
				if b.ToolResult != nil && !open[b.ToolResult.ID] {
					t.Errorf("a result without its use in message %d of %d", i, len(r.Messages))
				}
			}
		}
	}
}

func TestCompaction(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newRunLab(t, s)
		l.cfg.ContextBytes = 4000
		l.model.AnswerFunc = func(req llm.Request) llmtest.Answer {
			a := llmtest.Text(strings.Repeat("x", 300))
			if summarises(req) {
				n := strings.Count(req.Messages[0].Blocks[0].Text, "User: ")
				a = llmtest.Text(fmt.Sprintf("%d messages were sent", n))
			}
			a.Usage = llm.Usage{Input: 10, Output: 5}
			return a
		}
		l.start()
		v := l.session(0)
		for i := range 20 {
			l.send(v, say(fmt.Sprintf("message %d", i)))
			l.idles(v, i+1)
		}
		events := l.log(v)
		n := count(events, session.ThreadCompacted)
		if n < 2 || count(events, session.SpanCompactionStart) != n || count(events, session.SpanCompactionEnd) != n || count(events, session.SessionWarning) != 0 {
			t.Errorf("%v", kinds(events))
		}
		got, err := l.sessions.Get(t.Context(), l.Scope, v.ID)
		l.must(err)
		if got.Usage.Tokens.Output != int64(5*(20+n)) || l.meter.settled(20+n) != 20+n {
			t.Errorf("%+v of %d calls", got.Usage, l.meter.count())
		}
		sound(t, l.model.Requests())
		l.node(s) // a process with nothing in its memory
		l.send(v, say("message last"))
		l.idles(v, 21)
		reqs := l.model.Requests()
		last := reqs[len(reqs)-1]
		if first := last.Messages[0].Blocks[0].Text; !strings.HasPrefix(first, "[system] Summary of the conversation so far:\n") || len(last.Messages) > 15 {
			t.Errorf("%d messages, the first %q", len(last.Messages), first)
		}
		sound(t, reqs)
	})
}

// TestCompactionOfALongTurn summarises what one turn's tools brought.
func TestCompactionOfALongTurn(t *testing.T) {
	t.Parallel()
	l := newRunLab(t, openSQLiteStore(t))
	l.cfg.ContextBytes = 8000
	l.tools = testTools{newTool("look", true, func(context.Context, tool.Call) (tool.Result, error) {
		return tool.Result{Text: strings.Repeat("r", 900)}, nil
	})}
	calls := 0
	l.model.AnswerFunc = func(req llm.Request) llmtest.Answer {
		if summarises(req) {
			return llmtest.Text("looked at things")
		}
		if calls++; calls > 15 {
			return llmtest.Text("done")
		}
		return llmtest.Call(fmt.Sprint(calls), "look", `{}`)
	}
	l.start()
	v := l.session(0)
	l.send(v, say("Look around."))
	events := l.idles(v, 1)
	if n := count(events, session.ThreadCompacted); n < 1 {
		t.Errorf("%v", kinds(events))
	}
	reqs := l.model.Requests()
	sound(t, reqs)
	size := 0
	for _, m := range reqs[len(reqs)-1].Messages {
		for _, b := range m.Blocks {
			if b.ToolResult != nil {
				size += len(b.ToolResult.Text)
			}
		}
	}
	if size > 8000 {
		t.Errorf("%d bytes of results", size)
	}
}

// TestCompactionFails lets every summary fail: the conversation goes on, says so, and lets its oldest part go.
func TestCompactionFails(t *testing.T) {
	t.Parallel()
	l := newRunLab(t, openSQLiteStore(t))
	l.cfg.ContextBytes = 4000
	l.model.AnswerFunc = func(req llm.Request) llmtest.Answer {
		if summarises(req) {
			return llmtest.Fail(400, "no")
		}
		return llmtest.Text(strings.Repeat("x", 300))
	}
	l.start()
	v := l.session(0)
	for i := range 20 {
		l.send(v, say(fmt.Sprintf("message %d", i)))
		l.idles(v, i+1)
	}
	events := l.log(v)
	n := count(events, session.SessionWarning)
	if n < 1 || n > 12 || count(events, session.ThreadCompacted) != 0 || count(events, session.SessionError) != 0 ||
		count(events, session.SpanCompactionStart) != n || count(events, session.SpanCompactionEnd) != n {
		t.Errorf("%d warnings: %v", n, kinds(events))
	}
	reqs := l.model.Requests()
	if msgs := reqs[len(reqs)-1].Messages; len(msgs) > 25 || !strings.HasPrefix(msgs[0].Blocks[0].Text, "message") {
		t.Errorf("%d messages", len(msgs))
	}
}

// TestEveryCrashPointOfCompaction kills a process in each transaction of a turn that summarises first: every message is answered once.
func TestEveryCrashPointOfCompaction(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			s := openSQLiteStore(t)
			for at := firstCrash(after); ; at += *crashStep {
				l := newTeamLab(t, s)
				l.cfg.ContextBytes = 2000
				l.model.AnswerFunc = func(req llm.Request) llmtest.Answer {
					if summarises(req) {
						return llmtest.Text("much was said")
					}
					return llmtest.Text(strings.Repeat("x", 700))
				}
				l.cfg.Scan = time.Hour
				client := l.idleNode()
				l.cfg.Scan = 5 * time.Millisecond
				l.runNode = *client
				v := l.open()
				for i := range 4 {
					l.send(v, say(fmt.Sprintf("message %d", i)))
				}
				d := &dyingTx{Runner: s, at: at, after: after, died: make(chan struct{})}
				l.survive(d, v)
				events := l.log(v)
				if n := count(events, session.AgentMessage); n != 4 || count(events, session.ThreadCompacted) < 1 {
					t.Errorf("%d messages", n)
				}
				if count(events, session.SpanModelStart) != count(events, session.SpanModelEnd) {
					t.Error("a call has no end")
				}
				sound(t, l.model.Requests())
				if t.Failed() {
					t.Fatalf("killed in transaction %d: %v", at, kinds(events))
				}
				if !d.reached() {
					return
				}
			}
		})
	}
}
