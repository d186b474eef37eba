package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

type evalView struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Status    string    `json:"status"`
	Error     string    `json:"error"`
	PassRate  *float64  `json:"pass_rate"`
	CreatedAt time.Time `json:"created_at"`
	Tasks     []struct {
		ID      string      `json:"id"`
		Status  string      `json:"status"`
		Summary evalSummary `json:"summary"`
		Trials  []struct {
			Number    int    `json:"trial_index"`
			SessionID string `json:"session_id"`
			Passed    *bool  `json:"passed"`
			Error     string `json:"error"`
			Results   []struct {
				Path   string `json:"path"`
				Passed bool   `json:"passed"`
				Reason string `json:"reason"`
			} `json:"results"`
		} `json:"trials"`
	} `json:"tasks"`
	Counts struct {
		Total int `json:"total"`
	} `json:"trial_counts"`
}

type evalSummary struct {
	Trials   int      `json:"trials"`
	PassRate *float64 `json:"pass_rate"`
	Score    *float64 `json:"mean_score"`
	Cost     *float64 `json:"mean_cost"`
	Seconds  *float64 `json:"mean_duration_seconds"`
}

func evalCommand() *cobra.Command {
	return group("eval", "Run evaluations and compare them", evalRun(), evalList(), evalShow(), evalCompare())
}

func evalPath(run, rest string) string { return "/v1/evals/" + url.PathEscape(run) + rest }

// evalPoll is how often a run that is waited for is looked at.
const evalPoll = 500 * time.Millisecond

func evalRun() *cobra.Command {
	var agent string
	var detach bool
	cmd := &cobra.Command{
		Use: "run FILE", Short: "Run the tasks of a file against an agent", Args: takes(1, "FILE"),
		Long: `Run the tasks of a JSON file against an agent, wait until they have ended, and show the results. FILE, or standard input for -, holds
what POST /v1/evals takes (see /docs):

  {"agent_id": "agent_01h...", "name": "smoke", "tasks": [
    {"id": "sum", "messages": ["What is 17 * 23?"], "trials": 3, "scorer": {"type": "includes", "text": "391"}}
  ]}

With --agent the same file serves any agent. A run goes on when this command is interrupted, as long as a server is there to run it.`,
		Example: "  bureau eval run tasks.json\n  bureau eval run tasks.json --agent buyer --detach",
		RunE: working(func(cmd *cobra.Command, c *client, args []string) error {
			ctx := cmd.Context()
			body, err := readTasks(cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			if agent != "" {
				body["agent_id"] = agent
			}
			if ref, ok := body["agent_id"].(string); ok {
				if body["agent_id"], err = c.agentID(ctx, ref); err != nil {
					return err
				}
			}
			var run evalView
			if err := c.call(ctx, "POST", "/v1/evals", body, &run); err != nil {
				return err
			}
			if detach {
				fmt.Fprintln(cmd.OutOrStdout(), run.ID)
				return nil
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d trials. To see it later: bureau eval show %s\n", run.ID, run.Counts.Total, run.ID)
			if run, err = awaitEval(ctx, c, run.ID); err != nil {
				return err
			}
			return printEval(cmd.OutOrStdout(), run)
		}),
	}
	cmd.Flags().StringVar(&agent, "agent", "", "the `AGENT` to run against, an id or a name; default: what FILE says")
	cmd.Flags().BoolVar(&detach, "detach", false, "print the run's id and do not wait; needs a server that runs it")
	return cmd
}

func readTasks(stdin io.Reader, path string) (map[string]any, error) {
	read := func() ([]byte, error) { return os.ReadFile(path) }
	if path == "-" {
		read = func() ([]byte, error) { return io.ReadAll(stdin) }
	}
	raw, err := read()
	if err != nil {
		return nil, err
	}
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil || body == nil {
		return nil, fmt.Errorf("%s must hold a JSON object with agent_id and tasks; `bureau eval run --help` shows one", path)
	}
	return body, nil
}

// awaitEval returns a run when all of its trials have ended.
func awaitEval(ctx context.Context, c *client, id string) (evalView, error) {
	tick := time.NewTicker(evalPoll)
	defer tick.Stop()
	for {
		var run evalView
		if err := c.call(ctx, "GET", evalPath(id, ""), nil, &run); err != nil {
			return run, err
		}
		if run.Status != "pending" && run.Status != "running" {
			return run, nil
		}
		select {
		case <-ctx.Done():
			return run, ctx.Err()
		case <-tick.C:
		}
	}
}

// printEval writes a line per task, and below it why trials did not pass.
func printEval(w io.Writer, run evalView) error {
	fmt.Fprintf(w, "%s  %s  %s  passed %s\n\n", run.ID, oneLine(run.Name), run.Status, percent(run.PassRate))
	if run.Error != "" {
		fmt.Fprintf(w, "%s\n\n", run.Error)
	}
	rows := make([][]string, len(run.Tasks))
	for i, t := range run.Tasks {
		s := t.Summary
		rows[i] = []string{
			t.ID, t.Status, strconv.Itoa(s.Trials), percent(s.PassRate), number(s.Score, "%.2f"), number(s.Cost, "$%.4f"), number(s.Seconds, "%.1fs"),
		}
	}
	if err := printTable(w, []string{"TASK", "STATUS", "TRIALS", "PASSED", "SCORE", "COST", "TIME"}, rows); err != nil {
		return err
	}
	for _, t := range run.Tasks {
		for _, trial := range t.Trials {
			if trial.Error != "" {
				fmt.Fprintf(w, "\n%s, trial %d, failed: %s", t.ID, trial.Number, oneLine(trial.Error))
			}
			for _, r := range trial.Results {
				if !r.Passed {
					fmt.Fprintf(w, "\n%s, trial %d, %s: %s", t.ID, trial.Number, r.Path, oneLine(r.Reason))
				}
			}
			if trial.Passed != nil && !*trial.Passed {
				fmt.Fprintf(w, "\n  bureau session log %s", trial.SessionID)
			}
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

func percent(p *float64) string {
	if p == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", *p*100)
}

func number(v *float64, format string) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, *v)
}

func evalList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the runs", Args: takes(0),
		Long:    "List the runs, newest first.",
		Example: "  bureau eval list",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			runs, err := pages[evalView](cmd, c, "/v1/evals")
			if err != nil {
				return err
			}
			rows := make([][]string, len(runs))
			for i, r := range runs {
				rows[i] = []string{r.ID, r.Status, strconv.Itoa(r.Counts.Total), percent(r.PassRate), r.CreatedAt.Format(time.DateTime), oneLine(r.Name)}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "STATUS", "TRIALS", "PASSED", "CREATED", "NAME"}, rows)
		}),
	}
}

