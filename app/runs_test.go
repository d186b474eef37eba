package app_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app/apptest"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

type runAnswer struct {
	ID, Type, Status, Task string
	AgentID                string `json:"agent_id"`
	SessionID              string `json:"session_id"`
	Summary, Error, Rule   *string
	Context                *string
	Credits, Acts          int
	StartedAt              string  `json:"started_at"`
	CompletedAt            *string `json:"completed_at"`
	DurationMS             *int64  `json:"duration_ms"`
}

func (r runAnswer) errorText() string {
	if r.Error == nil {
		return ""
	}
	return *r.Error
}

// runs is one agent that is given tasks over HTTP.
type runs struct {
	*apptest.Client
	t     *testing.T
	agent string
}

func (r runs) path() string { return "/v1/agents/" + r.agent + "/runs" }

func (r runs) start(task string, more m) runAnswer {
	r.t.Helper()
	body := m{"task": task}
	for k, v := range more {
		body[k] = v
	}
	var out runAnswer
	r.Call("POST", r.path(), body, &out)
	return out
}

func (r runs) get(run string) runAnswer {
	r.t.Helper()
	var out runAnswer
	r.Call("GET", r.path()+"/"+run, nil, &out)
	return out
}

// until reads a run until it is in a status. The run goes on by itself.
func (r runs) until(run, status string) runAnswer {
	r.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		out := r.get(run)
		if out.Status == status {
			return out
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the run is %+v, not %s", out, status)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// newRuns makes a tenant of a plan with a funded agent that may pay up to 50, from 30 on with an approval.
func newRuns(t *testing.T, s *apptest.Server, plan string) runs {
	t.Helper()
	var tenant struct {
		APIKey string `json:"api_key"`
	}
	s.Admin.In(t).Call("POST", "/v1/tenants", m{"name": "runs", "plan": plan}, &tenant)
	r := runs{Client: s.As(tenant.APIKey).In(t), t: t}
	var a struct{ ID string }
	r.Call("POST", "/v1/agents", m{"name": "buyer", "model": "offline"}, &a)
	r.agent = a.ID
	r.Call("POST", "/v1/agents/"+r.agent+"/wallet/deposits", m{"amount": usdc("500"), "description": "funds"}, nil)
	r.Call("POST", "/v1/policies", m{"scope": m{"agent_id": r.agent}, "limits": m{
		"max_per_transaction": usdc("50"), "require_approval_above": usdc("30"),
	}}, nil)
	return r
}

func (r runs) approval(run runAnswer) string {
	r.t.Helper()
	waiting := apptest.All[struct {
		ID    string
		RunID string `json:"run_id"`
	}](r.Client, "/v1/approvals?status=pending")
	if len(waiting) != 1 || waiting[0].RunID != run.ID {
		r.t.Fatalf("%+v wait, not %s", waiting, run.ID)
	}
	return waiting[0].ID
}

func (r runs) credits() int {
	r.t.Helper()
	var out struct {
		CreditsRemaining int `json:"credits_remaining"`
	}
	r.Call("GET", "/v1/account", nil, &out)
	return out.CreditsRemaining
}

// TestRuns gives an agent tasks and follows each to its outcome.
func TestRuns(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		r := newRuns(t, s, "pro")

		done := r.start("Say hello.", m{"context": "It is morning."})
		if done.Status != "completed" || done.Summary == nil || *done.Summary == "" || done.Error != nil || done.Credits != 3 || done.DurationMS == nil ||
			done.Type != "run" || !strings.HasPrefix(done.ID, "run_") || done.AgentID != r.agent || done.CompletedAt == nil || done.Context == nil {
			t.Errorf("%+v", done)
		}
		var sess struct{ Metadata map[string]string }
		r.Call("GET", "/v1/sessions/"+done.SessionID, nil, &sess)
		if sess.Metadata["run_id"] != done.ID {
			t.Errorf("the session's metadata are %v", sess.Metadata)
		}

		if renewed := r.start("Renew the SendGrid subscription for the marketing workspace.", m{"context": "Budget owner: Sarah Chen. Renewal is due today."}); renewed.Status != "completed" || renewed.Summary == nil {
			t.Errorf("%+v", renewed)
		}
		paid := r.start("Pay 20.00 to api.vendor.example for the yearly plan.", nil)
		if paid.Status != "completed" || paid.Acts != 1 || !strings.Contains(*paid.Summary, "20") {
			t.Errorf("%+v", paid)
		}
		if dollars := r.start("Pay $29.00 to sendgrid.example for the renewal.", nil); dollars.Status != "completed" || !strings.Contains(*dollars.Summary, "29") {
			t.Errorf("%+v", dollars)
		}

		early := r.start("Say hello.", m{"wait": 0})
		if early.Status != "running" && early.Status != "completed" {
			t.Errorf("%+v", early)
		}
		r.until(early.ID, "completed")

		over := r.start("Pay 80 to api.vendor.example for the yearly plan.", nil)
		if over.Status != "failed" || over.Rule == nil || *over.Rule != "max_per_transaction" || !strings.Contains(over.errorText(), "max_per_transaction") {
			t.Errorf("%+v %s", over, over.errorText())
		}
		capped := r.start("Pay 20 to api.vendor.example for the yearly plan.", m{"limits": m{"max_per_transaction": usdc("5")}})
		if capped.Status != "failed" || !strings.Contains(capped.errorText(), "max_per_transaction") {
			t.Errorf("%+v", capped)
		}
		r.Refuse(400, "POST", r.path(), m{"task": "x", "limits": m{"require_approval_above": usdc("9"), "max_per_transaction": usdc("5")}})

		waits := r.start("Pay 40 to api.vendor.example for the yearly plan.", nil)
		if waits.Status != "waiting_approval" || waits.CompletedAt != nil || waits.Summary != nil {
			t.Fatalf("%+v", waits)
		}
		if listed := apptest.All[runAnswer](r.Client, r.path()+"?status=waiting_approval"); len(listed) != 1 || listed[0].ID != waits.ID {
			t.Errorf("%+v", listed)
		}
		r.Call("POST", "/v1/approvals/"+r.approval(waits)+"/approve", nil, nil)
		if got := r.until(waits.ID, "completed"); got.Acts != 1 || !strings.Contains(*got.Summary, "40") {
			t.Errorf("%+v", got)
		}

		refused := r.start("Pay 40 to api.vendor.example for the yearly plan.", nil)
		r.Call("POST", "/v1/approvals/"+r.approval(refused)+"/deny", m{"reason": "too dear"}, nil)
		if got := r.until(refused.ID, "failed"); *got.Rule != "require_approval_above" || !strings.Contains(got.errorText(), "require_approval_above") ||
			!strings.Contains(got.errorText(), "too dear") {
			t.Errorf("%+v %s", got, got.errorText())
		}

		dropped := r.start("Pay 40 to api.vendor.example for the yearly plan.", nil)
		var cancelled runAnswer
		r.Call("POST", r.path()+"/"+dropped.ID+"/cancel", nil, &cancelled)
		if cancelled.Status != "failed" || cancelled.errorText() != "cancelled" || cancelled.Rule != nil {
			t.Errorf("%+v %s", cancelled, cancelled.errorText())
		}
		r.Refuse(409, "POST", r.path()+"/"+dropped.ID+"/cancel", nil)

		stuck := r.start("Pay 40 to api.vendor.example for the yearly plan.", nil)
		r.Call("POST", "/v1/agents/"+r.agent+"/freeze", nil, nil)
		if got := r.until(stuck.ID, "failed"); got.Rule == nil || *got.Rule != "frozen" {
			t.Errorf("%+v %s", got, got.errorText())
		}
		before := len(apptest.All[m](r.Client, "/v1/audit"))
		if code, _ := r.Refuse(403, "POST", r.path(), m{"task": "Say hello."}); code != "agent_frozen" {
			t.Errorf("the code is %s", code)
		}
		if after := len(apptest.All[m](r.Client, "/v1/audit")); after != before+1 {
			t.Errorf("%d audit entries after a refused start, and %d before", after, before)
		}
		r.Call("POST", "/v1/agents/"+r.agent+"/unfreeze", nil, nil)

		all := apptest.All[runAnswer](r.Client, r.path()+"?limit=3")
		if len(all) != 11 || all[0].ID != stuck.ID || all[10].ID != done.ID {
			t.Errorf("%d runs", len(all))
		}
		spent := 0
		for _, v := range all {
			spent += v.Credits
		}
		if left := r.credits(); left != 500-spent || spent != 3*11 {
			t.Errorf("%d credits are left, and the runs took %d", left, spent)
		}
		var actions []string
		for _, e := range apptest.All[struct{ Action string }](r.Client, "/v1/audit") {
			actions = append(actions, e.Action)
		}
		for action, n := range map[string]int{"agent_run_started": 11, "agent_run_completed": 6, "agent_run_failed": 5} {
			if got := len(slices.DeleteFunc(slices.Clone(actions), func(a string) bool { return a != action })); got != n {
				t.Errorf("%d %s, not %d", got, action, n)
			}
		}
		var deleted runAnswer
		r.Call("DELETE", "/v1/sessions/"+done.SessionID, nil, nil)
		r.Call("GET", r.path()+"/"+done.ID, nil, &deleted)
		if deleted.Summary == nil || *deleted.Summary != *done.Summary {
			t.Errorf("%+v", deleted)
		}
		r.Refuse(404, "GET", r.path()+"/run_00000000000000000000000000", nil)
		r.Refuse(400, "POST", r.path(), m{"task": "  "})
		r.Refuse(400, "POST", r.path(), m{"task": strings.Repeat("x", 32_001)})
	})
}

