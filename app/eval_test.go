package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app/apptest"
)

// evaluation is what the tests read of one.
type evaluation struct {
	ID           string
	Status       string
	AgentVersion int `json:"agent_version"`
	TaskCount    int `json:"task_count"`
	TrialCounts  struct {
		Total, Completed, Failed, Cancelled, Passed int
	} `json:"trial_counts"`
	Tasks []struct {
		ID     string
		Status string
		Trials []struct {
			Status    string
			SessionID string `json:"session_id"`
			Passed    *bool
			Score     *float64
			Error     *string
			Cost      *string
			Steps     int
			ToolUses  int `json:"tool_uses"`
			Results   []struct {
				Path, Type, Reason string
				Passed             bool
			}
		}
	}
}

// ended waits for the end of an evaluation.
func ended(t *testing.T, api *apptest.Client, of string) evaluation {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		var e evaluation
		api.Call("GET", "/v1/evals/"+of, nil, &e)
		if e.Status != "pending" && e.Status != "running" {
			return e
		}
		if time.Now().After(deadline) {
			t.Fatalf("the evaluation goes on: %+v", e)
		}
		time.Sleep(50 * time.Millisecond) // the API has nothing to wait by
	}
}

// TestEvaluation runs tasks with trials and scorers against an agent, changes the agent, runs them again, and compares.
func TestEvaluation(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		s.WaitForPlugins()
		api := s.Admin.In(t)
		create := func(path string, body any) string {
			t.Helper()
			var made struct{ ID string }
			api.Call("POST", path, body, &made)
			return made.ID
		}
		agent := create("/v1/agents", m{"name": "reckoner", "model": "offline"})
		tasks := []m{
			{
				"id": "sum", "messages": []string{"Hello!", "What is 17 * 23?"}, "trials": 3,
				"scorer": m{"type": "all", "scorers": []m{
					{"type": "includes", "texts": []string{"391"}}, {"type": "tool_used", "tool": "calculator"}, {"type": "tool_not_used", "tool": "pay"},
					{"type": "max_cost", "amount": "0"}, {"type": "max_steps", "steps": 9}, {"type": "regex", "pattern": `\b391\b`},
				}},
			},
			{"id": "wrong", "messages": []string{"What is 2 + 2?"}, "scorer": m{"type": "includes", "texts": []string{"five"}}},
			{"id": "unscored", "messages": []string{"Hello!"}},
			{"id": "judged", "messages": []string{"Hello!"}, "scorer": m{"type": "judge", "rubric": "is polite"}},
		}
		run := func() evaluation {
			return ended(t, api, create("/v1/evals", m{"agent_id": agent, "name": "reckoning", "tasks": tasks}))
		}
		without := run() // the calculator is not there yet
		create("/v1/agents/"+agent+"/skills", m{"skill_id": "calculator"})
		api.Call("PATCH", "/v1/agents/"+agent, m{"description": "reckons"}, nil)
		with := run()

		if without.AgentVersion != 1 || with.AgentVersion != 2 || with.Status != "completed" || with.TaskCount != 4 {
			t.Errorf("%+v", with)
		}
		seen := map[string]bool{}
		for _, trial := range with.Tasks[0].Trials {
			if trial.Status != "completed" || trial.Passed == nil || !*trial.Passed || *trial.Score != 1 || len(trial.Results) != 7 || trial.Steps < 2 ||
				trial.ToolUses != 1 || trial.Cost == nil || seen[trial.SessionID] {
				t.Errorf("sum: %+v", trial)
			}
			seen[trial.SessionID] = true
			var session struct {
				Status   string
				Metadata map[string]string
			}
			api.Call("GET", "/v1/sessions/"+trial.SessionID, nil, &session)
			if session.Status != "terminated" || session.Metadata["eval_run_id"] != with.ID {
				t.Errorf("the trial's session: %+v", session)
			}
		}
		if got := with.Tasks[1].Trials[0]; got.Status != "completed" || *got.Passed || !strings.Contains(got.Results[0].Reason, "five") {
			t.Errorf("wrong: %+v", got)
		}
		if got := with.Tasks[2].Trials[0]; got.Status != "completed" || got.Passed != nil {
			t.Errorf("unscored: %+v", got)
		}
		if got := with.Tasks[3].Trials[0]; got.Status != "failed" || got.Error == nil || !strings.Contains(*got.Error, "no verdict") {
			t.Errorf("judged by a model that cannot judge: %+v", got)
		}

		var c struct {
			Improvements, Regressions int
			Base                      struct{ AgentVersion int } `json:"base"`
			Tasks                     []struct {
				ID, Verdict string
				Delta       struct {
					PassRate *float64 `json:"pass_rate"`
				}
			}
		}
		api.Call("GET", "/v1/evals/"+without.ID+"/compare?with="+with.ID, nil, &c)
		if c.Improvements != 1 || c.Regressions != 0 || c.Tasks[0].Verdict != "improvement" || *c.Tasks[0].Delta.PassRate != 1 {
			t.Errorf("comparison: %+v", c)
		}
		api.Call("GET", "/v1/evals/"+with.ID+"/compare?with="+without.ID, nil, &c)
		if c.Regressions != 1 {
			t.Errorf("the other way round: %+v", c)
		}

		// The same below /runs.
		var again evaluation
		api.Call("GET", "/v1/evals/runs/"+with.ID, nil, &again)
		if again.ID != with.ID || again.TaskCount != 4 || len(again.Tasks) != 4 {
			t.Errorf("below /runs: %+v", again)
		}
		api.Call("GET", "/v1/evals/runs/"+with.ID+"/compare?with="+without.ID, nil, &c)
		if c.Regressions != 1 {
			t.Errorf("compared below /runs: %+v", c)
		}
		api.Refuse(409, "POST", "/v1/evals/runs/"+with.ID+"/cancel", nil)
		api.Refuse(404, "GET", "/v1/evals/runs/compare", nil)
		api.Refuse(404, "GET", "/v1/evals/"+with.ID+"/nothing", nil)
		api.Refuse(404, "DELETE", "/v1/evals/"+with.ID+"/nothing", nil)
		api.Refuse(405, "GET", "/v1/evals/"+with.ID+"/cancel", nil)
		api.Refuse(405, "DELETE", "/v1/evals/"+with.ID+"/compare", nil)

		api.Refuse(409, "POST", "/v1/evals/"+with.ID+"/cancel", nil)
		api.Call("DELETE", "/v1/evals/"+with.ID, nil, nil)
		api.Refuse(404, "GET", "/v1/evals/"+with.ID, nil)
		if n := len(apptest.All[struct{ ID string }](api, "/v1/evals?agent_id="+agent+"&status=completed")); n != 1 {
			t.Errorf("%d evaluations", n)
		}
		api.Call("DELETE", "/v1/evals/runs/"+without.ID, nil, nil)
		api.Refuse(404, "GET", "/v1/evals/runs/"+without.ID, nil)
	})
}