func evalShow() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a run's tasks, and why trials did not pass", Args: takes(1, "ID"),
		Long:    "Show a run as it is now: a line per task, and below it what scorers missed in trials that did not pass.",
		Example: "  bureau eval show evrun_01h...\n  bureau eval show evrun_01h... --json | jq .summary",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			if raw {
				return printAnswer(cmd, c, evalPath(args[0], ""))
			}
			var run evalView
			if err := c.call(cmd.Context(), "GET", evalPath(args[0], ""), nil, &run); err != nil {
				return err
			}
			return printEval(cmd.OutOrStdout(), run)
		}),
	}
	cmd.Flags().BoolVar(&raw, "json", false, "write it as the API has it")
	return cmd
}

func evalCompare() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "compare BASE OTHER", Short: "Compare two runs task by task", Args: takes(2, "BASE", "OTHER"),
		Long: `Compare two runs by the ids of their tasks. A task is an improvement or a regression of OTHER over BASE by the rate of trials that
passed, and by the mean score when that is the same.`,
		Example: "  bureau eval compare evrun_01h... evrun_01j...",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			path := evalPath(args[0], "/compare?with="+url.QueryEscape(args[1]))
			if raw {
				return printAnswer(cmd, c, path)
			}
			var answer struct {
				Improvements, Regressions int
				Tasks                     []struct {
					ID, Verdict string
					Base, Other *evalSummary
				}
			}
			if err := c.call(cmd.Context(), "GET", path, nil, &answer); err != nil {
				return err
			}
			rows := make([][]string, len(answer.Tasks))
			for i, t := range answer.Tasks {
				base, other := evalSummary{}, evalSummary{}
				if t.Base != nil {
					base = *t.Base
				}
				if t.Other != nil {
					other = *t.Other
				}
				rows[i] = []string{
					t.ID, t.Verdict, percent(base.PassRate), percent(other.PassRate), number(base.Score, "%.2f"), number(other.Score, "%.2f"),
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "improvements: %d, regressions: %d\n\n", answer.Improvements, answer.Regressions)
			header := []string{"TASK", "VERDICT", "PASSED IN BASE", "IN OTHER", "SCORE IN BASE", "IN OTHER"}
			return printTable(cmd.OutOrStdout(), header, rows)
		}),
	}
	cmd.Flags().BoolVar(&raw, "json", false, "write it as the API has it")
	return cmd
}

// printAnswer writes what a GET answers.
func printAnswer(cmd *cobra.Command, c *client, path string) error {
	var answer map[string]any
	if err := c.call(cmd.Context(), "GET", path, nil, &answer); err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), answer)
}