// TestRunsHaveNoClient fails a run whose agent asks for a tool that nobody can answer.
func TestRunsHaveNoClient(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	r := runs{Client: s.Admin.In(t), t: t}
	var a struct{ ID string }
	r.Call("POST", "/v1/agents", m{"name": "asker", "model": "offline", "tools": []m{{
		"type": "custom", "name": "page_shop", "description": "Pages a shop.",
		"input_schema": m{"type": "object", "properties": m{"shop": m{"type": "string"}}, "required": []string{"shop"}},
	}}}, &a)
	r.agent = a.ID
	if got := r.start("Use the page_shop tool with shop north.", nil); got.Status != "failed" || !strings.Contains(got.errorText(), "page_shop") {
		t.Errorf("%+v %s", got, got.errorText())
	}
}

// TestCredits starts runs until the month's credits do not suffice, and finds them again the next month.
func TestCredits(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	r := newRuns(t, s, "free")
	scope := r.scope(s)
	for i := range 15 { // fourteen cost 3 each and one 5
		task := "Say hello."
		if i == 14 {
			task = "Pay 1 to a.example for a. Pay 1 to b.example for b. Pay 1 to c.example for c."
		}
		if got := r.start(task, nil); got.Status != "completed" || (got.Credits != 3) != (i == 14) {
			t.Errorf("%+v", got)
		}
	}
	if left := r.credits(); left != 50-14*3-5 {
		t.Fatalf("%d credits are left", left)
	}
	if got := r.start("Pay 1 to a.example for a. Pay 1 to b.example for b. Pay 1 to c.example for c.", nil); got.Credits != 3 {
		t.Errorf("a run took %d credits where 3 were left", got.Credits)
	}
	sessions := len(apptest.All[m](r.Client, "/v1/sessions"))
	if code, _ := r.Refuse(402, "POST", r.path(), m{"task": "Say hello."}); code != "credits_exhausted" {
		t.Errorf("the code is %s", code)
	}
	if left := r.credits(); left != 0 || len(apptest.All[m](r.Client, "/v1/sessions")) != sessions || len(apptest.All[m](r.Client, r.path())) != 16 {
		t.Error("a refused start has left something behind")
	}
	c, err := s.Accounts.Credits(context.WithoutCancel(t.Context()), scope)
	if err != nil || c.Remaining != 0 || c.Total != 50 || c.ResetsAt.Day() != 1 || !c.ResetsAt.After(time.Now()) || c.Plan != account.PlanFree {
		t.Errorf("%+v %v", c, err)
	}
	var unlimited struct {
		CreditsRemaining int `json:"credits_remaining"`
		CreditsTotal     int `json:"credits_total"`
	}
	s.Admin.Call("GET", "/v1/account", nil, &unlimited)
	if unlimited.CreditsRemaining != -1 || unlimited.CreditsTotal != -1 {
		t.Errorf("%+v", unlimited)
	}
}

// scope is that of the tenant of r.
func (r runs) scope(s *apptest.Server) account.Scope {
	r.t.Helper()
	var own struct{ ID string }
	r.Call("GET", "/v1/account", nil, &own)
	tenant, err := id.Parse[id.TenantKind](own.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	return account.System(tenant)
}