// TestSlowScorersHoldUpNobody has a trial whose script takes long beside others, and a run that is cancelled while one is scored.
func TestSlowScorersHoldUpNobody(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	api := s.Admin.In(t)
	var agent, run struct{ ID string }
	api.Call("POST", "/v1/agents", m{"name": "worker", "model": "offline"}, &agent)
	api.Call("POST", "/v1/evals", m{"agent_id": agent.ID, "tasks": []m{
		{"id": "slow", "messages": []string{"Hello!"}, "scorer": m{"type": "script", "script": "sleep 300", "timeout_ms": 400000}},
		{
			"id": "quick", "messages": []string{"Hello!"}, "trials": 6, "setup_files": []m{{"path": "a", "content": "b"}}, "setup_script": "test -f a",
			"scorer": m{"type": "script", "script": "cat a"},
		},
	}}, &run)
	var e evaluation
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		api.Call("GET", "/v1/evals/"+run.ID, nil, &e)
		if e.TrialCounts.Completed == 6 {
			break
		}
		if time.Now().After(deadline) || e.Status == "completed" || e.Status == "failed" {
			t.Fatalf("%+v", e)
		}
	}
	if e.Status != "running" || e.TrialCounts.Passed != 6 || e.Tasks[0].Status != "running" {
		t.Errorf("%+v", e)
	}
	api.Call("POST", "/v1/evals/"+run.ID+"/cancel", nil, &e)
	if e.Status != "cancelled" || e.TrialCounts.Cancelled != 1 {
		t.Errorf("%+v", e)
	}
}
