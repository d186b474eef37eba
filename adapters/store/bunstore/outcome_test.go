package bunstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
)

func define(description, rubric string, most int) session.Input {
	return session.Input{Type: session.UserDefineOutcome, Outcome: &session.OutcomeInput{Description: description, Rubric: rubric, MaxIterations: most}}
}

// graded answers as the agent and as the grader, which is satisfied with the work's nth version.
func graded(satisfiedWith int) func(llm.Request) llmtest.Answer {
	return func(req llm.Request) llmtest.Answer {
		var a llmtest.Answer
		if len(req.Tools) == 1 && req.Tools[0].Name == "verdict" {
			work := req.Messages[0].Blocks[0].Text
			n := strings.Count(work, "version")
			a = llmtest.Call("v", "verdict", fmt.Sprintf(`{"result":"needs_revision","explanation":"version %d lacks something"}`, n))
			if n >= satisfiedWith {
				a = llmtest.Call("v", "verdict", `{"result":"satisfied","explanation":"all is there"}`)
			}
		} else {
			n := 1
			for _, m := range req.Messages {
				for _, b := range m.Blocks {
					if m.Role == llm.RoleUser && strings.Contains(b.Text, "lacks something") {
						n++
					}
				}
			}
			a = llmtest.Text(fmt.Sprintf("version %d", n))
		}
		a.Usage = llm.Usage{Input: 10, Output: 5}
		return a
	}
}

func (l *runLab) outcomes(v session.Session) []session.Outcome {
	l.t.Helper()
	out, err := l.sessions.Outcomes(context.Background(), l.Scope, []id.Session{v.ID})
	l.must(err)
	return out[v.ID]
}

func verdicts(events []session.Event) []string {
	var out []string
	for _, e := range events {
		if e.Type == session.SpanOutcomeEnd {
			var b session.OutcomeEndBody
			_ = e.Body(&b)
			out = append(out, fmt.Sprintf("%d %s", b.Iteration, b.Result))
		}
	}
	return out
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newRunLab(t, s)
		l.model.AnswerFunc = func(req llm.Request) llmtest.Answer {
			var wanted int
			_, _ = fmt.Sscanf(req.Messages[0].Blocks[0].Text, "<outcome>\nWrite %d.", &wanted)
			return graded(wanted)(req)
		}
		l.start()
		for name, tc := range map[string]struct {
			satisfiedWith, most int
			want                []string
			result              session.OutcomeResult
			messages            int
		}{
			"at once":            {1, 0, []string{"0 satisfied"}, session.OutcomeSatisfied, 1},
			"revised":            {3, 0, []string{"0 needs_revision", "1 needs_revision", "2 satisfied"}, session.OutcomeSatisfied, 3},
			"never, with a last": {9, 2, []string{"0 needs_revision", "1 max_iterations_reached"}, session.OutcomeMaxIterations, 3},
		} {
			v, before := l.session(0), l.meter.count()
			sent := l.send(v, define(fmt.Sprintf("Write %d.", tc.satisfiedWith), "- any", tc.most))
			if len(sent) != 1 || sent[0].Type != session.UserDefineOutcome {
				t.Fatalf("%+v", sent)
			}
			events := l.idles(v, 1)
			if got := verdicts(events); !slices.Equal(got, tc.want) {
				t.Errorf("%s: %q, want %q: %v", name, got, tc.want, kinds(events))
			}
			o := l.outcomes(v)
			if len(o) != 1 || o[0].Result != tc.result || o[0].CompletedAt.IsZero() || o[0].Explanation == "" || !o[0].Start.IsZero() {
				t.Errorf("%s: %+v", name, o)
			}
			n := len(tc.want)
			calls := l.meter.settled(before+tc.messages+n) - before
			for typ, want := range map[session.EventType]int{
				session.AgentMessage: tc.messages, session.SpanOutcomeStart: n, session.SpanOutcomeOngoing: n, session.SpanModelStart: tc.messages + n,
				session.SpanModelEnd: tc.messages + n,
			} {
				if got := count(events, typ); got != want {
					t.Errorf("%s: %d of %s, want %d: %v", name, got, typ, want, kinds(events))
				}
			}
			got, err := l.sessions.Get(t.Context(), l.Scope, v.ID)
			l.must(err)
			if got.Usage.Tokens.Output != int64(5*(tc.messages+n)) || calls != tc.messages+n {
				t.Errorf("%s: %+v of %d calls", name, got.Usage, calls)
			}
		}
	})
}

