package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app/internal/process"
)

// TestEvalsAreCut kills the server while evaluations go on: every trial has one session, one that takes too long fails, and those of a run
// that is cancelled end with their programs.
func TestEvalsAreCut(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s := start(t, newTeamModel(t).env())[0]
	_, worker := makeTeam(ctx, t, s)
	type evaluation struct {
		ID     string `json:"id"`
		Status string `json:"status"`
		Tasks  []struct {
			Trials []struct {
				Status    string  `json:"status"`
				SessionID string  `json:"session_id"`
				Error     *string `json:"error"`
			} `json:"trials"`
		} `json:"tasks"`
	}
	run := func(tasks ...map[string]any) (e evaluation) {
		t.Helper()
		must(t, s.Call(ctx, "POST", "/v1/evals", "", map[string]any{"agent_id": worker, "tasks": tasks}, &e))
		return e
	}
	ended := func(e evaluation) evaluation {
		t.Helper()
		for e.Status == "pending" || e.Status == "running" {
			if ctx.Err() != nil {
				t.Fatalf("the evaluation goes on: %+v", e)
			}
			pause(ctx, 100*time.Millisecond)
			must(t, s.Call(ctx, "GET", "/v1/evals/"+e.ID, "", nil, &e))
		}
		return e
	}
	cut := run(map[string]any{"id": "works", "messages": []string{"sleep 0.1!", "sleep 0.2!"}, "trials": 5})
	random := rand.New(rand.NewPCG(*seed, 7))
	for i := range 3 {
		pause(ctx, time.Duration(300+random.IntN(900))*time.Millisecond)
		s.Kill()
		if err := s.Restart(ctx); err != nil {
			t.Fatalf("restart %d: %v", i, err)
		}
	}
	for _, trial := range ended(cut).Tasks[0].Trials {
		if trial.Status != "completed" {
			t.Errorf("%+v", trial)
		}
	}
	seconds := fmt.Sprintf("%d.%06d", 52, os.Getpid())
	late := ended(run(map[string]any{"id": "late", "messages": []string{"sleep " + seconds + "!"}, "timeout_ms": 2000})).Tasks[0].Trials[0]
	if late.Status != "failed" || late.Error == nil {
		t.Errorf("%+v", late)
	}

	gone := func(seconds string) {
		t.Helper()
		for running(seconds) {
			if ctx.Err() != nil {
				t.Fatal("a program goes on after its trial")
			}
			pause(ctx, 20*time.Millisecond)
		}
	}
	gone(seconds)

	seconds = fmt.Sprintf("%d.%06d", 51, os.Getpid())
	stopped := run(map[string]any{"id": "stopped", "messages": []string{"sleep " + seconds + "!"}, "trials": 2})
	for !running(seconds) {
		if ctx.Err() != nil {
			t.Fatal("no program runs")
		}
		pause(ctx, 20*time.Millisecond)
	}
	must(t, s.Call(ctx, "POST", "/v1/evals/"+stopped.ID+"/cancel", "", nil, nil))
	gone(seconds)

	l := &load{fleet: []*process.Server{s}}
	trials := map[string]int{}
	for _, v := range all[struct {
		ID       string            `json:"id"`
		Status   string            `json:"status"`
		Metadata map[string]string `json:"metadata"`
	}](ctx, t, l, "/v1/sessions?archived=true") {
		if v.Status != "terminated" {
			t.Errorf("session %s is %s", v.ID, v.Status)
		}
		trials[fmt.Sprint(v.Metadata["eval_run_id"], v.Metadata["eval_task_id"], v.Metadata["eval_trial"])]++
		checkThread(t, all[told](ctx, t, l, "/v1/sessions/"+v.ID+"/events?order=asc"))
	}
	for trial, n := range trials {
		if n != 1 {
			t.Errorf("trial %s has %d sessions", trial, n)
		}
	}
	if len(trials) != 8 {
		t.Errorf("%d trials have sessions: %v", len(trials), trials)
	}
}
