package task

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
)

func TestCostOf(t *testing.T) {
	t.Parallel()
	for acts, want := range map[int]int{0: 3, 2: 3, 3: 5, 6: 5, 7: 10, 1000: 10} {
		if got := CostOf(acts); got != want {
			t.Errorf("%d acts cost %d, not %d", acts, got, want)
		}
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	refused := &Refusal{Rule: "daily_limit", Reason: "too much"}
	type outcome struct {
		Status               Status
		Summary, Error, Rule string
	}
	for name, tc := range map[string]struct {
		end   session.TurnEnd
		facts Facts
		said  string
		want  outcome
	}{
		"completed": {session.TurnEnd{Stop: session.StopEndTurn}, Facts{Acts: 2}, " hello\n", outcome{Status: Completed, Summary: "hello"}},
		"silent":    {session.TurnEnd{Stop: session.StopEndTurn}, Facts{}, "", outcome{Status: Completed, Summary: "done"}},
		"refused, and went on": {
			session.TurnEnd{Stop: session.StopEndTurn}, Facts{Refusal: refused}, "paid less",
			outcome{Failed, "paid less", "denied by daily_limit: too much", "daily_limit"},
		},
		"the model failed": {
			session.TurnEnd{Stop: session.StopRetriesExhausted, Error: &session.ErrorDetail{Message: "overloaded"}}, Facts{}, "",
			outcome{Failed, "", "overloaded", ""},
		},
		"no end of its own": {session.TurnEnd{Stop: session.StopRetriesExhausted}, Facts{}, "", outcome{Failed, "", "the agent's turn ended as retries_exhausted", ""}},
		"frozen, and refused before": {
			session.TurnEnd{Stopped: true, Rule: "frozen", Reason: "the agent was frozen"}, Facts{Refusal: refused}, "",
			outcome{Failed, "", "denied by frozen: the agent was frozen", "frozen"},
		},
		"cancelled": {session.TurnEnd{Stopped: true, Reason: "cancelled"}, Facts{}, "half", outcome{Failed, "half", "cancelled", ""}},
		"no reason": {session.TurnEnd{Stopped: true}, Facts{}, "", outcome{Failed, "", unknownReason, ""}},
	} {
		var r Run
		r.outcome(tc.end, tc.facts, tc.said)
		if diff := cmp.Diff(tc.want, outcome{r.Status, r.Summary, r.Error, r.Rule}); diff != "" || r.Acts != tc.facts.Acts {
			t.Errorf("%s: %s", name, diff)
		}
	}
	var r Run
	r.outcome(session.TurnEnd{Stop: session.StopEndTurn}, Facts{}, strings.Repeat("é", maxSummary+1))
	if n := len([]rune(r.Summary)); n != maxSummary {
		t.Errorf("a summary of %d characters", n)
	}
}

func TestStartRequest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		req  StartRequest
		path string
	}{
		"good":         {StartRequest{Task: strings.Repeat("é", MaxTask), Wait: MaxWait}, ""},
		"blank":        {StartRequest{Task: " \n\t"}, "task"},
		"long":         {StartRequest{Task: strings.Repeat("é", MaxTask+1)}, "task"},
		"no text":      {StartRequest{Task: "a\xff"}, "task"},
		"null":         {StartRequest{Task: "a", Context: "\x00"}, "context"},
		"long context": {StartRequest{Task: "a", Context: strings.Repeat("a", MaxContext+1)}, "context"},
		"waits long":   {StartRequest{Task: "a", Wait: MaxWait + time.Second}, "wait"},
		"waits less":   {StartRequest{Task: "a", Wait: -1}, "wait"},
	} {
		err := tc.req.check()
		fe, _ := fault.As(err)
		switch {
		case tc.path == "" && err != nil, tc.path != "" && (fe == nil || len(fe.Fields) == 0 || fe.Fields[0].Path != tc.path):
			t.Errorf("%s: %v", name, err)
		}
	}
}