// TestOutcomeIsInterrupted interrupts the agent, then the grader, then drops one that waits; and one whose model fails.
func TestOutcomeIsInterrupted(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newRunLab(t, s)
		grading := make(chan struct{}, 10)
		l.model.AnswerFunc = func(req llm.Request) llmtest.Answer {
			a := graded(9)(req)
			if len(req.Tools) == 1 && req.Tools[0].Name == "verdict" {
				grading <- struct{}{}
				a.Stay = true
			}
			return a
		}
		l.start()
		v := l.session(0)
		l.send(v, define("Write.", "- any", 0), define("Later.", "- any", 0))
		<-grading
		l.send(v, session.Input{Type: session.UserInterrupt})
		<-grading
		if _, err := l.sessions.Archive(t.Context(), l.Scope, v.ID); err != nil {
			t.Fatal(err)
		}
		events := l.log(v)
		if got := verdicts(events); !slices.Equal(got, []string{"0 interrupted", "0 interrupted"}) {
			t.Errorf("%q: %v", got, kinds(events))
		}
		for _, o := range l.outcomes(v) {
			if o.Result != session.OutcomeInterrupted || o.CompletedAt.IsZero() {
				t.Errorf("%+v", o)
			}
		}
		w := l.session(0)
		l.model.AnswerFunc = func(req llm.Request) llmtest.Answer {
			if len(req.Tools) == 1 && req.Tools[0].Name == "verdict" {
				return llmtest.Fail(400, "no")
			}
			return graded(9)(req)
		}
		l.send(w, define("Write.", "- any", 0))
		events = l.idles(w, 1)
		if o := l.outcomes(w); o[0].Result != session.OutcomeFailed || count(events, session.SessionError) != 1 {
			t.Errorf("%+v: %v", o, kinds(events))
		}
	})
}

func TestOutcomeInput(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newRunLab(t, s).start()
		v := l.session(0)
		for name, in := range map[string]session.Input{
			"no description": define(" ", "- x", 0), "no rubric": define("x", "", 0), "too often": define("x", "- x", 21), "nothing": {Type: session.UserDefineOutcome},
			"a file": {Type: session.UserDefineOutcome, Outcome: &session.OutcomeInput{Description: "x", RubricFile: id.New[id.FileKind](l.IDs)}},
		} {
			if _, err := l.sessions.Send(t.Context(), l.Scope, v.ID, []session.Input{in}); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		if o := l.outcomes(v); len(o) != 0 {
			t.Errorf("%+v", o)
		}
	})
}

// TestEveryCrashPointOfOutcomes kills a process in each transaction of a turn whose work is revised once: each iteration is judged
// once.
func TestEveryCrashPointOfOutcomes(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			s := openSQLiteStore(t)
			for at := firstCrash(after); ; at += *crashStep {
				l := newTeamLab(t, s)
				l.model.AnswerFunc = graded(2)
				l.cfg.Scan = time.Hour
				client := l.idleNode()
				l.cfg.Scan = 5 * time.Millisecond
				l.runNode = *client
				v := l.open()
				l.send(v, define("Write.", "- any", 0))
				d := &dyingTx{Runner: s, at: at, after: after, died: make(chan struct{})}
				l.survive(d, v)
				events := l.log(v)
				if got := verdicts(events); !slices.Equal(got, []string{"0 needs_revision", "1 satisfied"}) {
					t.Errorf("%q", got)
				}
				if n := count(events, session.AgentMessage); n != 2 || count(events, session.SpanOutcomeStart) != 2 || count(events, session.SpanModelStart) != count(events, session.SpanModelEnd) {
					t.Errorf("%d messages", n)
				}
				if o := l.outcomes(v); o[0].Result != session.OutcomeSatisfied || o[0].Iteration != 1 {
					t.Errorf("%+v", o)
				}
				if t.Failed() {
					t.Fatalf("killed in transaction %d: %v", at, kinds(events))
				}
				if !d.reached() {
					t.Logf("%d transactions", d.n.Load())
					return
				}
			}
		})
	}
}
